"""What is kept of identifiers in one table: never mixed up where hashes are equal, and moved there from older ones."""

from collections.abc import AsyncIterator
from random import Random

import pytest
from sqlalchemy import text

from services.attribution.store.mentions import What
from services.chassis.migrations import migrate
from tests.attribution.keeping import MIGRATIONS, Keeper
from tests.attribution.oracle import entries
from tests.attribution.telling import before_noon, interaction, logged, order, people
from tests.contracts.test_attribution_follower import World, tell_in_batches

TENANT, SAME_HASH_TENANT = "s-collision", "8.sg5i79aki"
SESSION, SAME_HASH_SESSION = "s-collision", "rRDg0xl&Gyt"
"""The sessions' hashes are the same in the first tenant, and each session's are the same in both tenants."""

_HASHES = text(
    """SELECT count(DISTINCT (tenant_id, value)),
              count(DISTINCT hashtextextended(value, hashtextextended(tenant_id, kind)) & -4 | what)
       FROM mention WHERE what = :what"""
)

# As they were before there was one table for all.
_OLDER = (
    """CREATE TABLE touch_identifier AS
       SELECT tenant_id, kind, value, micros AS occur_micros, source, id AS event_id FROM mention WHERE what = 2""",
    """CREATE TABLE order_identifier AS
       SELECT tenant_id, kind, value, micros AS order_micros, id AS order_id, source FROM mention WHERE what = 1""",
    """CREATE TABLE person_identifier AS
       SELECT tenant_id, kind, value, person_id, person_position, hub, hub_position FROM mention WHERE what = 0""",
    """CREATE INDEX conversation_identifier_by_value
       ON conversation_identifier (tenant_id, hashtextextended(value, kind))""",
    "DROP TABLE mention",
    "UPDATE alembic_version SET version_num = '0007'",
)


@pytest.fixture
async def keeper(database_url: str) -> AsyncIterator[Keeper]:
    kept = await Keeper.on(database_url)
    yield kept
    await kept.engine.dispose()


@pytest.mark.parametrize(("tenant", "other"), [(TENANT, SAME_HASH_SESSION), (SAME_HASH_TENANT, SESSION)])
async def test_identifiers_of_one_hash_are_kept_apart(keeper: Keeper, tenant: str, other: str) -> None:
    visit = interaction("t", before_noon(hours=2), {"session_id": other, "visitor_id": "v"}, conversation_id="k")
    seen = interaction("u", before_noon(hours=3), {"visitor_id": "w"})
    events = [
        logged(order("1", {"session_id": SESSION}), TENANT),
        logged(order("2", {"session_id": other}), tenant),
        logged(visit, tenant),
        logged(seen, TENANT),
        logged(seen, tenant),
    ]
    changes = [
        people(TENANT, {("SESSION", SESSION): 1, ("VISITOR", "w"): 1}),
        people(tenant, {("SESSION", other): 2, ("CONVERSATION", "k"): 2}, {("SESSION", other): True}),
        people(tenant, hubs={("SESSION", other): False}),
    ]
    for told in events:
        await keeper.tell(told)
    async with keeper.engine.connect() as connection:
        assert (await connection.execute(_HASHES, {"what": What.ORDER})).one() == (2, 1)
    for number in range(len(changes)):
        await keeper.tell_people(changes[number])
        for mine in {TENANT, tenant}:
            own = [one for one in events if one.tenant_id == mine]
            told = [one for one in changes[: number + 1] if one.tenant_id == mine]
            assert await keeper.stored(mine) == entries(own, told, mine)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_what_was_kept_before_there_was_one_table_is_found_as_before(
    keeper: Keeper, database_url: str, seed: int
) -> None:
    random = Random(seed)
    worlds = {tenant: World(random, tenant) for tenant in ("one", "two")}
    for world in worlds.values():
        half = len(world.events) // 2
        await tell_in_batches(keeper, world.events[:half], world.changes[:1], random)
    async with keeper.engine.begin() as connection:
        for statement in _OLDER:
            await connection.execute(text(statement))
    await migrate(database_url, schema="attribution_1", scripts=MIGRATIONS)
    for tenant, world in worlds.items():
        await tell_in_batches(keeper, world.arriving(), world.changes[1:], random)
        await keeper.settle()
        assert await keeper.stored(tenant) == entries(world.events, world.changes, tenant)
