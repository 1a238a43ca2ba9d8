"""How many messages a conversation has: each leaves a mark, so that what is told twice counts once."""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from services.reporting.domain.conversations import Event, Step

MOST: Final = 1_000
"""Messages of a conversation that are counted."""

_SAID: Final = frozenset({Step.MESSAGE, Step.OPTION_CHOSEN})
_MARK_BYTES: Final = 6


def marks(events: Iterable[Event]) -> list[int]:
    """The marks of those events in which something was said; the odd ones are of two messages, one asked and answered."""
    return [_mark(event) for event in events if event.step in _SAID]


def _mark(event: Event) -> int:
    name = f"{event.at}\0{event.source}\0{event.event_id}\0{event.step}".encode()
    both = event.actors.bit_count() > 1
    return int.from_bytes(blake2b(name, digest_size=_MARK_BYTES).digest()) << 1 | both


def kept(found: Iterable[int]) -> list[int]:
    """The marks that are kept of some, the smallest: what is kept of these and others is what is kept of all of them."""
    return sorted(set(found))[:MOST]


def count(found: Iterable[int]) -> int:
    """How many messages kept marks stand for; `MOST` for as many or more."""
    return min(sum(1 + (mark & 1) for mark in found), MOST)
