// Watches figures: server-sent events, read with fetch, which can send the token; a broken stream goes on where it was.

import { failureOf, send } from "./api.js";

const SILENCE = 35_000;
const SOONEST = 1_000;
const LATEST = 15_000;

/**
 * Tells of figures until the signal aborts: `told` of all that are pushed, `alive` now and then between them, with
 * whether something was followed that did not change them, `state` whether the stream is open. Throws the ApiError that
 * trying again can't mend.
 */
export async function watch(body, { told, alive, state, signal }) {
  let last = "";
  let pause = SOONEST;
  while (!signal.aborted) {
    // A connection that says nothing at all for so long is dead, whatever the browser thinks.
    const silent = new AbortController();
    const either = AbortSignal.any([signal, silent.signal]);
    try {
      const headers = { accept: "text/event-stream", ...(last && { "last-event-id": last }) };
      const response = await send("/v1/live", { body, headers, signal: either });
      for await (const { name, id, data } of events(response.body, silent)) {
        state(true);
        pause = SOONEST;
        const news = id !== "" && id !== last;
        last = id || last;
        if (name === "error") throw failureOf(JSON.parse(data).error);
        if (data) told(JSON.parse(data));
        else alive(news);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error.status && !error.passes) throw error;
    }
    if (signal.aborted) return;
    state(false);
    await rest(pause, signal);
    pause = Math.min(pause * 2, LATEST);
  }
}

/** The events of a stream as {name, id, data}; a block with an id alone is one without data. */
async function* events(stream, silent) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const timer = setTimeout(() => silent.abort(), SILENCE);
      const { done, value } = await reader.read().finally(() => clearTimeout(timer));
      if (done) return;
      text += value;
      const blocks = text.split("\n\n");
      text = blocks.pop();
      yield* blocks.map(eventOf);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function eventOf(block) {
  const found = { name: "message", id: "", data: "" };
  for (const line of block.split("\n")) {
    const [field, ...rest] = line.split(":");
    const value = rest.join(":").replace(/^ /, "");
    if (field === "event") found.name = value;
    if (field === "id") found.id = value;
    if (field === "data") found.data += value;
  }
  return found;
}

/** Waits, but no longer than until the browser is online again. */
export function rest(milliseconds, signal) {
  return new Promise((resolve) => {
    const over = new AbortController();
    const done = () => {
      clearTimeout(timer);
      over.abort();
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", done, { signal: over.signal });
    window.addEventListener("online", done, { signal: over.signal });
  });
}
