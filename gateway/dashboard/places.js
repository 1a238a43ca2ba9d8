// Where a page shows what: what it is narrowed to, and pages that are no reports.

import { element, show } from "./elements.js";
import { notices } from "./notices.js";
import { dimension, valueOf } from "./words.js";

/** Shows what a page is narrowed to, each with a way back to all. */
export function showKept(place, kept) {
  place.hidden = !Object.keys(kept).length;
  show(
    place,
    ...Object.entries(kept).map(([name, value]) => {
      const text = `${dimension(name)}: ${valueOf(name, value)}`;
      return element("button", { type: "button", class: "chip", "data-asks": name, value: "", "data-key": `drop-${name}`, "aria-label": `${text}. Show all again` }, `${text} `, element("span", { "aria-hidden": "true" }, "×"));
    }),
  );
}

/** Shows content that is no report: in the tables' place, beside what figures leave out and nothing else. */
export function showAlone(places, { metadata, kept = {} }, { labelOf }, ...content) {
  notices(places.notices, metadata, labelOf);
  showKept(places.kept, kept);
  show(places.totals);
  places.daily.parentElement.hidden = places.hello.hidden = true;
  show(places.tables, ...content);
}
