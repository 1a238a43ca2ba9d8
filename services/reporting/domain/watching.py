"""What is watched: which figures, over which days; and when the days that end today move on."""

from datetime import date, datetime, time, timedelta
from enum import IntEnum
from zoneinfo import ZoneInfo

from services.kernel.failures import InvalidArgumentError

TOTALS = ("attributed_revenue", "attributed_orders", "store_revenue", "store_orders")
"""What is watched by those who name no metrics."""

BY_CHANNEL = ("attributed_revenue", "attributed_orders")
"""What stands beside it by channel."""


class Preset(IntEnum):
    """Days that end today; numbered as in `WatchFiguresRequest.Preset`."""

    NONE = 0
    TODAY = 1
    LAST_7_DAYS = 2
    LAST_30_DAYS = 3


_DAYS = {Preset.NONE: 1, Preset.TODAY: 1, Preset.LAST_7_DAYS: 7, Preset.LAST_30_DAYS: 30}


def days(preset: Preset, start_date: str, end_date: str, today: date) -> tuple[str, str]:
    """The first and the last day as they are asked for; raises `InvalidArgumentError` for a preset beside dates."""
    if start_date or end_date:
        if preset is not Preset.NONE:
            raise InvalidArgumentError.of("preset", "can't stand beside startDate and endDate")
        return start_date, end_date
    return (today - timedelta(days=_DAYS[preset] - 1)).isoformat(), today.isoformat()


def next_midnight(today: date, zone: ZoneInfo) -> float:
    """When the day after begins, in seconds of Unix time."""
    return datetime.combine(today + timedelta(days=1), time(), zone).timestamp()
