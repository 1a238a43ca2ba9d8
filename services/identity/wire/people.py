"""Who is asked for, and who it is; what was decided about a pair."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from touchstone.identity.v1 import people_pb2, people_service_pb2
from touchstone.ingest.v1 import event_pb2, event_service_pb2, settings_pb2
from touchstone.type.v1 import identifier_pb2

from services.identity.domain.description import Description, Known, Tie
from services.identity.domain.nodes import Node, kind_of, node_of
from services.identity.domain.rules import Decision
from services.identity.wire.identifiers import OWN_SOURCE, identifier_of, node_named, timestamp_of
from services.kernel.failures import InvalidArgumentError
from services.kernel.identifiers import LONGEST_VALUE, Kind, names_nobody

_KIND_OF_FIELD = {
    "session_id": Kind.SESSION,
    "visitor_id": Kind.VISITOR,
    "email": Kind.EMAIL,
    "phone": Kind.PHONE,
    "customer_id": Kind.CUSTOMER,
    "conversation_id": Kind.CONVERSATION,
}
_ADDRESSES = frozenset({Kind.EMAIL, Kind.PHONE})
_HASH = re.compile(r"[A-Za-z0-9_-]{43}")


class Named(NamedTuple):
    """An identifier that a request names, and the field that does, as JSON has it: `left.visitorId`."""

    field: str
    kind: Kind
    value: str

    @property
    def node(self) -> Node:
        """Its node, if the value stands as in the log."""
        return node_of(self.kind, self.value)


def named(
    message: people_service_pb2.LookupPersonRequest | people_service_pb2.NamedIdentifier, side: str = ""
) -> Named:
    """The one identifier that the fields of a message name; `side` is the field that holds the message, if one does.

    Raises InvalidArgumentError unless exactly one field names somebody, by a value that can.
    """
    fields = message.ListFields()
    if not fields:
        told = "name somebody by exactly one identifier"
        raise InvalidArgumentError.of(side, told) if side else InvalidArgumentError("INVALID_FIELD", f"N{told[1:]}.")
    prefix = f"{side}." if side else ""
    if len(fields) > 1:
        first, second = (field.json_name for field, _ in fields[:2])
        raise InvalidArgumentError.of(
            prefix + second, f"stands beside {first}: name somebody by exactly one identifier"
        )
    [(field, value)] = fields
    if len(value) > LONGEST_VALUE or "\0" in value:
        raise InvalidArgumentError.of(
            prefix + field.json_name, f"is no identifier: these have 1 to {LONGEST_VALUE} characters"
        )
    return Named(prefix + field.json_name, _KIND_OF_FIELD[field.name], value)


def address_to_hash(told: Named) -> event_pb2.Identifiers | None:
    """What ingest has to hash of an identifier; None of one that stands in the log as it was named.

    A hash has a form that no address has: one that a look-up has answered is understood too.
    """
    if told.kind not in _ADDRESSES or _HASH.fullmatch(told.value):
        return None
    return event_pb2.Identifiers(**{told.kind.name.lower(): told.value})


def hashed(told: Named, answer: event_pb2.Identifiers) -> Named:
    """The identifier with its address as ingest hashed it. Raises InvalidArgumentError where it is no valid one."""
    value = answer.email if told.kind is Kind.EMAIL else answer.phone
    if not value:
        raise InvalidArgumentError.of(told.field, "is no valid address" if told.kind is Kind.EMAIL else "is no number")
    return told._replace(value=value)


def check_pair(left: Named, right: Named) -> None:
    """Raises InvalidArgumentError unless the two are different and each may name somebody."""
    for told in (left, right):
        if names_nobody(told.value):
            raise InvalidArgumentError.of(told.field, "names nobody")
    if left.node == right.node:
        raise InvalidArgumentError.of(right.field, f"is the same as {left.field}")


def decision_event(
    tenant_id: str, left: Named, right: Named, *, decision: Decision, trace_parent: str = ""
) -> event_service_pb2.Delivery:
    """What the event log is told of a decision about two identifiers."""
    occur_time = timestamp_of(decision.occur_nanos)
    told = settings_pb2.LinkDecision(
        decision=settings_pb2.LinkDecision.RELINK if decision.linked else settings_pb2.LinkDecision.UNLINK,
        left=identifier_of(left.node, left.value),
        right=identifier_of(right.node, right.value),
    )
    event = event_pb2.Event(event_id=decision.event_id, occur_time=occur_time, link_decision=told)
    return event_service_pb2.Delivery(
        tenant_id=tenant_id, source=OWN_SOURCE, receive_time=occur_time, trace_parent=trace_parent, events=[event]
    )


def decided_link(left: Named, right: Named, decision: Decision) -> people_pb2.Link:
    """A pair as somebody's decision lets it stand."""
    return _link(identifier_of(left.node, left.value), identifier_of(right.node, right.value), decision.occur_nanos)


def asked_nodes(request: people_service_pb2.ListMembersRequest) -> dict[Node, str]:
    """The identifiers that are asked for, with their values."""
    return {node: one.value for one in request.identifiers if (node := node_named(one)) is not None}


def members(known: Iterable[tuple[Node, str, int]], position: int) -> people_service_pb2.ListMembersResponse:
    """Identifiers by node and value with their persons, 0 for nobody, through a position of the event log."""
    return people_service_pb2.ListMembersResponse(
        memberships=[
            people_pb2.Membership(identifier=identifier_of(node, value), person_id=person)
            for node, value, person in known
        ],
        event_position=position,
    )


def person(description: Description) -> people_pb2.Person:
    """A person as callers see it: identifiers, links and hubs by kind and value."""

    def order(known: Known) -> tuple[int, str]:
        return kind_of(known.node), known.value

    def told(known: Known) -> identifier_pb2.Identifier:
        return identifier_of(known.node, known.value)

    def link(tie: Tie) -> people_pb2.Link:
        left, right = sorted((tie.left, tie.right), key=order)
        return _link(told(left), told(right), tie.decide_nanos)

    links = sorted(description.links, key=lambda tie: sorted((order(tie.left), order(tie.right))))
    return people_pb2.Person(
        person_id=description.person,
        identifiers=[told(known) for known in sorted(description.identifiers, key=order)],
        links=map(link, links),
        hubs=[told(known) for known in sorted(description.hubs, key=order)],
        identifier_count=description.count,
    )


def _link(
    left: identifier_pb2.Identifier, right: identifier_pb2.Identifier, decide_nanos: int | None
) -> people_pb2.Link:
    if decide_nanos is None:
        return people_pb2.Link(left=left, right=right, basis=people_pb2.Link.OBSERVED)
    return people_pb2.Link(
        left=left, right=right, basis=people_pb2.Link.DECIDED, decide_time=timestamp_of(decide_nanos)
    )
