"""An order as a sale: what counts, why not, what it is worth, and what of it is left after refunds."""

import hashlib
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

from services.attribution.domain.orders import REFUNDED, KnownOrder, Line, Platform, Product, Refund, State
from services.kernel.identifiers import Identifier, Kind
from services.kernel.money import split


class Exclusion(IntEnum):
    """Why an order doesn't count; numbered as in `touchstone.attribution.v1.Exclusion.Reason`."""

    TEST = 1
    DELETED = 2
    TRASHED = 3
    CANCELLED = 4
    FAILED = 5
    UNPAID = 6


class SnapshotLine(NamedTuple):
    """A product sold; amounts after discount and without tax, the tax on them beside."""

    line_id: str
    sku: str
    product_id: str
    quantity: int
    refunded_quantity: int
    gross_micros: int
    net_micros: int
    variant_id: str = ""
    gross_tax_micros: int = 0
    net_tax_micros: int = 0


class Standing(NamedTuple):
    """All that decides whether an order counts, beside its status and the statuses that count."""

    platform: Platform
    test: bool = False
    deleted: bool = False
    trashed: bool = False
    cancelled: bool = False


class Snapshot(NamedTuple):
    """An order as it now is. `refunds`, by time, add up to gross less net; times are nanoseconds since 1970.

    `excluded` is by the tenant's statuses; a model with its own asks `exclusion` again.
    """

    source: str
    order_id: str
    display_number: str
    order_time: int
    currency_code: str
    gross_micros: int
    net_micros: int
    tax_micros: int
    shipping_micros: int
    fee_micros: int
    lines: tuple[SnapshotLine, ...]
    excluded: Exclusion | None
    status: str
    customer_key: str
    refunds: tuple[Refund, ...]
    identifiers: tuple[Identifier, ...]
    standing: Standing


COUNTED: Mapping[Platform, frozenset[str]] = {
    Platform.CUSTOM: frozenset({"processing", "completed", "refunded"}),
    Platform.SHOPIFY: frozenset({"paid", "partially_paid", "partially_refunded", "refunded"}),
    Platform.WOOCOMMERCE: frozenset({"processing", "completed", "refunded"}),
}
"""The statuses that count as sold where a tenant says nothing else."""

_CANCELLED = frozenset({"cancelled", "canceled"})
_CONTACTS = (Kind.EMAIL, Kind.PHONE, Kind.CUSTOMER)
_NOTHING = (0, 0, 0)


def snapshot(
    source: str,
    order_id: str,
    known: KnownOrder,
    counted: Mapping[Platform, frozenset[str]],
    *,
    count_tests: bool = False,
) -> Snapshot:
    """The sale that an order is. Gross is the total, net is what is left of it; neither is tax or shipping taken out.

    A status `refunded` means that all of it was given back: what the listed refunds don't reach is given back by one
    more, without id. What they give back beyond the total is left out, from the latest on. So refunds always explain
    the difference between gross and net, on whichever day each is booked. `count_tests`: the shop's trial orders are
    sales like any other.
    """
    state = known.state
    standing = Standing(state.platform, state.test and not count_tests, known.deleted, known.trashed, state.cancelled)
    refunds = _given_back(known)
    given_back = sum(refund.amount_micros for refund in refunds)
    return Snapshot(
        source=source,
        order_id=order_id,
        display_number=state.display_number,
        order_time=state.order_time,
        currency_code=state.currency_code,
        gross_micros=state.total_micros,
        net_micros=state.total_micros - given_back,
        tax_micros=state.tax_micros,
        shipping_micros=state.shipping_micros,
        fee_micros=state.fee_micros,
        lines=_lines(state, known.products, refunds),
        excluded=exclusion(standing, state.status, counted[state.platform]),
        status=state.status,
        customer_key=_customer_key(state.identifiers),
        refunds=refunds,
        identifiers=state.identifiers,
        standing=standing,
    )


