"""Records: what figures are made of, one by one, and what is asked of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from services.kernel.failures import FailedPreconditionError, InvalidArgumentError
from services.reporting.domain import paging
from services.reporting.domain.periods import Period

LARGEST_PAGE: Final = 2_000
LARGEST_FILE: Final = 1_000_000
_MINUTE: Final = 60
_AROUND_SECONDS: Final = 16 * 3_600
"""No zone's midnight is further from that of UTC."""
_KNOWN_DAYS: Final = Period(start=date(1900, 1, 1), end=date(2200, 1, 1))
"""There are no orders before or after."""


class Shown(NamedTuple):
    """What records show of an order; amounts are millionths of its currency. `models` is JSON, empty where there is none.

    It says by model what `records` reads: {"r": a reason that is not the order's own, "t": tier, "g": gross, "n": net,
    "s": channels, "c": [[touch seconds, channel, touchpoint, conversation, bot, agent, campaign, event id, line id,
    millionths, gross, net], …]}. A model that credits nothing and excludes as the tenant does is left out.
    """

    order_seconds: int | None
    display_number: str
    status: str
    currency_code: str
    excluded_reason: str
    gross_micros: int
    net_micros: int
    tax_micros: int
    shipping_micros: int
    models: str


class Is(Enum):
    """What a column holds, and so how it is written. All values of numbers are whole."""

    TEXT = "somebody's own words"
    WORD = "a word of ours"
    MOMENT = "seconds of Unix time"
    MONEY = "millionths of the currency in the column `currency_code`"
    COUNT = "a number of things"
    FRACTION = "millionths of one"
    COUNTED = "millionths of the currency in the column `counted_currency_code`"
    RATE = "an exchange rate, in decimal figures"
    DAY = "an ISO date"


CURRENCIES: Final = {"currency_code": Is.MONEY, "counted_currency_code": Is.COUNTED}
"""The columns that say which currency others are in. Where each amount says it itself they are left out."""


class Column(NamedTuple):
    """A column of a record; an absent number is None, an absent text empty."""

    name: str
    holds: Is


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordKind:
    """Records of one kind. `keys` are the columns that they are ordered by, and no two records have all of them alike.

    `by_model` says that they depend on a model.
    """

    name: str
    columns: tuple[Column, ...]
    keys: tuple[str, ...]
    by_model: bool = True

    def key_of(self, row: Sequence[object]) -> list[object]:
        """Where a record stands."""
        names = [column.name for column in self.columns]
        return [row[names.index(key)] for key in self.keys]


ORDERS = RecordKind(
    name="orders",
    columns=(
        Column("order_time", Is.MOMENT),
        Column("source", Is.TEXT),
        Column("order_id", Is.TEXT),
        Column("display_number", Is.TEXT),
        Column("status", Is.TEXT),
        Column("currency_code", Is.WORD),
        Column("amount", Is.MONEY),
        Column("net", Is.MONEY),
        Column("tax", Is.MONEY),
        Column("shipping", Is.MONEY),
        Column("outcome", Is.WORD),
        Column("reason", Is.WORD),
        Column("tier", Is.WORD),
        Column("channels", Is.WORD),
        Column("credits", Is.COUNT),
        Column("attributed", Is.MONEY),
        Column("attributed_net", Is.MONEY),
        Column("counted_currency_code", Is.WORD),
        Column("counted_amount", Is.COUNTED),
        Column("counted_net", Is.COUNTED),
        Column("counted_attributed", Is.COUNTED),
        Column("counted_attributed_net", Is.COUNTED),
        Column("exchange_rate", Is.RATE),
        Column("exchange_rate_date", Is.DAY),
    ),
    keys=("order_time", "source", "order_id"),
)

