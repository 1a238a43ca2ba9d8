// Why an order's credit is what it is: every touch that was considered on the way to it, and what became of each.

import { ask, tried } from "./api.js";
import { card, choice, element, empty, fact, field, table } from "./elements.js";
import { counted, moment, money, share, span } from "./format.js";
import { showAlone } from "./places.js";
import { ACTIONS, ANSWERS, CHANNELS, REASONS, RULES, TIERS, VERDICTS } from "./words.js";

/** Reads the models, and the evidence of the order that the address names; {refused} where there is none. */
export async function read({ told: { order, source = "", model = "" } }, signal) {
  const { models = [] } = await ask("/v1/models", { signal });
  if (!order) return { models };
  const parameters = new URLSearchParams({ source, model });
  return { models, ...(await tried(`/v1/orders/${encodeURIComponent(order)}/attribution?${parameters}`, { signal })) };
}

/** Shows the evidence in `places`. */
export function draw(places, told, { told: { order = "" }, timeZone }, page) {
  const { models, refused, model } = told;
  const found = told.orderId !== undefined;
  const rules = models.find((one) => one.name === model);
  showAlone(
    places,
    {},
    page,
    element(
      "div",
      { class: "chooser wide" },
      // Another order may be of another source.
      field("Order", "order", order, "Explain it", { type: "search", required: true, placeholder: "the shop's own id" }, element("input", { type: "hidden", name: "source" })),
      found ? choice("Model", "model", models.filter((one) => one.active || one.name === model).map(({ name, displayName }) => [name, displayName || name]), model) : null,
    ),
    ...(found
      ? [summary(told, timeZone), way(told, timeZone), creditsOf(told, timeZone), rules ? element("p", { class: "hint wide" }, inWords(rules)) : null]
      : [card("none", refused ? "No evidence" : "Which order?", "", empty(refused ?? "Name one by the shop's own id, or choose one in Records or in the Ledger."))]),
  );
}

function summary({ orderId, source, orderTime, counted: counts, excludedReason, amount, net, matchedBy, credits, touchCount, agreesWithStored }, timeZone) {
  const title = `Order ${orderId} of ${source}`;
  const credited = sum(credits.map((one) => one.amount), amount.currencyCode);
  const made = card(
    "order",
    title,
    [orderTime ? `Placed ${moment(orderTime, timeZone)}.` : "The shop hasn't told when it was placed.", became({ counts, excludedReason, credits, touchCount })].join(" "),
    agreesWithStored ? null : element("p", { class: "problem" }, "This is not what figures hold: it is being looked into, or an administrator runs touchstone verify."),
    element("div", { class: "totals" }, fact("Amount", money(amount)), fact("After refunds", money(net)), fact("Credited", money(credited)), fact("Known by", TIERS[matchedBy] ?? "–")),
  );
  made.classList.add("wide");
  return made;
}

function became({ counts, excludedReason, credits, touchCount }) {
  if (!counts) return `It does not count (${REASONS[excludedReason] ?? excludedReason}), so nothing is credited.`;
  if (credits.length) return "It is attributed.";
  if (!touchCount) return "Nothing is attributed: no touch of whoever bought is known.";
  return `Nothing is attributed: of ${counted(touchCount, "touch", "touches")} none earned credit.`;
}

function sum(amounts, currencyCode) {
  return { currencyCode, micros: String(amounts.reduce((all, { micros = "0" }) => all + BigInt(micros), 0n)) };
}

/** The person's way to the order, as far as touches tell, the order itself in its place. */
function way({ touches, touchCount, orderTime, orderId }, timeZone) {
  const steps = touches.map((one) => ({ at: one.touch.occurTime, ...one }));
  const bought = { at: orderTime, isOrder: true };
  const place = steps.findIndex(({ at }) => Date.parse(at) > Date.parse(orderTime));
  steps.splice(place < 0 ? steps.length : place, 0, bought);
  const made = card(
    "way",
    "The way to it",
    "Every touch that was considered, the oldest first.",
    element("ol", { class: "way" }, ...steps.map((one) => (one.isOrder ? element("li", { class: "bought" }, element("strong", {}, `Order ${orderId}`), when(one.at, timeZone)) : step(one, orderTime, timeZone)))),
    touchCount > touches.length ? element("p", { class: "hint" }, `and ${counted(touchCount - touches.length, "touch", "touches")} more`) : null,
  );
  return made;
}

function step({ touch, verdict, matchedBy }, orderTime, timeZone) {
  const seconds = (Date.parse(orderTime) - Date.parse(touch.occurTime)) / 1_000;
  const apart = orderTime ? ` · ${span(Math.abs(seconds))} ${seconds < 0 ? "after" : "before"}` : "";
  const where = [touch.touchpoint, touch.conversationId, touch.botName, touch.agentId, touch.campaign, touch.experienceId].filter(Boolean).join(" · ");
  return element(
    "li",
    { class: verdict === "CREDITED" ? "credited" : undefined },
    element("strong", {}, what(touch)),
    when(touch.occurTime, timeZone, apart),
    where ? element("span", { class: "soft" }, where) : null,
    element("span", { class: "verdict" }, VERDICTS[verdict] ?? verdict, matchedBy ? element("span", { class: "soft" }, ` · ${TIERS[matchedBy]}`) : null),
  );
}

const what = ({ channel, action, answer }) => [CHANNELS[channel] ?? channel, [ACTIONS[action] ?? action, ANSWERS[answer]].filter(Boolean).join(", ")].join(": ");

const when = (time, timeZone, apart = "") => element("span", { class: "soft" }, time ? element("time", { datetime: time }, moment(time, timeZone)) : "at a time not told", apart);

function creditsOf({ credits }, timeZone) {
  const byLine = credits.some((one) => one.lineId);
  const rows = credits.map(({ touch, fraction, amount, net, lineId }) => ({
    cells: [element("span", {}, what(touch), " ", element("small", {}, moment(touch.occurTime, timeZone))), ...(byLine ? [lineId ?? ""] : []), share(fraction), money(amount), money(net)],
  }));
  return card("credits", "What each touch earned", "", rows.length ? table("Credits", ["Touch", ...(byLine ? ["Line"] : []), "Part", "Amount", "After refunds"], rows) : empty("No touch earned credit."));
}

function inWords({ displayName, name, version, channels = [], window, rule, helpfulOnly }) {
  const told = [
    `looks at ${channels.map((one) => CHANNELS[one] ?? one).join(", ")}`,
    window && `at most ${span(Number.parseFloat(window))} before the order`,
    helpfulOnly && "at helpful answers only",
    `and credits ${RULES[rule] ?? rule}`,
  ].filter(Boolean);
  return `The model “${displayName || name}”, version ${version}, ${told.join(", ")}.`;
}
