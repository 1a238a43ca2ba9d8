"""Parked bodies searched for people: whatever was sent, in whatever words, an erased identifier in it is found."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson
from google.protobuf.message import DecodeError, Message
from touchstone.ingest.v1 import event_pb2

from services.ingest.domain.addresses import hashed_email, hashed_phone
from services.ingest.domain.erasing import SHORTEST_FOUND, Plan, is_telling, stands_alone
from services.kernel.identifiers import Identifier, Kind

_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
_WORDS = re.compile(r"[^\s\"'<>,;()\[\]{}=&?|\\]+")
_COUNTRY = re.compile(r"[A-Za-z]{2}")
_DIGIT = re.compile(r"\d")
_FEWEST_DIGITS, _MOST_DIGITS = 6, 24
_DEEPEST = 200

_HINTS = {
    Kind.SESSION: "session",
    Kind.VISITOR: "visitor",
    Kind.CUSTOMER: "customer",
    Kind.CONVERSATION: "conversation",
    Kind.CLICK: "click",
}
"""What a field is called whose value names somebody; short values count only there."""


class _Scalar(NamedTuple):
    path: str
    """The names of the fields above it, lower case."""
    value: str


class BodySearch:
    """Looks for the identifiers of a plan in bodies."""

    def __init__(self, hash_key: bytes, plan: Plan) -> None:
        self._hash_key = hash_key
        self._plan = plan
        self._heads: dict[str, list[Identifier]] = {}
        for identifier in plan:
            if identifier.kind in _HINTS and is_telling(identifier.value):
                self._heads.setdefault(identifier.value[:SHORTEST_FOUND], []).append(identifier)

    def names_any(self, identifiers: Iterable[Identifier]) -> bool:
        """True when one of the identifiers is erased."""
        return any(identifier in self._plan for identifier in identifiers)

    def requests_named(self, body: bytes, headers: Mapping[str, str]) -> set[int]:
        """The requests (indexes) of which an identifier stands in a body; empty for a body that names none of them."""
        scalars = list(_scalars(body, headers))
        countries = {"", *(one.value for one in scalars if "country" in one.path and _COUNTRY.fullmatch(one.value))}
        named: set[int] = set()
        for scalar in scalars:
            for identifier in _candidates(scalar, self._hash_key, countries):
                named.update(self._plan.get(identifier, ()))
        text = body.decode("utf-8", "replace")
        for at in range(len(text) - SHORTEST_FOUND + 1 if self._heads else 0):
            for identifier in self._heads.get(text[at : at + SHORTEST_FOUND], ()):
                if text.startswith(identifier.value, at) and stands_alone(text, at, identifier.value):
                    named.update(self._plan[identifier])
        return named


def _candidates(scalar: _Scalar, hash_key: bytes, countries: set[str]) -> Iterator[Identifier]:
    """Every identifier that a value may be, or hold."""
    value = scalar.value.strip()
    for kind, hint in _HINTS.items():
        if hint in scalar.path or is_telling(value):
            yield Identifier(kind, value)
            # An identifier on an order may be followed by its signature.
            yield Identifier(kind, value.partition(".")[0])
    if "@" in value:
        for word in (value, *_WORDS.findall(value)):
            for address in (word, word.strip(".:'-"), word.removeprefix("mailto:")):
                yield Identifier(Kind.EMAIL, hashed_email(hash_key, address))
    digits = len(_DIGIT.findall(value))
    if _FEWEST_DIGITS <= digits <= _MOST_DIGITS and len(value) <= 2 * _MOST_DIGITS:
        for country in countries:
            yield Identifier(Kind.PHONE, hashed_phone(hash_key, value, country))


def _scalars(body: bytes, headers: Mapping[str, str]) -> Iterator[_Scalar]:
    """Every value of a body with the names above it: of JSON, of an event, or of a text that is neither."""
    if headers.get("touchstone-body") == "event":
        try:
            yield from _of_message(event_pb2.Event.FromString(body), "")
        except DecodeError:
            pass
        else:
            return
    try:
        yield from _of_json(orjson.loads(body), "", 0)
    except orjson.JSONDecodeError:
        text = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), body.decode("utf-8", "replace"))
        # Cut off or malformed: every field's name may be near.
        yield from (_Scalar("*".join(_HINTS.values()) + "country", word) for word in _WORDS.findall(text))


def _of_json(value: Any, path: str, depth: int) -> Iterator[_Scalar]:
    if isinstance(value, dict):
        # Shops keep attributes as lists of names and values.
        named = value.get("name", value.get("key"))
        outer = f"{path}.{named}" if isinstance(named, str) else path
        for key, inner in value.items():
            below = f"{outer if key == 'value' else path}.{key}".lower()
            yield _Scalar(below, key)
            if depth < _DEEPEST:
                yield from _of_json(inner, below, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            if depth < _DEEPEST:
                yield from _of_json(inner, path, depth + 1)
    elif isinstance(value, str):
        yield _Scalar(path, value)
    elif type(value) is int:
        yield _Scalar(path, str(value))


def _of_message(message: Message, path: str) -> Iterator[_Scalar]:
    for field, value in message.ListFields():
        below = f"{path}.{field.name}"
        for element in value if field.is_repeated else (value,):
            if isinstance(element, Message):
                yield from _of_message(element, below)
            elif isinstance(element, str):
                yield _Scalar(below, element)
