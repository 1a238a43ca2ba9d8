"""Figures: a metric's value, from the sums that it is computed from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

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
    shows.
    """

    tenant: Tenant
    rows: Sequence[Row]
    total_size: int
    totals: Row | None
    others: Sequence[tuple[str, Amounts]]
    as_of: AsOf


def value(metric: Metric, sums: Mapping[str, int | None]) -> int | float | None:
    """The metric's value: micros for money, a float for a ratio or a mean span.

    None where nothing stands below the line, or where a part of it was not told. Money is rounded to the nearest
    millionth, halves up.
    """
    formula = metric.formula
    if isinstance(formula, Sum):
        total = sums[metric.name]
        return total if total is None or formula.divisor == 1 else _rounded(total, formula.divisor)
    left, right = (value(METRICS[name], sums) for name in formula.operands)
    if left is None or right is None:
        return None
    if isinstance(formula, Difference | Total):
        return left - right if isinstance(formula, Difference) else left + right
    if not right:
        return None
    if metric.unit in (Unit.RATIO, Unit.SECONDS):
        return left * formula.scale / right
    return _rounded(left * formula.scale, right)


def change(now: float | None, then: float | None) -> float | None:
    """By which part of what it was before a figure has grown; None where there is nothing to compare with."""
    return None if now is None or not then else (now - then) / abs(then)


def _rounded(above: float, below: float) -> int:
    return int((2 * above + below) // (2 * below))
