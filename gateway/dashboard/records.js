// Records: what figures are made of, one by one, and as files.

import { ask, send } from "./api.js";
import { card, choice, element, empty, link, table } from "./elements.js";
import { count, moment, money, share } from "./format.js";
import { showAlone } from "./places.js";

const KINDS = { orders: "Orders", credits: "Credits", conversations: "Conversations", journeys: "Journeys" };
const FORMATS = { csv: "CSV", xlsx: "Excel", json: "JSON" };
const AT_FIRST = 100;
const MOST = 2_000;

/** Reads the first records of a period, of the kind asked for. */
export async function read({ told: { records }, span }, signal) {
  const kind = records in KINDS ? records : "orders";
  return { kind, ...(await ask(`/v1/records/${kind}?${new URLSearchParams({ ...span, pageSize: shownOf.get(kind) ?? AT_FIRST })}`, { signal })) };
}

/** How many records of a kind are shown. */
const shownOf = new Map();

/** Shows them in `places`. */
export function draw(places, { kind, records = [], totalSize = "0", metadata }, { span }, page) {
  const fields = [...new Set(records.flatMap(Object.keys))];
  const more = Math.min(Number(totalSize), MOST) - records.length;
  const content = card(
    "records",
    KINDS[kind],
    `${count(totalSize)} in this period${records.length < Number(totalSize) ? `, of which the first ${count(records.length)} are shown` : ""}.`,
    records.length ? table(KINDS[kind], fields.map(words), records.map((record) => ({ cells: fields.map((field) => text(field, record, metadata)) }))) : empty("Nothing in this period."),
    more > 0 ? element("button", { type: "button", class: "quiet", "data-more": true, "data-key": "more" }, `Show the first ${count(records.length + more)}`) : null,
  );
  content.classList.add("wide", "words");
  showAlone(places, { metadata }, page, chooser(kind), content);
  const shows = places.tables.querySelector("[data-more]");
  if (shows) shows.onclick = () => (shownOf.set(kind, MOST), page.again());
  for (const button of places.tables.querySelectorAll("[data-format]")) button.onclick = () => download(kind, button.dataset.format, span);
}

function chooser(kind) {
  const files = Object.entries(FORMATS).map(([name, label]) => element("button", { type: "button", class: "quiet", "data-format": name, "data-key": `file-${name}` }, label));
  return element("div", { class: "chooser wide" }, choice("Records", "records", Object.entries(KINDS), kind), element("span", { role: "group", "aria-label": "Download all of the period" }, "Download all: ", ...files));
}

const NAMES = new Set(["outcome", "reason", "status", "tier", "channel", "originType", "lastMessage"]);

const words = (field) => asWords(field.replace(/([A-Z])/g, "_$1"));
const asWords = (name) => name.toLowerCase().replaceAll("_", " ").replace(/^./, (first) => first.toUpperCase());

function text(field, record, { timeZone, model } = {}) {
  const value = record[field];
  if (value === undefined || value === "") return "";
  if (value.currencyCode !== undefined) return money(value);
  if (field.endsWith("Time")) return moment(value, timeZone);
  if (field === "orderId") return link(value, { report: "evidence", order: value, source: record.source, model });
  if (NAMES.has(field) && /^[A-Z_]+$/.test(value)) return asWords(value);
  return field === "fraction" ? share(value) : String(value);
}

/**
 * Keeps a file of all records of a period, and says how far it is. Where the browser lets pages write files it goes to the
 * disk as it comes, and what breaks off leaves nothing there; elsewhere it is in memory until it is complete.
 */
async function download(kind, format, span) {
  const place = document.getElementById("download");
  const say = (said) => {
    place.hidden = false;
    place.textContent = said;
  };
  try {
    // Where to is asked first, as long as the browser knows that somebody pressed a button.
    const file = await window.showSaveFilePicker?.({ suggestedName: `touchstone-${kind}-${span.startDate}-${span.endDate}.${format}` });
    say("The file begins …");
    const answer = await send(`/v1/exports/${kind}?${new URLSearchParams({ ...span, format })}`);
    const name = file?.name ?? /filename="([^"]+)"/.exec(answer.headers.get("content-disposition"))?.[1] ?? `${kind}.${format}`;
    const records = count(answer.headers.get("touchstone-records") ?? "0");
    let size = 0;
    const parts = answer.body.pipeThrough(
      new TransformStream({
        transform(part, on) {
          size += part.length;
          say(`${name}: ${(size / 1e6).toFixed(1)} MB so far, ${records} records in all`);
          on.enqueue(part);
        },
      }),
    );
    if (file) await parts.pipeTo(await file.createWritable());
    else handOver(name, await new Response(parts, { headers: { "content-type": answer.headers.get("content-type") } }).blob());
    say(`${name} is complete: ${records} records, ${(size / 1e6).toFixed(1)} MB`);
  } catch (error) {
    if (error.name !== "AbortError") say(error.status ? error.message : "The file broke off. Nothing is left behind: download it again.");
  }
}

function handOver(name, content) {
  const address = URL.createObjectURL(content);
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
