"""Which part of an order's amount a model credits."""

from typing import NamedTuple

from services.attribution.domain.models import Basis
from services.attribution.domain.snapshot import Snapshot, SnapshotLine
from services.kernel.money import minor_unit, split


class Amount(NamedTuple):
    """An amount in micros, and what is left of it after refunds."""

    gross_micros: int
    net_micros: int


def order_amount(order: Snapshot, basis: Basis) -> Amount:
    """The part of an order that the basis is.

    Refunds take the same share of every basis as of the total, in real amounts, rounded in favour of what is left:
    nothing given back leaves all of it, everything given back nothing.
    """
    match basis:
        case Basis.TOTAL:
            return Amount(order.gross_micros, order.net_micros)
        case Basis.WITHOUT_TAX:
            gross = order.gross_micros - order.tax_micros
        case Basis.WITHOUT_SHIPPING:
            gross = order.gross_micros - order.shipping_micros - _shipping_tax(order)
        case Basis.WITHOUT_TAX_AND_SHIPPING:
            gross = order.gross_micros - order.tax_micros - order.shipping_micros
    return Amount(gross, _net(order, gross))


def line_amount(line: SnapshotLine, basis: Basis) -> Amount:
    """The part of a line that the basis is: no line has shipping, so only its tax matters."""
    if basis in (Basis.TOTAL, Basis.WITHOUT_SHIPPING):
        return Amount(line.gross_micros + line.gross_tax_micros, line.net_micros + line.net_tax_micros)
    return Amount(line.gross_micros, line.net_micros)


def _shipping_tax(order: Snapshot) -> int:
    """The tax on shipping: shops tell all tax and that of the lines, the rest is of shipping and fees by amount."""
    shipping, fees = max(order.shipping_micros, 0), max(order.fee_micros, 0)
    if not shipping:
        return 0
    rest = order.tax_micros - sum(line.gross_tax_micros for line in order.lines)
    if rest <= 0:
        return 0
    return split(rest, [shipping, fees], order.currency_code)[0] if fees else rest


def _net(order: Snapshot, gross: int) -> int:
    given_back = order.gross_micros - order.net_micros
    if not given_back:
        return gross
    if not order.net_micros:
        return 0
    unit = minor_unit(order.currency_code)
    taken = gross * given_back // order.gross_micros
    return gross - taken // unit * unit
