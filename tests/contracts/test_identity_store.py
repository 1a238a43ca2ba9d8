"""What identity keeps and publishes, step by step on a real Postgres, is what the rules say of all observations."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import combinations, pairwise, product
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.identity.v1 import people_pb2
from touchstone.ingest.v1 import event_pb2, settings_pb2
from touchstone.type.v1 import identifier_pb2

from services.chassis.database import open_database
from services.chassis.follow import Entry
from services.chassis.migrations import migrate
from services.identity import follower, parting
from services.identity.domain import step
from services.identity.domain.nodes import Node, node_of
from services.identity.domain.people import hubs, people
from services.identity.domain.rules import Rules, unlinked_pairs
from services.identity.store import identifiers as identifiers_store
from services.identity.wire import facts as wire
from services.kernel.identifiers import Kind

MIGRATIONS = Path(follower.__file__).parent / "migrations"
FIELDS = {
    Kind.SESSION: "session_id",
    Kind.VISITOR: "visitor_id",
    Kind.EMAIL: "email",
    Kind.PHONE: "phone",
    Kind.CUSTOMER: "customer_id",
    Kind.CLICK: "click_id",
}
# Few values, so that people meet, kiosks cross the limit and decisions hit what was seen.
VALUES = {
    Kind.SESSION: 4,
    Kind.VISITOR: 2,
    Kind.EMAIL: 5,
    Kind.PHONE: 1,
    Kind.CUSTOMER: 1,
    Kind.CONVERSATION: 2,
    Kind.CLICK: 1,
}


def value(kind: Kind, number: int) -> str:
    return f"{kind.name[:2].lower()}{number}"


def identifier(kind: Kind, number: int) -> identifier_pb2.Identifier:
    return identifier_pb2.Identifier(kind=kind.value, value=value(kind, number))


identifiers = st.sampled_from([(kind, number) for kind, count in VALUES.items() for number in range(count)])


@st.composite
def observations(draw: st.DrawFn) -> event_pb2.Event:
    seen = dict(draw(st.lists(identifiers, min_size=1, max_size=4)))
    event = event_pb2.Event(event_id="e")
    for kind, number in seen.items():
        if kind is not Kind.CONVERSATION:
            setattr(event.identifiers, FIELDS[kind], value(kind, number))
    if Kind.CONVERSATION in seen:
        conversation_id = value(Kind.CONVERSATION, seen[Kind.CONVERSATION])
        draw(
            st.sampled_from([event.interaction, event.conversation, event.link_click])
        ).conversation_id = conversation_id
    return event


def decided_of(pairs: st.SearchStrategy[Sequence[identifier_pb2.Identifier]]) -> st.SearchStrategy[event_pb2.Event]:
    return st.builds(
        lambda pair, event_id, second, decision: event_pb2.Event(
            event_id=event_id,
            occur_time=Timestamp(seconds=second),
            link_decision=settings_pb2.LinkDecision(decision=decision, left=pair[0], right=pair[1]),
        ),
        pairs,
        st.sampled_from("abc"),
        st.integers(0, 5),
        st.sampled_from([settings_pb2.LinkDecision.UNLINK, settings_pb2.LinkDecision.RELINK]),
    )


def two_of(values: st.SearchStrategy[tuple[Kind, int]]) -> st.SearchStrategy[Sequence[tuple[Kind, int]]]:
    return st.lists(values, min_size=2, max_size=2, unique=True)


visitor_and_email = st.tuples(st.just((Kind.VISITOR, 0)), st.sampled_from([(Kind.EMAIL, 0), (Kind.EMAIL, 1)]))
decisions = decided_of((visitor_and_email | two_of(identifiers)).map(lambda pair: [identifier(*one) for one in pair]))


@st.composite
def tenant_settings(draw: st.DrawFn) -> event_pb2.Event:
    limits = draw(st.dictionaries(st.sampled_from([Kind.VISITOR, Kind.PHONE, Kind.CUSTOMER]), st.integers(0, 4)))
    blocked = draw(st.lists(identifiers, max_size=2, unique=True))
    return event_pb2.Event(
        event_id="s",
        settings=settings_pb2.TenantSettings(
            hub_limits=[settings_pb2.HubLimit(kind=kind.value, max_emails=limit) for kind, limit in limits.items()],
            blocked_identifiers=[identifier(*one) for one in blocked],
        ),
    )


kiosk_orders = st.builds(
    lambda visitor, email, session: event_pb2.Event(
        event_id="k",
        identifiers=event_pb2.Identifiers(
            visitor_id=value(Kind.VISITOR, visitor),
            email=value(Kind.EMAIL, email),
            session_id=value(Kind.SESSION, session),
        ),
    ),
    st.just(0),
    st.integers(0, 4),
    st.integers(0, 3),
)

events = st.one_of(observations(), observations(), kiosk_orders, kiosk_orders, decisions, tenant_settings())
# Mostly one tenant: what goes wrong needs events that meet.
logs = st.lists(st.tuples(st.sampled_from(("acme", "acme", "acme", "basalt")), events), min_size=5, max_size=25)
cuts = st.lists(st.integers(1, 4), min_size=5, max_size=15)


def entries_of(log: Sequence[tuple[str, event_pb2.Event]]) -> list[Entry[event_pb2.LoggedEvent]]:
    return [
        Entry(position, event_pb2.LoggedEvent(tenant_id=tenant_id, event=event))
        for position, (tenant_id, event) in enumerate(log, start=1)
    ]


def batches(entries: Sequence[Entry[event_pb2.LoggedEvent]], sizes: Sequence[int]) -> Iterator[Sequence[Entry]]:
    start = 0
    for size in sizes:
        yield entries[start : start + size]
        start += size
    yield entries[start:]


async def applied(
    engine: AsyncEngine, log: Sequence[tuple[str, event_pb2.Event]], sizes: Sequence[int]
) -> list[people_pb2.PeopleChange]:
    async with engine.begin() as connection:
        await connection.execute(text("TRUNCATE identifier, observation, decision, rules, wide_region"))
        published: list[bytes] = []
        for batch in batches(entries_of(log), sizes):
            published += await follower.apply(connection, 0, batch)
    return [people_pb2.PeopleChange.FromString(payload) for payload in published]


async def state(engine: AsyncEngine) -> dict[tuple[str, Node], tuple[Node, bool]]:
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT tenant_id, node, person, hub FROM identifier"))
        return {(row.tenant_id, row.node): (row.person, row.hub) for row in rows}


def expected(log: Sequence[tuple[str, event_pb2.Event]]) -> dict[tuple[str, Node], tuple[Node, bool]]:
    """The rules, over everything at once."""
    result: dict[tuple[str, Node], tuple[Node, bool]] = {}
    for tenant_id, facts in wire.facts_by_tenant(entries_of(log)).items():
        unlinked = unlinked_pairs(facts.decisions)
        hub_nodes = hubs(facts.observations, facts.rules or Rules(), unlinked)
        for node, person in people(facts.observations, hub_nodes, unlinked).items():
            result[tenant_id, node] = person, node in hub_nodes
    return result


@pytest.fixture(autouse=True, scope="module")
def _few_addresses_of_hubs_are_kept() -> Iterator[None]:
    """So few that both happens: they say that it stays a hub, and all that it was seen with has to be read."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(step, "_KEPT_OF_HUB", 4)
        yield


