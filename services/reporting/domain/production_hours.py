"""Hours that agents worked, by day."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from services.reporting.domain.periods import day_of


def by_day(start: int, end: int, worked: int, zone: ZoneInfo) -> dict[date, int]:
    """The seconds worked in a span, by day; moments in seconds of Unix time, `worked` in seconds.

    Work over midnight belongs to each day in proportion to how long the span is on it, daylight saving in; the parts
    add up to what was worked. A span that doesn't end after its start is that of its end's day.
    """
    if end <= start:
        return {day_of(end, zone): worked}
    parts: dict[date, int] = {}
    day, given = day_of(start, zone), 0
    while given < worked:
        next_day = day + timedelta(days=1)
        until = min(end, int(datetime.combine(next_day, time(), zone).timestamp()))
        share = worked * (until - start) // (end - start)
        if share > given:
            parts[day] = share - given
        day, given = next_day, share
    return parts
