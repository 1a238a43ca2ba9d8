"""Events: read from requests, checked, their addresses hashed, and written as log entries; results back."""

import hashlib
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp
from touchstone.ingest.v1 import event_pb2, order_pb2

from services.ingest.domain.addresses import hashed_email, hashed_phone
from services.ingest.domain.deduplication import Entry, Key
from services.ingest.domain.events import NANOS, Facts, currency_refusal, invalid_field, refusal
from services.ingest.domain.sources import SourceKind
from services.ingest.domain.tenants import TenantTerms
from services.ingest.wire.shape import nul_violation, violation
from services.kernel.identifiers import names_nobody

LARGEST_EVENT = 1_000_000
"""Bytes of an event, at most: followers read hundreds of them at once."""

_EVENT_TAG = bytes([event_pb2.LoggedEvent.EVENT_FIELD_NUMBER << 3 | 2])
_IN_CONVERSATION = frozenset({"interaction", "conversation", "link_click"})
_JSON_NAMES = {field.name: field.json_name for field in event_pb2.Event.DESCRIPTOR.oneofs_by_name["payload"].fields}
_WHOLE_ORDER = (order_pb2.Order.NOTICE_UNSPECIFIED, order_pb2.Order.STATE)


class Typed(NamedTuple):
    """The addresses of an event as they were sent, before they were hashed."""

    email: str
    phone: str
    phone_country: str


class Refused(NamedTuple):
    """An event that is not taken, and why."""

    reason: str


class Origin(NamedTuple):
    """Where events come from, in the form that checking and logging them needs."""

    tenant: TenantTerms
    source: str
    kind: SourceKind
    now: int
    """Nanoseconds since 1970."""
    head: bytes
    """The log entry's fields before the event."""


def origin(
    tenant: TenantTerms, source: str, kind: SourceKind, *, receive_time: Timestamp, trace_parent: str, now: int
) -> Origin:
    """The origin of events of one request."""
    logged = event_pb2.LoggedEvent(
        tenant_id=tenant.tenant_id, source=source, receive_time=receive_time, trace_parent=trace_parent
    )
    return Origin(tenant, source, kind, now, logged.SerializeToString())


def typed_addresses(event: event_pb2.Event) -> Typed | None:
    """The addresses as sent, or None when there are none; taken before `entry_of`, which hashes them in place."""
    if not event.HasField("identifiers"):
        return None
    ids = event.identifiers
    return Typed(ids.email, ids.phone, ids.phone_country) if ids.email or ids.phone else None


def restore_addresses(event: event_pb2.Event, typed: Typed | None) -> None:
    """Puts the addresses back as they were sent."""
    if typed is not None:
        ids = event.identifiers
        ids.email, ids.phone, ids.phone_country = typed


def entry_of(event: event_pb2.Event, origin: Origin, *, fits: bool = False) -> Entry | Refused:
    """The log entry of an event, or why it isn't taken. `fits` is true where its shape is known to be right.

    Changes the event: addresses become keyed hashes, and values that name nobody are dropped.
    """
    payload = event.WhichOneof("payload") or ""
    wrong = None if fits else violation(event)
    if wrong is not None:
        return Refused(invalid_field(*wrong))
    reason = _refusal(event, payload, origin)
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
    if email := ids.email:
        ids.email = hashed_email(key, email)
    if phone := ids.phone:
        ids.phone = hashed_phone(key, phone, ids.phone_country)
    if ids.phone_country:
        ids.phone_country = ""


def _refusal(event: event_pb2.Event, payload: str, origin: Origin) -> str | None:
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
    time = event.occur_time
    facts = Facts(
        payload=_JSON_NAMES.get(payload, ""),
        occur_time=time.seconds * NANOS + time.nanos,
        names_somebody=bool(conversation_id) or bool(event.identifiers.ByteSize()),
    )
    return refusal(
        facts,
        source=origin.source,
        limits=origin.tenant.limits,
        ever_old=origin.kind.ever_old,
        now=origin.now,
    )


def _drop_nobody(ids: event_pb2.Identifiers) -> None:
    if (session_id := ids.session_id) and names_nobody(session_id):
        ids.session_id = ""
    if (visitor_id := ids.visitor_id) and names_nobody(visitor_id):
        ids.visitor_id = ""
    if (customer_id := ids.customer_id) and names_nobody(customer_id):
        ids.customer_id = ""
    if (click_id := ids.click_id) and names_nobody(click_id):
        ids.click_id = ""


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
