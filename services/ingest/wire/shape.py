"""What the contract says of a message's shape, checked: needed fields, lengths, sizes, amounts and times.

The checks are drawn from the descriptors, once for each message type, so a field that is added to the contract is
checked without a line here. That texts are valid Unicode, without lone surrogates, is protobuf's own doing.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import chain
from operator import attrgetter, methodcaller
from typing import Any, NamedTuple, TypeAlias

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from services.kernel.identifiers import LONGEST_VALUE
from services.kernel.money import LARGEST_AMOUNT

LONGEST_TEXT = 8_192
"""Characters of a text that is no identifier, at most."""

LONGEST_LIST = 5_000
"""Elements of a list, at most."""

_LARGEST_QUANTITY = 10**9
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799
_LAST_NANO = 999_999_999
_LONGEST_SPAN = 315_576_000_000
_Field: TypeAlias = Any
"""A FieldDescriptor: to type checkers there are two kinds of them."""

_size = methodcaller("ByteSize")

_TIMESTAMP, _DURATION = "google.protobuf.Timestamp", "google.protobuf.Duration"


class Violation(NamedTuple):
    """A field, named as in JSON from the message on, and what is wrong with it."""

    field: str
    description: str


def violation(message: Message) -> Violation | None:
    """The first violation of the contract in a message, or None. Most messages have none, which `fit` tells fast."""
    return None if fit([message]) else next(violations(message), None)


def violations(message: Message) -> Iterator[Violation]:
    """Every violation of the contract in a message, field by field in the contract's order."""
    present = {field.name: value for field, value in message.ListFields()}
    for field in message.DESCRIPTOR.fields:
        value = present.get(field.name)
        if value is None:
            if _is_required(field):
                yield Violation(field.json_name, "is required")
        elif not field.is_repeated:
            yield from _value_violations(field, field.json_name, value)
        elif len(value) > LONGEST_LIST:
            yield Violation(field.json_name, f"has more than {LONGEST_LIST} elements")
        else:
            for i, element in enumerate(value):
                if element == "":
                    yield Violation(f"{field.json_name}[{i}]", "is empty")
                yield from _value_violations(field, f"{field.json_name}[{i}]", element)


def nul_violation(message: Message) -> Violation | None:
    """The first text with a NUL character, which no database keeps. Slow: look for a zero byte first."""
    for field, value in message.ListFields():
        for i, element in enumerate(value if field.is_repeated else (value,)):
            name = f"{field.json_name}[{i}]" if field.is_repeated else field.json_name
            if isinstance(element, str) and "\0" in element:
                return Violation(name, "contains a NUL character")
            if isinstance(element, Message):
                inner = nul_violation(element)
                if inner is not None:
                    return Violation(f"{name}.{inner.field}", inner.description)
    return None


def fit(messages: Sequence[Message]) -> bool:
    """True when none of the messages, all of one type, has a violation. Of many at once it tells that fastest."""
    return not messages or all(check(messages) for check in _checks(messages[0].DESCRIPTOR))


def _value_violations(field: _Field, name: str, value: Any) -> Iterator[Violation]:
    if field.type == FieldDescriptor.TYPE_STRING and len(value) > _longest(field):
        yield Violation(name, f"is longer than {_longest(field)} characters")
    elif field.type == FieldDescriptor.TYPE_ENUM and value not in field.enum_type.values_by_number:
        yield Violation(name, "is not a known value")
    elif field.type == FieldDescriptor.TYPE_INT64 and abs(value) > _largest(field):
        yield Violation(name, "is larger than any order")
    elif field.type == FieldDescriptor.TYPE_MESSAGE:
        if field.message_type.full_name == _TIMESTAMP:
            if not (_FIRST_SECOND <= value.seconds <= _LAST_SECOND and 0 <= value.nanos <= _LAST_NANO):
                yield Violation(name, "is not a time between the years 1 and 9999")
        elif field.message_type.full_name == _DURATION:
            if not _is_span(value):
                yield Violation(name, "is not a span of at most 10,000 years")
        else:
            for inner in violations(value):
                yield Violation(f"{name}.{inner.field}", inner.description)


_Check: TypeAlias = Callable[[Sequence[Any]], bool]
"""Looks at messages of one type, of which there is at least one."""


@cache
def _checks(descriptor: Descriptor) -> tuple[_Check, ...]:
    """The checks of a message type, grouped so that most of the work is done outside of Python code."""
    fields: list[_Field] = list(descriptor.fields)
    single = [field for field in fields if not field.is_repeated]
    of = {kind: [field for field in single if field.type == kind] for kind in {field.type for field in single}}
    texts = of.get(FieldDescriptor.TYPE_STRING, [])
    integers = of.get(FieldDescriptor.TYPE_INT64, [])
    messages = of.get(FieldDescriptor.TYPE_MESSAGE, [])
    times = [field.name for field in messages if field.message_type.full_name == _TIMESTAMP]
    others = [field for field in messages if field.message_type.full_name != _TIMESTAMP]
    checks = [
        _all_set([field.name for field in single if _is_required(field) and field not in messages]),
        *(_present(field.name) for field in messages if _is_required(field)),
        _texts(texts, is_small=not messages and not any(field.is_repeated for field in fields)),
        *(_no_larger([f.name for f in integers if _largest(f) == n], n) for n in (LARGEST_AMOUNT, _LARGEST_QUANTITY)),
        *(_known(field) for field in of.get(FieldDescriptor.TYPE_ENUM, [])),
        *(_time(name) for name in times),
        *(_inner(field) for field in others if field.containing_oneof is None),
        *(_chosen(oneof) for oneof in descriptor.oneofs if any(field in others for field in oneof.fields)),
        *(_list(field) for field in fields if field.is_repeated),
    ]
    return tuple(check for check in checks if check is not None)


