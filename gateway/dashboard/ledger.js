// The ledger: why figures of days that were over have changed since a moment.

import { ask } from "./api.js";
import { card, choice, element, empty, fact, field, link, table } from "./elements.js";
import { count, longDay, moment, money, moved, shortDay } from "./format.js";
import { instant } from "./periods.js";
import { showAlone } from "./places.js";
import { CHANNELS, KINDS, OUTCOMES, REASONS } from "./words.js";

const MOST = 2_000;
const LISTED = 100;

/** Reads the models and the changes of a period's days, or of the one day kept, since the address's moment. */
export async function read({ told: { since, model = "" }, kept: { day }, span, timeZone }, signal) {
  const days = day ? { startDate: day, endDate: day } : span;
  const from = since ? { since: instant(since, timeZone) } : {};
  const [{ models = [] }, told] = await Promise.all([
    ask("/v1/models", { signal }),
    ask(`/v1/ledger?${new URLSearchParams({ ...days, ...from, model, pageSize: MOST })}`, { signal }),
  ]);
  return { models, ...told };
}

/** Shows them in `places`: what each day changed by, and each change. */
export function draw(places, { models, entries = [], settingsChanges = [], nextPageToken, metadata }, { told: { since = "" }, kept }, page) {
  const { currencyCode, timeZone } = metadata;
  const listed = (kept.day ? entries : entries.slice(-LISTED)).toReversed();
  const more = entries.length - listed.length;
  const told = new Map(entries.map((one) => [one, movedBy(one)]));
  const all = total([...told.values()]);
  showAlone(
    places,
    { metadata, kept },
    page,
    element(
      "div",
      { class: "chooser wide" },
      field("Changed since", "since", since, "Look", { type: "datetime-local" }),
      choice("Model", "model", models.filter((one) => one.active).map(({ name, displayName }) => [name, displayName || name]), metadata.model),
    ),
    element(
      "div",
      { class: "totals main wide" },
      fact("Changes", `${count(entries.length)}${nextPageToken ? " and more" : ""}`),
      fact("Store revenue", both(all.store, all.storeNet, currencyCode)),
      fact("Attributed revenue", both(all.attributed, all.attributedNet, currencyCode)),
    ),
    ...settingsChanges.map((one) => element("p", { class: "notice wide" }, settingsIn(one, timeZone))),
    kept.day ? null : wide(
      card(
        "days",
        "Days that changed",
        `What was told after a day was over, and by how much it changed the day's figures.${nextPageToken ? ` These are the first ${count(MOST)} changes: choose a shorter period for the others.` : ""}`,
        entries.length ? table("Days", ["Day", "Changes", "Why", "Store revenue", "Attributed revenue"], byDay(told, currencyCode)) : empty("Nothing was told of these days after they were over."),
      ),
      "days",
    ),
    entries.length
      ? wide(
          card(
            "changes",
            "Each change",
            more > 0 ? `The last ${count(LISTED)} of ${count(entries.length)}, the newest first: choose a day for all of its own.` : `The newest first: ${reasons(entries)}.`,
            table("Changes", ["Told", "Day", "Why", "Order", "It was", "It is", "Store revenue", "Attributed revenue"], listed.map((one) => ({ cells: cellsOf(one, told.get(one), metadata) }))),
          ),
          "changes",
        )
      : kept.day ? card("changes", "Each change", "", empty("Nothing was told of this day after it was over.")) : null,
  );
}

function wide(made, ...kinds) {
  made.classList.add("wide", "words", ...kinds);
  return made;
}

/** By how many micros a change moved its day's figures. */
function movedBy({ before, after }) {
  const was = counts(before);
  const is = counts(after);
  return Object.fromEntries(Object.keys(is).map((name) => [name, is[name] - was[name]]));
}

