"""Log entries rewritten: what names an erased person becomes tokens, and nothing else changes."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from google.protobuf.message import Message
from touchstone.ingest.v1 import event_pb2
from touchstone.type.v1 import identifier_pb2

from services.ingest.domain.erasing import Erasing, may_hold_address
from services.kernel.identifiers import Identifier, Kind

IDENTIFIER_FIELDS = {
    "session_id": Kind.SESSION,
    "visitor_id": Kind.VISITOR,
    "email": Kind.EMAIL,
    "phone": Kind.PHONE,
    "customer_id": Kind.CUSTOMER,
    "click_id": Kind.CLICK,
}
"""The fields of `Identifiers`, and what each names."""

IN_CONVERSATION = ("interaction", "conversation", "link_click", "tracked_link")
"""The payloads that name a conversation."""

_LINKED = frozenset({"link_click", "tracked_link"})

TEXTS: dict[str, tuple[str, ...]] = {
    "Event": ("event_id",),
    "Interaction": ("touchpoint", "campaign", "experience_id", "user_agent"),
    "TrackedLink": ("link_id", "destination", "touchpoint"),
    "LinkClick": ("link_id", "user_agent"),
    "Conversation": ("touchpoint", "flow_step", "label", "campaign"),
    "Journey": ("journey_id", "run_id", "notification_channel"),
    "Exposure": ("experiment_id", "variant"),
    "Storefront": ("user_agent", "experience_ids"),
    "OrderLine": ("display_name",),
}
"""Fields in which a person's identifiers may stand among other words, by the name of the message."""


class Rewritten(NamedTuple):
    """An entry as it stands from now on, and the requests (indexes) that it was rewritten for."""

    position: int
    payload: bytes
    source: str
    event_id: str
    """The event's id before."""
    is_renamed: bool
    """True when the id itself named somebody."""
    requests: tuple[int, ...]


def tenant_prefix(tenant_id: str) -> bytes:
    """What every entry of a tenant begins with."""
    # A slug is shorter than 128 bytes, so its length is one byte.
    return bytes([event_pb2.LoggedEvent.TENANT_ID_FIELD_NUMBER << 3 | 2, len(tenant_id)]) + tenant_id.encode()


def named_by(event: event_pb2.Event) -> Iterator[Identifier]:
    """All that an event names anybody by."""
    for field, kind in IDENTIFIER_FIELDS.items():
        value = getattr(event.identifiers, field)
        if value:
            yield Identifier(kind, value)
    payload = event.WhichOneof("payload") or ""
    if payload in IN_CONVERSATION:
        conversation_id = getattr(event, payload).conversation_id
        if conversation_id:
            yield Identifier(Kind.CONVERSATION, conversation_id)
    elif payload == "link_decision":
        for side in (event.link_decision.left, event.link_decision.right):
            if side.kind and side.value:
                yield Identifier(Kind(side.kind), side.value)


def rewritten(payload: bytes, position: int, erasing: Erasing) -> Rewritten | None:
    """The entry without what is erased of it; None when it stays as it is."""
    logged = event_pb2.LoggedEvent.FromString(payload)
    event = logged.event
    event_id = event.event_id
    requests: set[int] = set()
    _replace_identifiers(event, position, erasing, requests)
    if requests or may_hold_address(payload):
        _replace_in_texts(event, position, erasing, requests)
    if not requests:
        return None
    content = logged.SerializeToString(deterministic=True)
    return Rewritten(position, content, logged.source, event_id, event.event_id != event_id, tuple(sorted(requests)))


def settings_in(payload: bytes) -> bytes:
    """The settings document that an entry tells of."""
    settings = event_pb2.LoggedEvent.FromString(payload).event.settings
    return settings.SerializeToString(deterministic=True)


def _replace_identifiers(event: event_pb2.Event, position: int, erasing: Erasing, requests: set[int]) -> None:
    if event.HasField("identifiers"):
        seen = event.identifiers
        for field, kind in IDENTIFIER_FIELDS.items():
            value = getattr(seen, field)
            found = erasing.token(kind, value, position) if value else None
            if found is not None:
                setattr(seen, field, found.token)
                requests.update(found.requests)
    payload = event.WhichOneof("payload") or ""
    if payload in IN_CONVERSATION:
        _replace_conversation(event, payload, position, erasing, requests)
    elif payload == "link_decision":
        _replace_named(event.link_decision.left, position, erasing, requests)
        _replace_named(event.link_decision.right, position, erasing, requests)
    elif payload == "settings":
        for blocked in event.settings.blocked_identifiers:
            _replace_named(blocked, position, erasing, requests)


def _replace_conversation(
    event: event_pb2.Event, payload: str, position: int, erasing: Erasing, requests: set[int]
) -> None:
    part = getattr(event, payload)
    found = erasing.token(Kind.CONVERSATION, part.conversation_id, position) if part.conversation_id else None
    if found is None:
        return
    if payload in _LINKED and part.link_id:
        # Whoever still has the link would tie somebody new to the conversation of somebody erased.
        link_id = part.link_id
        part.link_id = erasing.made("LINK", f"{found.token}\0{link_id}", 0)
        event.event_id = event.event_id.replace(link_id, part.link_id)
    part.conversation_id = found.token
    requests.update(found.requests)


def _replace_named(named: identifier_pb2.Identifier, position: int, erasing: Erasing, requests: set[int]) -> None:
    found = erasing.token(Kind(named.kind), named.value, position) if named.kind and named.value else None
    if found is not None:
        named.value = found.token
        requests.update(found.requests)


def _replace_in_texts(event: event_pb2.Event, position: int, erasing: Erasing, requests: set[int]) -> None:
    """Replaces addresses wherever they stand; other values only where the event names the person anyway.

    A shopper can choose other values freely: whoever calls a session like a campaign has no claim on everybody's.
    """

    def clean(text: str, searched: tuple[int, ...]) -> str:
        text, found = erasing.without_addresses(text, position)
        requests.update(found)
        return erasing.without_values(text, searched, position)

    named = tuple(sorted(requests))
    for message in (event, *_parts(event)):
        for field in TEXTS.get(message.DESCRIPTOR.name, ()):
            before = getattr(message, field)
            if isinstance(before, str):
                after = clean(before, named) if before else before
                if after != before:
                    setattr(message, field, after)
            elif before:
                before[:] = [clean(text, named) for text in before]


def _parts(event: event_pb2.Event) -> Iterator[Message]:
    payload = event.WhichOneof("payload")
    if payload is None:
        return
    part: Any = getattr(event, payload)
    yield part
    if payload == "order":
        yield from part.lines