def _all_set(names: list[str]) -> _Check | None:
    values = _values(names)
    return values and (lambda messages: all(values(messages)))


def _present(name: str) -> _Check:
    return lambda messages: all(map(methodcaller("HasField", name), messages))


def _texts(fields: list[_Field], *, is_small: bool) -> _Check | None:
    """Checks the lengths of texts; `is_small` is true of messages without other messages and lists in them."""
    by_length = [_no_longer([f.name for f in fields if _longest(f) == n], n) for n in (LONGEST_VALUE, LONGEST_TEXT)]
    checks = [check for check in by_length if check is not None]
    if not is_small:
        return None if not checks else lambda messages: all(check(messages) for check in checks)
    # No text is longer than the message: one look at the whole costs a third of one at each.
    return lambda messages: max(map(_size, messages)) <= LONGEST_VALUE or all(check(messages) for check in checks)


def _no_longer(names: list[str], longest: int) -> _Check | None:
    values = _values(names)
    return values and (lambda messages: max(map(len, values(messages))) <= longest)


def _no_larger(names: list[str], largest: int) -> _Check | None:
    values = _values(names)
    return values and (lambda messages: max(map(abs, values(messages))) <= largest)


def _known(field: _Field) -> _Check:
    get, known = attrgetter(field.name), frozenset(field.enum_type.values_by_number)
    return lambda messages: known.issuperset(map(get, messages))


def _time(name: str) -> _Check:
    def check_times(messages: Sequence[Any]) -> bool:
        times = [getattr(message, name) for message in messages if message.HasField(name)]
        return not times or (
            _within([time.seconds for time in times], _FIRST_SECOND, _LAST_SECOND)
            and _within([time.nanos for time in times], 0, _LAST_NANO)
        )

    return check_times


def _inner(field: _Field) -> _Check:
    name, check = field.name, _elements(field)
    return lambda messages: check([getattr(message, name) for message in messages if message.HasField(name)])


def _chosen(oneof: Any) -> _Check:
    name, checks = oneof.name, {field.name: _elements(field) for field in oneof.fields}

    def check_chosen(messages: Sequence[Any]) -> bool:
        values = defaultdict(list)
        for message in messages:
            chosen = message.WhichOneof(name)
            if chosen is not None:
                values[chosen].append(getattr(message, chosen))
        return all(checks[chosen](of_one) for chosen, of_one in values.items())

    return check_chosen


def _list(field: _Field) -> _Check:
    get, check = attrgetter(field.name), _elements(field)

    def check_lists(messages: Sequence[Any]) -> bool:
        lists = list(map(get, messages))
        return max(map(len, lists)) <= LONGEST_LIST and check(list(chain.from_iterable(lists)))

    return check_lists


def _elements(field: _Field) -> _Check:
    """Checks the values of one field, of which there may be none; unlike a field that stands alone, none is absent."""
    if field.type == FieldDescriptor.TYPE_STRING:
        longest = _longest(field)
        return lambda values: all(values) and max(map(len, values), default=0) <= longest
    if field.type == FieldDescriptor.TYPE_ENUM:
        return frozenset(field.enum_type.values_by_number).issuperset
    if field.type == FieldDescriptor.TYPE_MESSAGE and field.message_type.full_name == _DURATION:
        return lambda values: all(map(_is_span, values))
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return fit
    return lambda _values: True


def _values(names: list[str]) -> Any:
    """Gets the values that messages have under any of the names, all in one row; None without names."""
    if not names:
        return None
    get = attrgetter(*names)
    # Of a single name it gets the bare value, of several a tuple.
    return (lambda messages: map(get, messages)) if len(names) == 1 else (lambda messages: chain(*map(get, messages)))


def _within(numbers: list[int], smallest: int, largest: int) -> bool:
    return smallest <= min(numbers) and max(numbers) <= largest


def _is_required(field: _Field) -> bool:
    return field_behavior_pb2.REQUIRED in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]


def _longest(field: _Field) -> int:
    names_somebody = field.containing_type.name == "Identifiers"
    return LONGEST_VALUE if names_somebody or field.name.endswith(("_id", "_ids")) else LONGEST_TEXT


def _largest(field: _Field) -> int:
    return LARGEST_AMOUNT if field.name.endswith("micros") else _LARGEST_QUANTITY


def _is_span(value: Any) -> bool:
    seconds, nanos = value.seconds, value.nanos
    return bool(abs(seconds) <= _LONGEST_SPAN and abs(nanos) <= _LAST_NANO and seconds * nanos >= 0)
