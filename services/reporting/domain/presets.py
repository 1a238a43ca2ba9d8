"""Periods that are named rather than dated."""

from collections.abc import Callable
from datetime import date, timedelta
from enum import IntEnum

from services.kernel.failures import InvalidArgumentError
from services.reporting.domain.periods import Period, read_period

MOST_DAYS = 1_100
"""The longest period of a named report, which has a row for each day."""


class Preset(IntEnum):
    """A named period; numbered as in `GetReportRequest.Preset`."""

    NONE = 0
    TODAY = 1
    YESTERDAY = 2
    LAST_7_DAYS = 3
    LAST_30_DAYS = 4
    LAST_90_DAYS = 5
    THIS_WEEK = 6
    LAST_WEEK = 7
    THIS_MONTH = 8
    LAST_MONTH = 9
    THIS_YEAR = 10
    LAST_YEAR = 11


def named_period(preset: Preset, today: date) -> Period:
    """The days of a named period, seen from a day; those of the last 30 where none is named."""
    return _PERIODS[preset](today)


def period_asked_for(start: str, end: str, preset: Preset, today: date) -> Period:
    """The period of a named report; raises `InvalidArgumentError` for dates beside a preset, and for too many days."""
    if not start and not end:
        return named_period(preset, today)
    if preset is not Preset.NONE:
        raise InvalidArgumentError.of("preset", "can't stand beside startDate and endDate")
    period = read_period(start, end)
    if period.days > MOST_DAYS:
        raise InvalidArgumentError.of("endDate", f"makes {period.days} days; a named report has at most {MOST_DAYS}")
    return period


def _last(days: int) -> Callable[[date], Period]:
    return lambda today: Period(start=today - timedelta(days=days - 1), end=today)


def _yesterday(today: date) -> Period:
    return _last(1)(today - timedelta(days=1))


def _this_week(today: date) -> Period:
    return Period(start=today - timedelta(days=today.weekday()), end=today)


def _last_week(today: date) -> Period:
    return _last(7)(_this_week(today).start - timedelta(days=1))


def _this_month(today: date) -> Period:
    return Period(start=today.replace(day=1), end=today)


def _last_month(today: date) -> Period:
    return Period(start=(end := today.replace(day=1) - timedelta(days=1)).replace(day=1), end=end)


def _this_year(today: date) -> Period:
    return Period(start=today.replace(month=1, day=1), end=today)


def _last_year(today: date) -> Period:
    return Period(start=date(today.year - 1, 1, 1), end=date(today.year - 1, 12, 31))


_PERIODS: dict[Preset, Callable[[date], Period]] = {
    Preset.NONE: _last(30),
    Preset.TODAY: _last(1),
    Preset.YESTERDAY: _yesterday,
    Preset.LAST_7_DAYS: _last(7),
    Preset.LAST_30_DAYS: _last(30),
    Preset.LAST_90_DAYS: _last(90),
    Preset.THIS_WEEK: _this_week,
    Preset.LAST_WEEK: _last_week,
    Preset.THIS_MONTH: _this_month,
    Preset.LAST_MONTH: _last_month,
    Preset.THIS_YEAR: _this_year,
    Preset.LAST_YEAR: _last_year,
}
