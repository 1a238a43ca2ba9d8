"""What a model that credits lines says of many orders at once: `domain.lines`, by columns."""

from fractions import Fraction
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.attribution.domain.models import Basis, Model
from services.attribution.domain.shares import WHOLE
from services.attribution.simulation import deciding, splits
from services.attribution.simulation.cases import Cases, Flags, Floats, Lines, Numbers
from services.attribution.simulation.deciding import Rows, units
from services.attribution.simulation.lookup import ranges

_WITH_TAX: Final = (Basis.TOTAL, Basis.WITHOUT_SHIPPING)
_SAFE: Final = float(1 << 40)
"""Weights up to this are exact in floating-point, and as whole numbers their products fit into 64 bits."""


class Earned(NamedTuple):
    """The strongest tier that decided a line of each order, and the pairs with what each earns, by order and touch."""

    tier: NDArray[np.int8]
    pair: Numbers
    parts: dict[str, Numbers]


def by_line(cases: Cases, model: Model, eligible: Numbers) -> Earned:
    """What the eligible pairs earn of the orders' lines. A pair that earns of several stands there as often."""
    tier = np.zeros(len(cases.orders), np.int8)
    lines = cases.lines
    if lines is None:
        raise ValueError("lines were not loaded")
    rows = _named(cases, lines, eligible)
    if model.through_cart:
        if cases.carts is None:
            raise ValueError("carts were not loaded")
        rows = rows.where(cases.carts[rows.sale] <= cases.pairs.age[rows.pair])
    decided = deciding.decide(cases, rows)
    orders = _orders(lines, decided.sale)
    grouped = splits.groups(orders)
    if len(orders):
        tier[orders[grouped.start]] = np.minimum.reduceat(decided.tier, grouped.start)
    rows = deciding.earners(cases, model, decided.rows)
    sold = rows.sale[splits.groups(rows.sale).start]
    unit = units(cases.orders.currency[_orders(lines, sold)])
    totals = {"gross_micros": (_gross(lines, model, sold), unit), "net_micros": (_net(lines, model, sold), unit)}
    parts = {**deciding.parts(cases, model, rows, totals), "millionths": _millionths(cases, lines, model, rows)}
    sequence = np.lexsort((rows.sale, rows.pair))
    return Earned(tier, rows.pair[sequence], {name: column[sequence] for name, column in parts.items()})


def _named(cases: Cases, lines: Lines, eligible: Numbers) -> Rows:
    """The pairs with each of the order's lines of which the touch names the product."""
    if cases.products is None:
        return Rows(eligible[:0], eligible[:0])
    touch = cases.pairs.touch[eligible]
    size = np.diff(cases.products.start)[touch]
    product = cases.products.product[ranges(cases.products.start[touch], size)]
    pair = np.repeat(eligible, size)
    pair, product = pair[product >= 0], product[product >= 0]
    order = cases.pairs.order[pair]
    size = np.diff(lines.start)[order]
    line, product = ranges(lines.start[order], size), np.repeat(product, size)
    named = np.logical_or.reduce([name[line] == product for name in lines.names])
    # A touch may name a product by several of its names.
    found = np.unique(line[named] << 32 | np.repeat(pair, size)[named])
    return Rows(found & 0xFFFFFFFF, found >> 32)


def _orders(lines: Lines, line: Numbers) -> Numbers:
    """The orders that lines are of."""
    found: Numbers = np.searchsorted(lines.start, line, side="right") - 1
    return found


def _gross(lines: Lines, model: Model, line: Numbers) -> Numbers:
    gross: Numbers = lines.gross[line]
    return gross + lines.tax[line] if model.basis in _WITH_TAX else gross


def _net(lines: Lines, model: Model, line: Numbers) -> Numbers:
    net = _gross(lines, model, line) - lines.given_back[line]
    return net - lines.tax_given_back[line] if model.basis in _WITH_TAX else net


class _Items(NamedTuple):
    """What an order's millionths are split among: its rows by line, then its other lines, each with the line's worth.

    `row` is -1 for a line that earns nobody anything.
    """

    order: Numbers
    row: Numbers
    worth: Numbers