@pytest.fixture(scope="module")
async def engine(new_database: Callable[[], str]) -> AsyncEngine:
    url = new_database()
    await migrate(url, schema="identity_1", scripts=MIGRATIONS)
    engine = open_database(url, schema="identity_1")
    yield engine
    await engine.dispose()


@given(log=logs, sizes=cuts)
@settings(max_examples=50, deadline=None)
async def test_what_is_kept_is_what_the_rules_say_of_everything(engine, log, sizes):
    await applied(engine, log, sizes)

    assert await state(engine) == expected(log)


def met(session: int | None, visitor: int | None, email: int) -> event_pb2.Event:
    told = event_pb2.Identifiers(email=f"{email}@shop.example")
    if session is not None:
        told.session_id = str(session)
    if visitor is not None:
        told.visitor_id = str(visitor)
    return event_pb2.Event(identifiers=told)


# Visits that string people together, and kiosks among them that pass the limit one after another.
visits = st.one_of(
    st.builds(met, st.integers(0, 5), st.none(), st.integers(0, 13)),
    st.builds(met, st.none(), st.integers(0, 4), st.integers(0, 13)),
    st.builds(met, st.integers(0, 5), st.integers(0, 4), st.integers(0, 13)),
)
visited = st.builds(
    lambda kind, number: (kind, number % {Kind.SESSION: 6, Kind.VISITOR: 5, Kind.EMAIL: 14}[kind]),
    st.sampled_from([Kind.SESSION, Kind.VISITOR, Kind.EMAIL]),
    st.integers(0, 13),
)
judged = decided_of(
    two_of(visited).map(
        lambda pair: [
            identifier_pb2.Identifier(
                kind=kind.value, value=f"{number}@shop.example" if kind is Kind.EMAIL else str(number)
            )
            for kind, number in pair
        ]
    )
)
strung_logs = st.lists(
    st.tuples(st.just("acme"), st.one_of(visits, visits, visits, visits, judged, judged, events)),
    min_size=15,
    max_size=40,
)


