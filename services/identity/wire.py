"""Protobuf to people and back."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta

from google.protobuf.timestamp_pb2 import Timestamp
from touchstone.identity.v1 import link_service_pb2, people_pb2, people_service_pb2
from touchstone.ingest.v1 import event_pb2, event_service_pb2, interaction_pb2, settings_pb2
from touchstone.type.v1 import identifier_pb2

from services.chassis.follow import Entry
from services.identity.domain.description import Description
from services.identity.domain.facts import Facts
from services.identity.domain.links import TrackedLink
from services.identity.domain.nodes import Node, kind_of, node_of, pair_of
from services.identity.domain.rules import DEFAULT_LIMITS, Decision, Rules
from services.identity.domain.step import Changes, Standing
from services.kernel.crawlers import is_crawler
from services.kernel.failures import InvalidArgumentError
from services.kernel.identifiers import Kind

_NANOS = 1_000_000_000
_OWN_SOURCE = "touchstone"
_MEMBERSHIPS_IN_A_CHANGE = 1_000
_KIND_OF_FIELD = {
    "session_id": Kind.SESSION,
    "visitor_id": Kind.VISITOR,
    "email": Kind.EMAIL,
    "phone": Kind.PHONE,
    "customer_id": Kind.CUSTOMER,
    "conversation_id": Kind.CONVERSATION,
}
_WIRE_KINDS = {kind: identifier_pb2.Identifier.Kind.Value(kind.name) for kind in Kind}
_ADDRESSES = frozenset({Kind.EMAIL, Kind.PHONE})


def facts_by_tenant(entries: Sequence[Entry[event_pb2.LoggedEvent]]) -> dict[str, Facts]:
    """What the entries say about people, by tenant. Entries that name nobody leave nothing."""
    by_tenant: dict[str, Facts] = {}
    for entry in entries:
        logged = entry.message
        facts = by_tenant.get(logged.tenant_id)
        if facts is None:
            facts = by_tenant[logged.tenant_id] = Facts()
        facts.position = max(facts.position, entry.position)
        _add(facts, logged.event, entry.position)
    return {
        tenant_id: facts for tenant_id, facts in by_tenant.items() if facts.observations or facts.rules or facts.links
    }


def _add(facts: Facts, event: event_pb2.Event, position: int) -> None:
    values = {node_of(kind, value): value for kind, value in _identifiers(event)}
    if values:
        facts.values.update(values)
        facts.observe(tuple(sorted(values)))
    payload = event.WhichOneof("payload")
    if payload == "link_decision":
        _add_decision(facts, event)
    elif payload == "settings":
        facts.set_rules(rules_of(event.settings), position, tuple(event.settings.link_hosts))
    elif payload == "tracked_link":
        facts.links.append(_tracked_link(event.tracked_link))


def link_event(tenant_id: str, link: TrackedLink, touchpoint: str, now: int) -> event_service_pb2.Delivery:
    """What the event log is told of a new link, at `now` in nanoseconds since 1970."""
    occur_time = _timestamp(now)
    event = event_pb2.Event(
        event_id=f"link-{link.link_id}",
        occur_time=occur_time,
        tracked_link=interaction_pb2.TrackedLink(
            link_id=link.link_id,
            conversation_id=link.conversation_id,
            destination=link.destination,
            touchpoint=touchpoint,
            expire_time=_timestamp(link.expire_nanos),
        ),
    )
    return event_service_pb2.Delivery(tenant_id=tenant_id, source=_OWN_SOURCE, receive_time=occur_time, events=[event])


def lifetime(request: link_service_pb2.CreateLinkRequest) -> timedelta | None:
    """The lifetime that is asked for. Raises InvalidArgumentError for a span that none can be."""
    if not request.HasField("lifetime"):
        return None
    try:
        return request.lifetime.ToTimedelta()
    except (ValueError, OverflowError):
        raise InvalidArgumentError.of("lifetime", "is no span of time") from None


def created_link(link: TrackedLink, address: str) -> link_service_pb2.CreateLinkResponse:
    """A new link as its maker is answered."""
    return link_service_pb2.CreateLinkResponse(
        url=address, link_id=link.link_id, expire_time=_timestamp(link.expire_nanos)
    )


def resolved_link(tenant_id: str, link: TrackedLink) -> link_service_pb2.ResolveLinkResponse:
    """A link as whoever leads people there is answered."""
    return link_service_pb2.ResolveLinkResponse(
        tenant_id=tenant_id,
        conversation_id=link.conversation_id,
        destination=link.destination,
        expire_time=_timestamp(link.expire_nanos),
    )


def _timestamp(at_nanos: int) -> Timestamp:
    seconds, nanos = divmod(at_nanos, _NANOS)
    return Timestamp(seconds=seconds, nanos=nanos)


def _tracked_link(told: interaction_pb2.TrackedLink) -> TrackedLink:
    expire_nanos = told.expire_time.seconds * _NANOS + told.expire_time.nanos
    return TrackedLink(told.link_id, told.conversation_id, told.destination, expire_nanos)


def _identifiers(event: event_pb2.Event) -> Iterator[tuple[Kind, str]]:
    """Whom the event has seen: nobody, where a program followed a link."""
    payload = event.WhichOneof("payload")
    if payload == "link_click" and is_crawler(event.link_click.user_agent):
        return
    seen = event.identifiers
    if seen.session_id:
        yield Kind.SESSION, seen.session_id
    if seen.visitor_id:
        yield Kind.VISITOR, seen.visitor_id
    if seen.email:
        yield Kind.EMAIL, seen.email
    if seen.phone:
        yield Kind.PHONE, seen.phone
    if seen.customer_id:
        yield Kind.CUSTOMER, seen.customer_id
    if seen.click_id:
        yield Kind.CLICK, seen.click_id
    if payload in ("interaction", "conversation", "link_click"):
        conversation_id = getattr(event, payload).conversation_id
        if conversation_id:
            yield Kind.CONVERSATION, conversation_id


def _add_decision(facts: Facts, event: event_pb2.Event) -> None:
    told = event.link_decision
    left, right = _node(told.left), _node(told.right)
    if left is None or right is None or left == right or not told.decision:
        return
    facts.values.update({left: told.left.value, right: told.right.value})
    decision = Decision(
        occur_nanos=event.occur_time.seconds * _NANOS + event.occur_time.nanos,
        event_id=event.event_id,
        linked=told.decision == settings_pb2.LinkDecision.RELINK,
    )
    facts.decide(pair_of(left, right), decision)


def _node(identifier: identifier_pb2.Identifier) -> Node | None:
    return node_of(Kind(identifier.kind), identifier.value) if identifier.kind and identifier.value else None


def rules_of(settings: settings_pb2.TenantSettings) -> Rules:
    """When a value names nobody, as settings say.

    Blocked addresses are left out: settings hold them as typed, and the log holds hashes.
    """
    told = {Kind(limit.kind): max(limit.max_emails, 0) for limit in settings.hub_limits if limit.kind}
    blocked = (node for one in settings.blocked_identifiers if (node := _node(one)) is not None)
    return Rules(
        limits={kind: told.get(kind, limit) for kind, limit in DEFAULT_LIMITS.items()},
        blocked=frozenset(node for node in blocked if kind_of(node) not in _ADDRESSES),
    )


def check_names_one(request: people_service_pb2.LookupPersonRequest) -> None:
    """Raises InvalidArgumentError unless exactly one field names somebody."""
    named = [field.json_name for field, _ in request.ListFields()]
    if not named:
        raise InvalidArgumentError("INVALID_FIELD", "Name somebody by exactly one identifier.")
    if len(named) > 1:
        raise InvalidArgumentError.of(named[1], f"stands beside {named[0]}: name somebody by exactly one identifier")


def addresses(request: people_service_pb2.LookupPersonRequest) -> event_pb2.Identifiers:
    """The address that a look-up names, for ingest to hash."""
    return event_pb2.Identifiers(email=request.email, phone=request.phone)


def named_node(request: people_service_pb2.LookupPersonRequest) -> Node:
    """The node of the one identifier that a look-up names, its address hashed."""
    [(field, value)] = request.ListFields()
    return node_of(_KIND_OF_FIELD[field.name], value)


def asked_nodes(request: people_service_pb2.ListMembersRequest) -> dict[Node, str]:
    """The identifiers that are asked for, with their values."""
    return {node: one.value for one in request.identifiers if (node := _node(one)) is not None}


def members(known: Iterable[tuple[Node, str, int]], position: int) -> people_service_pb2.ListMembersResponse:
    """Identifiers by node and value with their persons, 0 for nobody, through a position of the event log."""
    return people_service_pb2.ListMembersResponse(
        memberships=[
            people_pb2.Membership(identifier=_identifier(node, value), person_id=person)
            for node, value, person in known
        ],
        event_position=position,
    )


def people_changes(tenant_id: str, changes: Changes, cause_position: int) -> Iterator[bytes]:
    """A step's changes as entries of the people log, serialized; none when there is nothing to tell.

    What would be too long for one entry is told in several, hubs first: an entry is true without those that follow.
    """
    memberships = [
        people_pb2.Membership(identifier=_identifier(node, standing.value), person_id=standing.person)
        for node, standing in sorted(changes.memberships.items())
    ]
    hubs = [
        people_pb2.HubChange(identifier=_identifier(node, standing.value), hub=standing.hub)
        for node, standing in sorted(changes.hubs.items())
    ]
    size = _MEMBERSHIPS_IN_A_CHANGE
    for start in range(0, max(len(memberships), len(hubs)), size):
        yield people_pb2.PeopleChange(
            tenant_id=tenant_id,
            memberships=memberships[start : start + size],
            hubs=hubs[start : start + size],
            cause_position=cause_position,
        ).SerializeToString()


def _identifier(node: Node, value: str) -> identifier_pb2.Identifier:
    return identifier_pb2.Identifier(kind=_WIRE_KINDS[kind_of(node)], value=value)


def person(description: Description, standings: Mapping[Node, Standing]) -> people_pb2.Person:
    """A person as callers see it: identifiers, links and hubs by kind and value."""
    identifiers = {node: _identifier(node, standing.value) for node, standing in standings.items()}

    def order(node: Node) -> tuple[int, str]:
        return identifiers[node].kind, identifiers[node].value

    pairs = sorted((tuple(sorted(pair, key=order)) for pair in description.links), key=lambda pair: [*map(order, pair)])
    return people_pb2.Person(
        person_id=description.person,
        identifiers=[identifiers[node] for node in sorted(description.identifiers, key=order)],
        links=[
            _link(identifiers[left], identifiers[right], description.links[pair_of(left, right)])
            for left, right in pairs
        ],
        hubs=[identifiers[node] for node in sorted(description.hubs, key=order)],
    )


def _link(
    left: identifier_pb2.Identifier, right: identifier_pb2.Identifier, decision: Decision | None
) -> people_pb2.Link:
    if decision is None:
        return people_pb2.Link(left=left, right=right, basis=people_pb2.Link.OBSERVED)
    seconds, nanos = divmod(decision.occur_nanos, _NANOS)
    return people_pb2.Link(
        left=left,
        right=right,
        basis=people_pb2.Link.DECIDED,
        decide_time=Timestamp(seconds=seconds, nanos=nanos),
    )
