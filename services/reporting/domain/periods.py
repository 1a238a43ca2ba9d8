"""Days of a tenant, and periods of them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import IntEnum
from zoneinfo import ZoneInfo

from services.kernel.failures import InvalidArgumentError

FEBRUARY = 2


class Comparison(IntEnum):
    """The period that figures are compared with; numbered as in `RunReportRequest.Comparison`."""

    NONE = 0
    PREVIOUS_PERIOD = 1
    PREVIOUS_YEAR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Some days in sequence; both ends belong to it."""

    start: date
    end: date

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.end - self.start).days + 1


def day_of(seconds: int, zone: ZoneInfo) -> date:
    """The day that a moment, in seconds of Unix time, falls on in a zone."""
    return datetime.fromtimestamp(seconds, zone).date()


def read_period(start: str, end: str) -> Period:
    """Reads ISO dates such as "2026-11-01"; raises `InvalidArgumentError` naming `startDate` or `endDate`."""
    period = Period(start=read_date("startDate", start), end=read_date("endDate", end))
    if period.end < period.start:
        raise InvalidArgumentError.of("endDate", "is before startDate")
    return period


def read_date(field: str, text: str) -> date:
    """Reads an ISO date; raises `InvalidArgumentError` naming the field."""
    day: date | None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    # The other spellings of the standard, such as 2026-W45-1, are refused: one day, one name.
    if day is None or day.isoformat() != text:
        raise InvalidArgumentError.of(field, "is not a date such as 2026-11-01")
    return day


def compared(period: Period, comparison: Comparison) -> Period | None:
    """The period to compare with: as many days just before, or the same days a year ago. None for no comparison.

    A year before 29 February is 28 February. Raises `InvalidArgumentError` where the calendar begins later.
    """
    earlier = _EARLIER.get(comparison)
    if earlier is None:
        return None
    try:
        return earlier(period)
    except (OverflowError, ValueError) as error:
        raise InvalidArgumentError.of("compareTo", "lies before the first year") from error


def _previous_period(period: Period) -> Period:
    length = timedelta(days=period.days)
    return Period(start=period.start - length, end=period.end - length)


def _previous_year(period: Period) -> Period:
    return Period(start=_year_before(period.start), end=_year_before(period.end))


def _year_before(day: date) -> date:
    leap_day = day.month == FEBRUARY and day.day == 29
    return day.replace(year=day.year - 1, day=28 if leap_day else day.day)


_EARLIER: dict[Comparison, Callable[[Period], Period]] = {
    Comparison.PREVIOUS_PERIOD: _previous_period,
    Comparison.PREVIOUS_YEAR: _previous_year,
}
