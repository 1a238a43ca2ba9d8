"""Fields marked REQUIRED (google.api.field_behavior): which of them a message lacks, named as its JSON names them."""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from touchstone.mesh.v1 import access_pb2

from services.kernel.failures import FieldViolation, InvalidArgumentError


class _Field(NamedTuple):
    """A field that is required, or may hold messages with such fields."""

    name: str
    json_name: str
    required: bool
    inner: Descriptor | None
    """The type of the messages to look into; None where there is nothing to find."""
    has_presence: bool
    is_map: bool


def check(message: Message) -> None:
    """Raises InvalidArgumentError naming every required field that the message, or one inside it, lacks."""
    violations = missing(message)
    if violations:
        first = violations[0]
        raise InvalidArgumentError("INVALID_FIELD", f"{first.field}: {first.description}", violations)


def missing(message: Message) -> list[FieldViolation]:
    """Every required field without a value: `filters[0].dimension`. Zero, empty and UNSPECIFIED are no values.

    What the contract marks `judged_alone` is not looked into; call this with each such element.
    """
    return [FieldViolation(field=path, description="is required") for path in _missing(message)]


def _missing(message: Message) -> Iterator[str]:
    for field in _fields(message.DESCRIPTOR):
        value: Any = getattr(message, field.name)
        if not (message.HasField(field.name) if field.has_presence else value):
            if field.required:
                yield field.json_name
        elif field.inner is not None:
            for key, element in _elements(field, value):
                # Where something is, is put in words only where something is missing.
                for path in _missing(element):
                    place = "" if field.has_presence else f"[{key}]"
                    yield f"{field.json_name}{place}.{path}"


def _elements(field: _Field, value: Any) -> Iterable[tuple[object, Message]]:
    if field.has_presence:
        return ((None, value),)
    return value.items() if field.is_map else enumerate(value)


@cache
def _fields(descriptor: Descriptor) -> tuple[_Field, ...]:
    """The fields of a message type that have to be looked at: for most types none."""
    chosen = (_field(field) for field in descriptor.fields)
    return tuple(field for field in chosen if field.required or field.inner is not None)


def _field(field: FieldDescriptor) -> _Field:
    options = field.GetOptions()
    inner = field.message_type
    is_map = inner is not None and inner.GetOptions().map_entry
    if inner is not None and is_map:
        inner = inner.fields_by_name["value"].message_type
    if inner is not None and (options.Extensions[access_pb2.judged_alone] or not _demands(inner, frozenset())):
        inner = None
    return _Field(
        name=field.name,
        json_name=field.json_name,
        required=field_behavior_pb2.REQUIRED in options.Extensions[field_behavior_pb2.field_behavior],
        inner=inner,
        has_presence=field.has_presence,
        is_map=is_map,
    )


def _demands(descriptor: Descriptor, above: frozenset[str]) -> bool:
    """True when a message of this type, or one inside it, has a required field."""
    if descriptor.full_name in above:
        return False
    for field in descriptor.fields:
        options = field.GetOptions()
        if field_behavior_pb2.REQUIRED in options.Extensions[field_behavior_pb2.field_behavior]:
            return True
        inner = field.message_type
        if (
            inner is not None
            and not options.Extensions[access_pb2.judged_alone]
            and _demands(inner, above | {descriptor.full_name})
        ):
            return True
    return False
