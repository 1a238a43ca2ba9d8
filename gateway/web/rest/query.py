"""Query parameters as fields of a request, strictly by the fields' types."""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qsl

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway.web.protojson.reading import MalformedError, value_reader

_MOST_PARAMETERS: Final = 1_000
_SCALAR_MESSAGES: Final = frozenset(
    {"google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.FieldMask"}
)
_BOOLEANS: Final = {"true": True, "false": False}


def parse(query: bytes) -> list[tuple[str, str]]:
    """Names and values in the order sent. Raises `MalformedError`."""
    try:
        return parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=_MOST_PARAMETERS,
        )
    except ValueError as error:
        raise MalformedError("is no query string", "query") from error


def read(descriptor: Descriptor, parameters: list[tuple[str, str]]) -> dict[str, Any]:
    """The request's fields in keyword form. `a.b=1` is a field within a field, `a=1&a=2` a list.

    Raises `MalformedError` naming the parameter, for unknown ones too.
    """
    fields: dict[str, Any] = {}
    for name, value in parameters:
        try:
            place(fields, descriptor, name.split("."), value, by_json_name=True)
        except MalformedError as error:
            error.path = name
            raise
    return fields


def place(
    fields: dict[str, Any], descriptor: Descriptor, path: list[str], value: str, *, by_json_name: bool = False
) -> None:
    """Sets the field at a path to what a string says. Raises `MalformedError`."""
    *outer, last = path
    for name in outer:
        field = _field(descriptor, name, by_json_name=by_json_name)
        if field.is_repeated or field.message_type is None or field.message_type.full_name in _SCALAR_MESSAGES:
            raise MalformedError("is not a parameter here")
        fields, descriptor = fields.setdefault(field.name, {}), field.message_type
    field = _field(descriptor, last, by_json_name=by_json_name)
    if field.message_type is not None and field.message_type.full_name not in _SCALAR_MESSAGES:
        raise MalformedError("is not a parameter here")
    read_value = _reader(field)(value)
    if field.is_repeated:
        fields.setdefault(field.name, []).append(read_value)
    elif field.name in fields:
        raise MalformedError("is given twice")
    elif _rival(field, fields):
        raise MalformedError(f"can't stand beside {_rival(field, fields)}")
    else:
        fields[field.name] = read_value


def _field(descriptor: Descriptor, name: str, *, by_json_name: bool) -> FieldDescriptor:
    known: FieldDescriptor | None
    if by_json_name:
        known = next((field for field in descriptor.fields if field.json_name == name), None)
    else:
        known = descriptor.fields_by_name.get(name)
    if known is None:
        raise MalformedError("is not a parameter here")
    return known


def _rival(field: FieldDescriptor, fields: dict[str, Any]) -> str:
    if field.containing_oneof is None:
        return ""
    return next((other.json_name for other in field.containing_oneof.fields if other.name in fields), "")


def _reader(field: FieldDescriptor) -> Callable[[str], Any]:
    convert = value_reader(field)
    if field.type != FieldDescriptor.TYPE_BOOL:
        return convert
    return lambda value: convert(_BOOLEANS.get(value, value))
