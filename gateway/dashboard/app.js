// The dashboard: asks for a token once, then shows a report and keeps it as it is at this moment.

import { ask, forgetToken, keepToken, token } from "./api.js";
import { element } from "./elements.js";
import * as evidence from "./evidence.js";
import * as experiments from "./experiments.js";
import { longDay } from "./format.js";
import { REPORTS, reportOf } from "./layouts.js";
import * as ledger from "./ledger.js";
import { rest, watch } from "./live.js";
import { period, today } from "./periods.js";
import * as popularity from "./popularity.js";
import * as records from "./records.js";
import * as named from "./report.js";

const SOONEST = 1_000;
const TIMES = 4;
const AWAY = 60_000;

const at = (id) => document.getElementById(id);
const form = at("period");
const places = Object.fromEntries(["notices", "kept", "totals", "daily", "tables", "hello"].map((id) => [id, at(id)]));
const labelOf = (name) => page.catalogue.get(name)?.label ?? name;
const page = { catalogue: new Map(), drawn: "", choose: chooseDrawn, again: open, labelOf };
let opened = new AbortController();
let timeZone = "";
let shown;
let away;

const SOURCES = { evidence, experiments, ledger, popularity, records };

/** What the address asks for: the report, what it is narrowed to, and everything as it was `told`. */
function asked() {
  const told = Object.fromEntries(new URLSearchParams(location.search));
  const report = reportOf(told.report);
  const kept = Object.fromEntries(report.narrowing.filter((name) => told[name]).map((name) => [name, told[name]]));
  return { report, kept, told };
}

/** Opens the same with some things asked otherwise, by their names; what has no value is asked for no more. */
function go(change) {
  const told = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(change)) value ? told.set(name, value) : told.delete(name);
  history.pushState(null, "", `?${told}`);
  open();
}

function chooseDrawn(name) {
  page.drawn = name;
  redraw();
}

/** The period chosen; null for one's own that isn't complete. */
function chosen() {
  const { preset, start, end } = form.elements;
  const isCustom = preset.value === "custom";
  at("range").hidden = !isCustom;
  end.setCustomValidity(isCustom && start.value > end.value && end.value ? "The last day is before the first." : "");
  return period(preset.value, today(timeZone || "UTC"), { start: start.value, end: end.value });
}

/** Shows what the address asks for, until something else is opened. */
async function open() {
  opened.abort();
  opened = new AbortController();
  const { signal } = opened;
  if (!token()) return signIn();
  const { report } = asked();
  at("sign-in").hidden = true;
  at("dashboard").hidden = at("sign-out").hidden = false;
  at("title").textContent = report.title;
  document.title = `${report.title} · Touchstone`;
  form.hidden = report.always;
  for (const link of document.querySelectorAll("#reports a")) link.toggleAttribute("aria-current", link.dataset.report === report.id);
  document.querySelector("#reports [aria-current]").scrollIntoView({ block: "nearest", inline: "center" });
  if (shown?.asked.report !== report) page.drawn = report.drawn;
  try {
    await follow(signal);
  } catch (error) {
    if (signal.aborted) return;
    say(error.message);
    live(false);
    if (error.status === 401 || error.status === 403) signIn();
  }
}

async function follow(signal) {
  while (!signal.aborted) {
    await reading(async () => {
      if (!page.catalogue.size) page.catalogue = new Map((await ask("/v1/metrics?pageSize=1000", { signal })).metrics.map((one) => [one.name, one]));
      timeZone ||= (await ask("/v1/settings", { signal })).settings?.timeZone ?? "";
    }, signal);
    const span = chosen();
    if (!span || signal.aborted) return;
    await followPeriod({ ...asked(), span, timeZone }, signal);
  }
}

/** Keeps one period's figures as they are, until it is another: at midnight, or in another zone. */
async function followPeriod(now, signal) {
  const source = SOURCES[now.report.id] ?? named;
  const over = new AbortController();
  const either = AbortSignal.any([signal, over.signal]);
  let busy = false;
  let missed = false;

  async function look() {
    if (busy) return void (missed = true);
    busy = true;
    do {
      missed = false;
      const began = Date.now();
      try {
        await reading(async () => put(now, await source.read(now, either)), either);
      } catch (error) {
        if (either.aborted) return;
        over.failure = error;
        return over.abort();
      }
      // Who reads much, or from afar, reads less often.
      if (missed) await rest(Math.max(SOONEST, TIMES * (Date.now() - began)) - (Date.now() - began), either);
    } while (missed && !either.aborted);
    busy = false;
  }

  await look();
  if (over.failure) throw over.failure;
  if (either.aborted) return;
  const body = source === named ? named.watched(shown.told, now) : {};
  await watch(body, {
    signal: either,
    state: live,
    alive: (news) => (turned() ? over.abort() : news && look()),
    told: (pushed) => {
      timeZone = pushed.figures.metadata.timeZone;
      if (turned()) return over.abort();
      const known = positions(shown.told.metadata) === positions(pushed.figures.metadata);
      if (source === named) named.take(shown.told, pushed, now);
      redraw();
      if (!known) look();
    },
  });
  if (over.failure) throw over.failure;

  /** Whether the period's days are others by now. */
  function turned() {
    const then = chosen();
    return then && (then.startDate !== now.span.startDate || then.endDate !== now.span.endDate);
  }
}

