"""Orders that something may concern: computed anew at once, or waiting because they are many."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.attribution.store.orders import OrderKey, key_columns
from services.chassis.arrays import numbers
from services.kernel.identifiers import Kind

MOST_AT_ONCE: Final = 2_000
"""Orders that are reopened in the transaction that finds them; where it finds more, all of them wait."""

NAMES_ORDERS: Final = f"{{0}}.kind <> {Kind.CONVERSATION:d}"
"""An order names no conversation: nothing is to be looked for by one."""


def _queueing(found: str) -> TextClause:
    """Lets all orders found wait; the greatest position is told as the cause."""
    return text(
        f"""INSERT INTO reopened_order (tenant_id, order_id, source, position, cause, partition_id, receive_micros)
            SELECT found.*, :cause, :partition, coalesce(received.micros, 0)
            FROM ({found}) AS found (tenant_id, order_id, source, position)
            LEFT JOIN unnest(CAST(:received_positions AS bigint[]), CAST(:received_micros AS bigint[]))
                AS received (position, micros) USING (position)
            ON CONFLICT (tenant_id, order_id, source) DO UPDATE
            SET position = excluded.position, receive_micros = excluded.receive_micros,
                cause = excluded.cause, partition_id = excluded.partition_id
            WHERE reopened_order.cause <> excluded.cause OR reopened_order.position < excluded.position"""
    )


class Finding:
    """How orders are found that causes of one kind may concern.

    `found` is a statement of their tenants, ids and sources, each with the greatest position among its causes.
    """

    def __init__(self, cause: int, found: str) -> None:
        self.cause = cause
        self.listing = text(f"{found} LIMIT {MOST_AT_ONCE + 1}")
        self.queueing = _queueing(found)


_PARTITIONS_WAITING = text("SELECT DISTINCT partition_id FROM reopened_order")

_READ_WAITING = text(
    """SELECT tenant_id, order_id, source, cause, position, receive_micros FROM reopened_order
       WHERE partition_id = :partition ORDER BY tenant_id, order_id, source LIMIT :count"""
)

_KEYS = "unnest(CAST(:tenant_ids AS text[]), CAST(:order_ids AS text[]), CAST(:sources AS text[]))"

_WAITING_AMONG = text(
    f"""SELECT waiting.tenant_id, waiting.order_id, waiting.source FROM reopened_order AS waiting
        JOIN {_KEYS} AS asked (tenant_id, order_id, source) USING (tenant_id, order_id, source)"""
)

_FORGET_WAITING = text(
    f"""DELETE FROM reopened_order AS waiting USING {_KEYS} AS done (tenant_id, order_id, source)
        WHERE waiting.tenant_id = done.tenant_id AND waiting.order_id = done.order_id
          AND waiting.source = done.source"""
)


class Waiting(NamedTuple):
    """An order that waits to be computed anew, and why: a `Cause.Kind`, a position and when that was received."""

    key: OrderKey
    cause: int
    position: int
    receive_micros: int


async def reopened(
    connection: AsyncConnection, finding: Finding, bound: Mapping[str, Any], partition: int, times: Mapping[int, int]
) -> dict[OrderKey, int]:
    """The orders found, with the greatest position among their causes; none when they must wait.

    `times` are when the causes were received, by position, in microseconds since 1970.
    """
    rows = (await connection.execute(finding.listing, bound)).all()
    if len(rows) <= MOST_AT_ONCE:
        return {OrderKey(tenant_id, order_id, source): position for tenant_id, order_id, source, position in rows}
    received = {"received_positions": numbers(times.keys()), "received_micros": numbers(times.values())}
    await connection.execute(finding.queueing, {**bound, **received, "partition": partition, "cause": finding.cause})
    return {}


async def partitions_waiting(connection: AsyncConnection) -> Collection[int]:
    """The partitions in which orders wait."""
    return [int(row.partition_id) for row in await connection.execute(_PARTITIONS_WAITING)]


async def read_waiting(connection: AsyncConnection, partition: int, count: int) -> list[Waiting]:
    """Some of a partition's orders that wait."""
    rows = await connection.execute(_READ_WAITING, {"partition": partition, "count": count})
    return [Waiting(OrderKey(*row[:3]), *row[3:]) for row in rows]


async def waiting_among(connection: AsyncConnection, keys: Iterable[OrderKey]) -> set[OrderKey]:
    """Those of the orders that wait."""
    rows = await connection.execute(_WAITING_AMONG, key_columns(list(keys)))
    return {OrderKey(*row) for row in rows}


async def forget_waiting(connection: AsyncConnection, keys: Iterable[OrderKey]) -> None:
    """Lets orders wait no more."""
    await connection.execute(_FORGET_WAITING, key_columns(list(keys)))
