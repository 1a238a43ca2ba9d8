// Speaks with the API: one token, errors in words.

const KEPT_AS = "touchstone.token";

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }

  /** True where the same request may be answered a little later. */
  get passes() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** The token: from the address's fragment, which it is taken out of, or as kept in this tab. */
export function token() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    keepToken(given);
    history.replaceState(null, "", location.pathname + location.search);
  }
  return sessionStorage.getItem(KEPT_AS) ?? "";
}

export function keepToken(value) {
  sessionStorage.setItem(KEPT_AS, value.trim().replace(/^Bearer\s+/i, ""));
}

export function forgetToken() {
  sessionStorage.removeItem(KEPT_AS);
}

/** What a path answers. Throws ApiError with words for people. */
export async function ask(path, { body, signal } = {}) {
  return (await send(path, { body, signal })).json();
}

/** What a path answers; {refused} with the words of an answer that says that there is no such thing. */
export async function tried(path, options) {
  try {
    return await ask(path, options);
  } catch (error) {
    if (error.status === 400 || error.status === 404) return { refused: error.message };
    throw error;
  }
}

/** A path's answer as it comes, once it is known to be no error; `headers` beside the token. */
export async function send(path, { body, signal, headers = {} } = {}) {
  const told = { ...headers, authorization: `Bearer ${token()}` };
  if (body) told["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method: body ? "POST" : "GET", headers: told, body: body && JSON.stringify(body), signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    // Headers take no characters beyond Latin-1: such a token is nobody's.
    if (error instanceof TypeError && /[^\x20-\x7e]/.test(token())) throw new ApiError(inWords(401), 401);
    throw new ApiError(inWords(0), 0);
  }
  if (!response.ok) throw new ApiError(inWords(response.status, await response.json().catch(() => ({}))), response.status);
  return response;
}

/** The error that a stream ended with: {code, message}, as in google.rpc.Status. */
export function failureOf({ code, message }) {
  const status = { 3: 400, 7: 403, 9: 400, 16: 401 }[code] ?? 503;
  return new ApiError(inWords(status, { message }), status);
}

function inWords(status, { message } = {}) {
  if (status === 0) return "Touchstone does not answer. Is it running, and are you online? The page goes on by itself when it is back.";
  if (status === 401) return "This token is not valid, or has expired. Paste another one: whoever runs Touchstone prints it.";
  if (status === 403) return "This token may not read reports: it needs the scope reports:read. Paste another one.";
  if (status === 429) return "Too many requests at the moment. The page goes on by itself in a moment.";
  if (status >= 500) return "Touchstone is not ready at the moment. The page goes on by itself when it is.";
  return message || `The figures could not be read (${status}).`;
}
