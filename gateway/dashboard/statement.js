// The statement: every order that the shop told of, in exactly one place.

import { element, table } from "./elements.js";
import { count, counted, money } from "./format.js";
import { CHANNELS, REASONS } from "./words.js";

export function statement(told) {
  const row = (name, bucket = {}, kind) => ({ cells: [name, count(bucket.orders), money(bucket.amount), money(bucket.net)], kind });
  const { attributed = {}, excluded = [], difference = {} } = told;
  const exact = isZero(difference);
  const parts = (list = [], key, names = {}) => list.map((part) => row(names[part[key]] ?? part[key], part, "part"));
  return [
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
  ];
}

function isZero({ orders = "0", amount = {}, net = {} }) {
  return [orders, amount.micros ?? "0", net.micros ?? "0"].every((value) => BigInt(value) === 0n);
}
