// Speaks with the API: one token, errors in words.

const KEPT_AS = "touchstone.token";

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
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
  sessionStorage.setItem(KEPT_AS, value.trim());
}

export function forgetToken() {
  sessionStorage.removeItem(KEPT_AS);
}

/** What a path answers. Throws ApiError with words for people. */
export async function ask(path, { body, signal } = {}) {
  const headers = { authorization: `Bearer ${token()}` };
  if (body) headers["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("Touchstone does not answer at the moment. The page keeps trying.", 0);
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new ApiError(inWords(response.status, answer), response.status);
  return answer;
}

function inWords(status, answer) {
  if (status === 401) return "This token is not valid, or has expired. Paste another one.";
  if (status === 403) return "This token may not read reports: it needs the scope reports:read.";
  if (status === 429) return "Too many requests at the moment. The page keeps trying.";
  if (status >= 500) return "Touchstone is not ready at the moment. The page keeps trying.";
  return answer.message || `The figures could not be read (${status}).`;
}
