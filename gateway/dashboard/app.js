// The dashboard: asks for a token once, then shows the figures and keeps them fresh.

import { ask, forgetToken, keepToken, token } from "./api.js";
import { longDay } from "./format.js";
import { period, today } from "./periods.js";
import * as views from "./views.js";

const REFRESH = 5_000;
const TOTALS = ["attributed_revenue", "attributed_net_revenue", "attributed_orders", "share_of_store_revenue", "store_orders", "store_revenue", "store_net_revenue"];
const PRODUCTS = ["assisted_units", "assisted_revenue", "units", "product_revenue"];

const at = (id) => document.getElementById(id);
const form = at("period");
let timer;
let asking;
let settings;
let shown;

function chosen() {
  const { preset, start, end } = form.elements;
  const isCustom = preset.value === "custom";
  if (isCustom && at("range").hidden && shown) {
    // One's own period begins as the one before.
    start.value ||= shown.startDate;
    end.value ||= shown.endDate;
  }
  at("range").hidden = !isCustom;
  end.setCustomValidity(isCustom && start.value > end.value && end.value ? "The last day is before the first." : "");
  return period(preset.value, today(settings?.timeZone || "UTC"), { start: start.value, end: end.value });
}

const report = (body, signal) => ask("/v1/reports:run", { body, signal });

async function refresh() {
  clearTimeout(timer);
  asking?.abort();
  asking = new AbortController();
  const { signal } = asking;
  try {
    settings ??= (await ask("/v1/settings", { signal })).settings ?? {};
    const span = chosen();
    if (span) await showFigures(span, signal);
    say("");
  } catch (error) {
    if (error.name === "AbortError") return;
    say(error.message);
    if (error.status === 401 || error.status === 403) return signIn();
  }
  if (!document.hidden) timer = setTimeout(refresh, REFRESH);
}

async function showFigures(span, signal) {
  const [totals, byDay, channels, products, statement] = await Promise.all([
    report({ ...span, metrics: TOTALS, compareTo: "PREVIOUS_PERIOD" }, signal),
    report({ ...span, metrics: ["attributed_revenue", "store_revenue"], dimensions: ["day"], pageSize: 2000 }, signal),
    report({ ...span, metrics: ["attributed_orders", "attributed_revenue"], dimensions: ["channel"], orderBy: [{ metric: "attributed_revenue", descending: true }] }, signal),
    report({ ...span, metrics: PRODUCTS, dimensions: ["sku"], orderBy: [{ metric: "assisted_revenue", descending: true }, { metric: "product_revenue", descending: true }], pageSize: 25 }, signal),
    ask(`/v1/statement?${new URLSearchParams(span)}`, { signal }),
  ]);
  views.totals(at("totals"), totals);
  views.byDay(at("daily"), byDay, span);
  views.channels(at("channels"), channels);
  views.products(at("products"), products);
  views.statement(at("statement"), statement);
  shown = span;
  const days = span.startDate === span.endDate ? longDay(span.startDate) : `${longDay(span.startDate)} to ${longDay(span.endDate)}`;
  at("said").textContent = `${days}, ${totals.metadata?.timeZone ?? ""}. Read at ${new Date().toLocaleTimeString()}.`;
}

function say(problem) {
  const place = at("problem");
  if (place.textContent !== problem) place.textContent = problem;
  place.hidden = !problem;
}

function signIn() {
  clearTimeout(timer);
  forgetToken();
  settings = undefined;
  at("dashboard").hidden = at("sign-out").hidden = true;
  at("sign-in").hidden = false;
  at("token").value = "";
  at("token").focus();
}

function begin() {
  if (!token()) return signIn();
  at("sign-in").hidden = true;
  at("dashboard").hidden = at("sign-out").hidden = false;
  refresh();
}

at("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  keepToken(at("token").value);
  say("");
  begin();
});
at("sign-out").addEventListener("click", () => {
  asking?.abort();
  say("");
  signIn();
});
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("change", () => {
  refresh();
  form.reportValidity();
});
window.addEventListener("hashchange", begin);
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : token() && refresh()));
begin();
