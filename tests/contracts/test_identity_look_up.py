"""A person as somebody is shown it, read from a real Postgres."""

from collections.abc import AsyncIterator, Callable
from itertools import combinations
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.ingest.v1 import event_pb2, settings_pb2
from touchstone.type.v1 import identifier_pb2

from services.chassis.database import close_database, open_database
from services.chassis.follow import Entry
from services.chassis.migrations import migrate
from services.identity import follower
from services.identity.domain.description import MOST_LISTED, Description
from services.identity.domain.nodes import kind_of, node_of
from services.identity.domain.people import hubs, people
from services.identity.domain.rules import Rules, unlinked_pairs
from services.identity.store import identifiers, persons
from services.identity.wire import facts as wire
from services.kernel.identifiers import Kind

MIGRATIONS = Path(follower.__file__).parent / "migrations"
KINDS = (Kind.SESSION, Kind.VISITOR, Kind.EMAIL, Kind.CUSTOMER)


@pytest.fixture(scope="module")
async def engine(new_database: Callable[[], str]) -> AsyncIterator[AsyncEngine]:
    url = new_database()
    await migrate(url, schema="identity_1", scripts=MIGRATIONS)
    engine = open_database(url, schema="identity_1")
    yield engine
    await close_database(engine)


def seen(**told: str) -> event_pb2.Event:
    return event_pb2.Event(identifiers=event_pb2.Identifiers(**told))


def judged(verdict: int, second: int, visitor: str, email: str) -> event_pb2.Event:
    decision = settings_pb2.LinkDecision(
        decision=verdict,  # type: ignore[arg-type]
        left=identifier_pb2.Identifier(kind=Kind.VISITOR.value, value=visitor),  # type: ignore[arg-type]
        right=identifier_pb2.Identifier(kind=Kind.EMAIL.value, value=email),  # type: ignore[arg-type]
    )
    return event_pb2.Event(event_id="d", occur_time=Timestamp(seconds=second), link_decision=decision)


def entries(log: list[event_pb2.Event]) -> list[Entry[event_pb2.LoggedEvent]]:
    return [Entry(at, event_pb2.LoggedEvent(tenant_id="acme", event=event)) for at, event in enumerate(log, start=1)]


async def tell(engine: AsyncEngine, log: list[event_pb2.Event]) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("TRUNCATE identifier, observation, decision, rules"))
        await follower.apply(connection, 0, entries(log))


async def described(engine: AsyncEngine, kind: Kind, value: str) -> Description:
    node = node_of(kind, value)
    async with engine.connect() as connection:
        known = (await identifiers.read(connection, {"acme": [node]}))["acme"]
        return await persons.describe(connection, "acme", node, known[node])


numbers = st.integers(0, 2)
told = st.one_of(
    st.builds(lambda s, v: seen(session_id=f"s{s}", visitor_id=f"v{v}"), numbers, numbers),
    st.builds(lambda v, e: seen(visitor_id=f"v{v}", email=f"e{e}"), numbers, st.integers(0, 4)),
    st.builds(lambda s, c, e: seen(session_id=f"s{s}", customer_id=f"c{c}", email=f"e{e}"), numbers, numbers, numbers),
    st.builds(lambda d, t, v, e: judged(d, t, f"v{v}", f"e{e}"), st.integers(1, 2), numbers, numbers, numbers),
)


@given(log=st.lists(told, min_size=3, max_size=25))
@settings(max_examples=25, deadline=None)
async def test_everybody_is_described_as_the_rules_say(engine: AsyncEngine, log: list[event_pb2.Event]) -> None:
    await tell(engine, log)
    facts = wire.facts_by_tenant(entries(log))["acme"]
    unlinked = unlinked_pairs(facts.decisions)
    nobody = hubs(facts.observations, Rules(), unlinked)
    everybody = people(facts.observations, nobody, unlinked)

    for node, value in facts.values.items():
        found = await described(engine, kind_of(node), value)

        assert found.person == everybody[node]
        own = {one for one, person in everybody.items() if person == found.person and one not in nobody}
        shown = {known.node for known in found.identifiers}
        assert (shown, found.count) == (({node}, 1) if node in nobody else (own, len(own)))
        links = {
            pair: facts.decisions[pair].occur_nanos if pair in facts.decisions else None
            for members in facts.observations
            for pair in combinations(members, 2)
            if own.issuperset(pair) and pair not in unlinked and node not in nobody
        }
        assert {tuple(sorted((tie.left.node, tie.right.node))): tie.decide_nanos for tie in found.links} == links
        beside = {one for members in facts.observations if own.intersection(members) for one in members} & nobody
        assert {known.node for known in found.hubs} == ({node} if node in nobody else beside)


async def test_of_very_many_those_are_shown_that_tell_most(engine: AsyncEngine) -> None:
    many = MOST_LISTED + 500
    log = [seen(session_id=f"s{number}", email="e") for number in range(many)]
    await tell(engine, [*log, seen(email="e", visitor_id="v"), judged(2, 1, "v", "e")])

    found = await described(engine, Kind.SESSION, f"s{many - 1}")

    assert found.count == many + 2
    shown = {known.value for known in found.identifiers}
    assert len(shown) == MOST_LISTED
    # Who was asked for, who is named, and then visits.
    assert {f"s{many - 1}", "e", "v"} <= shown
    assert len(found.links) == MOST_LISTED - 1
    assert {tie.decide_nanos for tie in found.links} == {None, 10**9}
    assert found == await described(engine, Kind.SESSION, f"s{many - 1}")
