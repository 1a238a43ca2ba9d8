"""Everybody behind some identifiers, as identity keeps it on a real Postgres."""

from collections.abc import Collection
from pathlib import Path

from touchstone.ingest.v1 import event_pb2

from services.chassis.database import close_database, open_database
from services.chassis.follow import Entry
from services.chassis.migrations import migrate
from services.identity import follower
from services.identity.domain.nodes import node_of
from services.identity.store import members
from services.kernel.identifiers import Kind

MIGRATIONS = Path(follower.__file__).parent / "migrations"


def seen(tenant_id: str = "acme", **by: str) -> event_pb2.LoggedEvent:
    return event_pb2.LoggedEvent(tenant_id=tenant_id, event={"event_id": "e", "identifiers": by})


async def test_a_person_is_told_whole_and_nobody_else(database_url: str) -> None:
    await migrate(database_url, schema="identity", scripts=MIGRATIONS)
    engine = open_database(database_url, schema="identity")
    told = [
        seen(visitor_id="v1", email="jane"),
        seen(session_id="s1", visitor_id="v1"),
        seen(email="jane", phone="p1"),
        seen(visitor_id="v2", email="bob"),
        # Four addresses make a hub, and hubs are nobody's.
        *(seen(customer_id="everybody", email=one) for one in ("jane", "bob", "k1", "k2")),
        seen(tenant_id="globex", visitor_id="v1", email="other"),
    ]

    async def behind(*asked: tuple[Kind, str]) -> list[set[str]]:
        persons: dict[int, set[str]] = {}
        async with engine.connect() as connection:
            async for part in members.read(connection, "acme", [node_of(*one) for one in asked]):
                for member in part:
                    persons.setdefault(member.person, set()).add(member.value)
        return sorted(persons.values(), key=min)

    async def apply(entries: Collection[event_pb2.LoggedEvent]) -> None:
        async with engine.begin() as connection:
            await follower.apply(connection, 0, [Entry(i, one) for i, one in enumerate(entries, start=1)])

    await apply(told)
    jane, bob = {"jane", "v1", "s1", "p1"}, {"bob", "v2"}
    assert await behind((Kind.SESSION, "s1")) == [jane]
    assert await behind((Kind.PHONE, "p1"), (Kind.EMAIL, "jane"), (Kind.VISITOR, "v2")) == [bob, jane]
    assert await behind((Kind.CUSTOMER, "everybody"), (Kind.VISITOR, "nobody")) == []
    assert await behind() == []
    await close_database(engine)
