"""Identifiers, and who they belong to, as other services tell it."""

from touchstone.identity.v1 import people_pb2
from touchstone.ingest.v1 import event_pb2
from touchstone.type.v1 import identifier_pb2

from services.kernel.identifiers import Identifier, Kind

_KINDS = {kind.value: kind for kind in Kind}
_SESSION, _VISITOR, _EMAIL, _PHONE, _CUSTOMER, _CONVERSATION, _CLICK = Kind


def identifiers(named: event_pb2.Identifiers, conversation_id: str = "") -> tuple[Identifier, ...]:
    """The identifiers of an event, and of the conversation that it is part of."""
    found: list[Identifier] = []
    if value := named.session_id:
        found.append(Identifier(_SESSION, value))
    if value := named.visitor_id:
        found.append(Identifier(_VISITOR, value))
    if value := named.email:
        found.append(Identifier(_EMAIL, value))
    if value := named.phone:
        found.append(Identifier(_PHONE, value))
    if value := named.customer_id:
        found.append(Identifier(_CUSTOMER, value))
    if conversation_id:
        found.append(Identifier(_CONVERSATION, conversation_id))
    if value := named.click_id:
        found.append(Identifier(_CLICK, value))
    return tuple(found)


def identifier(message: identifier_pb2.Identifier) -> Identifier:
    """An identifier as another service names it."""
    return Identifier(_KINDS[message.kind], message.value)


def memberships(change: people_pb2.PeopleChange) -> dict[Identifier, int]:
    """The person of each identifier that changed; a signed number, as Postgres keeps it."""
    return {identifier(membership.identifier): signed(membership.person_id) for membership in change.memberships}


def hub_changes(change: people_pb2.PeopleChange) -> dict[Identifier, bool]:
    """The identifiers that began to name nobody, or stopped."""
    return {identifier(hub.identifier): hub.hub for hub in change.hubs}


def signed(person_id: int) -> int:
    """An unsigned 64-bit number as the signed one of the same bits."""
    return person_id - (1 << 64) if person_id >> 63 else person_id
