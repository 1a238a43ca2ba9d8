"""Blocks: a run of weeks and two of days whose sums, added up or taken off, come to those of a period."""

from datetime import date, timedelta
from typing import NamedTuple

from services.reporting.domain.periods import Period

_WEEK = 7


class Run(NamedTuple):
    """The days from one to another, or the weeks that begin on them; `sign` is -1 where they are taken off, else 1."""

    first: date
    last: date
    sign: int

    @property
    def days(self) -> list[date]:
        """The days from one to the other."""
        return [date.fromordinal(day) for day in range(self.first.toordinal(), self.last.toordinal() + 1)]


class Blocks(NamedTuple):
    """The days at a period's beginning, the weeks, and the days at its end; absent where there are none to be read."""

    head: Run | None
    weeks: Run | None
    tail: Run | None


def week_of(day: date) -> date:
    """The Monday that a day's week begins with; the first day there is, a Monday too, begins the first one."""
    return day - timedelta(days=day.weekday())


def blocks(period: Period) -> Blocks:
    """Those of which the fewest sums are read: of a week of which the period has most days, the others are taken off."""
    first, last = period.start.toordinal(), period.end.toordinal()
    monday, sunday = first - period.start.weekday(), last + _WEEK - 1 - period.end.weekday()
    before, after = first - monday, sunday - last
    if sunday - monday < _WEEK and before + after > _WEEK // 2:
        return Blocks(_run(first, last, 1), None, None)
    if before > _WEEK // 2:
        monday += _WEEK
        head = _run(first, monday - 1, 1)
    else:
        head = _run(monday, first - 1, -1)
    if after > _WEEK // 2:
        sunday -= _WEEK
        tail = _run(sunday + 1, last, 1)
    else:
        tail = _run(last + 1, sunday, -1)
    return Blocks(head, _run(monday, sunday - _WEEK + 1, 1), tail)


def _run(first: int, last: int, sign: int) -> Run | None:
    """Some days by their ordinals, up to the last day there is."""
    last = min(last, date.max.toordinal())
    return Run(date.fromordinal(first), date.fromordinal(last), sign) if first <= last else None