const positions = ({ asOf = {} } = {}) => `${asOf.eventPosition}-${asOf.creditPosition}`;

/** Does what reads; while Touchstone is away it says so, and tries again. */
async function reading(read, signal) {
  for (let pause = SOONEST; ; pause = Math.min(2 * pause, 15_000)) {
    try {
      await read();
      return say("");
    } catch (error) {
      if (signal.aborted || !error.passes) throw error;
      say(error.message);
      live(false);
      await rest(pause, signal);
    }
  }
}

function put(now, told) {
  shown = { asked: now, told };
  redraw();
}

function redraw() {
  const { asked: now, told } = shown;
  at("download").hidden ||= now.report.id !== "records";
  (SOURCES[now.report.id] ?? named).draw(places, told, now, page);
  at("said").textContent = saidOf(now, told.metadata ?? { timeZone });
}

function saidOf({ report, kept, span }, { timeZone: zone = "", currencyCode = "", asOf = {} } = {}) {
  const [first, last] = kept.day ? [kept.day, kept.day] : [span.startDate, span.endDate];
  const days = first === last ? longDay(first) : `${longDay(first)} to ${longDay(last)}`;
  const when = asOf.applyTime ? `last news at ${new Date(asOf.applyTime).toLocaleTimeString()}` : "";
  return [report.always ? "" : days, zone && `days of ${zone}`, currencyCode, when].filter(Boolean).join(" · ");
}

function say(problem) {
  const place = at("problem");
  if (place.textContent !== problem) place.textContent = problem;
  place.hidden = !problem;
}

function live(isLive) {
  const place = at("live");
  place.className = isLive ? "live" : "live broken";
  const text = isLive ? "Live" : "Connecting again";
  if (place.textContent !== text) place.textContent = text;
}

function signIn() {
  forgetToken();
  timeZone = "";
  shown = undefined;
  at("dashboard").hidden = at("sign-out").hidden = true;
  at("sign-in").hidden = false;
  at("token").value = "";
  at("token").setAttribute("aria-invalid", String(!at("problem").hidden));
  at("token").focus();
}

at("reports").append(
  ...REPORTS.map(({ id, label }) => element("li", {}, element("a", { href: `?report=${id}`, "data-report": id }, label))),
);
at("dashboard").addEventListener("click", (event) => {
  const chosen = event.target.closest("a[href^='?'], button[data-asks]");
  if (!chosen || event.metaKey || event.ctrlKey || event.shiftKey) return;
  if (chosen.matches("button")) return go({ [chosen.dataset.asks]: chosen.value });
  event.preventDefault();
  history.pushState(null, "", chosen.getAttribute("href"));
  scrollTo(0, 0);
  // What was pressed may be gone with the page that it leads from.
  if (!at("reports").contains(chosen)) at("figures").focus({ preventScroll: true });
  open();
});
at("dashboard").addEventListener("change", ({ target }) => target.matches("select[data-asks]") && go({ [target.dataset.asks]: target.value }));
places.tables.addEventListener("submit", (event) => {
  event.preventDefault();
  go(Object.fromEntries(new FormData(event.target)));
});
at("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  keepToken(at("token").value);
  say("");
  open();
});
at("sign-out").addEventListener("click", () => {
  opened.abort();
  say("");
  signIn();
});
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("change", () => {
  const { preset, start, end } = form.elements;
  if (preset.value === "custom" && shown) {
    // One's own period begins as the one before.
    start.value ||= shown.asked.span.startDate;
    end.value ||= shown.asked.span.endDate;
  }
  open();
  form.reportValidity();
});
window.addEventListener("popstate", open);
window.addEventListener("hashchange", open);
window.addEventListener("resize", () => shown && redraw());
// Nobody watches a page that nobody sees: a minute later its stream ends.
document.addEventListener("visibilitychange", () => {
  clearTimeout(away);
  if (document.hidden) away = setTimeout(() => opened.abort(), AWAY);
  else if (opened.signal.aborted && token()) open();
});
open();