CREDITS = RecordKind(
    name="credits",
    columns=(
        Column("order_time", Is.MOMENT),
        Column("source", Is.TEXT),
        Column("order_id", Is.TEXT),
        Column("place", Is.COUNT),
        Column("tier", Is.WORD),
        Column("touch_time", Is.MOMENT),
        Column("channel", Is.WORD),
        Column("touchpoint", Is.TEXT),
        Column("conversation_id", Is.TEXT),
        Column("bot", Is.TEXT),
        Column("agent", Is.TEXT),
        Column("campaign", Is.TEXT),
        Column("event_id", Is.TEXT),
        Column("line_id", Is.TEXT),
        Column("fraction", Is.FRACTION),
        Column("currency_code", Is.WORD),
        Column("amount", Is.MONEY),
        Column("net", Is.MONEY),
        Column("counted_currency_code", Is.WORD),
        Column("counted_amount", Is.COUNTED),
        Column("counted_net", Is.COUNTED),
        Column("exchange_rate", Is.RATE),
        Column("exchange_rate_date", Is.DAY),
    ),
    keys=("order_time", "source", "order_id", "place"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which records are asked for: `filters` are the values of which a column must have one, by column.

    `model` is empty for records that depend on none.
    """

    kind: RecordKind
    period: Period
    model: str
    filters: Mapping[str, tuple[str, ...]]

    def identity(self, tenant_id: str) -> bytes:
        """All that decides which records there are and in which sequence."""
        filters = sorted((name, sorted(values)) for name, values in self.filters.items())
        days = self.period.start.isoformat(), self.period.end.isoformat()
        return json.dumps([tenant_id, self.kind.name, *days, self.model, filters]).encode()


def write_token(key: Sequence[object], identity: bytes) -> str:
    """A token for what stands behind a key; what is told meanwhile doesn't move it."""
    return paging.write_text(json.dumps(key, separators=(",", ":"), ensure_ascii=False), identity)


def read_token(token: str, identity: bytes, *, field: str = "pageToken") -> list[object] | None:
    """The key that a token stands for, None for an empty one; raises `InvalidArgumentError` for another request's."""
    if not token:
        return None
    key: list[object] = json.loads(paging.read_text(token, identity, field=field))
    return key


def limit_of(most: int) -> int | None:
    """How many records a part of a file has at most, None for all in one; raises `InvalidArgumentError` below 0."""
    if most < 0:
        raise InvalidArgumentError.of("maxRecords", "is below 0")
    return min(most, LARGEST_FILE) or None


def check_size(records: int) -> None:
    """Raises `FailedPreconditionError` for more records than a file may have."""
    if records > LARGEST_FILE:
        raise FailedPreconditionError(
            "EXPORT_TOO_LARGE",
            f"There are {records:,} records; a file has at most {LARGEST_FILE:,}: choose a shorter period or filter.",
        )


@lru_cache(maxsize=1_024)
def spans(period: Period, zone: ZoneInfo) -> tuple[tuple[int, int], ...]:
    """The seconds of Unix time that fall on a period's days, as spans [from, until).

    Mostly one. Where clocks were set back over midnight, a piece of one day lies inside another.
    """
    period = Period(start=max(period.start, _KNOWN_DAYS.start), end=min(period.end, _KNOWN_DAYS.end))
    if period.end < period.start:
        return ()
    first = _changes(period.start, zone)
    last = _changes(period.end + timedelta(days=1), zone)
    edges = [moment for moment in sorted({*first, *last}) if _is_edge(moment, period, zone)]
    return tuple(zip(edges[::2], edges[1::2], strict=True))


def _changes(day: date, zone: ZoneInfo) -> list[int]:
    """The moments around a day's beginning where local time passes from one day to another."""
    midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    found = []
    low, high = midnight - _AROUND_SECONDS, midnight + _AROUND_SECONDS
    before = _day(low, zone)
    for moment in range(low + _MINUTE, high + _MINUTE, _MINUTE):
        now = _day(moment, zone)
        if now != before:
            found.append(_exactly(moment - _MINUTE, moment, zone))
        before = now
    return found


def _exactly(low: int, high: int, zone: ZoneInfo) -> int:
    """The first second of another day than that of `low`: local mean times end between minutes."""
    day = _day(low, zone)
    while high - low > 1:
        middle = (low + high) // 2
        if _day(middle, zone) == day:
            low = middle
        else:
            high = middle
    return high


def _is_edge(moment: int, period: Period, zone: ZoneInfo) -> bool:
    within = [period.start <= _day(at, zone) <= period.end for at in (moment - 1, moment)]
    return within[0] != within[1]


def _day(seconds: int, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(seconds, zone).date()
