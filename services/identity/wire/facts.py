"""The event log's entries as facts about people, and what changes as entries of the people log."""

from collections.abc import Iterator, Sequence

from google.protobuf import timestamp_pb2
from touchstone.identity.v1 import people_pb2
from touchstone.ingest.v1 import event_pb2, interaction_pb2, settings_pb2

from services.chassis.follow import Entry
from services.identity.domain.facts import Facts
from services.identity.domain.links import TrackedLink
from services.identity.domain.nodes import node_of, pair_of
from services.identity.domain.rules import DEFAULT_LIMITS, Decision, Rules
from services.identity.domain.step import Changes
from services.identity.wire.identifiers import identifier_of, nanos_of, node_named
from services.kernel.crawlers import is_crawler
from services.kernel.identifiers import Kind

_MEMBERSHIPS_IN_A_CHANGE = 1_000

_KINDS = (Kind.SESSION, Kind.VISITOR, Kind.EMAIL, Kind.PHONE, Kind.CUSTOMER, Kind.CONVERSATION, Kind.CLICK)
"""In the sequence of `_whom`."""


def facts_by_tenant(entries: Sequence[Entry[event_pb2.LoggedEvent]]) -> dict[str, Facts]:
    """What the entries say about people, by tenant. Entries that name nobody leave nothing."""
    by_tenant: dict[str, Facts] = {}
    seen: set[tuple[str, tuple[str, ...]]] = set()
    last: dict[str, event_pb2.LoggedEvent] = {}
    for entry in entries:
        logged = entry.message
        facts = by_tenant.get(logged.tenant_id)
        if facts is None:
            facts = by_tenant[logged.tenant_id] = Facts()
        if entry.position > facts.position:
            facts.position, last[logged.tenant_id] = entry.position, logged
        # Many events tell of the same visit: the first of them says whose it is.
        told = (logged.tenant_id, _whom(logged.event))
        if told not in seen:
            seen.add(told)
            _observe(facts, told[1])
        _add_told(facts, logged.event, entry.position)
    for tenant_id, logged in last.items():
        by_tenant[tenant_id].receive_micros = logged.receive_time.ToMicroseconds()
    return {
        tenant_id: facts for tenant_id, facts in by_tenant.items() if facts.observations or facts.rules or facts.links
    }


def _observe(facts: Facts, seen: tuple[str, ...]) -> None:
    values = {node_of(kind, value): value for kind, value in zip(_KINDS, seen, strict=True) if value}
    if values:
        facts.values.update(values)
        facts.observe(tuple(sorted(values)))


def _add_told(facts: Facts, event: event_pb2.Event, position: int) -> None:
    """Adds what the event says of people beside whom it has seen."""
    payload = event.WhichOneof("payload")
    if payload == "link_decision":
        _add_decision(facts, event)
    elif payload == "settings":
        facts.set_rules(rules_of(event.settings), position, tuple(event.settings.link_hosts))
    elif payload == "tracked_link":
        facts.links.append(_tracked_link(event.tracked_link))


def _whom(event: event_pb2.Event) -> tuple[str, ...]:
    """Whom the event has seen, a value or "" of each of `_KINDS`: nobody, where a program followed a link."""
    payload, conversation_id = event.WhichOneof("payload"), ""
    if payload in ("interaction", "conversation", "link_click"):
        if payload == "link_click" and is_crawler(event.link_click.user_agent):
            return ("",) * len(_KINDS)
        conversation_id = getattr(event, payload).conversation_id
    seen = event.identifiers
    return (
        *(seen.session_id, seen.visitor_id, seen.email, seen.phone, seen.customer_id),
        *(conversation_id, seen.click_id),
    )


def _add_decision(facts: Facts, event: event_pb2.Event) -> None:
    told = event.link_decision
    left, right = node_named(told.left), node_named(told.right)
    if left is None or right is None or left == right or not told.decision:
        return
    facts.values.update({left: told.left.value, right: told.right.value})
    decision = Decision(
        occur_nanos=nanos_of(event.occur_time),
        event_id=event.event_id,
        linked=told.decision == settings_pb2.LinkDecision.RELINK,
    )
    facts.decide(pair_of(left, right), decision)


def _tracked_link(told: interaction_pb2.TrackedLink) -> TrackedLink:
    expire_nanos = nanos_of(told.expire_time)
    return TrackedLink(told.link_id, told.conversation_id, told.destination, expire_nanos)


def rules_of(settings: settings_pb2.TenantSettings) -> Rules:
    """When a value names nobody, as settings say. Blocked addresses are hashes there, as everywhere in the log."""
    told = {Kind(limit.kind): max(limit.max_emails, 0) for limit in settings.hub_limits if limit.kind}
    blocked = (node for one in settings.blocked_identifiers if (node := node_named(one)) is not None)
    return Rules(
        limits={kind: told.get(kind, limit) for kind, limit in DEFAULT_LIMITS.items()},
        blocked=frozenset(blocked),
    )


def people_changes(tenant_id: str, changes: Changes, facts: Facts) -> Iterator[bytes]:
    """A step's changes as entries of the people log, serialized; none when there is nothing to tell.

    `facts` are what caused them.

    What would be too long for one entry is told in several, hubs first: an entry is true without those that follow.
    """
    memberships = [
        people_pb2.Membership(identifier=identifier_of(node, standing.value), person_id=standing.person)
        for node, standing in sorted(changes.memberships.items())
    ]
    hubs = [
        people_pb2.HubChange(identifier=identifier_of(node, standing.value), hub=standing.hub)
        for node, standing in sorted(changes.hubs.items())
    ]
    size, receive_time = _MEMBERSHIPS_IN_A_CHANGE, timestamp_pb2.Timestamp()
    receive_time.FromMicroseconds(facts.receive_micros)
    for start in range(0, max(len(memberships), len(hubs)), size):
        yield people_pb2.PeopleChange(
            tenant_id=tenant_id,
            memberships=memberships[start : start + size],
            hubs=hubs[start : start + size],
            cause_position=facts.position,
            cause_receive_time=receive_time if facts.receive_micros else None,
        ).SerializeToString()
