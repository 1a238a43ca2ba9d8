// What each part of the page shows of the answers.

import { daily } from "./chart.js";
import { element, show, table } from "./elements.js";
import { count, counted, figure, money, move, share, size, trend } from "./format.js";
import { daysOf } from "./periods.js";

const CHANNELS = {
  CHAT: "Chat", FAQ: "Questions and answers", NUDGE: "Nudges", MESSAGING: "Messaging",
  RECOMMENDATION: "Recommendations", PERSONALIZATION: "Personalisation", JOURNEY: "Journeys",
};
const REASONS = {
  TEST: "Trial orders", DELETED: "Deleted", TRASHED: "In the bin", CANCELLED: "Cancelled", FAILED: "Failed", UNPAID: "Not paid",
};

export function totals(place, { totals: row = {} }) {
  const { metrics = {}, compared = {} } = row;
  const card = (label, name, { main, under } = {}) =>
    element(
      "div",
      { class: "card" },
      element(
        "dl",
        {},
        element("dt", {}, label),
        element("dd", {}, element("span", { class: main ? "figure main" : "figure" }, figure(metrics[name])), moved(metrics[name], compared[name]), under ? element("small", {}, under) : null),
      ),
    );
  show(
    place,
    card("Attributed revenue", "attributed_revenue", { main: true, under: `${figure(metrics.attributed_net_revenue)} after refunds` }),
    card("Share of store revenue", "share_of_store_revenue"),
    card("Store revenue", "store_revenue", { under: `${figure(metrics.store_net_revenue)} after refunds` }),
    card("Attributed orders", "attributed_orders", { under: `of ${figure(metrics.store_orders)}` }),
  );
}

function moved(now, before) {
  const change = trend(now, before);
  if (change === null) return element("small", {}, "nothing to compare with");
  const kind = change > 0 ? "up" : change < 0 ? "down" : undefined;
  const sign = change > 0 ? "▲ " : change < 0 ? "▼ " : "";
  return element("small", { class: kind }, `${sign}${move(Math.abs(change))} against the period before`);
}

export function byDay(place, { rows = [], metadata = {} }, period) {
  const known = new Map(rows.map((row) => [row.dimensions.day, row.metrics]));
  const none = { money: { currencyCode: metadata.currencyCode, micros: "0" } };
  const days = daysOf(period).map((day) => {
    const { attributed_revenue: attributed = none, store_revenue: store = none } = known.get(day) ?? {};
    return { day, attributed: size(attributed), store: size(store), attributedText: figure(attributed), storeText: figure(store) };
  });
  if (days.every((day) => !day.store && !day.attributed)) return show(place, empty("Nothing was sold in this period."));
  const { picture, legend, numbers } = daily(days, metadata.currencyCode, place.clientWidth);
  const open = place.querySelector("details")?.open ?? false;
  show(place, picture, legend, element("details", { open }, element("summary", {}, "The numbers"), numbers));
}

export function channels(place, { rows = [] }) {
  if (!rows.length) return show(place, empty("No order of this period is attributed to a conversation."));
  const whole = rows.reduce((sum, row) => sum + size(row.metrics.attributed_revenue), 0);
  show(
    place,
    table(
      "Attributed revenue by channel",
      ["Channel", "Orders", "Revenue", "Share"],
      rows.map(({ dimensions, metrics }) => ({
        cells: [
          CHANNELS[dimensions.channel] ?? dimensions.channel,
          figure(metrics.attributed_orders),
          figure(metrics.attributed_revenue),
          whole ? share(size(metrics.attributed_revenue) / whole) : "–",
        ],
      })),
    ),
  );
}

const product = (sku, name) => (name ? `${name} (${sku})` : sku || "without a number");

export function products(place, { rows = [], totalSize = "0" }) {
  if (!rows.length) return show(place, empty("Nothing was sold in this period."));
  const more = Number(totalSize) - rows.length;
  show(
    place,
    table(
      "Products",
      ["Product", "Assisted units", "Assisted revenue", "All units", "All revenue"],
      rows.map(({ dimensions, displayNames = {}, metrics }) => ({
        cells: [product(dimensions.sku, displayNames.sku), figure(metrics.assisted_units), figure(metrics.assisted_revenue), figure(metrics.units), figure(metrics.product_revenue)],
      })),
    ),
    more > 0 ? element("p", { class: "hint" }, `and ${count(more)} more`) : null,
  );
}

export function statement(place, told) {
  const row = (name, bucket = {}, kind) => ({ cells: [name, count(bucket.orders), money(bucket.amount), money(bucket.net)], kind });
  const { attributed = {}, excluded = [], difference = {} } = told;
  const exact = isZero(difference);
  const parts = (list = [], key, names = {}) => list.map((part) => row(names[part[key]] ?? part[key], part, "part"));
  show(
    place,
    table(
      "Statement",
      ["", "Orders", "Amount", "After refunds"],
      [
        row("All orders", told.store, "sum"),
        row("Attributed", attributed),
        ...parts(attributed.byChannel, "channel", CHANNELS),
        row("Not attributed", told.unattributed),
        ...(excluded.length ? [{ cells: ["Not counted", "", "", ""] }] : []),
        ...parts(excluded, "reason", REASONS),
        row(exact ? "Difference: none, to the cent" : "Difference", difference, exact ? "exact" : "wrong"),
      ],
    ),
    ...(told.unconverted ?? []).map((other) =>
      element("p", { class: "hint" }, `Besides, ${money(other.store?.amount)} in ${counted(other.store?.orders, "order", "orders")}: there is no rate for this currency.`),
    ),
    Number(told.parkedEvents ?? 0) ? element("p", { class: "problem" }, `${counted(told.parkedEvents, "delivery", "deliveries")} could not be read, and no figure holds them.`) : null,
  );
}

function isZero({ orders = "0", amount = {}, net = {} }) {
  return [orders, amount.micros ?? "0", net.micros ?? "0"].every((value) => BigInt(value) === 0n);
}

function empty(text) {
  return element("p", { class: "empty" }, text);
}
