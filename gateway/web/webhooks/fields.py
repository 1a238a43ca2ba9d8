"""Reads the values of a platform's fields exactly, or says which one can't be read and why.

Each reader takes a value as it was sent and its field's name; null and what isn't there are the same.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from math import ceil
from typing import Any, TypeVar

import orjson

from services.kernel.identifiers import LONGEST_VALUE
from services.kernel.money import LARGEST_AMOUNT, AmountError, parse_micros

LONGEST_NAME = 512
"""Characters kept of a name for people; what is longer is cut."""

LARGEST_QUANTITY = 10**9
"""Units on one line: more than any shop sells at once."""

S = TypeVar("S")
T = TypeVar("T")

_LONGEST_ID = 256
_LARGEST_ID = 2**64 - 1
_LONGEST_REMEMBERED = 16
_MOST_REMEMBERED = 32_768
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHORTEST_TIME = len("2026-11-21T19:54:45")


class _Remembered(dict[str, int]):
    """Amounts by how they are written: the same prices come again and again."""

    def __missing__(self, written: str) -> int:
        amount = parse_micros(written)
        if len(written) <= _LONGEST_REMEMBERED:
            if len(self) >= _MOST_REMEMBERED:
                self.clear()
            self[written] = amount
        return amount


_remembered = _Remembered()


class UnusableError(ValueError):
    """A body that can't be used. `reason` is a stable name, `field` the path of what is wrong, without any data."""

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(reason, field)
        self.reason = reason
        self.field = field

    def __str__(self) -> str:
        return f"{self.reason}: {self.field}" if self.field else self.reason

    def inside(self, name: str) -> "UnusableError":
        """The same, seen from the object around."""
        self.field = f"{name}.{self.field}" if self.field else name
        return self


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object that a body is. Raises `UnusableError` for anything else."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UnusableError("INVALID_JSON") from error
    if type(value) is not dict:
        raise UnusableError("NOT_AN_OBJECT")
    return value


def each(objects: Sequence[S] | None, name: str, read: Callable[[S], T]) -> list[T]:
    """What `read` finds in each object of the list of that name; nothing where there is none."""
    if not objects:
        return []
    found: list[T] = []
    try:
        # What was read before one that can't be stays in the list, and so tells which one that is.
        found.extend(map(read, objects))
    except UnusableError as error:
        raise error.inside(f"{name}[{len(found)}]") from None
    return found


def identifier(value: Any, name: str) -> str:
    """The platform's own id, a whole number or a string; it must be there."""
    known = optional_identifier(value, name)
    if not known:
        raise UnusableError("MISSING_FIELD", name)
    return known


def optional_identifier(value: Any, name: str) -> str:
    """The platform's own id of something that may be gone: empty for null, 0 and what isn't there."""
    if value is None:
        return ""
    if type(value) is int and 0 <= value <= _LARGEST_ID:
        return f"{value}" if value else ""
    if type(value) is not str or len(value) > _LONGEST_ID or "\0" in value:
        raise UnusableError("INVALID_FIELD", name)
    return "" if value == "0" else value


def text(value: Any, name: str) -> str:
    """A text for people, cut at `LONGEST_NAME`; empty for null."""
    if value is None:
        return ""
    if type(value) is not str or "\0" in value:
        raise UnusableError("INVALID_FIELD", name)
    return value if len(value) <= LONGEST_NAME else value[:LONGEST_NAME]


def word(value: Any, name: str) -> str:
    """One of the platform's own words, in lower case; it must be there."""
    told = text(value, name).strip().lower()
    if not told:
        raise UnusableError("MISSING_FIELD", name)
    return told


def claim(value: Any) -> str:
    """A value by which somebody claims to be known; empty when it can't be one.

    Shoppers can write such values themselves, so an impossible one costs the order its match, never the order.
    """
    if type(value) is int and abs(value) <= _LARGEST_ID:
        value = str(value)
    if type(value) is not str or len(value) > LONGEST_VALUE or "\0" in value:
        return ""
    return value.strip()


def flag(value: Any, name: str) -> bool:
    """True or false; false for null."""
    if value is None or type(value) is bool:
        return bool(value)
    raise UnusableError("INVALID_FIELD", name)


def currency(value: Any, name: str) -> str:
    """An ISO 4217 code, upper case; it must be there."""
    code = text(value, name).upper()
    if not code:
        raise UnusableError("MISSING_FIELD", name)
    if len(code) != 3 or not (code.isascii() and code.isalpha()):
        raise UnusableError("INVALID_FIELD", name)
    return code


def micros(value: Any, name: str) -> int:
    """An amount written as a decimal string, in millionths; 0 for null and the empty string."""
    if value is None or value == "":
        return 0
    if type(value) is not str:
        raise UnusableError("INVALID_FIELD", name)
    try:
        return _remembered[value]
    except AmountError as error:
        raise UnusableError("INVALID_FIELD", name) from error


def required_micros(value: Any, name: str) -> int:
    """An amount that must be there and is not below zero, in millionths."""
    if value in (None, ""):
        raise UnusableError("MISSING_FIELD", name)
    amount = micros(value, name)
    if amount < 0:
        raise UnusableError("INVALID_FIELD", name)
    return amount


def within_bounds(value: int, name: str) -> int:
    """A sum or product of amounts, if it is still one that an order can have."""
    if -LARGEST_AMOUNT <= value <= LARGEST_AMOUNT:
        return value
    raise UnusableError("INVALID_FIELD", name)


def quantity(value: Any, name: str) -> int:
    """Whole units, 0 or more; a part of a unit (goods by weight) counts as one. 0 for null."""
    if value is None:
        return 0
    if type(value) not in (int, float) or not 0 <= value <= LARGEST_QUANTITY:
        raise UnusableError("INVALID_FIELD", name)
    units: int = ceil(value)
    return units


def count(value: Any, name: str) -> int | None:
    """A count that platforms write as a number or a string of digits; None where they don't tell."""
    if value is None or value == "":
        return None
    try:
        number = int(value) if type(value) in (int, str) else -1
    except ValueError:
        number = -1
    if not 0 <= number < 2**63:
        raise UnusableError("INVALID_FIELD", name)
    return number


def time(value: Any, name: str, *, zone: str = "") -> dict[str, int] | None:
    """A moment in the keyword form of a Timestamp; None for null and the empty string.

    `zone` is what the platform leaves off the value: "Z" for WooCommerce's `*_gmt` fields.
    """
    if value is None or value == "":
        return None
    if type(value) is not str or len(value) < _SHORTEST_TIME:
        raise UnusableError("INVALID_FIELD", name)
    try:
        since = datetime.fromisoformat(value + zone) - _EPOCH
    except (TypeError, ValueError) as error:
        # A TypeError is a time without its zone.
        raise UnusableError("INVALID_FIELD", name) from error
    if since.days < 0:
        raise UnusableError("INVALID_FIELD", name)
    return {"seconds": since.days * 86_400 + since.seconds, "nanos": since.microseconds * 1000}


def required_time(value: Any, name: str, *, zone: str = "") -> dict[str, int]:
    """A moment that must be there."""
    told = time(value, name, zone=zone)
    if told is None:
        raise UnusableError("MISSING_FIELD", name)
    return told
