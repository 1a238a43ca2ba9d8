"""What becomes of each event of a batch, given the keys that the log already knows."""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

from services.ingest.domain.erasing import ERASED_CONTENT

CONFLICT = "EVENT_ID_CONFLICT"
"""The reason for refusing an event whose id came before with other content."""


class Status(IntEnum):
    """What became of an event; numbered as in `touchstone.ingest.v1.EventResult.Status`."""

    ACCEPTED = 1
    DUPLICATE = 2
    REJECTED = 3


class Key(NamedTuple):
    """What an event is told apart by."""

    tenant_id: str
    source: str
    event_id: str


class Entry(NamedTuple):
    """An event that may be appended."""

    key: Key
    content_hash: bytes
    """16 bytes: the same for the same content."""
    payload: bytes
    """The entry as it will stand in the log."""


def first_of_each_key(entries: Sequence[Entry]) -> dict[Key, Entry]:
    """The first entry of every key, in the order sent. Later ones of the key are measured by it."""
    firsts: dict[Key, Entry] = {}
    for entry in entries:
        firsts.setdefault(entry.key, entry)
    return firsts


def decide(entries: Sequence[Entry], firsts: Mapping[Key, Entry], known: Mapping[Key, bytes]) -> list[Status]:
    """What becomes of each entry. `known` holds the content hashes of the keys that were in the log before."""
    statuses = []
    for entry in entries:
        before = known.get(entry.key)
        if before is None:
            first = firsts[entry.key]
            if first is entry:
                statuses.append(Status.ACCEPTED)
                continue
            before = first.content_hash
        same = before in (entry.content_hash, ERASED_CONTENT)
        statuses.append(Status.DUPLICATE if same else Status.REJECTED)
    return statuses
