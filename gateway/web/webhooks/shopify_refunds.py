"""Shopify's refunds: what was given back, and what an edit or an exchange took off an order without giving money back.

Shopify's `total_price` holds whatever was ever on the order: its edits add lines to it, but what they take off stays in
it, and is told as a refund without a transaction, as an exchange's returned goods are. So an order's gross is that
total less what was taken off, unless it is given back after all, by a refund of money alone. What is given back is what
transactions say, never the sum of refund lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from math import floor
from typing import Any, NamedTuple

from gateway.web.webhooks.fields import UnusableError, each, identifier, micros, quantity, text, time, within_bounds
from gateway.web.webhooks.shapes import Gone, Told
from gateway.web.webhooks.shopify_shapes import (
    Adjustment,
    MoneySet,
    Order,
    Refund,
    RefundLine,
    ShopMoneySet,
    Transaction,
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


def order_refunds(order: Order, currency_code: str, *, taxes_included: bool) -> tuple[list[Any], Taken]:
    """What was given back on an order, and what was taken off it besides.

    Money given back without lines goes first to what was taken off before, the oldest first: it is that refund which
    takes those lines back.
    """
    taken = Taken()
    if not order.refunds:
        return [], taken
    rate = _rate(order.total_price_set, "total_price_set")
    terms = Terms(currency_code=currency_code, rate=rate, taxes_included=taxes_included)
    told = each(order.refunds, "refunds", partial(_told, terms))
    # What cancelling takes off is no edit: a cancelled order stays what was once ordered.
    if order.cancelled_at:
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


def announced_refund(refund: Refund) -> dict[str, Any]:
    """What a refund's own notice tells. It names neither the shop's currency nor whether prices hold their tax."""
    lines = refund.refund_line_items
    given = _told(_terms(lines[0].subtotal_set if lines else None), refund).fields
    amount, taken_back = given["amount_micros"], given["lines"]
    if amount and amount == sum(line["net_micros"] for line in taken_back):
        for line in taken_back:
            line["net_micros"] -= line["tax_micros"]
    return given


def _terms(subtotal: MoneySet | Gone) -> Terms:
    name = "refund_line_items[0].subtotal_set"
    shop = subtotal.shop_money if subtotal else None
    currency_code = text(shop.currency_code, f"{name}.shop_money.currency_code") if shop else ""
    return Terms(currency_code=currency_code, rate=_rate(subtotal, name), taxes_included=False)


def _rate(told: MoneySet | Gone, name: str) -> tuple[str, Fraction] | None:
    """The shopper's currency and what one unit of it is in the shop's; None where the two are one."""
    if not told or not told.shop_money or not told.presentment_money:
        return None
    shop, shown = told.shop_money, told.presentment_money
    shown_currency = text(shown.currency_code, f"{name}.presentment_money.currency_code")
    if not shown_currency or shop.currency_code == shown_currency:
        return None
    shown_amount = micros(shown.amount, f"{name}.presentment_money.amount")
    if shown_amount <= 0:
        return None
    return shown_currency, Fraction(micros(shop.amount, f"{name}.shop_money.amount"), shown_amount)


def _told(terms: Terms, refund: Refund) -> _Told:
    amount = sum(each(refund.transactions, "transactions", partial(_given_back, terms)))
    told_lines = refund.refund_line_items or []
    # Without the sets there are only JSON's floats: then the amount is spread over the lines.
    exact = all(line.subtotal_set and line.subtotal_set.shop_money for line in told_lines)
    lines = each(told_lines, "refund_line_items", partial(_refund_line, terms)) if exact else []
    shipping, shipping_tax = _adjusted(refund, "shipping_refund", terms)
    # What a merchant gave more or less than the lines are worth: a return of goods for which nothing is due is no edit.
    more, more_tax = _adjusted(refund, "refund_discrepancy", terms)
    tax = shipping_tax + more_tax + sum(line["tax_micros"] for line in lines)
    worth = within_bounds(shipping + more + tax + sum(line["net_micros"] for line in lines), "refund_line_items")
    fields = {
        "refund_id": identifier(refund.id, "id"),
        "amount_micros": within_bounds(amount, "transactions"),
        "refund_time": time(refund.processed_at, "processed_at") or time(refund.created_at, "created_at"),
        "lines": lines,
        "shipping_micros": min(max(shipping + shipping_tax, 0), amount),
    }
    # A transaction that failed or is not through yet is money on its way, not an edit.
    return _Told(fields, bool(refund.transactions), worth, tax, shipping)


def _adjusted(refund: Refund, kind: str, terms: Terms) -> tuple[int, int]:
    """What adjustments of this kind take off beside the lines, without tax, and the tax on it."""
    found = each(refund.order_adjustments, "order_adjustments", partial(_adjustment, kind))
    amount, tax = -sum(amount for amount, _ in found), -sum(tax for _, tax in found)
    return (amount - tax if terms.taxes_included else amount), tax


def _adjustment(kind: str, one: Adjustment) -> tuple[int, int]:
    if one.kind != kind:
        return 0, 0
    return money(one.amount_set, one.amount, "amount"), money(one.tax_amount_set, one.tax_amount, "tax_amount")


def _given_back(terms: Terms, transaction: Transaction) -> int:
    if transaction.kind != "refund" or transaction.status != "success":
        return 0
    told = transaction.amount_set
    amount = money(told, transaction.amount, "amount")
    if amount < 0:
        raise UnusableError("INVALID_FIELD", "amount")
    paid_in = text(transaction.currency, "currency")
    if (told and told.shop_money) or not terms.currency_code or paid_in in ("", terms.currency_code):
        return amount
    if terms.rate is None or terms.rate[0] != paid_in:
        raise UnusableError("INVALID_FIELD", "currency")
    # At the order's own rate, so that giving everything back is giving back the total.
    unit = minor_unit(terms.currency_code)
    return floor(amount * terms.rate[1] / unit + Fraction(1, 2)) * unit


def _refund_line(terms: Terms, line: RefundLine) -> dict[str, Any]:
    net = money(line.subtotal_set, line.subtotal, "subtotal")
    tax = money(line.total_tax_set, line.total_tax, "total_tax")
    return {
        "line_id": identifier(line.line_item_id, "line_item_id"),
        "quantity": quantity(line.quantity, "quantity"),
        "net_micros": within_bounds(net - tax if terms.taxes_included else net, "subtotal_set"),
        "tax_micros": tax,
    }


def money(told: MoneySet | ShopMoneySet | Gone, plain: Told, name: str) -> int:
    """An amount in the shop's own currency: the set's, or the plain string's where there is no set."""
    if not told or not told.shop_money:
        return micros(plain, name)
    try:
        return micros(told.shop_money.amount, "amount")
    except UnusableError as error:
        raise error.inside(f"{name}_set.shop_money") from None