@contextmanager
def every_region_large() -> Iterator[list[parting.Parted]]:
    """As if each region were one of those of which only what leaves them is read; answers what was found to leave."""
    left: list[parting.Parted] = []

    async def part(connection, endings):
        found = await parting.part(connection, endings)
        left.extend(one for regions in found.values() for one in regions.values())
        return found

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(follower, "part", part)
        patched.setattr(
            follower, "_wide", lambda tenant, changed: {one for one, _ in changed.observations} - tenant.naming.hubs
        )
        yield left


@given(log=strung_logs, sizes=cuts)
@settings(max_examples=30, deadline=None)
async def test_whether_a_region_is_read_whole_changes_nothing(engine, log, sizes):
    whole, kept = await applied(engine, log, sizes), await everything(engine)
    with every_region_large():
        assert await applied(engine, log, sizes) == whole

    assert await everything(engine) == kept
    assert await state(engine) == expected(log)


async def test_who_hangs_by_an_unlinked_hub_alone_leaves_the_region(engine):
    first, *others, last = sorted(range(9), key=lambda number: node_of(Kind.EMAIL, f"{number}@shop.example"))
    log = [("acme", met(number, None, mail)) for number, pair in enumerate(pairwise([first, *others])) for mail in pair]
    log += [("acme", met(None, 0, number)) for number in (first, last)]
    log += [("acme", decided("UNLINK", 1, (Kind.VISITOR, "0"), (Kind.EMAIL, f"{last}@shop.example")))]
    log += [("acme", ruled(3, (Kind.VISITOR, "0")))]
    sizes = [len(log) - 2, 1, 1]
    await applied(engine, log, sizes)
    whole = await everything(engine)

    with every_region_large() as left:
        await applied(engine, log, sizes)

    assert await everything(engine) == whole
    assert [len(one.leaving) for one in left] == [2]


async def test_who_is_unlinked_and_relinked_is_found_without_reading_the_region(engine, monkeypatch):
    first, *others, last = sorted(range(9), key=lambda number: node_of(Kind.EMAIL, f"{number}@shop.example"))
    log = [("acme", met(number, None, mail)) for number, pair in enumerate(pairwise([first, *others])) for mail in pair]
    log += [("acme", met(None, 0, number)) for number in (first, last)] + [("acme", met(20, None, last))]
    visitor, mail = (Kind.VISITOR, "0"), (Kind.EMAIL, f"{last}@shop.example")
    # What is unlinked first makes the region a large one.
    log += [("acme", decided("UNLINK", 1, visitor, (Kind.SESSION, "20")))]
    log += [("acme", decided(decision, 2 + i, visitor, mail)) for i, decision in enumerate(("UNLINK", "RELINK") * 2)]
    asked = []
    read = identifiers_store.read_regions

    async def read_regions(connection, regions):
        asked.append({region for of_tenant in regions.values() for region in of_tenant})
        return await read(connection, regions)

    monkeypatch.setattr(identifiers_store, "read_regions", read_regions)
    for end in range(len(log) - 4, len(log) + 1):
        with every_region_large() as left:
            await applied(engine, log[:end], [len(log) - 5, 1, 1, 1, 1, 1])
        assert await state(engine) == expected(log[:end])

    assert [(len(one.leaving), len(one.apart)) for one in left] == [(0, 2), (0, 2)]
    assert not any(asked[-8:])


