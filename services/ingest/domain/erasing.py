"""Erasing: which value of which entry becomes which token.

A token is made of a value by a secret that is drawn for one erasing and then destroyed: the same value becomes the same
token everywhere, so what belonged together still does, and nobody can tell the value from it.
"""

import base64
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from services.ingest.domain.addresses import HASH_LENGTH, hashed_email, hashed_phone
from services.ingest.domain.privacy import Asked
from services.kernel.identifiers import Identifier, Kind

KEY_BYTES = 32
"""Bytes of the secret that tokens are made by."""

ERASED_CONTENT = bytes(16)
"""The content hash of an event that was rewritten: whatever comes under its id again is the same event.

A hash of what it was before would tell whoever guesses whom it named that the guess is right.
"""

ERASED_NAME = "erased/"
"""What the key of an event begins with whose own id named somebody."""

_TOKEN_PREFIX = "erased-"  # noqa: S105 - no secret
_TOKEN_LENGTH = 32
SHORTEST_FOUND = 6
"""Characters of a value that is looked for inside of texts, at least."""

_EMAIL = re.compile(r"[\w.%+'-]+(?:@|%40)[\w-]+(?:\.[\w-]+)*")
_BEFORE_EMAIL = "'.-+_"
_PHONE = re.compile(r"(?<!\d)(?:\+|00)[\d ()./-]{5,40}\d")
_REMEMBERED = 65_536


class Reach(NamedTuple):
    """Entries through `position` lose the value, for `requests` (indexes)."""

    position: int
    requests: tuple[int, ...]


class Found(NamedTuple):
    """A token, and the requests (indexes) that it is there for."""

    token: str
    requests: tuple[int, ...]


class Cleaned(NamedTuple):
    """A text without what was erased of it, and the requests (indexes) that something was erased for."""

    text: str
    requests: tuple[int, ...]


Plan = Mapping[Identifier, Sequence[int]]
"""Which requests (indexes) each identifier is erased for."""


class Erasing:
    """The values that one tenant's requests erase, and the tokens in their place.

    An entry's value is replaced for the first request that reaches it: who is known by the same value after an erasure
    is somebody new, whom a later request erases under tokens of its own.
    """

    def __init__(self, key: bytes, hash_key: bytes, asked: Sequence[Asked], plan: Plan) -> None:
        self._key = key
        self._hash_key = hash_key
        self._reaches: dict[Kind, dict[str, tuple[Reach, ...]]] = {kind: {} for kind in Kind}
        self._heads: list[dict[str, list[str]]] = [{} for _ in asked]
        self._kinds: list[dict[str, Kind]] = [{} for _ in asked]
        for (kind, value), requests in plan.items():
            self._reaches[kind][value] = _reaches(asked, requests)
            if is_telling(value):
                for request in requests:
                    self._heads[request].setdefault(value[:SHORTEST_FOUND], []).append(value)
                    self._kinds[request][value] = kind
        for heads in self._heads:
            for values in heads.values():
                values.sort(key=len, reverse=True)
        self._hashed = lru_cache(_REMEMBERED)(self._hash)

    def token(self, kind: Kind, value: str, position: int) -> Found | None:
        """What stands in the place of a value in the entry at a position; None where it stays."""
        for reach in self._reaches[kind].get(value, ()):
            if position <= reach.position:
                return Found(self.made(kind.name, value, reach.position), reach.requests)
        return None

    def made(self, kind: str, value: str, reach: int) -> str:
        """The token of a value for requests that reach through a position. That of an address has a hash's form."""
        digest = hmac.digest(self._key, f"{kind}\0{reach}\0{value}".encode(), "sha256")
        text = base64.urlsafe_b64encode(digest).decode()
        is_address = kind in {Kind.EMAIL.name, Kind.PHONE.name}
        return text[:HASH_LENGTH] if is_address else _TOKEN_PREFIX + text[:_TOKEN_LENGTH]

    def without_addresses(self, text: str, position: int) -> Cleaned:
        """A text in which erased addresses have become tokens. They are found by their hashes, however typed."""
        requests: set[int] = set()

        def swap(written: str, kind: Kind) -> str:
            hashed = self._hashed(kind, written)
            found = self.token(kind, hashed, position) if hashed else None
            if found is None:
                return written
            requests.update(found.requests)
            return found.token

        def swap_email(match: re.Match[str]) -> str:
            # Quotes and dashes may belong to the address, or stand before it.
            bare = match[0].lstrip(_BEFORE_EMAIL)
            swapped = swap(match[0], Kind.EMAIL)
            return swapped if swapped != match[0] else match[0].removesuffix(bare) + swap(bare, Kind.EMAIL)

        def swap_phone(match: re.Match[str]) -> str:
            # What stands behind the number may look like a part of it, and be another one.
            written = match[0]
            while written and (swapped := swap(written, Kind.PHONE)) == written:
                written = written.rpartition(" ")[0]
            if not written:
                swapped = written = "".join(match[0].partition(" ")[:2])
            return swapped + _PHONE.sub(swap_phone, match[0][len(written) :])

        if "@" in text:
            text = swap(text, Kind.EMAIL)
        if "@" in text or "%40" in text:
            text = _EMAIL.sub(swap_email, text)
        text = _PHONE.sub(swap_phone, text)
        return Cleaned(text, tuple(sorted(requests)))

    def without_values(self, text: str, requests: Iterable[int], position: int) -> str:
        """A text in which the telling values of these requests have become tokens."""
        for request in requests:
            heads = self._heads[request]
            if heads and len(text) >= SHORTEST_FOUND:
                text = self._replaced(text, heads, self._kinds[request], position)
        return text

    def _replaced(self, text: str, heads: Mapping[str, list[str]], kinds: Mapping[str, Kind], position: int) -> str:
        kept: list[str] = []
        start = at = 0
        while at <= len(text) - SHORTEST_FOUND:
            values = heads.get(text[at : at + SHORTEST_FOUND], ())
            value = next((one for one in values if text.startswith(one, at) and stands_alone(text, at, one)), None)
            found = None if value is None else self.token(kinds[value], value, position)
            if value is None or found is None:
                at += 1
                continue
            kept += (text[start:at], found.token)
            start = at = at + len(value)
        return "".join((*kept, text[start:])) if kept else text

    def _hash(self, kind: Kind, written: str) -> str:
        if kind is Kind.EMAIL:
            return hashed_email(self._hash_key, unquote(written))
        return hashed_phone(self._hash_key, f"+{written.lstrip('+0')}", "")


def is_telling(value: str) -> bool:
    """True for a value that is worth looking for inside of texts: no plain word, and not a number of few digits."""
    return len(value) >= SHORTEST_FOUND and not value.isalpha()


def may_hold_address(payload: bytes) -> bool:
    """False for an entry whose texts hold no e-mail address."""
    return b"@" in payload or b"%40" in payload


def stands_alone(text: str, at: int, value: str) -> bool:
    """False for digits that are a part of a longer number."""
    if not value.isdigit():
        return True
    end = at + len(value)
    return not text[at - 1 : at].isdigit() and not text[end : end + 1].isdigit()


def _reaches(asked: Sequence[Asked], requests: Sequence[int]) -> tuple[Reach, ...]:
    by_position: dict[int, list[int]] = {}
    for request in requests:
        by_position.setdefault(asked[request].position, []).append(request)
    return tuple(Reach(position, tuple(by_position[position])) for position in sorted(by_position))
