"""Reads protobuf's JSON strictly; compiled once for each message type.

protobuf's own `json_format` takes a list for an empty message, "1" for an enum's name and much else in silence, and
names fields only roughly. Here whatever isn't understood is refused with its exact path.
"""

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeAlias

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask

Convert: TypeAlias = Callable[[Any], Any]
"""Turns a JSON value into what a message's keyword takes, or raises `MalformedError`."""

_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_DURATION = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9}))?s", re.ASCII)
_WHOLE = re.compile(r"-?(0|[1-9]\d{0,19})", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,3})?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799
_LONGEST_DURATION = 315_576_000_000
_EXACT_FLOATS = 2**53

_F = FieldDescriptor
BOUNDS = {
    **dict.fromkeys((_F.TYPE_INT32, _F.TYPE_SINT32, _F.TYPE_SFIXED32), (-(2**31), 2**31 - 1)),
    **dict.fromkeys((_F.TYPE_INT64, _F.TYPE_SINT64, _F.TYPE_SFIXED64), (-(2**63), 2**63 - 1)),
    **dict.fromkeys((_F.TYPE_UINT32, _F.TYPE_FIXED32), (0, 2**32 - 1)),
    **dict.fromkeys((_F.TYPE_UINT64, _F.TYPE_FIXED64), (0, 2**64 - 1)),
}


class MalformedError(ValueError):
    """A JSON value that does not fit; `path` says where (`interaction.channel`), `description` why, without data."""

    def __init__(self, description: str, path: str = "") -> None:
        super().__init__(description)
        self.description = description
        self.path = path

    def inside(self, name: str) -> "MalformedError":
        """The same, seen from the message around."""
        self.path = name if not self.path else f"{name}{self.path}" if self.path[0] == "[" else f"{name}.{self.path}"
        return self


