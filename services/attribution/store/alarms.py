"""Where the check that never ends stands, and the orders that it has found to differ."""

from collections.abc import Collection, Iterable

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.attribution.store.orders import OrderKey, key_columns

_LOCK = text("SELECT tenant_id, order_id, source FROM agreement FOR UPDATE SKIP LOCKED")

_MOVE = text("UPDATE agreement SET tenant_id = :tenant_id, order_id = :order_id, source = :source")

_READ = text(
    """SELECT tenant_id, order_id, source FROM disagreement ORDER BY find_time, tenant_id, order_id, source
       LIMIT :count"""
)

_KEYS = "unnest(CAST(:tenant_ids AS text[]), CAST(:order_ids AS text[]), CAST(:sources AS text[]))"

_RAISE = text(
    f"""INSERT INTO disagreement (tenant_id, order_id, source)
        SELECT tenant_id, order_id, source FROM {_KEYS} AS found (tenant_id, order_id, source)
        ON CONFLICT DO NOTHING RETURNING tenant_id, order_id, source"""
)

_CLEAR = text(
    f"""DELETE FROM disagreement AS alarm USING {_KEYS} AS agreeing (tenant_id, order_id, source)
        WHERE alarm.tenant_id = agreeing.tenant_id AND alarm.order_id = agreeing.order_id
          AND alarm.source = agreeing.source"""
)

_COUNT_ALL = text("SELECT count(*) FROM disagreement")

_COUNT = text("SELECT count(*) FROM disagreement WHERE tenant_id = :tenant_id")


async def lock_cursor(connection: AsyncConnection) -> OrderKey | None:
    """The order that was checked last, kept from others until the transaction ends; None while another checks."""
    row = (await connection.execute(_LOCK)).first()
    return None if row is None else OrderKey(*row)


async def move_cursor(connection: AsyncConnection, last: OrderKey) -> None:
    """Notes which order was checked last."""
    await connection.execute(_MOVE, last._asdict())


async def read_alarms(connection: AsyncConnection, count: int) -> list[OrderKey]:
    """The orders that were found to differ, the oldest finding first."""
    return [OrderKey(*row) for row in await connection.execute(_READ, {"count": count})]


async def raise_alarms(connection: AsyncConnection, keys: Iterable[OrderKey]) -> list[OrderKey]:
    """Keeps orders that were found to differ; answers those that were not known to."""
    return [OrderKey(*row) for row in await connection.execute(_RAISE, key_columns(list(keys)))]


async def clear_alarms(connection: AsyncConnection, keys: Collection[OrderKey]) -> None:
    """Forgets orders that agree again, or are no more."""
    if keys:
        await connection.execute(_CLEAR, key_columns(list(keys)))


async def count_all(connection: AsyncConnection) -> int:
    """How many orders, of whichever tenant, were found to differ."""
    return int((await connection.execute(_COUNT_ALL)).scalar_one())


async def count_alarms(connection: AsyncConnection, tenant_id: str) -> int:
    """How many of a tenant's orders were found to differ."""
    return int((await connection.execute(_COUNT, {"tenant_id": tenant_id})).scalar_one())
