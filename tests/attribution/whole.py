"""The whole of what follows from a log of events, by the decisions of identity, attribution and reporting alone."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from touchstone.attribution.v1 import credit_pb2
from touchstone.identity.v1 import people_pb2
from touchstone.ingest.v1 import event_pb2

from services.chassis.follow import Entry
from services.identity.domain.nodes import Node, kind_of
from services.identity.domain.people import hubs, people
from services.identity.domain.rules import Rules, unlinked_pairs
from services.identity.wire import facts as identity_wire
from services.kernel.identifiers import Identifier
from services.reporting.domain.cells import Cell, Measures
from services.reporting.domain.contributions import add, contributions
from services.reporting.wire.orders import fact_of
from tests.attribution import oracle
from tests.attribution.telling import named

ZONE = ZoneInfo("Europe/Madrid")


class Whole(NamedTuple):
    """Who is who, what every model says of every order and why, the credit log's last words, and the rollups."""

    persons: dict[Identifier, Node]
    nobody: frozenset[Identifier]
    decided: dict[tuple[str, str], tuple]
    entries: dict[tuple[str, str], bytes]
    cells: dict[Cell, Measures]


def whole(events: Sequence[event_pb2.LoggedEvent]) -> Whole:
    """All that follows from one tenant's events, at least one."""
    tenant_id = events[0].tenant_id
    persons, nobody = who_is_who(events)
    change = people_change(tenant_id, persons, nobody)
    decided = oracle.decisions(events, [change])
    entries = oracle.entries(events, [change], tenant_id)
    return Whole(persons, nobody, decided, entries, cells_of(entries.values()))


def who_is_who(
    events: Sequence[event_pb2.LoggedEvent],
) -> tuple[dict[Identifier, Node], frozenset[Identifier]]:
    """The person of each identifier, and those that name nobody."""
    log = [Entry(position, event) for position, event in enumerate(events, start=1)]
    facts = identity_wire.facts_by_tenant(log).get(events[0].tenant_id)
    if facts is None:
        return {}, frozenset()
    unlinked = unlinked_pairs(facts.decisions)
    nobody = hubs(facts.observations, facts.rules or Rules(), unlinked)

    def identifier(node: Node) -> Identifier:
        return Identifier(kind_of(node), facts.values[node])

    persons = people(facts.observations, nobody, unlinked)
    return {identifier(node): person for node, person in persons.items()}, frozenset(map(identifier, nobody))


def people_change(
    tenant_id: str, persons: dict[Identifier, Node], nobody: Iterable[Identifier]
) -> people_pb2.PeopleChange:
    """The same as the people log tells it."""
    return people_pb2.PeopleChange(
        tenant_id=tenant_id,
        memberships=[
            people_pb2.Membership(identifier=named(one.kind.name, one.value), person_id=person)
            for one, person in sorted(persons.items())
        ],
        hubs=[people_pb2.HubChange(identifier=named(one.kind.name, one.value), hub=True) for one in sorted(nobody)],
    )


def cells_of(entries: Iterable[bytes]) -> dict[Cell, Measures]:
    """The rollups of these entries of the credit log."""
    sums: dict[Cell, Measures] = {}
    for entry in entries:
        add(sums, contributions(fact_of(credit_pb2.OrderCredits.FromString(entry)), ZONE))
    return {cell: measures for cell, measures in sums.items() if any(measures)}
