"""Events: read from requests, checked, their addresses hashed, and written as log entries; results back."""

import hashlib
from operator import attrgetter
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp
from touchstone.ingest.v1 import event_pb2, order_pb2

from services.ingest.domain.addresses import hashed_email, hashed_phone
from services.ingest.domain.deduplication import Entry, Key
from services.ingest.domain.events import (
    NANOS,
    OF_SOMEBODY,
    Terms,
    currency_refusal,
    invalid_field,
    nobody_refusal,
    refusal,
    terms,
)
from services.ingest.domain.sources import SourceKind
from services.ingest.domain.tenants import TenantTerms
from services.ingest.wire.shape import nul_violation, violation
from services.kernel.identifiers import names_nobody

LARGEST_EVENT = 1_000_000
"""Bytes of an event, at most: followers read hundreds of them at once."""

_RECEIVE_TIME_TAG, _TRACE_PARENT_TAG, _EVENT_TAG = (
    bytes([field << 3 | 2])
    for field in (
        event_pb2.LoggedEvent.RECEIVE_TIME_FIELD_NUMBER,
        event_pb2.LoggedEvent.TRACE_PARENT_FIELD_NUMBER,
        event_pb2.LoggedEvent.EVENT_FIELD_NUMBER,
    )
)
_IN_CONVERSATION = frozenset({"interaction", "conversation", "link_click"})
_JSON_NAMES = {field.name: field.json_name for field in event_pb2.Event.DESCRIPTOR.oneofs_by_name["payload"].fields}
_WHOLE_ORDER = (order_pb2.Order.NOTICE_UNSPECIFIED, order_pb2.Order.STATE)
_TOLD_AS_THEY_ARE = ("session_id", "visitor_id", "customer_id", "click_id")
_typed = attrgetter("email", "phone", "phone_country")
_told_as_they_are = attrgetter(*_TOLD_AS_THEY_ARE)


class Typed(NamedTuple):
    """The addresses of an event as they were sent, before they were hashed."""

    email: str
    phone: str
    phone_country: str


class Refused(NamedTuple):
    """An event that is not taken, and why."""

    reason: str


class Origin(NamedTuple):
    """Where and when events come from, in the form that checking and logging them needs."""

    tenant: TenantTerms
    source: str
    terms: Terms
    head: bytes
    """The log entry's fields before the event."""


class Sender(NamedTuple):
    """A source of a tenant, whose events are read now."""

    tenant: TenantTerms
    source: str
    terms: Terms
    names: bytes
    """The log entry's fields of tenant and source."""

    def at(self, receive_time: Timestamp, trace_parent: str) -> Origin:
        """The origin of what was received at a time, in the trace told."""
        time, trace = receive_time.SerializeToString(), trace_parent.encode()
        head = b"".join(
            (self.names, _field(_RECEIVE_TIME_TAG, time), _field(_TRACE_PARENT_TAG, trace) if trace else b"")
        )
        return Origin(self.tenant, self.source, self.terms, head)


def sender_of(tenant: TenantTerms, source: str, kind: SourceKind, *, now: int) -> Sender:
    """A tenant's source; `now` in nanoseconds since 1970."""
    names = event_pb2.LoggedEvent(tenant_id=tenant.tenant_id, source=source).SerializeToString()
    return Sender(tenant, source, terms(source, tenant.limits, ever_old=kind.ever_old, now=now), names)


def typed_addresses(event: event_pb2.Event) -> Typed | None:
    """The addresses as sent, or None when there are none; taken before `entry_of`, which hashes them in place."""
    email, phone, country = _typed(event.identifiers)
    return Typed(email, phone, country) if email or phone else None


def restore_addresses(event: event_pb2.Event, typed: Typed | None) -> None:
    """Puts the addresses back as they were sent."""
    if typed is not None:
        ids = event.identifiers
        ids.email, ids.phone, ids.phone_country = typed


def entry_of(event: event_pb2.Event, origin: Origin, *, fits: bool = False) -> Entry | Refused:
    """The log entry of an event, or why it isn't taken. `fits` is true where its shape is known to be right.

    Changes the event: addresses become keyed hashes, and values that name nobody are dropped.
    """
    wrong = None if fits else violation(event)
    if wrong is not None:
        return Refused(invalid_field(*wrong))
    reason = _refusal(event, origin)
    if reason is not None:
        return Refused(reason)
    if event.HasField("identifiers"):
        ids = event.identifiers
        hash_addresses(ids, origin.tenant.hash_key)
        _drop_nobody(ids)
    content = event.SerializeToString(deterministic=True)
    # A text with a NUL character has a zero byte on the wire; few events without one have any.
    if b"\0" in content:
        wrong = nul_violation(event)
        if wrong is not None:
            return Refused(invalid_field(*wrong))
    if len(content) > LARGEST_EVENT:
        return Refused(invalid_field("event", f"is larger than {LARGEST_EVENT} bytes"))
    return Entry(
        Key(origin.tenant.tenant_id, origin.source, event.event_id),
        hashlib.sha256(content).digest()[:16],
        b"".join((origin.head, _EVENT_TAG, _varint(len(content)), content)),
    )


def hash_addresses(ids: event_pb2.Identifiers, key: bytes) -> None:
    """Replaces e-mail and phone by their keyed hashes, or by nothing where they aren't valid."""
    email, phone, country = _typed(ids)
    if email:
        ids.email = hashed_email(key, email)
    if phone:
        ids.phone = hashed_phone(key, phone, country)
    if country:
        ids.phone_country = ""


def _refusal(event: event_pb2.Event, origin: Origin) -> str | None:
    payload = event.WhichOneof("payload") or ""
    conversation_id = ""
    if payload in _IN_CONVERSATION:
        part = getattr(event, payload)
        conversation_id = part.conversation_id
        if conversation_id and names_nobody(conversation_id):
            if payload != "interaction":
                return invalid_field(f"{_JSON_NAMES[payload]}.conversationId", "names nobody")
            part.conversation_id = conversation_id = ""
    elif payload == "order":
        order = event.order
        reason = currency_refusal(order.currency_code, needed=order.notice in _WHOLE_ORDER)
        if reason is not None:
            return reason
    time, told = event.occur_time, _JSON_NAMES.get(payload, "")
    reason = refusal(told, time.seconds * NANOS + time.nanos, origin.terms)
    if reason is None and told in OF_SOMEBODY and not conversation_id and not event.identifiers.ByteSize():
        return nobody_refusal()
    return reason


def _drop_nobody(ids: event_pb2.Identifiers) -> None:
    for field, value in zip(_TOLD_AS_THEY_ARE, _told_as_they_are(ids), strict=True):
        if value and names_nobody(value):
            setattr(ids, field, "")


def _field(tag: bytes, content: bytes) -> bytes:
    return b"".join((tag, _varint(len(content)), content))


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
