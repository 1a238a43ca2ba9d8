"""What is to be tried: which model, beside which, over which days."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import IntEnum
from zoneinfo import ZoneInfo

from services.attribution.domain.models import Model
from services.attribution.domain.rules import Rules
from services.kernel.failures import InvalidArgumentError

LONGEST_DAYS = 400
"""Days in a period, at most."""

_DAY = timedelta(days=1)


class Learning(IntEnum):
    """How weights are found; numbered as in `touchstone.attribution.v1.SimulateModelRequest.Learning`."""

    NONE = 0
    MARKOV = 1
    SHAPLEY = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A model to be tried beside another over a period, its bounds included; times in nanoseconds since 1970.

    `rules` are what else holds for the tenant's orders.
    """

    simulated: Model
    compared: Model
    learning: Learning
    from_time: int
    through_time: int
    moved_order_count: int
    rules: Rules


def saved(rules: Rules, name: str, field: str) -> Model:
    """The saved model of a name. Raises InvalidArgumentError that names the request's field."""
    known = {model.name: model for model in rules.models}
    if name not in known:
        raise InvalidArgumentError.of(field, f"is not one of: {', '.join(sorted(known)) or 'no model is saved'}")
    return known[name]


def period(start: str, end: str, zone: ZoneInfo) -> tuple[int, int]:
    """The first and the last nanosecond of some days. Raises InvalidArgumentError that names the date at fault."""
    first, last = _date("startDate", start), _date("endDate", end)
    if last < first:
        raise InvalidArgumentError.of("endDate", "is before startDate")
    if (last - first).days >= LONGEST_DAYS:
        raise InvalidArgumentError.of("endDate", f"makes the period longer than {LONGEST_DAYS} days")
    return _midnight(first, zone), _midnight(last + _DAY, zone) - 1


def _date(field: str, text: str) -> date:
    day: date | None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    # One day, one name: other spellings of the standard, such as 2026-W45-1, are refused. So are days whose moments
    # don't fit into 64 bits.
    if day is None or day.isoformat() != text or not 1970 <= day.year < 2200:
        raise InvalidArgumentError.of(field, "is not a date such as 2026-11-01")
    return day


def _midnight(day: date, zone: ZoneInfo) -> int:
    return round(datetime.combine(day, time(), zone).timestamp()) * 1_000_000_000
