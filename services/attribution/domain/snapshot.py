"""An order as a sale: what counts, why not, what it is worth, and what of it is left after refunds."""

import hashlib
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

from services.attribution.domain.orders import KnownOrder, Line, Platform, Refund, State
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
    """A product sold; amounts after discount and without tax."""

    line_id: str
    sku: str
    product_id: str
    quantity: int
    refunded_quantity: int
    gross_micros: int
    net_micros: int


class Snapshot(NamedTuple):
    """An order as it now is. `refunds` add up to gross less net; times are nanoseconds since 1970."""

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


COUNTED: Mapping[Platform, frozenset[str]] = {
    Platform.CUSTOM: frozenset({"processing", "completed", "refunded"}),
    Platform.SHOPIFY: frozenset({"paid", "partially_paid", "partially_refunded", "refunded"}),
    Platform.WOOCOMMERCE: frozenset({"processing", "completed", "refunded"}),
}
"""The statuses that count as sold where a tenant says nothing else."""

_CANCELLED = frozenset({"cancelled", "canceled"})
_CONTACTS = (Kind.EMAIL, Kind.PHONE, Kind.CUSTOMER)


def snapshot(source: str, order_id: str, known: KnownOrder, counted: Mapping[Platform, frozenset[str]]) -> Snapshot:
    """The sale that an order is. Gross is the total, net is what is left of it; neither is tax or shipping taken out.

    A status `refunded` means that all of it was given back: what the listed refunds don't reach is given back by one
    more, without id or time, so that refunds always explain the difference between gross and net.
    """
    state = known.state
    refunds = _complete(state, known.refunds)
    given_back = sum(refund.amount_micros for refund in refunds)
    return Snapshot(
        source=source,
        order_id=order_id,
        display_number=state.display_number,
        order_time=state.order_time,
        currency_code=state.currency_code,
        gross_micros=state.total_micros,
        net_micros=_lowered(state.total_micros, given_back),
        tax_micros=state.tax_micros,
        shipping_micros=state.shipping_micros,
        fee_micros=state.fee_micros,
        lines=_lines(state, known.skus, refunds),
        excluded=_exclusion(known, counted),
        status=state.status,
        customer_key=_customer_key(state.identifiers),
        refunds=refunds,
        identifiers=state.identifiers,
    )


def _exclusion(known: KnownOrder, counted: Mapping[Platform, frozenset[str]]) -> Exclusion | None:
    state = known.state
    sold = state.status in counted[state.platform]
    reasons = (
        (state.test, Exclusion.TEST),
        (known.deleted, Exclusion.DELETED),
        (known.trashed, Exclusion.TRASHED),
        (state.cancelled or (state.status in _CANCELLED and not sold), Exclusion.CANCELLED),
        (state.status == "failed" and not sold, Exclusion.FAILED),
        (not sold, Exclusion.UNPAID),
    )
    return next((reason for fits, reason in reasons if fits), None)


def _complete(state: State, refunds: tuple[Refund, ...]) -> tuple[Refund, ...]:
    if state.status != "refunded":
        return refunds
    rest = state.total_micros - sum(refund.amount_micros for refund in refunds)
    return (*refunds, Refund("", rest, None, ())) if rest > 0 else refunds


def _lowered(gross: int, given_back: int) -> int:
    """What is left; giving back more than was paid leaves nothing rather than less."""
    return max(gross - given_back, min(gross, 0)) if given_back else gross


def _lines(state: State, skus: Mapping[str, str], refunds: Sequence[Refund]) -> tuple[SnapshotLine, ...]:
    returned_units, returned_micros = _returned(state, refunds)
    return tuple(
        [
            SnapshotLine(
                line.line_id,
                skus.get(line.line_id) or line.product_id,
                line.product_id,
                line.quantity,
                returned_units.get(index, 0),
                line.net_micros,
                _lowered(line.net_micros, returned_micros.get(index, 0)),
            )
            for index, line in enumerate(state.lines)
        ]
    )


def _returned(state: State, refunds: Sequence[Refund]) -> tuple[dict[int, int], dict[int, int]]:
    """Units and micros without tax that came back, by the line's index."""
    units: dict[int, int] = {}
    micros: dict[int, int] = {}
    if not refunds or not state.lines:
        return units, micros
    index_of = {line.line_id: index for index, line in reversed(list(enumerate(state.lines)))}
    for refund in refunds:
        for part in refund.lines:
            index = index_of.get(part.line_id)
            if index is not None:
                units[index] = units.get(index, 0) + part.quantity
                micros[index] = micros.get(index, 0) + part.net_micros
        if not refund.lines:
            for index, part_micros in enumerate(_spread(refund.amount_micros, state.lines, state.currency_code)):
                micros[index] = micros.get(index, 0) + part_micros
    return units, micros


def _spread(amount_micros: int, lines: Sequence[Line], currency_code: str) -> list[int]:
    """An amount with tax over the lines by their share with tax, each line's own tax then taken out."""
    taxed = [(max(line.net_micros, 0), max(line.tax_micros, 0)) for line in lines]
    parts = split(amount_micros, [net + tax for net, tax in taxed], currency_code)
    return [
        split(part, [net, tax], currency_code)[0] if net or tax else part
        for part, (net, tax) in zip(parts, taxed, strict=True)
    ]


def _customer_key(identifiers: Sequence[Identifier]) -> str:
    """A hash of the strongest contact; empty where nothing names the customer."""
    named = {identifier.kind: identifier.value for identifier in identifiers}
    strongest = next(((kind, named[kind]) for kind in _CONTACTS if kind in named), None)
    if strongest is None:
        return ""
    kind, value = strongest
    return hashlib.sha256(f"{kind.value}:{value}".encode()).hexdigest()[:32]