@cache
def reader(descriptor: Descriptor) -> Convert:
    """Reads a JSON object as the keyword form of a message: `Event(**reader(Event.DESCRIPTOR)(value))`."""
    special = SPECIAL_READERS.get(descriptor.full_name)
    if special is not None:
        return special
    refuse_foreign(descriptor)
    fields: dict[str, tuple[str, str, Convert]] = {}

    def read(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise MalformedError("must be an object")
        # Filled at first use, so that a message may hold its own kind.
        if not fields and descriptor.fields:
            fields.update(_readable_fields(descriptor))
        return _read_fields(fields, value)

    return read


def _read_fields(fields: dict[str, tuple[str, str, Convert]], value: dict[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = {}
    chosen: dict[str, str] = {}
    for name, item in value.items():
        known = fields.get(name)
        if known is None:
            raise MalformedError("is not a field here", name)
        if item is None:
            continue
        key, alternative, convert = known
        if key in read:
            raise MalformedError("is given twice", name)
        if alternative and chosen.setdefault(alternative, name) != name:
            raise MalformedError(f"can't stand beside {chosen[alternative]}", name)
        try:
            read[key] = convert(item)
        except MalformedError as error:
            raise error.inside(name) from None
    return read


def field_reader(field: FieldDescriptor) -> Convert:
    """Reads a JSON value as that of a field: one value, a list or a map."""
    if not field.is_repeated:
        return value_reader(field)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return _map_reader(field.message_type)
    return _list_reader(value_reader(field))


def value_reader(field: FieldDescriptor) -> Convert:
    """Reads a JSON value as one value of a field."""
    if field.message_type is not None:
        return reader(field.message_type)
    if field.enum_type is not None:
        return _enum_reader(field.enum_type)
    if field.type in BOUNDS:
        return _whole_reader(*BOUNDS[field.type])
    return {_F.TYPE_STRING: _text, _F.TYPE_BYTES: _bytes, _F.TYPE_BOOL: _bool}.get(field.type, _number)


def _readable_fields(descriptor: Descriptor) -> dict[str, tuple[str, str, Convert]]:
    named: dict[str, tuple[str, str, Convert]] = {}
    for field in descriptor.fields:
        alternatives = field.containing_oneof
        one_of = "" if alternatives is None or len(alternatives.fields) == 1 else alternatives.name
        # protobuf's JSON may also use the names of the contract itself.
        named[field.json_name] = named[field.name] = (field.name, one_of, field_reader(field))
    return named


def _list_reader(convert: Convert) -> Convert:
    def read(value: Any) -> list[Any]:
        if type(value) is not list:
            raise MalformedError("must be a list")
        items: list[Any] = []
        for item in value:
            try:
                items.append(convert(item))
            except MalformedError as error:
                raise error.inside(f"[{len(items)}]") from None
        return items

    return read


def _map_reader(entry: Descriptor) -> Convert:
    key_type, convert = entry.fields_by_name["key"].type, field_reader(entry.fields_by_name["value"])
    if key_type != _F.TYPE_STRING:
        raise TypeError(f"{entry.full_name}: only maps by strings have a JSON form here")

    def read(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise MalformedError("must be an object")
        items: dict[str, Any] = {}
        for key, item in value.items():
            try:
                items[_text(key)] = convert(item)
            except MalformedError as error:
                raise error.inside(f"[{key}]") from None
        return items

    return read


def _enum_reader(enum: EnumDescriptor) -> Convert:
    numbers = {value.name: value.number for value in enum.values}
    description = f"must be one of {', '.join(value.name for value in enum.values if value.number)}"

    def read(value: Any) -> int:
        number = numbers.get(value) if type(value) is str else None
        if number is None:
            raise MalformedError(description)
        return number

    return read


def _whole_reader(least: int, most: int) -> Convert:
    def read(value: Any) -> int:
        if (type(value) is str and _WHOLE.fullmatch(value)) or (
            type(value) is float and value.is_integer() and abs(value) <= _EXACT_FLOATS
        ):
            value = int(value)
        if type(value) is not int:
            raise MalformedError("must be a whole number")
        if not least <= value <= most:
            raise MalformedError(f"must be between {least} and {most}")
        return value

    return read


def _text(value: Any) -> str:
    if type(value) is not str:
        raise MalformedError("must be a string")
    if "\0" in value:
        raise MalformedError("must not hold the character NUL")
    return value


def _bool(value: Any) -> bool:
    if type(value) is not bool:
        raise MalformedError("must be true or false")
    return value


def _number(value: Any) -> float:
    if type(value) is str and _NUMBER.fullmatch(value):
        value = float(value)
    if type(value) not in (int, float) or not math.isfinite(value):
        raise MalformedError("must be a finite number")
    return float(value)


def _bytes(value: Any) -> bytes:
    if type(value) is not str:
        raise MalformedError("must be base64")
    try:
        padded = value.rstrip("=") + "=" * (-len(value.rstrip("=")) % 4)
        return base64.b64decode(padded.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError("must be base64") from error


def _timestamp(value: Any) -> dict[str, int]:
    match = _TIMESTAMP.fullmatch(value) if type(value) is str else None
    if match is None:
        raise MalformedError("must be an RFC 3339 time with its zone: 2026-11-20T10:15:00Z")
    moment, fraction, zone = match.groups()
    try:
        since = datetime.fromisoformat(moment.upper() + zone.upper()) - _EPOCH
    except ValueError as error:
        raise MalformedError("is no moment of the calendar") from error
    seconds = since.days * 86_400 + since.seconds
    if not _FIRST_SECOND <= seconds <= _LAST_SECOND:
        raise MalformedError("is no moment of the calendar")
    return {"seconds": seconds, "nanos": int((fraction or "").ljust(9, "0"))}


def _duration(value: Any) -> dict[str, int]:
    match = _DURATION.fullmatch(value) if type(value) is str else None
    if match is None or int(match[2]) > _LONGEST_DURATION:
        raise MalformedError('must be a number of seconds: "3600s"')
    sign = -1 if match[1] else 1
    return {"seconds": sign * int(match[2]), "nanos": sign * int((match[3] or "").ljust(9, "0"))}


def _field_mask(value: Any) -> dict[str, list[str]]:
    mask = FieldMask()
    try:
        mask.FromJsonString(_text(value))
    except ValueError as error:
        raise MalformedError('must be names of fields: "timeZone,currencyCode"') from error
    return {"paths": list(mask.paths)}


SPECIAL_READERS: Mapping[str, Convert] = {
    "google.protobuf.Timestamp": _timestamp,
    "google.protobuf.Duration": _duration,
    "google.protobuf.FieldMask": _field_mask,
}


def refuse_foreign(descriptor: Descriptor) -> None:
    """Raises TypeError for protobuf's own types that no contract uses so far."""
    if descriptor.file.package == "google.protobuf":
        raise TypeError(f"{descriptor.full_name} has no JSON form here")
