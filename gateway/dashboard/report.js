// A report by its name: totals, one of them day by day, the tables, and what it is narrowed to.

import { ask, tried } from "./api.js";
import { daily } from "./chart.js";
import { card, element, empty, link, show, table } from "./elements.js";
import { count, figure, longDay, move, size } from "./format.js";
import { LESS } from "./layouts.js";
import { notices } from "./notices.js";
import { showKept } from "./places.js";
import { statement } from "./statement.js";
import { dimension, valueOf } from "./words.js";

const MOST_WATCHED = 20;
const PARAMETERS = { origin_type: "originType" };
const ROWS = 25;

/** Reads a report and, where its page has one, the statement. `asked` is {report, span, kept}. */
export async function read({ report, span, kept }, signal) {
  const parameters = new URLSearchParams({ ...span, pageSize: ROWS });
  for (const [name, value] of Object.entries(kept)) parameters.append(PARAMETERS[name] ?? name, value);
  const [told, stated] = await Promise.all([
    ask(`/v1/reports/${report.id}?${parameters}`, { signal }),
    // A statement under a model that is not active is refused; the rest of the page is as true as ever.
    report.statement ? tried(`/v1/statement?${new URLSearchParams(span)}`, { signal }) : null,
  ]);
  return { ...told, statement: stated };
}

/** What of the report is watched: its totals, if they are not narrowed; else the shop's, which say when to read again. */
export function watched({ totals = {}, metadata = {} }, { span, kept }) {
  const metrics = Object.keys(totals.metrics ?? {}).slice(0, MOST_WATCHED);
  const body = { ...span, compareTo: "PREVIOUS_PERIOD" };
  if (Object.keys(kept).length || !metrics.length) return body;
  return { ...body, metrics, ...(metadata.modelVersion ? { model: metadata.model } : {}) };
}

/** Takes pushed figures into what was read: the report's own, where it is not narrowed. */
export function take(told, { figures }, { kept }) {
  told.metadata = { ...figures.metadata, inactiveModels: told.metadata?.inactiveModels };
  if (Object.keys(kept).length || !told.totals) return;
  for (const part of ["metrics", "compared", "change"]) {
    told.totals[part] = { ...told.totals[part], ...figures.totals?.[part] };
  }
}

/** Shows a report in `places`; `page` has what is drawn, the catalogue, and what is done when something is chosen. */
export function draw(places, told, { report, kept }, page) {
  const narrowed = Object.keys(kept).length > 0;
  notices(places.notices, told.metadata, page.labelOf);
  showKept(places.kept, kept);
  drawTotals(places.totals, told, report, narrowed, page);
  drawDays(places.daily, told, report, page);
  const tables = (told.tables ?? []).map((section) =>
    section.rows?.length ? tableOf(section, report, kept, page) : card(section.name, section.label, "", empty("Nothing in this period.")),
  );
  if (told.statement && !narrowed) tables.splice(1, 0, statementCard(told.statement));
  show(places.tables, ...tables);
  places.hello.hidden = narrowed || Object.values(told.totals?.metrics ?? {}).some((value) => size(value));
}

function drawTotals(place, { totals = {}, metadata = {}, daily: days = {}, yearTrend }, report, narrowed, page) {
  const { metrics = {} } = totals;
  const leftOut = new Set((metadata.inactiveModels ?? []).flatMap((one) => one.metrics ?? []));
  const known = new Set(report.groups.flatMap((group) => group.metrics));
  const others = { title: "Besides", metrics: Object.keys(metrics).filter((name) => !known.has(name)) };
  const shown = [...report.groups, others].map((group) => ({
    ...group,
    metrics: group.metrics.filter((name) => page.catalogue.has(name) && !leftOut.has(name) && (name in metrics || !narrowed)),
  }));
  show(
    place,
    ...shown.filter((group) => group.metrics.length).flatMap((group, i) => [
      group.title ? element("h2", { class: "group" }, group.title) : null,
      element("div", { class: i ? "totals" : "totals main" }, ...group.metrics.map((name) => tile(name, { ...totals, year: yearTrend }, (days.metrics ?? []).includes(name), page))),
    ]),
  );
  for (const button of place.querySelectorAll("[data-draw]")) button.onclick = () => page.choose(button.dataset.draw);
}

