// What figures leave out, and what is being done about them.

import { element, show } from "./elements.js";
import { count, counted, money, share } from "./format.js";

/** Shows what `metadata` says beside the figures; `labelOf` names a metric for people. */
export function notices(place, metadata = {}, labelOf) {
  const { recount, inactiveModels = [], unconverted = [], parkedEvents = 0 } = metadata;
  show(
    place,
    recount ? counting(recount, metadata) : null,
    ...inactiveModels.map(({ model, metrics = [] }) =>
      notice(
        `Left out, for the model “${model}” is not active: ${metrics.map(labelOf).join(", ")}.`,
        "They are not 0, but not known. An administrator switches the model on with PUT /v1/models.",
      ),
    ),
    unconverted.length
      ? notice(
          `In no figure, for there is no rate: ${unconverted.map(({ orders, amount }) => `${counted(orders, "order", "orders")} of ${money(amount)} in all`).join(", ")}.`,
          "An administrator tells rates with POST /v1/exchangeRates:import.",
        )
      : null,
    Number(parkedEvents)
      ? notice(
          `${counted(parkedEvents, "delivery", "deliveries")} could not be read, and no figure holds what they told.`,
          "touchstone parked list TENANT SOURCE says why; what is mended is replayed.",
        )
      : null,
  );
}

function notice(what, how) {
  return element("p", { class: "notice" }, what, " ", element("span", { class: "how" }, how));
}

function counting({ done = "0", total = "0", timeZone, currencyCode }, metadata) {
  const known = Number(total) > 0;
  const part = known ? Number(done) / Number(total) : undefined;
  const change = [timeZone !== metadata.timeZone && ` by the days of ${timeZone}`, currencyCode !== metadata.currencyCode && ` in ${currencyCode}`].filter(Boolean);
  return element(
    "div",
    { class: "notice" },
    element("p", { id: "counting" }, `Settings have changed, and all figures are being counted anew${change.join(",")}. Until that is done they stay as they were.`),
    element("progress", { max: known ? 1 : undefined, value: part, "aria-labelledby": "counting" }),
    element("span", { class: "how" }, known ? `${count(done)} of ${count(total)} orders and activities, ${share(part)}` : "Beginning"),
  );
}
