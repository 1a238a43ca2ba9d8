"""Figures: a metric's value, from the sums that it is computed from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.reporting.domain.catalogue import METRICS
from services.reporting.domain.definitions import Metric, Sum, Unit
from services.reporting.domain.statement import Amounts
from services.reporting.domain.tenants import Tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a report: the dimensions' values as asked for, and the sums by name, of the compared period too."""

    dimensions: tuple[str, ...]
    sums: Mapping[str, int]
    compared: Mapping[str, int] | None


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


def value(metric: Metric, sums: Mapping[str, int]) -> int | float | None:
    """The metric's value: micros for money, a float for a ratio or a mean span. None where nothing stands below the line.

    Money per something is rounded to the nearest millionth, halves up.
    """
    if isinstance(metric.formula, Sum):
        return sums[metric.name]
    above = value(METRICS[metric.formula.numerator], sums)
    below = value(METRICS[metric.formula.denominator], sums)
    if not below or above is None:
        return None
    if metric.unit in (Unit.RATIO, Unit.SECONDS):
        return above / below
    return int((2 * above + below) // (2 * below))
