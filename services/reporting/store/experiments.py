"""What experiments were told, who was exposed, and which orders name whom."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.arrays import numbers, texts


class SetRow(NamedTuple):
    """A set of experiments that was told: where in the log, by which event, when in nanoseconds since 1970, and what."""

    tenant_id: str
    position: int
    event_id: str
    occur_time: int
    document: bytes


class OrderKey(NamedTuple):
    """An identifier's key that an order names."""

    tenant_id: str
    identifier_key: int
    source: str
    order_id: str


_ADD_SET = text(
    """INSERT INTO experiment_set (tenant_id, position, event_id, occur_time, document)
       VALUES (:tenant_id, :position, :event_id, :occur_time, :document) ON CONFLICT DO NOTHING"""
)

_WITH_SETS = text(
    """SELECT tenant_id FROM unnest(CAST(:tenant_ids AS text[])) AS asked (tenant_id)
       WHERE EXISTS (SELECT FROM experiment_set WHERE tenant_id = asked.tenant_id)"""
)

_NEWEST = text(
    """SELECT tenant_id, position, event_id, occur_time, document FROM experiment_set
       WHERE tenant_id = :tenant_id ORDER BY position DESC LIMIT 1"""
)

_EVERY = text(
    """SELECT tenant_id, position, event_id, occur_time, document FROM experiment_set
       WHERE tenant_id = :tenant_id ORDER BY position"""
)

_TOLD = text("SELECT EXISTS (SELECT FROM experiment_set WHERE tenant_id = :tenant_id AND event_id = :event_id)")

_PARKED = text("SELECT count(*) FROM parked_entry WHERE partition_id = :partition")

_ADD_KEYS = text(
    """INSERT INTO order_identifier (tenant_id, identifier_key, source, order_id)
       SELECT * FROM unnest(CAST(:tenant_ids AS text[]), CAST(:keys AS bigint[]), CAST(:sources AS text[]),
                            CAST(:order_ids AS text[]))
       ON CONFLICT DO NOTHING"""
)

# Each key and each order is looked up by itself: a join might be planned for another number of them, and kept. An order
# is the first from its key on: asked for by plain equality, any index that begins with the tenant and the edition looks as
# good in a young shop, and reads all of it in a grown one.
_ORDERS = text(
    """SELECT fact.payload
       FROM (SELECT DISTINCT named.source, named.order_id
             FROM unnest(CAST(:keys AS bigint[])) AS asked (identifier_key)
             CROSS JOIN LATERAL (
                 SELECT source, order_id FROM order_identifier
                 WHERE tenant_id = :tenant_id AND identifier_key = asked.identifier_key) AS named) AS named
       CROSS JOIN LATERAL (
           SELECT edition, source, order_id, payload FROM order_fact
           WHERE tenant_id = :tenant_id
             AND (edition, source, order_id) >= (CAST(:edition AS bigint), named.source, named.order_id)
           ORDER BY edition, source, order_id LIMIT 1) AS fact
       WHERE (fact.edition, fact.source, fact.order_id) = (CAST(:edition AS bigint), named.source, named.order_id)"""
)


async def add_set(connection: AsyncConnection, row: SetRow) -> None:
    """Keeps a set of experiments."""
    await connection.execute(_ADD_SET, row._asdict())


async def tenants_with_sets(connection: AsyncConnection, tenant_ids: Iterable[str]) -> frozenset[str]:
    """Those of the tenants who have told experiments."""
    rows = await connection.execute(_WITH_SETS, {"tenant_ids": texts(sorted(set(tenant_ids)))})
    return frozenset(rows.scalars())


async def read_newest(connection: AsyncConnection, tenant_id: str) -> SetRow | None:
    """The set that holds; None before the first."""
    row = (await connection.execute(_NEWEST, {"tenant_id": tenant_id})).first()
    return None if row is None else SetRow(*row)


async def read_every(connection: AsyncConnection, tenant_id: str) -> list[SetRow]:
    """Every set that a tenant told, by position."""
    return [SetRow(*row) for row in await connection.execute(_EVERY, {"tenant_id": tenant_id})]


async def is_told(connection: AsyncConnection, tenant_id: str, event_id: str) -> bool:
    """True when the set that an event tells is kept."""
    return bool((await connection.execute(_TOLD, {"tenant_id": tenant_id, "event_id": event_id})).scalar_one())


async def count_parked(connection: AsyncConnection, partition: int) -> int:
    """Entries of a partition's logs that are parked: one that is replayed changes figures, and no position."""
    return int((await connection.execute(_PARKED, {"partition": partition})).scalar_one())


async def add_order_keys(connection: AsyncConnection, keys: Collection[OrderKey]) -> None:
    """Notes what orders name. What one named before stays: whoever reads it looks at the order itself."""
    if not keys:
        return
    ordered = sorted(set(keys))
    await connection.execute(
        _ADD_KEYS,
        {
            "tenant_ids": texts(one.tenant_id for one in ordered),
            "keys": numbers(one.identifier_key for one in ordered),
            "sources": texts(one.source for one in ordered),
            "order_ids": texts(one.order_id for one in ordered),
        },
    )


async def read_orders(connection: AsyncConnection, tenant_id: str, edition: int, keys: Iterable[int]) -> list[bytes]:
    """The stored orders of an edition that name, or once named, any of these keys."""
    bound = {"tenant_id": tenant_id, "edition": edition, "keys": numbers(sorted(set(keys)))}
    return list((await connection.execute(_ORDERS, bound)).scalars().all())
