"""Writes messages as the JSON that clients are promised; compiled once for each message type."""

import base64
import math
from collections.abc import Callable
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from gateway.web.protojson.reading import BOUNDS, SPECIAL_READERS, refuse_foreign

_F = FieldDescriptor


@cache
def writer(descriptor: Descriptor) -> Callable[[Any], Any]:
    """Writes a message as JSON values. Numbers, booleans and lists are always there, all else only with a value."""
    if descriptor.full_name in SPECIAL_READERS:
        return lambda message: message.ToJsonString()
    refuse_foreign(descriptor)
    fields: list[tuple[str, str, bool, bool, Callable[[Any], Any]]] = []

    def write(message: Message) -> dict[str, Any]:
        if not fields and descriptor.fields:
            fields.extend(_writable_fields(descriptor))
        written: dict[str, Any] = {}
        for name, json_name, has_presence, always, convert in fields:
            if has_presence:
                if message.HasField(name):
                    written[json_name] = convert(getattr(message, name))
            elif (value := getattr(message, name)) or always:
                written[json_name] = convert(value)
        return written

    return write


def _writable_fields(descriptor: Descriptor) -> list[tuple[str, str, bool, bool, Callable[[Any], Any]]]:
    return [
        (field.name, field.json_name, field.has_presence, _is_always_written(field), _field_writer(field))
        for field in descriptor.fields
    ]


def _is_always_written(field: FieldDescriptor) -> bool:
    if field.is_repeated:
        return field.message_type is None or not field.message_type.GetOptions().map_entry
    return field.enum_type is None and field.type not in (_F.TYPE_STRING, _F.TYPE_BYTES)


def _field_writer(field: FieldDescriptor) -> Callable[[Any], Any]:
    if not field.is_repeated:
        return _value_writer(field)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        convert = _value_writer(field.message_type.fields_by_name["value"])
        return lambda items: {str(key): convert(items[key]) for key in sorted(items)}
    convert = _value_writer(field)
    return lambda items: [convert(item) for item in items]


def _value_writer(field: FieldDescriptor) -> Callable[[Any], Any]:
    if field.message_type is not None:
        return writer(field.message_type)
    if field.enum_type is not None:
        names = {value.number: value.name for value in field.enum_type.values}
        return lambda number: names.get(number, number)
    if field.type == _F.TYPE_BYTES:
        return lambda value: base64.b64encode(value).decode()
    if field.type in BOUNDS and BOUNDS[field.type][1] > 2**32:
        return str
    if field.type in (_F.TYPE_DOUBLE, _F.TYPE_FLOAT):
        return _finite_or_name
    return lambda value: value


def _finite_or_name(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
