// Draws lines of days, and intervals.

import { drawn, element, table } from "./elements.js";
import { longDay, share, short, shortDay } from "./format.js";

const NARROWEST = 280;
const LABEL = 110;
const HEIGHT = 240;
const LEFT = 64;
const RIGHT = 12;
const TOP = 12;
const BOTTOM = 28;

/**
 * Lines over days, with a legend and the numbers as a table. `days` are ISO dates, the oldest first; `lines` are {label,
 * values, texts}, of which the first is the main one and a value may be undefined; `space` is the width in pixels; `named`
 * is how the table names a day.
 */
export function daily(days, lines, { unit, currencyCode, space, named = longDay }) {
  const width = Math.max(space, NARROWEST);
  const [main, beside] = lines;
  const highest = niceCeiling(Math.max(...lines.flatMap(({ values }) => values).map((value) => value ?? 0), 0), unit);
  const x = (i) => (days.length === 1 ? (LEFT + width - RIGHT) / 2 : LEFT + (i * (width - LEFT - RIGHT)) / (days.length - 1));
  const y = (value) => HEIGHT - BOTTOM - (Math.max(value, 0) * (HEIGHT - TOP - BOTTOM)) / highest;
  const at = (i, value) => `${x(i).toFixed(1)} ${y(value).toFixed(1)}`;
  const floor = y(0);
  const half = days.length === 1 ? width / 2 : (width - LEFT - RIGHT) / (days.length - 1) / 2;

  const picture = drawn(
    "svg",
    { class: "chart", viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": `${lines.map(({ label }) => label).join(" and ")} by day; the table below has the numbers` },
    ...[0, 0.5, 1].flatMap((part) => [
      drawn("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(highest * part), y2: y(highest * part) }),
      drawn("text", { x: LEFT - 8, y: y(highest * part) + 4, "text-anchor": "end" }, short(highest * part, unit, currencyCode)),
    ]),
    ...labelled(days.length, Math.floor(width / LABEL)).map((i) =>
      drawn("text", { x: x(i), y: HEIGHT - 6, "text-anchor": i === 0 && days.length > 1 ? "start" : i === days.length - 1 && i ? "end" : "middle" }, shortDay(days[i])),
    ),
    ...runs(main.values).map((run) =>
      drawn("path", { class: "area", d: `M${run.map((i) => at(i, main.values[i])).join("L")}L${x(run.at(-1)).toFixed(1)} ${floor}L${x(run[0]).toFixed(1)} ${floor}Z` }),
    ),
    beside ? pathOf(beside, "beside", at) : null,
    pathOf(main, "main", at),
    // A line of one day has no length.
    days.length === 1 && beside?.values[0] !== undefined ? drawn("circle", { class: "beside-dot", cx: x(0), cy: y(beside.values[0]), r: 4.5 }) : null,
    ...main.values.map((value, i) => (value === undefined || days.length > 62 ? null : drawn("circle", { class: "dot", cx: x(i), cy: y(value), r: 3 }))),
    ...days.map((day, i) =>
      drawn(
        "rect",
        { class: "day", x: Math.max(x(i) - half, 0), y: TOP, width: 2 * half, height: HEIGHT - TOP - BOTTOM },
        drawn("title", {}, [longDay(day), ...lines.map(({ label, texts }) => `${label}: ${texts[i]}`)].join("\n")),
      ),
    ),
  );
  const legend = element("ul", { class: "legend" }, ...lines.map(({ label }, i) => element("li", { class: i ? "beside-key" : undefined }, label)));
  const numbers = table(
    "By day",
    ["Day", ...lines.map(({ label }) => label)],
    days.map((day, i) => ({ cells: [named(day), ...lines.map(({ texts }) => texts[i])] })),
  );
  return { picture, legend, numbers };
}

function pathOf({ values }, kind, at) {
  return drawn("path", { class: `line ${kind}`, d: runs(values).map((run) => `M${run.map((i) => at(i, values[i])).join("L")}`).join("") });
}

/** The places of values that stand next to each other, run by run. */
function runs(values) {
  const found = [];
  values.forEach((value, i) => {
    if (value === undefined) return;
    if (i && values[i - 1] !== undefined) found.at(-1).push(i);
    else found.push([i]);
  });
  return found;
}

function labelled(count, most) {
  const wanted = Math.min(count, most, 8);
  return wanted < 2 ? [0] : Array.from({ length: wanted }, (_, i) => Math.round((i * (count - 1)) / (wanted - 1)));
}

function niceCeiling(value, unit) {
  // Of things there are no halves.
  const least = unit === "COUNT" ? 2 : 0;
  if (value <= least) return least || 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].map((step) => step * power).find((step) => step >= value * (1 - 1e-9));
}

/** Where a share lies, and may lie in truth, between -`most` and `most`. */
export function interval({ value, low = value, high = value }, most) {
  const x = (part) => 100 + (Math.max(-most, Math.min(most, part)) / most) * 96;
  const kind = low > 0 ? "up" : high < 0 ? "down" : "open";
  return drawn(
    "svg",
    { class: `interval ${kind}`, viewBox: "0 0 200 20", role: "img", "aria-label": `${share(value)}, between ${share(low)} and ${share(high)}` },
    drawn("line", { class: "zero", x1: 100, x2: 100, y1: 1, y2: 19 }),
    drawn("line", { class: "bar", x1: x(low), x2: x(high), y1: 10, y2: 10 }),
    drawn("circle", { cx: x(value), cy: 10, r: 4.5 }),
  );
}
