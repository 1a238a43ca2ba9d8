"""Requests about personal data: whom they name, when they are due, and when one is another again."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import NamedTuple

import orjson

from services.ingest.domain.events import API_SOURCE
from services.kernel.failures import InvalidArgumentError
from services.kernel.identifiers import Identifier, Kind

DUE_AFTER = timedelta(days=30)
"""When a request has to be met, from when it was made."""

LONGEST_GATHER = timedelta(minutes=1)
"""For so long, at most, a request for erasure waits for others to share the rewriting."""

LONGEST_WAIT = timedelta(days=1)
"""For so long, at most, it waits for the installation to have rested from the last rewriting."""

UNNOTICED = timedelta(minutes=1)
"""An erasing that takes no longer asks for no rest: of a small installation, the next one begins at once."""

REPEATED_FOR = timedelta(days=2)
"""For so long a shop repeats a delivery: the same demand after that is a new one."""

_REQUEST_ID = re.compile(r"[0-9a-f]{32}")
_LONGEST_TEXT = 256


class DemandKind(IntEnum):
    """What is asked; numbered as in `touchstone.ingest.v1.PrivacyDemand.Kind`."""

    ACCESS = 1
    ERASURE = 2
    SHOP_ERASURE = 3


class State(IntEnum):
    """How far a request is; numbered as in `touchstone.ingest.v1.PrivacyRequest.State`."""

    PENDING = 1
    RUNNING = 2
    DONE = 3


class Named(NamedTuple):
    """Whom a demand names: identifiers with addresses hashed, and the shop's ids of orders. Kept sealed."""

    identifiers: tuple[Identifier, ...] = ()
    order_ids: tuple[str, ...] = ()

    def packed(self) -> bytes:
        """The same as bytes: for the same names, the same bytes."""
        identifiers = sorted({(int(one.kind), one.value) for one in self.identifiers})
        return orjson.dumps([identifiers, sorted(set(self.order_ids))])

    @classmethod
    def unpacked(cls, packed: bytes) -> "Named":
        """What was packed."""
        identifiers, order_ids = orjson.loads(packed)
        return cls(tuple(Identifier(Kind(kind), value) for kind, value in identifiers), tuple(order_ids))


class Demand(NamedTuple):
    """What somebody asks. `demand_id` is the asker's own name for it; empty where whom it names is its name."""

    tenant_id: str
    source: str
    demand_id: str
    kind: DemandKind
    named: Named
    ask_time: datetime

    @property
    def told_apart_by(self) -> bytes:
        """What is the same when the same is asked again."""
        return self.demand_id.encode() if self.demand_id else self.named.packed()

    @property
    def is_by_hand(self) -> bool:
        """True where somebody asks, and nobody repeats it unknowingly."""
        return self.source == API_SOURCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The record of a demand. It names nobody. An erasure that has not begun has its latest begin."""

    request_id: str
    kind: DemandKind
    source: str
    state: State
    create_time: datetime
    done_time: datetime | None
    due_time: datetime
    latest_begin_time: datetime | None
    erased_identifiers: int
    rewritten_events: int
    forgotten_bodies: int


class Asked(NamedTuple):
    """An erasure under way: what was asked, and through which position of the tenant's partition it reaches."""

    request_id: str
    kind: DemandKind
    source: str
    position: int
    create_time: datetime
    named: Named


def is_request_id(name: str) -> bool:
    """True for an id that a request can have."""
    return _REQUEST_ID.fullmatch(name) is not None


def request_id(ask_time: datetime, fingerprint: bytes) -> str:
    """Ids in the order of time, of one length: milliseconds since 1970, then what tells it apart."""
    return f"{int(ask_time.timestamp() * 1000):012x}{fingerprint.hex()[:20]}"


def check_one_named(named: Sequence[str]) -> str:
    """The one field that names somebody. Raises InvalidArgumentError when there are none, or several."""
    if not named:
        raise InvalidArgumentError("INVALID_FIELD", "Name somebody by exactly one identifier.")
    if len(named) > 1:
        raise InvalidArgumentError.of(named[1], f"stands beside {named[0]}: name somebody by exactly one identifier")
    return named[0]


def check_value(field: str, value: str) -> str:
    """Answers a value that an identifier can have."""
    if not 1 <= len(value) <= _LONGEST_TEXT or "\0" in value:
        raise InvalidArgumentError.of(field, f"is not 1 to {_LONGEST_TEXT} characters")
    return value
