"""Whole shops on a real Postgres: told in any other order, and some of it twice, they leave the same people."""

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.identity.v1 import people_pb2
from touchstone.ingest.v1 import event_pb2, settings_pb2
from touchstone.type.v1 import identifier_pb2

from services.chassis.database import close_database, open_database
from services.chassis.follow import Entry
from services.chassis.migrations import migrate
from services.identity import follower
from services.kernel.identifiers import Kind

MIGRATIONS = Path(follower.__file__).parent / "migrations"
PEOPLE = 6
KIOSKS = ("till", "hall")
Log = list[event_pb2.Event]
Named = tuple[str, str]


class Left(NamedTuple):
    """What a telling leaves: each identifier's person and whether it is a hub, and what the people log said last."""

    kept: dict[tuple[int, str], tuple[int, bool]]
    persons: dict[tuple[int, str], int]
    hubs: dict[tuple[int, str], bool]


def seen(conversation_id: str = "", **identifiers: str) -> event_pb2.Event:
    event = event_pb2.Event(event_id="e", identifiers=event_pb2.Identifiers(**identifiers))
    if conversation_id:
        event.interaction.conversation_id = conversation_id
    return event


def kind(field: str) -> Any:
    return Kind[field.removesuffix("_id").upper()].value


def decided(verdict: int, second: int, left: Named, right: Named) -> event_pb2.Event:
    told = settings_pb2.LinkDecision(
        decision=verdict,  # type: ignore[arg-type]
        left=identifier_pb2.Identifier(kind=kind(left[0]), value=left[1]),
        right=identifier_pb2.Identifier(kind=kind(right[0]), value=right[1]),
    )
    return event_pb2.Event(event_id=f"d{second % 3}", occur_time=Timestamp(seconds=second // 2), link_decision=told)


def ruled(limits: dict[str, int], blocked: Sequence[Named]) -> event_pb2.Event:
    told = settings_pb2.TenantSettings(
        hub_limits=[settings_pb2.HubLimit(kind=kind(field), max_emails=most) for field, most in limits.items()],
        blocked_identifiers=[identifier_pb2.Identifier(kind=kind(field), value=value) for field, value in blocked],
    )
    return event_pb2.Event(event_id="s", settings=told)


people = st.integers(0, PEOPLE - 1)
pick = st.integers(0, 1)
visits = st.builds(
    lambda who, device, at: seen(session_id=f"s{who}{at}", visitor_id=f"v{who}{device}"), people, pick, pick
)
chats = st.builds(lambda who, device, at: seen(f"c{who}{at}", visitor_id=f"v{who}{device}"), people, pick, pick)
messages = st.builds(lambda who, at: seen(f"c{who}{at}", phone=f"p{who // 2}"), people, pick)
orders = st.builds(
    lambda who, device, mail: seen(visitor_id=f"v{who}{device}", email=f"e{who}{mail}", customer_id=f"k{who // 2}"),
    people,
    pick,
    pick,
)
sold_at_a_kiosk = st.builds(
    lambda who, kiosk, at: seen(visitor_id=kiosk, session_id=f"t{kiosk}{at}", email=f"e{who}0"),
    people,
    st.sampled_from(KIOSKS),
    pick,
)
named: st.SearchStrategy[Named] = st.one_of(
    st.builds(lambda who, device: ("visitor_id", f"v{who}{device}"), people, pick),
    st.builds(lambda who, mail: ("email", f"e{who}{mail}"), people, pick),
    st.builds(lambda who: ("customer_id", f"k{who // 2}"), people),
    st.sampled_from([("visitor_id", kiosk) for kiosk in KIOSKS]),
)
pairs = st.lists(named, min_size=2, max_size=2, unique=True)
decisions = st.builds(
    lambda verdict, at, pair: decided(verdict, at, *pair), st.integers(1, 2), st.integers(0, 9), pairs
)
rules = st.builds(
    ruled,
    st.dictionaries(st.sampled_from(["visitor_id", "phone", "customer_id"]), st.integers(1, 5)),
    st.lists(named, max_size=2, unique=True),
)
told = st.one_of(visits, chats, messages, orders, orders, sold_at_a_kiosk, sold_at_a_kiosk, decisions)
shops = st.lists(told, min_size=5, max_size=40)
sizes = st.lists(st.integers(1, 9), max_size=12)


@st.composite
def tellings(draw: st.DrawFn) -> tuple[Log, Log]:
    """A shop, and the same in another order with some of it twice. Settings keep their sequence: the last ones hold."""
    log, changes = draw(shops), draw(st.lists(rules, max_size=3))
    again = [*log, *draw(st.lists(st.sampled_from(log), max_size=5))]
    return placed(draw, draw(st.permutations(log)), changes), placed(draw, draw(st.permutations(again)), changes)


def placed(draw: st.DrawFn, log: Log, changes: Log) -> Log:
    """The log with the changes of settings at any places, in their sequence."""
    places = sorted(draw(st.lists(st.integers(0, len(log)), min_size=len(changes), max_size=len(changes))))
    whole = list(log)
    for place, change in reversed(list(zip(places, changes, strict=True))):
        whole.insert(place, change)
    return whole


@pytest.fixture(scope="module")
async def engine(new_database: Callable[[], str]) -> AsyncIterator[AsyncEngine]:
    url = new_database()
    await migrate(url, schema="identity_1", scripts=MIGRATIONS)
    engine = open_database(url, schema="identity_1")
    yield engine
    await close_database(engine)


async def left_by(engine: AsyncEngine, log: Log, sizes: Sequence[int]) -> Left:
    """What is left once the log was applied in groups of these sizes."""
    entries = [Entry(at, event_pb2.LoggedEvent(tenant_id="acme", event=event)) for at, event in enumerate(log, start=1)]
    left = Left({}, {}, {})
    async with engine.begin() as connection:
        await connection.execute(text("TRUNCATE identifier, observation, decision, rules"))
        for size in (*sizes, len(entries)):
            for payload in await follower.apply(connection, 0, entries[:size]):
                change = people_pb2.PeopleChange.FromString(payload)
                left.persons.update((key(one.identifier), one.person_id) for one in change.memberships)
                left.hubs.update((key(one.identifier), one.hub) for one in change.hubs)
            entries = entries[size:]
        for row in await connection.execute(text("SELECT node & 7 AS kind, value, person, hub FROM identifier")):
            left.kept[row.kind, row.value] = row.person, row.hub
    return left


def key(identifier: identifier_pb2.Identifier) -> tuple[int, str]:
    return identifier.kind, identifier.value


@given(told=tellings(), sizes=sizes, other_sizes=sizes)
@settings(max_examples=25, deadline=None)
async def test_any_other_order_and_repetition_leaves_the_same_people(
    engine: AsyncEngine, told: tuple[Log, Log], sizes: list[int], other_sizes: list[int]
) -> None:
    once, again = await left_by(engine, told[0], sizes), await left_by(engine, told[1], other_sizes)

    assert once.kept == again.kept
    hubs = {name for name, (_, hub) in once.kept.items() if hub}
    for left in (once, again):
        assert {name for name, hub in left.hubs.items() if hub} == hubs
        # What one event says by itself need not be told; whatever was told is true in the end.
        assert left.persons.items() <= {name: person for name, (person, _) in left.kept.items()}.items()


def parted(event: event_pb2.Event, left: Named, right: Named) -> Log:
    """The event as if the two had never been seen together: told of once without each."""
    both = all(getattr(event.identifiers, field) == value for field, value in (left, right))
    if not both or left[0] == right[0]:
        return [event]
    parts = []
    for field, _ in (left, right):
        part = event_pb2.Event()
        part.CopyFrom(event)
        part.identifiers.ClearField(field)  # type: ignore[arg-type]
        parts.append(part)
    return parts


@given(log=shops, change=rules, pair=pairs, place=st.integers(0, 40), sizes=sizes)
@settings(max_examples=25, deadline=None)
async def test_unlinked_after_being_linked_is_as_if_never_linked(
    engine: AsyncEngine, log: Log, change: event_pb2.Event, pair: list[Named], place: int, sizes: list[int]
) -> None:
    left, right = pair
    linked, unlinked = decided(2, 30, left, right), decided(1, 32, left, right)
    judged = [change, *log[:place], linked, *log[place:], unlinked]
    # Both are known to exist: that is all that is left of the two decisions.
    mentioned = [seen(**dict([one])) for one in pair]
    others = [event for event in log if not is_about(event, pair)]
    never = [change, *(part for event in others for part in parted(event, left, right)), *mentioned]

    assert (await left_by(engine, judged, sizes)).kept == (await left_by(engine, never, sizes)).kept


def is_about(event: event_pb2.Event, pair: list[Named]) -> bool:
    """True for a decision about this pair: the two later ones overrule it."""
    told = event.link_decision
    return event.HasField("link_decision") and {key(told.left), key(told.right)} == {(kind(f), v) for f, v in pair}
