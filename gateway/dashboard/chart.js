// Draws the daily line.

import { drawn, element, table } from "./elements.js";
import { longDay, shortDay, shortMoney } from "./format.js";

const NARROWEST = 280;
const LABEL = 110;
const HEIGHT = 240;
const LEFT = 64;
const RIGHT = 12;
const TOP = 12;
const BOTTOM = 28;

/** Days are {day, attributed, store, attributedText, storeText}, oldest first; `space` is the width in pixels. */
export function daily(days, currencyCode, space) {
  const width = Math.max(space, NARROWEST);
  const highest = niceCeiling(Math.max(...days.map((day) => Math.max(day.store, day.attributed)), 0));
  const x = (i) => (days.length === 1 ? (LEFT + width - RIGHT) / 2 : LEFT + (i * (width - LEFT - RIGHT)) / (days.length - 1));
  const y = (value) => HEIGHT - BOTTOM - (Math.max(value, 0) * (HEIGHT - TOP - BOTTOM)) / highest;
  const line = (name) => days.map((day, i) => `${i ? "L" : "M"}${x(i).toFixed(1)} ${y(day[name]).toFixed(1)}`).join("");
  const floor = y(0);

  const picture = drawn(
    "svg",
    { class: "chart", viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": "Attributed and store revenue by day; the table below has the numbers" },
    ...[0, 0.5, 1].flatMap((part) => [
      drawn("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(highest * part), y2: y(highest * part) }),
      drawn("text", { x: LEFT - 8, y: y(highest * part) + 4, "text-anchor": "end" }, shortMoney(highest * part, currencyCode)),
    ]),
    ...labelled(days.length, Math.floor(width / LABEL)).map((i) =>
      drawn("text", { x: x(i), y: HEIGHT - 6, "text-anchor": i === 0 && days.length > 1 ? "start" : i === days.length - 1 && i ? "end" : "middle" }, shortDay(days[i].day)),
    ),
    drawn("path", { class: "area", d: `${line("attributed")}L${x(days.length - 1)} ${floor}L${x(0)} ${floor}Z` }),
    drawn("path", { class: "store", d: line("store") }),
    drawn("path", { class: "attributed", d: line("attributed") }),
    // A line of one day has no length.
    ...(days.length === 1 ? [drawn("circle", { class: "store-dot", cx: x(0), cy: y(days[0].store), r: 4.5 }, drawn("title", {}, days[0].storeText))] : []),
    ...(days.length <= 62
      ? days.map((day, i) =>
          drawn("circle", { class: "dot", cx: x(i), cy: y(day.attributed), r: 3.5 }, drawn("title", {}, `${longDay(day.day)}: ${day.attributedText} of ${day.storeText}`)),
        )
      : []),
  );
  const legend = element("ul", { class: "legend" }, element("li", {}, "Attributed"), element("li", { class: "store-key" }, "Store"));
  const numbers = table(
    "Revenue by day",
    ["Day", "Attributed", "Store"],
    days.map((day) => ({ cells: [longDay(day.day), day.attributedText, day.storeText] })),
  );
  return { picture, legend, numbers };
}

function labelled(count, most) {
  const wanted = Math.min(count, most, 8);
  return wanted < 2 ? [0] : Array.from({ length: wanted }, (_, i) => Math.round((i * (count - 1)) / (wanted - 1)));
}

function niceCeiling(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].map((step) => step * power).find((step) => step >= value);
}
