"""Reads the fields of a platform's JSON exactly, or says which one can't be read and why."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from math import ceil
from typing import Any, Concatenate, ParamSpec, TypeVar

import orjson

from services.kernel.identifiers import LONGEST_VALUE
from services.kernel.money import LARGEST_AMOUNT, AmountError, parse_micros

LONGEST_NAME = 512
"""Characters kept of a name for people; what is longer is cut."""

LARGEST_QUANTITY = 10**9
"""Units on one line: more than any shop sells at once."""

P = ParamSpec("P")
T = TypeVar("T")

_LONGEST_ID = 256
_LONGEST_REMEMBERED = 16
_remembered = lru_cache(maxsize=32_768)(parse_micros)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHORTEST_TIME = len("2026-11-21T19:54:45")


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


def identifier(holder: dict[str, Any], key: str) -> str:
    """The platform's own id, a whole number or a string; it must be there."""
    value = optional_identifier(holder, key)
    if not value:
        raise UnusableError("MISSING_FIELD", key)
    return value


def optional_identifier(holder: dict[str, Any], key: str) -> str:
    """The platform's own id of something that may be gone: empty for null, 0 and what isn't there."""
    value = holder.get(key)
    # A number beyond 64 bits is read as a float, which is refused here: an id is never rounded.
    if type(value) is int and value >= 0:
        return str(value) if value else ""
    if value is None:
        return ""
    if type(value) is not str or len(value) > _LONGEST_ID or "\0" in value:
        raise UnusableError("INVALID_FIELD", key)
    return "" if value == "0" else value


def text(holder: dict[str, Any], key: str) -> str:
    """A text for people, cut at `LONGEST_NAME`; empty for null and what isn't there."""
    value = holder.get(key)
    if value is None:
        return ""
    if type(value) is not str or "\0" in value:
        raise UnusableError("INVALID_FIELD", key)
    return value[:LONGEST_NAME]


def word(holder: dict[str, Any], key: str) -> str:
    """One of the platform's own words, in lower case; it must be there."""
    value = text(holder, key).strip().lower()
    if not value:
        raise UnusableError("MISSING_FIELD", key)
    return value


def claim(value: Any) -> str:
    """A value by which somebody claims to be known; empty when it can't be one.

    Shoppers can write such values themselves, so an impossible one costs the order its match, never the order.
    """
    if type(value) is int:
        value = str(value)
    if type(value) is not str or len(value) > LONGEST_VALUE or "\0" in value:
        return ""
    return value.strip()


def flag(holder: dict[str, Any], key: str) -> bool:
    """True or false; false for null and what isn't there."""
    value = holder.get(key)
    if value is None or type(value) is bool:
        return bool(value)
    raise UnusableError("INVALID_FIELD", key)


def currency(holder: dict[str, Any], key: str) -> str:
    """An ISO 4217 code, upper case; it must be there."""
    value = text(holder, key).upper()
    if not value:
        raise UnusableError("MISSING_FIELD", key)
    if len(value) != 3 or not (value.isascii() and value.isalpha()):
        raise UnusableError("INVALID_FIELD", key)
    return value


def micros(holder: dict[str, Any], key: str) -> int:
    """An amount written as a decimal string, in millionths; 0 for null, the empty string and what isn't there."""
    value = holder.get(key)
    if value is None or value == "":
        return 0
    if type(value) is not str:
        raise UnusableError("INVALID_FIELD", key)
    try:
        # The same prices come again and again.
        return _remembered(value) if len(value) <= _LONGEST_REMEMBERED else parse_micros(value)
    except AmountError as error:
        raise UnusableError("INVALID_FIELD", key) from error


def required_micros(holder: dict[str, Any], key: str) -> int:
    """An amount that must be there and is not below zero, in millionths."""
    if holder.get(key) in (None, ""):
        raise UnusableError("MISSING_FIELD", key)
    value = micros(holder, key)
    if value < 0:
        raise UnusableError("INVALID_FIELD", key)
    return value


def within_bounds(value: int, field: str) -> int:
    """A sum or product of amounts, if it is still one that an order can have."""
    if abs(value) > LARGEST_AMOUNT:
        raise UnusableError("INVALID_FIELD", field)
    return value


def quantity(holder: dict[str, Any], key: str) -> int:
    """Whole units, 0 or more; a part of a unit (goods by weight) counts as one. 0 for null and what isn't there."""
    value = holder.get(key)
    if value is None:
        return 0
    if type(value) not in (int, float) or not 0 <= value <= LARGEST_QUANTITY:
        raise UnusableError("INVALID_FIELD", key)
    return value if type(value) is int else ceil(value)


def count(holder: dict[str, Any], key: str) -> int | None:
    """A count that platforms write as a number or a string of digits; None where they don't tell."""
    value = holder.get(key)
    if value is None or value == "":
        return None
    try:
        number = int(value) if type(value) in (int, str) else -1
    except ValueError:
        number = -1
    if not 0 <= number < 2**63:
        raise UnusableError("INVALID_FIELD", key)
    return number


def time(holder: dict[str, Any], key: str, *, zone: str = "") -> dict[str, int] | None:
    """A moment in the keyword form of a Timestamp; None for null and what isn't there.

    `zone` is what the platform leaves off the value: "Z" for WooCommerce's `*_gmt` fields.
    """
    value = holder.get(key)
    if value is None or value == "":
        return None
    if type(value) is not str or len(value) < _SHORTEST_TIME:
        raise UnusableError("INVALID_FIELD", key)
    try:
        since = datetime.fromisoformat(value + zone) - _EPOCH
    except (TypeError, ValueError) as error:
        # A TypeError is a time without its zone.
        raise UnusableError("INVALID_FIELD", key) from error
    if since.days < 0:
        raise UnusableError("INVALID_FIELD", key)
    return {"seconds": since.days * 86_400 + since.seconds, "nanos": since.microseconds * 1000}


def required_time(holder: dict[str, Any], key: str, *, zone: str = "") -> dict[str, int]:
    """A moment that must be there."""
    value = time(holder, key, zone=zone)
    if value is None:
        raise UnusableError("MISSING_FIELD", key)
    return value


def part(holder: dict[str, Any], key: str) -> dict[str, Any]:
    """An object within; an empty one for null and what isn't there."""
    value = holder.get(key)
    if value is None:
        return {}
    if type(value) is not dict:
        # PHP writes an empty associative array as [].
        if value == []:
            return {}
        raise UnusableError("INVALID_FIELD", key)
    return value


def within(
    holder: dict[str, Any],
    key: str,
    read: Callable[Concatenate[dict[str, Any], P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """What `read` finds in an object within."""
    inner = part(holder, key)
    try:
        return read(inner, *args, **kwargs)
    except UnusableError as error:
        raise error.inside(key) from None


def parts(holder: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The objects of a list; none for null and what isn't there."""
    value = holder.get(key)
    if value is None:
        return []
    if type(value) is not list:
        raise UnusableError("INVALID_FIELD", key)
    for i, item in enumerate(value):
        if type(item) is not dict:
            raise UnusableError("INVALID_FIELD", f"{key}[{i}]")
    return value


def each(
    holder: dict[str, Any],
    key: str,
    read: Callable[Concatenate[dict[str, Any], P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> list[T]:
    """What `read` finds in each object of a list."""
    found: list[T] = []
    for item in parts(holder, key):
        try:
            found.append(read(item, *args, **kwargs))
        except UnusableError as error:
            raise error.inside(f"{key}[{len(found)}]") from None
    return found