async def test_only_what_leaves_a_large_region_is_read(engine):
    # Sessions of ten people each, and a kiosk between each two of them.
    log = [("acme", met(number // 10, None, number)) for number in range(60)]
    log += [("acme", met(None, kiosk, 10 * kiosk + number)) for kiosk in range(5) for number in (0, 1, 10)]
    await applied(engine, log, [100])
    log += [("acme", met(None, kiosk, 10 * kiosk + 2)) for kiosk in range(5)]
    with every_region_large() as left:
        await applied(engine, log, [75, 1, 1, 1, 1, 1])

    assert await state(engine) == expected(log)
    # The kiosk, its session and the ten people; where the region's name leaves with them, all of it is read.
    assert 1 <= len(left) <= 5
    assert all(len(one.leaving) == 12 and not one.apart for one in left)


@given(log=logs, sizes=cuts)
@settings(max_examples=50, deadline=None)
async def test_the_people_log_tells_what_a_follower_of_events_can_not_know(engine, log, sizes):
    changes = await applied(engine, log, sizes)

    persons: dict[tuple[str, Node], Node] = {}
    told_hubs: dict[tuple[str, Node], bool] = {}
    for change in changes:
        for membership in change.memberships:
            persons[change.tenant_id, node(membership.identifier)] = membership.person_id
        for hub in change.hubs:
            told_hubs[change.tenant_id, node(hub.identifier)] = hub.hub
    truth = expected(log)
    assert {key for key, hub in told_hubs.items() if hub} == {key for key, (_, hub) in truth.items() if hub}
    assert all(truth[key][0] == person for key, person in persons.items())
    for tenant_id, facts in wire.facts_by_tenant(entries_of(log)).items():
        for left, right in combinations(facts.observations, 2):
            for one, other in product(left, right):
                person, hub = truth[tenant_id, one]
                if one != other and not hub and truth[tenant_id, other] == (person, False):
                    assert persons.get((tenant_id, one)) == persons.get((tenant_id, other)) == person


@given(log=logs, sizes=cuts)
@settings(max_examples=15, deadline=None)
async def test_repeated_entries_change_nothing(engine, log, sizes):
    await applied(engine, log, sizes)
    once = await everything(engine)

    async with engine.begin() as connection:
        assert await follower.apply(connection, 0, entries_of(log)) == []

    assert await everything(engine) == once


def seen(**values: str) -> event_pb2.Event:
    return event_pb2.Event(identifiers=event_pb2.Identifiers(**values))


def decided(decision: str, second: int, left: tuple[Kind, str], right: tuple[Kind, str]) -> event_pb2.Event:
    return event_pb2.Event(
        event_id=f"d{second}",
        occur_time=Timestamp(seconds=second),
        link_decision=settings_pb2.LinkDecision(
            decision=decision,
            left=identifier_pb2.Identifier(kind=left[0].value, value=left[1]),
            right=identifier_pb2.Identifier(kind=right[0].value, value=right[1]),
        ),
    )


def ruled(limit: int, *blocked: tuple[Kind, str]) -> event_pb2.Event:
    return event_pb2.Event(
        settings=settings_pb2.TenantSettings(
            hub_limits=[settings_pb2.HubLimit(kind="VISITOR", max_emails=limit)],
            blocked_identifiers=[identifier_pb2.Identifier(kind=one.value, value=value) for one, value in blocked],
        )
    )


VISITOR, MAIL, SESSION = (Kind.VISITOR, "v"), (Kind.EMAIL, "e0"), (Kind.SESSION, "s")
KIOSK = [seen(visitor_id="v", email=f"e{number}", session_id=f"s{number}") for number in range(4)]
MET = [seen(session_id="s", visitor_id="v"), seen(click_id="c", email="e0"), seen(visitor_id="v", email="e0")]


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([*KIOSK, decided("UNLINK", 1, VISITOR, MAIL)], id="a hub unlinked from an address names again"),
        pytest.param(
            [*KIOSK, decided("UNLINK", 1, VISITOR, MAIL), decided("RELINK", 2, VISITOR, MAIL)],
            id="a hub again when relinked",
        ),
        pytest.param(
            [*KIOSK, decided("UNLINK", 1, VISITOR, MAIL), seen(visitor_id="v", email="e9")], id="a hub by a new address"
        ),
        pytest.param([*MET, decided("UNLINK", 1, VISITOR, MAIL)], id="what met is parted"),
        pytest.param(
            [*MET, decided("UNLINK", 1, VISITOR, MAIL), decided("RELINK", 2, VISITOR, MAIL)], id="and joined again"
        ),
        pytest.param(
            [*MET, decided("RELINK", 2, VISITOR, MAIL), decided("UNLINK", 1, VISITOR, MAIL)],
            id="the older is told last",
        ),
        pytest.param(
            [*MET, decided("UNLINK", 1, VISITOR, MAIL), seen(phone="p", visitor_id="v"), seen(phone="p", email="e0")],
            id="parted, and joined by another way",
        ),
        pytest.param(
            [
                seen(visitor_id="v", email="e0", session_id="s"),
                decided("UNLINK", 1, VISITOR, MAIL),
                decided("UNLINK", 2, SESSION, MAIL),
                seen(session_id="s", customer_id="c"),
                *KIOSK,
                seen(visitor_id="v", email="e4"),
            ],
            id="an unlinked region is torn again by a hub",
        ),
        pytest.param([*KIOSK, ruled(4), ruled(2), ruled(3)], id="limits go up and down"),
        pytest.param([*MET, ruled(3, VISITOR, SESSION), ruled(3, SESSION), *KIOSK], id="blocked, and allowed again"),
    ],
)
async def test_step_by_step_is_everything_at_once(engine, events):
    for end in range(1, len(events) + 1):
        log = [("acme", event) for event in events[:end]]
        await applied(engine, log, [1] * end)
        assert await state(engine) == expected(log)


async def test_any_characters_are_kept(engine):
    value = "a\"b\\c{d},NULL 'é\n\t"

    changes = await applied(engine, [("acme", seen(session_id=value)), ("acme", seen(session_id=value, email="e"))], [])

    assert value in [one.identifier.value for change in changes for one in change.memberships]


async def test_what_one_event_says_is_not_told_until_another_meets_it(engine):
    order = event_pb2.Event(
        identifiers=event_pb2.Identifiers(session_id="s", visitor_id="v", email="e", customer_id="c")
    )
    chat = event_pb2.Event(identifiers=event_pb2.Identifiers(session_id="s"))

    assert await applied(engine, [("acme", order), ("acme", order)], [1]) == []

    [change] = await applied(engine, [("acme", order), ("acme", chat)], [1])
    assert (change.tenant_id, change.cause_position) == ("acme", 2)
    assert sorted(one.identifier.value for one in change.memberships) == ["c", "e", "s", "v"]
    assert {one.person_id for one in change.memberships} == {node_of(Kind.EMAIL, "e")}


async def test_a_long_change_is_told_in_entries_that_a_message_can_hold(engine):
    meetings = [
        ("acme", event_pb2.Event(identifiers=event_pb2.Identifiers(session_id=f"s{number}", email="e")))
        for number in range(2_500)
    ]

    changes = await applied(engine, meetings, [])

    assert [len(change.memberships) for change in changes] == [1_000, 1_000, 501]


def node(identifier: identifier_pb2.Identifier) -> Node:
    return node_of(Kind(identifier.kind), identifier.value)


async def everything(engine: AsyncEngine) -> list[list[tuple]]:
    async with engine.connect() as connection:
        return [
            sorted(map(repr, await connection.execute(text(f"SELECT {columns} FROM {table}"))))
            for table, columns in (
                ("identifier", "*"),
                ("observation", "tenant_id, region, members"),
                ("decision", "*"),
                ("rules", "*"),
            )
        ]