def _items(lines: Lines, model: Model, rows: Rows) -> _Items:
    paid = rows.sale[splits.groups(rows.sale).start]
    orders = np.unique(_orders(lines, paid))
    size = np.diff(lines.start)[orders]
    every = ranges(lines.start[orders], size)
    worth = np.maximum(_gross(lines, model, every), 0)
    grouped = splits.groups(np.repeat(orders, size))
    nothing = ~np.logical_or.reduceat(worth > 0, grouped.start)
    worth = np.where(nothing[grouped.of_row], 1, worth)
    rest = ~np.isin(every, paid, assume_unique=True)
    of_rows = np.searchsorted(every, rows.sale)
    order = np.concatenate([_orders(lines, rows.sale), _orders(lines, every[rest])])
    sequence = np.argsort(order, kind="stable")
    row = np.concatenate([np.arange(len(rows.sale)), np.full(int(rest.sum()), -1)])
    return _Items(order[sequence], row[sequence], np.concatenate([worth[of_rows], worth[rest]])[sequence])


def _millionths(cases: Cases, lines: Lines, model: Model, rows: Rows) -> Numbers:
    """Each row's part of its order, as `domain.lines` tells it: those of an order and what is left are a million."""
    if not len(rows.sale):
        return rows.sale
    items = _items(lines, model, rows)
    inner, outer = splits.groups(rows.sale), splits.groups(items.order)
    inside = deciding.weights(cases, model, rows, inner)

    def exact(group: int) -> list[Fraction]:
        start = int(outer.start[group])
        mine = slice(start, start + int(outer.size[group]))
        return [
            Fraction(worth) * (_share(inside, inner, row) if row >= 0 else 1)
            for row, worth in zip(items.row[mine].tolist(), items.worth[mine].tolist(), strict=True)
        ]

    whole, floating, unsure = _weights(items, inside, inner, outer)
    ones = np.ones(len(outer.start), np.int64)
    found = splits.split(ones * WHOLE, ones, outer, splits.Weights(whole, floating, exact, unsure))
    return found[items.row >= 0]


def _share(inside: splits.Weights, grouped: splits.Groups, row: int) -> Fraction:
    """A row's exact share of its line."""
    line = int(grouped.of_row[row])
    shares = splits.shares(inside, line, int(grouped.start[line]), int(grouped.size[line]))
    return Fraction(shares[row - int(grouped.start[line])]) / sum(shares)


def _weights(
    items: _Items, inside: splits.Weights, inner: splits.Groups, outer: splits.Groups
) -> tuple[Numbers | None, Floats | None, Flags]:
    """Each item's weight, whole or floating-point, and of which orders only the exact ones will do."""
    earning = items.row >= 0
    share = np.ones(len(items.row))
    own = inside.whole if inside.whole is not None else inside.floating
    if own is None:
        raise ValueError("there are no weights")
    together = np.add.reduceat(own, inner.start)[inner.of_row]
    share[earning] = own / together
    if inside.whole is None:
        unsure = np.logical_or.reduceat(items.worth > _SAFE, outer.start)
        return None, np.where(unsure[outer.of_row], 1.0, items.worth * share), unsure
    # All shares of an order as parts of one number: the least that all of their wholes divide.
    of_line = np.ones(len(items.row), np.int64)
    of_line[earning] = together
    bound = np.multiply.reduceat(of_line.astype(np.float64), outer.start)
    fine = bound < _SAFE
    common = np.lcm.reduceat(np.where(fine[outer.of_row], of_line, 1), outer.start)
    fine &= np.maximum.reduceat(items.worth * share * common[outer.of_row], outer.start) < _SAFE
    factor = np.ones(len(items.row), np.int64)
    factor[earning] = inside.whole
    factor *= common[outer.of_row] // np.where(fine[outer.of_row], of_line, 1)
    return np.where(fine[outer.of_row], items.worth * factor, 1), None, ~fine