def exclusion(standing: Standing, status: str, counted: frozenset[str]) -> Exclusion | None:
    """Why an order doesn't count, where these statuses count as sold; None when it does. The first reason holds."""
    sold = status in counted
    if sold and not (standing.test or standing.deleted or standing.trashed or standing.cancelled):
        return None
    reasons = (
        (standing.test, Exclusion.TEST),
        (standing.deleted, Exclusion.DELETED),
        (standing.trashed, Exclusion.TRASHED),
        (standing.cancelled or (status in _CANCELLED and not sold), Exclusion.CANCELLED),
        (status == "failed" and not sold, Exclusion.FAILED),
        (not sold, Exclusion.UNPAID),
    )
    return next((reason for fits, reason in reasons if fits), None)


def _given_back(known: KnownOrder) -> tuple[Refund, ...]:
    """The refunds by time, together no more than the total; with one more where the status says that all is gone."""
    state, rest = known.state, max(known.state.total_micros, 0)
    if not known.refunds and state.status != REFUNDED:
        return ()
    kept: list[Refund] = []
    for refund in sorted(known.refunds, key=lambda one: one.refund_time or state.order_time):
        amount = min(refund.amount_micros, rest)
        rest -= amount
        kept.append(refund if amount == refund.amount_micros else refund._replace(amount_micros=amount))
    if rest and state.status == REFUNDED:
        kept.append(Refund("", rest, known.refunded_since, ()))
    return tuple(kept)


def _lowered(gross: int, given_back: int) -> int:
    """What is left; giving back more than was paid leaves nothing rather than less."""
    return max(gross - given_back, min(gross, 0)) if given_back else gross


def _lines(state: State, products: Mapping[str, Product], refunds: Sequence[Refund]) -> tuple[SnapshotLine, ...]:
    returned = _returned(state, refunds)
    return tuple(
        [
            SnapshotLine(
                line.line_id,
                product.sku or product.product_id,
                product.product_id,
                line.quantity,
                units,
                line.net_micros,
                _lowered(line.net_micros, net),
                product.variant_id,
                line.tax_micros,
                _lowered(line.tax_micros, tax),
            )
            for index, line in enumerate(state.lines)
            for product in [products[line.line_id]]
            for units, net, tax in [returned.get(index, _NOTHING)]
        ]
    )


def _returned(state: State, refunds: Sequence[Refund]) -> dict[int, tuple[int, int, int]]:
    """Units, micros without tax and micros of tax that came back, by the line's index."""
    returned: dict[int, tuple[int, int, int]] = {}
    if not refunds or not state.lines:
        return returned

    def add(index: int, units: int, net: int, tax: int) -> None:
        before = returned.get(index, _NOTHING)
        returned[index] = (before[0] + units, before[1] + net, before[2] + tax)

    index_of = {line.line_id: index for index, line in reversed(list(enumerate(state.lines)))}
    for refund in refunds:
        for part in refund.lines:
            index = index_of.get(part.line_id)
            if index is not None:
                add(index, part.quantity, part.net_micros, part.tax_micros)
        for_products = max(refund.amount_micros - refund.shipping_micros, 0)
        if not refund.lines and for_products:
            for index, (net, tax) in enumerate(_spread(for_products, state.lines, state.currency_code)):
                add(index, 0, net, tax)
    return returned


def _spread(amount_micros: int, lines: Sequence[Line], currency_code: str) -> list[tuple[int, int]]:
    """An amount with tax over the lines by their share with tax, each line's own tax then taken out, and beside."""
    taxed = [(max(line.net_micros, 0), max(line.tax_micros, 0)) for line in lines]
    parts = split(amount_micros, [net + tax for net, tax in taxed], currency_code)
    spread = []
    for part, (net, tax) in zip(parts, taxed, strict=True):
        without_tax = split(part, [net, tax], currency_code)[0] if net or tax else part
        spread.append((without_tax, part - without_tax))
    return spread


def _customer_key(identifiers: Sequence[Identifier]) -> str:
    """A hash of the strongest contact; empty where nothing names the customer."""
    named = dict(identifiers)
    for kind in _CONTACTS:
        if kind in named:
            return hashlib.sha256(f"{kind.value}:{named[kind]}".encode()).hexdigest()[:32]
    return ""
