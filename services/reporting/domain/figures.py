"""Figures: the values of metrics, from the sums that they are computed from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from operator import itemgetter
from typing import NamedTuple

from services.reporting.domain.catalogue import METRICS
from services.reporting.domain.definitions import Difference, Sum, Total, Unit
from services.reporting.domain.statement import Amounts
from services.reporting.domain.tenants import Tenant

Sums = Mapping[str, Sequence[int | None]]
"""Sums by the names of their metrics, each of all rows in sequence; None where there is none: nothing was told."""


class Rows(NamedTuple):
    """Rows of a report by columns: the dimensions' values of each as asked for, the sums, those of the compared period too.

    Rows without dimensions have one empty tuple each.
    """

    dimensions: Sequence[tuple[str, ...]]
    sums: Sums
    compared: Sums | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AsOf:
    """Through which positions of the logs figures speak; `apply_time` is None before there is an entry."""

    partition: int
    event_position: int
    credit_position: int
    apply_time: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A page of a report's rows, the sums over all of them, and what the figures stand for.

    `totals`, a single row, is None where the rows have no currency in common; `others` are the orders in currencies
    that no row shows. `names` are those for people of products, by SKU.
    """

    tenant: Tenant
    rows: Rows
    total_size: int
    totals: Rows | None
    others: Sequence[tuple[str, Amounts]]
    as_of: AsOf
    names: Mapping[str, str]


Values = Sequence[int | float | None]
"""A metric's value in each row: micros for money, a float for a ratio or a mean span.

None where nothing stands below the line, or where a part of it was not told. Money is rounded to the nearest
millionth, halves up.
"""

Computed = Callable[[Sums], Values]


@cache
def computed(name: str) -> Computed:
    """How the values of a metric of the catalogue come from sums."""
    metric = METRICS[name]
    formula = metric.formula
    if isinstance(formula, Sum):
        return itemgetter(name) if formula.divisor == 1 else _part(name, formula.divisor)
    left, right = (computed(operand) for operand in formula.operands)
    if isinstance(formula, Difference | Total):
        return _together(left, right, -1 if isinstance(formula, Difference) else 1)
    return _over(left, right, formula.scale, exact=metric.unit in (Unit.RATIO, Unit.SECONDS))


def _part(name: str, divisor: int) -> Computed:
    return lambda sums: [None if total is None else _rounded(total, divisor) for total in sums[name]]


def _together(left: Computed, right: Computed, sign: int) -> Computed:
    def compute(sums: Sums) -> Values:
        return [
            None if first is None or second is None else first + sign * second
            for first, second in zip(left(sums), right(sums), strict=True)
        ]

    return compute


def _over(left: Computed, right: Computed, scale: int, *, exact: bool) -> Computed:
    def compute(sums: Sums) -> Values:
        both = zip(left(sums), right(sums), strict=True)
        if exact:
            return [None if above is None or not below else above * scale / below for above, below in both]
        return [None if above is None or not below else _rounded(above * scale, below) for above, below in both]

    return compute


def changes(now: Values, then: Values) -> Sequence[float | None]:
    """By which part of what they were before figures have grown; None where there is nothing to compare with."""
    return [
        None if one is None or not other else (one - other) / abs(other) for one, other in zip(now, then, strict=True)
    ]


def _rounded(above: float, below: float) -> int:
    return int((2 * above + below) // (2 * below))
