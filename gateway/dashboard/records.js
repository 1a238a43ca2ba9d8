// Records: what figures are made of, one by one, and as files.

import { ask, send } from "./api.js";
import { card, element, empty, show, table } from "./elements.js";
import { count, money, share } from "./format.js";
import { notices } from "./notices.js";

const KINDS = { orders: "Orders", credits: "Credits", conversations: "Conversations", journeys: "Journeys" };
const FORMATS = { csv: "CSV", xlsx: "Excel", json: "JSON" };
const AT_FIRST = 100;
const MOST = 2_000;

/** Reads the first records of a period, of the kind asked for. */
export async function read({ records, span }, signal) {
  const kind = records in KINDS ? records : "orders";
  return { kind, ...(await ask(`/v1/records/${kind}?${new URLSearchParams({ ...span, pageSize: shownOf.get(kind) ?? AT_FIRST })}`, { signal })) };
}

/** How many records of a kind are shown. */
const shownOf = new Map();

/** Shows them in `places`; `choose` is told another kind, `again` reads and shows once more. */
export function draw(places, { kind, records = [], totalSize = "0", metadata }, { span }, { choose, again, labelOf }) {
  notices(places.notices, metadata, labelOf);
  show(places.totals);
  places.kept.hidden = places.daily.parentElement.hidden = places.hello.hidden = true;
  const fields = [...new Set(records.flatMap(Object.keys))];
  const more = Math.min(Number(totalSize), MOST) - records.length;
  const content = card(
    "records",
    KINDS[kind],
    `${count(totalSize)} in this period${records.length < Number(totalSize) ? `, of which the first ${count(records.length)} are shown` : ""}.`,
    records.length ? table(KINDS[kind], fields.map(words), records.map((record) => ({ cells: fields.map((field) => text(field, record[field], metadata?.timeZone)) }))) : empty("Nothing in this period."),
    more > 0 ? element("button", { type: "button", class: "quiet", "data-more": true, "data-key": "more" }, `Show the first ${count(records.length + more)}`) : null,
  );
  content.classList.add("wide", "records");
  show(places.tables, chooser(kind), content);
  const select = places.tables.querySelector("select");
  select.value = kind;
  select.onchange = () => choose(select.value);
  const shows = places.tables.querySelector("[data-more]");
  if (shows) shows.onclick = () => (shownOf.set(kind, MOST), again());
  for (const button of places.tables.querySelectorAll("[data-format]")) button.onclick = () => download(kind, button.dataset.format, span);
}

function chooser(kind) {
  const options = Object.entries(KINDS).map(([name, label]) => element("option", { value: name, selected: name === kind }, label));
  const files = Object.entries(FORMATS).map(([name, label]) => element("button", { type: "button", class: "quiet", "data-format": name, "data-key": `file-${name}` }, label));
  return element("div", { class: "chooser wide" }, element("label", {}, "Records ", element("select", { "data-key": "records" }, ...options)), element("span", { role: "group", "aria-label": "Download all of the period" }, "Download all: ", ...files));
}

const NAMES = new Set(["outcome", "reason", "status", "tier", "channel", "originType", "lastMessage"]);

const words = (field) => asWords(field.replace(/([A-Z])/g, "_$1"));
const asWords = (name) => name.toLowerCase().replaceAll("_", " ").replace(/^./, (first) => first.toUpperCase());

function text(field, value, timeZone) {
  if (value === undefined || value === "") return "";
  if (value.currencyCode !== undefined) return money(value);
  if (field.endsWith("Time")) return new Date(value).toLocaleString(undefined, { timeZone });
  if (NAMES.has(field) && /^[A-Z_]+$/.test(value)) return asWords(value);
  return field === "fraction" ? share(value) : String(value);
}

/** Keeps a file of all records of a period, and says how far it is; the browser asks where to. */
async function download(kind, format, span) {
  const place = document.getElementById("download");
  const say = (said) => {
    place.hidden = false;
    place.textContent = said;
  };
  say("The file begins …");
  try {
    const answer = await send(`/v1/exports/${kind}?${new URLSearchParams({ ...span, format })}`);
    const name = /filename="([^"]+)"/.exec(answer.headers.get("content-disposition"))?.[1] ?? `${kind}.${format}`;
    const records = count(answer.headers.get("touchstone-records") ?? "0");
    const parts = [];
    let size = 0;
    for (let reader = answer.body.getReader(), part = await reader.read(); !part.done; part = await reader.read()) {
      parts.push(part.value);
      size += part.value.length;
      say(`${name}: ${(size / 1e6).toFixed(1)} MB so far, ${records} records in all`);
    }
    const address = URL.createObjectURL(new Blob(parts, { type: answer.headers.get("content-type") }));
    element("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
    say(`${name} is complete: ${records} records, ${(size / 1e6).toFixed(1)} MB`);
  } catch (error) {
    say(error.status ? error.message : "The file broke off. Nothing is left behind: download it again.");
  }
}
