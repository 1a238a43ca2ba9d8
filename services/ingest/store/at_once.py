"""The append that nearly every commit is: only new events, so that one statement is the whole transaction."""

import asyncio
from collections.abc import Sequence
from typing import Any, TypeAlias

import psycopg
from sqlalchemy.ext.asyncio import AsyncEngine

from services.chassis import log
from services.chassis.arrays import texts
from services.ingest.domain.deduplication import Entry
from services.ingest.domain.deliveries import Health

_CONNECTIONS = 8
"""Commits under way at a time, at most: each on a connection of its own."""

_TOLD_BY_A_TRANSACTION = (psycopg.IntegrityError, psycopg.DataError, psycopg.OperationalError)
"""Failures after which a transaction takes what can be taken and tells what is wrong: a key that is known, a text that
can't be kept, a connection that is lost."""

_Connection: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]

# The head row is locked before a key is inserted, since every key's position is made from it. A key that is known
# fails the statement, and with it the transaction: nothing was changed.
_APPEND_NEW = """
    WITH head AS (
        UPDATE log_head SET position = position + %(count)s WHERE partition_id = %(partition)s
        RETURNING position - %(count)s AS after),
    keys AS (
        INSERT INTO event_key (tenant_id, source, event_id, content_hash, position)
        SELECT incoming.tenant_id, incoming.source, incoming.event_id,
               substring(%(content_hashes)s FROM incoming.ordinal::int * 16 - 15 FOR 16), head.after + incoming.ordinal
        FROM head, unnest(%(tenant_ids)s::text[], %(sources)s::text[], %(event_ids)s::text[])
                   WITH ORDINALITY AS incoming (tenant_id, source, event_id, ordinal)),
    entries AS (
        INSERT INTO log_entry (partition_id, position, payload)
        SELECT %(partition)s, head.after + entry.ordinal, substring(%(payloads)s FROM entry.start FOR entry.length)
        FROM head, unnest(%(starts)s::int[], %(lengths)s::int[])
                   WITH ORDINALITY AS entry (start, length, ordinal)),
    health AS (
        INSERT INTO source_health (tenant_id, source, delivered_count, uncounted_topic_count, last_delivery_time)
        SELECT heard.tenant_id, heard.source, heard.delivered, heard.uncounted, heard.time
        FROM head, unnest(%(heard_tenant_ids)s::text[], %(heard_sources)s::text[],
                          %(delivered)s::bigint[], %(uncounted)s::bigint[], %(times)s::timestamptz[])
                   AS heard (tenant_id, source, delivered, uncounted, time)
        ON CONFLICT (tenant_id, source) DO UPDATE SET
            delivered_count = source_health.delivered_count + excluded.delivered_count,
            uncounted_topic_count = source_health.uncounted_topic_count + excluded.uncounted_topic_count,
            last_delivery_time = greatest(source_health.last_delivery_time, excluded.last_delivery_time))
    SELECT after FROM head"""


class AtOnce:
    """Appends on connections of its own, spoken to directly: SQLAlchemy costs three times what the statement costs."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._free = asyncio.Semaphore(_CONNECTIONS)
        self._idle: list[_Connection] = []

    async def append_new(self, partition: int, entries: Sequence[Entry], health: Sequence[Health]) -> int | None:
        """Commits entries and the health of their sources; answers the position before the first.

        None when a transaction has to decide: a key is known already or stands twice among the entries, or the
        connection was lost. In the last case the entries may be committed: then all their keys are known.
        """
        keys = [entry.key for entry in entries]
        parameters = {
            **log.placed(partition, [entry.payload for entry in entries]),
            "tenant_ids": texts([key.tenant_id for key in keys]),
            "sources": texts([key.source for key in keys]),
            "event_ids": texts([key.event_id for key in keys]),
            # One after the other: all have 16 bytes.
            "content_hashes": b"".join([entry.content_hash for entry in entries]),
            "heard_tenant_ids": texts([one.tenant_id for one in health]),
            "heard_sources": texts([one.source for one in health]),
            "delivered": texts([str(one.delivered) for one in health]),
            "uncounted": texts([str(one.uncounted) for one in health]),
            "times": texts([one.last_delivery_time.isoformat() for one in health]),
        }
        async with self._free:
            try:
                return await self._commit(parameters)
            except _TOLD_BY_A_TRANSACTION:
                return None

    async def close(self) -> None:
        """Closes the connections."""
        while self._idle:
            await self._idle.pop().close()

    async def _commit(self, parameters: dict[str, object]) -> int | None:
        connection = self._idle.pop() if self._idle else await self._connect()
        try:
            row = await (await connection.execute(_APPEND_NEW, parameters)).fetchone()
            return None if row is None else int(row[0])
        finally:
            if not connection.closed:
                self._idle.append(connection)

    async def _connect(self) -> _Connection:
        pooled = await self._engine.raw_connection()
        connection: _Connection = pooled.driver_connection  # type: ignore[assignment]  # SQLAlchemy knows no drivers
        pooled.detach()
        await connection.set_autocommit(True)
        return connection
