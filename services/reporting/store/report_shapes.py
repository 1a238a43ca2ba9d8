"""What decides a report's statement: its shape, the looks that are taken at cells, and the columns that they fill."""

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from services.reporting.domain.definitions import COLUMNS, DAY, TIMES, Sum
from services.reporting.domain.periods import Comparison
from services.reporting.domain.reports import Order


class Shape(NamedTuple):
    """What decides a statement's text; its values are bound. Every name in it stands in the catalogue."""

    dimensions: tuple[str, ...]
    sums: tuple[tuple[str, Sum], ...]
    comparison: Comparison
    filters: tuple[str, ...]
    all_currencies: bool
    order_by: tuple[Order, ...]


class Look(StrEnum):
    """Which days are looked at: the period's, the compared period's, or both, of which one follows the other."""

    NOW = "now"
    THEN = "then"
    BOTH = "both"


class Column(NamedTuple):
    """A sum in one of the periods, NOW or THEN, by the name of its metric."""

    metric: str
    when: Look
    formula: Sum

    @property
    def name(self) -> str:
        """Its name in statements."""
        return f"{self.when}_{self.metric}"


def columns(shape: Shape) -> Iterator[Column]:
    """Each sum in each period."""
    whens = (Look.NOW,) if shape.comparison is Comparison.NONE else (Look.NOW, Look.THEN)
    for metric, formula in shape.sums:
        for when in whens:
            yield Column(metric, when, formula)


def looks(shape: Shape, *, apart: bool) -> tuple[Look, ...]:
    """The looks to take; `apart` when both periods can't be taken in at once. A year ago overlaps with a longer period."""
    if shape.comparison is Comparison.NONE:
        return (Look.NOW,)
    together = shape.comparison is Comparison.PREVIOUS_PERIOD and not apart
    return (Look.BOTH,) if together else (Look.NOW, Look.THEN)


def days_of(comparison: Comparison) -> str:
    """What the parameters of a compared period's first and last day begin with."""
    return comparison.name.lower()


def period_of(shape: Shape, look: Look) -> str:
    """What the parameters of the one period begin with that a look takes in."""
    return Look.NOW if look is Look.NOW else days_of(shape.comparison)


def bounds(shape: Shape, look: Look) -> tuple[str, str]:
    """The parameters that are a look's first and last day."""
    first, last = (
        Look.NOW if look is Look.NOW else days_of(shape.comparison),
        days_of(shape.comparison) if look is Look.THEN else Look.NOW,
    )
    return f":{first}_start", f":{last}_end"


def dimension(shape: Shape, name: str, look: Look) -> str:
    """What a dimension's values are, told from a cell."""
    if name in TIMES:
        day = day_in_period(shape, look)
        return day if name == DAY else f"CAST(date_trunc('{name}', {day}) AS date)"
    return COLUMNS.get(name, name)


def day_in_period(shape: Shape, look: Look, day: str = "day") -> str:
    """A cell's day; of the compared period, the day of the present one that it is compared with.

    Every day is compared with one, and only one, also around 29 February.
    """
    if look is Look.NOW:
        return day
    if shape.comparison is Comparison.PREVIOUS_PERIOD:
        first, _ = bounds(shape, Look.THEN)
        later = f"({day} + (CAST(:now_start AS date) - CAST({first} AS date)))"
        return later if look is Look.THEN else f"CASE WHEN {day} < :now_start THEN {later} ELSE {day} END"
    year_later = f"CAST({day} + interval '1 year' AS date)"
    return f"greatest(CAST(:now_start AS date), least(CAST(:now_end AS date), {year_later}))"


def grouped(shape: Shape, *besides: str) -> str:
    """The grouping by the dimensions, which are the first columns, and by more."""
    # By number: the name of a dimension may be that of another column, too.
    keys = [*map(str, range(1, len(shape.dimensions) + 1)), *besides]
    return f"GROUP BY {', '.join(keys)}" if keys else ""
