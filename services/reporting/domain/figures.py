"""Figures: a metric's value, from the sums that it is computed from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from operator import itemgetter

from services.reporting.domain.catalogue import METRICS
from services.reporting.domain.definitions import Difference, Metric, Sum, Total, Unit
from services.reporting.domain.statement import Amounts
from services.reporting.domain.tenants import Tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a report: the dimensions' values as asked for, and the sums by name, of the compared period too.

    A sum is None where there is none: not 0, but nothing told.
    """

    dimensions: tuple[str, ...]
    sums: Mapping[str, int | None]
    compared: Mapping[str, int | None] | None


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

    `totals` is None where the rows have no currency in common; `others` are the orders in currencies that no row
    shows. `names` are those for people of products, by SKU.
    """

    tenant: Tenant
    rows: Sequence[Row]
    total_size: int
    totals: Row | None
    others: Sequence[tuple[str, Amounts]]
    as_of: AsOf
    names: Mapping[str, str]


def value(metric: Metric, sums: Mapping[str, int | None]) -> int | float | None:
    """The metric's value: micros for money, a float for a ratio or a mean span.

    None where nothing stands below the line, or where a part of it was not told. Money is rounded to the nearest
    millionth, halves up.
    """
    return computed(metric.name)(sums)


Computed = Callable[[Mapping[str, int | None]], int | float | None]


@cache
def computed(name: str) -> Computed:
    """How the value of a metric of the catalogue comes from sums: see `value`."""
    metric = METRICS[name]
    formula = metric.formula
    if isinstance(formula, Sum):
        return itemgetter(name) if formula.divisor == 1 else _part(name, formula.divisor)
    left, right = (computed(operand) for operand in formula.operands)
    if isinstance(formula, Difference | Total):
        return _together(left, right, -1 if isinstance(formula, Difference) else 1)
    return _over(left, right, formula.scale, exact=metric.unit in (Unit.RATIO, Unit.SECONDS))


def _part(name: str, divisor: int) -> Computed:
    def compute(sums: Mapping[str, int | None]) -> int | None:
        total = sums[name]
        return None if total is None else _rounded(total, divisor)

    return compute


def _together(left: Computed, right: Computed, sign: int) -> Computed:
    def compute(sums: Mapping[str, int | None]) -> int | float | None:
        first, second = left(sums), right(sums)
        return None if first is None or second is None else first + sign * second

    return compute


def _over(left: Computed, right: Computed, scale: int, *, exact: bool) -> Computed:
    def compute(sums: Mapping[str, int | None]) -> int | float | None:
        above, below = left(sums), right(sums)
        if above is None or not below:
            return None
        return above * scale / below if exact else _rounded(above * scale, below)

    return compute


def change(now: float | None, then: float | None) -> float | None:
    """By which part of what it was before a figure has grown; None where there is nothing to compare with."""
    return None if now is None or not then else (now - then) / abs(then)


def _rounded(above: float, below: float) -> int:
    return int((2 * above + below) // (2 * below))
