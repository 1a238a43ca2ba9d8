"""What deliveries leave behind beside their events: counts, and parts that can't be used."""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from services.ingest.domain.deduplication import Entry, Status

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PARKED_ID = re.compile(r"[0-9a-f]{32}")

KEPT_FOR = timedelta(days=30)
"""How long the body of a parked delivery is kept."""


class UnusablePart(NamedTuple):
    """A part of a delivery that is parked. `body` is empty when it was too large to keep."""

    tenant_id: str
    source: str
    topic: str
    reason: str
    receive_time: datetime
    body: bytes
    headers: Mapping[str, str]


class ParkedDelivery(NamedTuple):
    """A parked delivery; `body` and `headers` are None where only a list was asked for."""

    parked_id: str
    source: str
    topic: str
    reason: str
    receive_time: datetime
    expire_time: datetime
    body_bytes: int
    body: bytes | None = None
    headers: dict[str, str] | None = None


class Heard(NamedTuple):
    """A delivery was received; `counted` is false for a topic without figures."""

    tenant_id: str
    source: str
    receive_time: int
    """In nanoseconds since 1970: a datetime for each delivery would cost more than all else of counting it."""
    counted: bool


class Batch(NamedTuple):
    """What is appended to one partition in one transaction, or not at all."""

    partition: int
    entries: Sequence[Entry]
    unusable: Sequence[UnusablePart] = ()
    heard: Sequence[Heard] = ()
    part_of: Callable[[int], UnusablePart] | None = None
    """Answers what is parked for the i-th entry, should its id turn out to be in conflict; None: nothing is parked."""


class Health(NamedTuple):
    """What the deliveries of one source add to its health."""

    tenant_id: str
    source: str
    delivered: int
    uncounted: int
    last_delivery_time: datetime


def is_parked_id(name: str) -> bool:
    """True for an id that a parked delivery can have."""
    return _PARKED_ID.fullmatch(name) is not None


def health(heard: Sequence[Heard]) -> list[Health]:
    """One sum for each source, sources in order, so that two transactions never wait for each other crosswise."""
    of_sources: dict[tuple[str, str], list[Heard]] = defaultdict(list)
    for one in heard:
        of_sources[one[:2]].append(one)
    return [
        Health(
            *name,
            delivered=len(deliveries),
            uncounted=[one.counted for one in deliveries].count(False),
            last_delivery_time=_datetime(max([one.receive_time for one in deliveries])),
        )
        for name, deliveries in sorted(of_sources.items())
    ]


def _datetime(nanos: int) -> datetime:
    return _EPOCH + timedelta(microseconds=nanos // 1_000)


def conflicting(batch: Batch, statuses: Sequence[Status]) -> list[UnusablePart]:
    """What is parked of a batch because of ids in conflict."""
    if batch.part_of is None or Status.REJECTED not in statuses:
        return []
    return [batch.part_of(i) for i, status in enumerate(statuses) if status is Status.REJECTED]
