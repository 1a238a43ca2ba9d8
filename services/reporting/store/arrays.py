"""Columns of values whose type is known from a field's annotation."""

from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

from services.chassis.arrays import flags, numbers, optional_numbers, texts

_ELEMENTS: dict[Any, tuple[str, Callable[[Iterable[Any]], str]]] = {
    str: ("text[]", texts),
    int: ("bigint[]", numbers),
    int | None: ("bigint[]", optional_numbers),
    date: ("date[]", lambda values: "{" + ",".join(map(date.isoformat, values)) + "}"),
    bool: ("boolean[]", flags),
}


def array_type(kind: Any) -> str:
    """The type in Postgres of an array of `str`, `int`, `int | None`, `date` or `bool`."""
    return _ELEMENTS[kind][0]


def array_literal(kind: Any, values: Iterable[Any]) -> str:
    """The values, all of one kind, as the text of an array."""
    return _ELEMENTS[kind][1](values)