/** What an order is to the figures, in micros of the reporting currency: nothing while it does not count, or has no rate. */
function counts({ outcome, countedAmount, countedNet, countedAttributedAmount, countedAttributedNet } = {}) {
  const [store, storeNet] = outcome === "EXCLUDED" ? [] : [countedAmount, countedNet];
  return { store: micros(store), storeNet: micros(storeNet), attributed: micros(countedAttributedAmount), attributedNet: micros(countedAttributedNet) };
}

const micros = (amount) => BigInt(amount?.micros ?? 0);

function total(moves) {
  const all = counts();
  for (const one of moves) for (const name of Object.keys(all)) all[name] += one[name];
  return all;
}

function byDay(told, currencyCode) {
  const days = Map.groupBy([...told.keys()], (one) => one.day);
  return [...days.keys()].toSorted().map((day) => {
    const entries = days.get(day);
    const { store, storeNet, attributed, attributedNet } = total(entries.map((one) => told.get(one)));
    const shown = element("button", { type: "button", class: "link", "data-asks": "day", value: day, "data-key": `day-${day}`, title: "Show this alone" }, longDay(day));
    return { cells: [shown, count(entries.length), reasons(entries), both(store, storeNet, currencyCode), both(attributed, attributedNet, currencyCode)] };
  });
}

function reasons(entries) {
  const kinds = Map.groupBy(entries, (one) => one.kind);
  return [...kinds].map(([kind, of]) => `${KINDS[kind] ?? kind}${of.length > 1 ? ` × ${count(of.length)}` : ""}`).join(", ");
}

function cellsOf(entry, { store, storeNet, attributed, attributedNet }, { currencyCode, timeZone, model }) {
  const { kind, day, changeTime, orderId, source, before, after } = entry;
  return [
    moment(changeTime, timeZone),
    shortDay(day),
    KINDS[kind] ?? kind,
    link(orderId, { report: "evidence", order: orderId, source, model }),
    kind === "LATE_ORDER" ? "Not known yet" : standing(before),
    standing(after),
    both(store, storeNet, currencyCode),
    both(attributed, attributedNet, currencyCode),
  ];
}

/** What an order was to its day, in words and in its own currency. */
function standing(told) {
  if (!told) return "Not of this day";
  const { outcome, excludedReason, channels = [], amount, net, attributedAmount, countedAmount } = told;
  const why = excludedReason ? REASONS[excludedReason] ?? excludedReason : channels.map((one) => CHANNELS[one] ?? one).join(", ");
  const lines = [
    `${OUTCOMES[outcome] ?? outcome}${why ? `: ${why}` : ""}`,
    `${money(amount)}${net?.micros === amount?.micros ? "" : `, ${money(net)} after refunds`}`,
    outcome === "ATTRIBUTED" && attributedAmount?.micros !== amount?.micros && `${money(attributedAmount)} of it attributed`,
    !countedAmount && "no rate: in no figure",
  ].filter(Boolean);
  return element("span", {}, lines[0], ...lines.slice(1).map((line) => element("small", {}, line)));
}

/** By how much something changed; what that is after refunds stands below where it is not the same. */
function both(gross, net, currencyCode) {
  if (!currencyCode) return "–";
  const text = (value) => moved({ currencyCode, micros: String(value) });
  return gross === net ? text(gross) : element("span", {}, text(gross), " ", element("small", {}, `${text(net)} after refunds`));
}

function settingsIn({ changeTime, timeZoneBefore, timeZoneAfter, currencyCodeBefore, currencyCodeAfter }, timeZone) {
  const changes = [[timeZoneBefore, timeZoneAfter, "days"], [currencyCodeBefore, currencyCodeAfter, "amounts"]]
    .filter(([before, after]) => before !== after)
    .map(([before, after, what]) => `${what} are those of ${after || "no setting"}${before ? `, no longer of ${before}` : ""}`);
  return `Since ${moment(changeTime, timeZone)} ${changes.join("; ")}. That dates or sums all orders anew.`;
}
