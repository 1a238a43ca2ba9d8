"""Shopify's refunds: what was given back, and what an edit or an exchange took off an order without giving money back.

Shopify's `total_price` holds whatever was ever on the order: its edits add lines to it, but what they take off stays in
it, and is told as a refund without a transaction, as an exchange's returned goods are. So an order's gross is that
total less what was taken off, unless it is given back after all, by a refund of money alone. What is given back is what
transactions say, never the sum of refund lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor
from typing import Any, NamedTuple

from gateway.web.webhooks.fields import (
    UnusableError,
    each,
    identifier,
    micros,
    part,
    parts,
    quantity,
    text,
    time,
    within,
    within_bounds,
)
from services.kernel.money import minor_unit


class Terms(NamedTuple):
    """What amounts of a refund mean. `rate` is the shopper's currency and what one unit of it is in the shop's."""

    currency_code: str
    rate: tuple[str, Fraction] | None
    taxes_included: bool


@dataclass(slots=True, kw_only=True)
class Taken:
    """What was taken off an order and is not given back: micros and, by line, units, net and tax."""

    micros: int = 0
    tax_micros: int = 0
    shipping_micros: int = 0
    lines: dict[str, tuple[int, int, int]] = field(default_factory=dict)

    def take(self, told: "_Told") -> None:
        """Adds what a refund without money tells of."""
        self.micros += told.worth
        self.tax_micros += told.tax_micros
        self.shipping_micros += told.shipping_micros
        for line in told.lines:
            units, net, tax = self.lines.get(line["line_id"], (0, 0, 0))
            more = (units + line["quantity"], net + line["net_micros"], tax + line["tax_micros"])
            self.lines[line["line_id"]] = more


class _Told(NamedTuple):
    """A refund as told: as it is kept, whether money moved for it, and what its lines and shipping are worth with tax."""

    fields: dict[str, Any]
    moved_money: bool
    worth: int
    tax_micros: int
    shipping_micros: int

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The order's lines that it takes back."""
        lines: list[dict[str, Any]] = self.fields["lines"]
        return lines


def order_refunds(order: dict[str, Any], currency_code: str, *, taxes_included: bool) -> tuple[list[Any], Taken]:
    """What was given back on an order, and what was taken off it besides.

    Money given back without lines goes first to what was taken off before, the oldest first: it is that refund which
    takes those lines back.
    """
    taken = Taken()
    if not order.get("refunds"):
        return [], taken
    rate = within(order, "total_price_set", _rate)
    terms = Terms(currency_code=currency_code, rate=rate, taxes_included=taxes_included)
    told = each(order, "refunds", _told, terms)
    # What cancelling takes off is no edit: a cancelled order stays what was once ordered.
    if order.get("cancelled_at"):
        return [one.fields for one in told], taken
    given = [one for one in told if one.moved_money or one.worth <= 0]
    _settle([one for one in told if not one.moved_money and one.worth > 0], given, taken)
    return [one.fields for one in given], taken


def _settle(moneyless: Sequence[_Told], given: Sequence[_Told], taken: Taken) -> None:
    """Lays what was taken off without money to the refunds of money alone, in the sequence of their ids."""
    open_money = [[one, one.fields["amount_micros"]] for one in sorted(given, key=_age) if not one.lines]
    for one in sorted(moneyless, key=_age):
        payer = next((entry for entry in open_money if entry[1] > 0), None)
        if payer is None:
            taken.take(one)
            continue
        payer[0].lines.extend(one.lines)
        owed = one.worth
        for entry in open_money:
            paid = min(entry[1], owed)
            entry[1] -= paid
            owed -= paid
        taken.micros += owed


def _age(told: _Told) -> tuple[int, str]:
    return len(told.fields["refund_id"]), told.fields["refund_id"]


def announced_refund(refund: dict[str, Any]) -> dict[str, Any]:
    """What a refund's own notice tells. It names neither the shop's currency nor whether prices hold their tax."""
    first = {"refund_line_items": parts(refund, "refund_line_items")[:1]}
    told = each(first, "refund_line_items", within, "subtotal_set", _terms)
    given = _told(refund, told[0] if told else _terms({})).fields
    lines = given["lines"]
    if given["amount_micros"] and given["amount_micros"] == sum(line["net_micros"] for line in lines):
        for line in lines:
            line["net_micros"] -= line["tax_micros"]
    return given


