"""What a verified delivery says: events of the log, and what of it can't be used."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from gateway.web.webhooks.fields import claim
from gateway.web.webhooks.signatures import claimed_identifier

LARGEST_BODY = 5 * 1024 * 1024
"""Bytes of a delivery, at most."""

EventFields: TypeAlias = dict[str, Any]
"""An event in the keyword form of its message, `Event(**fields)`: built in half the time of nested messages."""

UNTOLD_TIME: dict[str, int] = {"seconds": 0}
"""The occur time of a notice whose body names none: the same at each repetition, so that it stays a duplicate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """How a source's deliveries are read."""

    id_prefix: str
    """What the names of identifiers on orders begin with: `_touchstone_`."""

    signed_ids_only: bool = False
    """True when session and visitor count only with a valid signature."""

    secrets: Sequence[str] = ()
    """The secrets that identifiers may be signed with."""

    def claims(self, attributes: dict[Any, Any]) -> dict[str, str]:
        """The session, visitor and click that an order's attributes name."""
        found = {}
        for key in ("session_id", "visitor_id", "click_id"):
            value = attributes.get(self.id_prefix + key)
            if value is None:
                continue
            value = claim(value)
            if self.signed_ids_only:
                value = claimed_identifier(value, self.secrets)
            if value:
                found[key] = value
        return found


class Unusable(NamedTuple):
    """A part of a delivery that can't be used: why, and the body by which it can be read again."""

    reason: str
    body: bytes


class Translation(NamedTuple):
    """Everything that a delivery says. Nothing at all: a topic without figures."""

    events: Sequence[EventFields] = ()
    unusable: Sequence[Unusable] = ()
    privacy_demands: Sequence[dict[str, Any]] = ()


def event_id(topic: str, resource_id: str, hashed: str) -> str:
    """The name of what a body says, by its `content_hash`.

    The platforms' own delivery ids repeat for different bodies, or differ for one.
    """
    return f"{topic}/{resource_id}/{hashed}"


def content_hash(body: bytes) -> str:
    """What tells bodies apart, and decides between two states of an order that are equally new."""
    return hashlib.sha256(body).hexdigest()[:32]