function tile(name, { metrics = {}, change = {}, year }, byDay, { catalogue, drawn }) {
  const { label, description } = catalogue.get(name);
  const title = byDay
    ? element("button", { type: "button", class: "plain", "data-draw": name, "data-key": `draw-${name}`, "aria-pressed": String(drawn === name), title: `${description} Show it day by day.` }, label)
    : element("span", { title: description }, label);
  return element(
    "dl",
    { class: `card tile${byDay ? " chosen-by-day" : ""}${drawn === name ? " chosen" : ""}` },
    element("dt", {}, title),
    element("dd", { class: "figure" }, figure(metrics[name])),
    metrics[name] ? moved(name, change[name], "on the period before") : element("dd", { class: "change" }, "nothing to tell it from"),
    moved(name, year?.change?.[name], "on a year ago"),
  );
}

/** How a figure has changed; nothing where there was nothing. */
function moved(name, change, since) {
  if (change === undefined) return null;
  const kind = !change ? undefined : change > 0 !== LESS.has(name) ? "up" : "down";
  const sign = !change ? "" : change > 0 ? "▲ " : "▼ ";
  return element("dd", { class: "change" }, element("span", { class: kind }, `${sign}${move(Math.abs(change))}`), ` ${since}`);
}

function drawDays(place, { daily: section = {}, metadata = {} }, report, { catalogue, drawn: chosen }) {
  const { rows = [], metrics = [] } = section;
  const name = metrics.includes(chosen) ? chosen : metrics[0];
  place.parentElement.hidden = !name;
  if (!name) return;
  const { label, unit } = catalogue.get(name) ?? { label: name };
  place.previousElementSibling.textContent = `${label}, day by day`;
  const line = (of, from, title) => {
    const values = rows.map((row) => row[from]?.[of]);
    return { label: title, values: values.map(size), texts: values.map(figure) };
  };
  const against = name === report.drawn && metrics.includes(report.against) ? report.against : undefined;
  const lines = [line(name, "metrics", label), against ? line(against, "metrics", catalogue.get(against).label) : line(name, "compared", "The period before")];
  if (lines.every(({ values }) => !values.some(Boolean))) return show(place, empty("Nothing in this period."));
  const days = rows.map((row) => row.dimensions.day);
  const named = report.statement ? (day) => link(longDay(day), { report: "ledger", day }) : longDay;
  const { picture, legend, numbers } = daily(days, lines, { unit, currencyCode: metadata.currencyCode, space: place.clientWidth, named });
  show(place, picture, legend, element("details", { "data-key": "numbers" }, element("summary", {}, "The numbers"), element("div", { class: "scroll" }, numbers)));
}

function tableOf({ name, label, dimensions, metrics, rows, totalSize }, report, kept, { labelOf }) {
  const narrowing = dimensions.length === 1 && report.narrowing.includes(dimensions[0]) && !(dimensions[0] in kept);
  const more = Number(totalSize ?? 0) - rows.length;
  const first = (row, by) => {
    const told = row.dimensions[by];
    const text = valueOf(by, told, row.displayNames);
    if (!narrowing || !told) return text;
    return element("button", { type: "button", class: "link", "data-asks": by, value: told, "data-key": `keep-${by}-${told}`, title: "Show this alone" }, text);
  };
  const made = card(
    name,
    label,
    "",
    table(
      label,
      [...dimensions.map(dimension), ...metrics.map(labelOf)],
      rows.map((row) => ({ cells: [...dimensions.map((by) => first(row, by)), ...metrics.map((metric) => figure(row.metrics[metric]))] })),
    ),
    more > 0 ? element("p", { class: "hint" }, `and ${count(more)} more`) : null,
  );
  if (metrics.length > 4) made.classList.add("wide");
  return made;
}

function statementCard(told) {
  const content = told.refused ? [empty(told.refused)] : statement(told);
  return card("statement", "Statement", "Every order that the shop told of, in exactly one place.", ...content, element("p", { class: "hint below" }, link("The orders behind it", { report: "records" }), ", and ", link("why past days have changed", { report: "ledger" })));
}