def _terms(money: dict[str, Any]) -> Terms:
    shop_currency = within(money, "shop_money", text, "currency_code")
    return Terms(currency_code=shop_currency, rate=_rate(money), taxes_included=False)


def _rate(money: dict[str, Any]) -> tuple[str, Fraction] | None:
    """The shopper's currency and what one unit of it is in the shop's; None where the two are one."""
    shop = part(money, "shop_money")
    shown_currency = within(money, "presentment_money", text, "currency_code")
    if not shop or not shown_currency or shop.get("currency_code") == shown_currency:
        return None
    shown_amount = within(money, "presentment_money", micros, "amount")
    if shown_amount <= 0:
        return None
    return shown_currency, Fraction(within(money, "shop_money", micros, "amount"), shown_amount)


def _told(refund: dict[str, Any], terms: Terms) -> _Told:
    amount = sum(each(refund, "transactions", _given_back, terms))
    # Without the sets there are only JSON's floats: then the amount is spread over the lines.
    exact = all(line.get("subtotal_set") for line in parts(refund, "refund_line_items"))
    lines = each(refund, "refund_line_items", _refund_line, terms) if exact else []
    shipping, shipping_tax = _adjusted(refund, ("shipping_refund",), terms)
    # What a merchant gave more or less than the lines are worth: a return of goods for which nothing is due is no edit.
    more, more_tax = _adjusted(refund, ("refund_discrepancy",), terms)
    tax = shipping_tax + more_tax + sum(line["tax_micros"] for line in lines)
    worth = within_bounds(shipping + more + tax + sum(line["net_micros"] for line in lines), "refund_line_items")
    fields = {
        "refund_id": identifier(refund, "id"),
        "amount_micros": within_bounds(amount, "transactions"),
        "refund_time": time(refund, "processed_at") or time(refund, "created_at"),
        "lines": lines,
        "shipping_micros": min(max(shipping + shipping_tax, 0), amount),
    }
    # A transaction that failed or is not through yet is money on its way, not an edit.
    return _Told(fields, bool(parts(refund, "transactions")), worth, tax, shipping)


def _adjusted(refund: dict[str, Any], kinds: Sequence[str], terms: Terms) -> tuple[int, int]:
    """What adjustments of these kinds take off beside the lines, without tax, and the tax on it."""
    told = {"order_adjustments": [one for one in parts(refund, "order_adjustments") if one.get("kind") in kinds]}
    amount = -sum(each(told, "order_adjustments", money, "amount"))
    tax = -sum(each(told, "order_adjustments", money, "tax_amount"))
    return (amount - tax if terms.taxes_included else amount), tax


def _given_back(transaction: dict[str, Any], terms: Terms) -> int:
    if transaction.get("kind") != "refund" or transaction.get("status") != "success":
        return 0
    amount = money(transaction, "amount")
    if amount < 0:
        raise UnusableError("INVALID_FIELD", "amount")
    paid_in = text(transaction, "currency")
    if transaction.get("amount_set") or not terms.currency_code or paid_in in ("", terms.currency_code):
        return amount
    if terms.rate is None or terms.rate[0] != paid_in:
        raise UnusableError("INVALID_FIELD", "currency")
    # At the order's own rate, so that giving everything back is giving back the total.
    unit = minor_unit(terms.currency_code)
    return floor(amount * terms.rate[1] / unit + Fraction(1, 2)) * unit


def _refund_line(line: dict[str, Any], terms: Terms) -> dict[str, Any]:
    net, tax = money(line, "subtotal"), money(line, "total_tax")
    return {
        "line_id": identifier(line, "line_item_id"),
        "quantity": quantity(line, "quantity"),
        "net_micros": within_bounds(net - tax if terms.taxes_included else net, "subtotal_set"),
        "tax_micros": tax,
    }


def money(holder: dict[str, Any], key: str) -> int:
    """An amount in the shop's own currency: the set's, or the plain string's where there is no set."""
    told = holder.get(f"{key}_set")
    if type(told) is dict:
        shop = told.get("shop_money")
        if type(shop) is dict:
            try:
                return micros(shop, "amount")
            except UnusableError as error:
                raise error.inside(f"{key}_set.shop_money") from None
    return micros(holder, key)
