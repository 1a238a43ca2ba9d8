"""The append that nearly every commit is: only new events, so that one statement is the whole transaction."""

from collections.abc import Sequence

from sqlalchemy import Integer, LargeBinary, bindparam, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.chassis import log
from services.chassis.arrays import texts
from services.ingest.domain.deduplication import Entry
from services.ingest.domain.deliveries import Health

# The head row is locked before a key is inserted, since every key's position is made from it. A key that is known
# fails the statement, and with it the transaction: nothing was changed.
_APPEND_NEW = text(
    """WITH head AS (
           UPDATE log_head SET position = position + :count WHERE partition_id = :partition
           RETURNING position - :count AS after),
       keys AS (
           INSERT INTO event_key (tenant_id, source, event_id, content_hash, position)
           SELECT incoming.tenant_id, incoming.source, incoming.event_id,
                  substring(:content_hashes FROM incoming.ordinal::int * 16 - 15 FOR 16), head.after + incoming.ordinal
           FROM head, unnest(CAST(:tenant_ids AS text[]), CAST(:sources AS text[]), CAST(:event_ids AS text[]))
                      WITH ORDINALITY AS incoming (tenant_id, source, event_id, ordinal)),
       entries AS (
           INSERT INTO log_entry (partition_id, position, payload)
           SELECT :partition, head.after + entry.ordinal, substring(:payloads FROM entry.start FOR entry.length)
           FROM head, unnest(CAST(:starts AS int[]), CAST(:lengths AS int[]))
                      WITH ORDINALITY AS entry (start, length, ordinal)),
       health AS (
           INSERT INTO source_health (tenant_id, source, delivered_count, uncounted_topic_count, last_delivery_time)
           SELECT heard.tenant_id, heard.source, heard.delivered, heard.uncounted, heard.time
           FROM head, unnest(CAST(:heard_tenant_ids AS text[]), CAST(:heard_sources AS text[]),
                             CAST(:delivered AS bigint[]), CAST(:uncounted AS bigint[]), CAST(:times AS timestamptz[]))
                      AS heard (tenant_id, source, delivered, uncounted, time)
           ON CONFLICT (tenant_id, source) DO UPDATE SET
               delivered_count = source_health.delivered_count + excluded.delivered_count,
               uncounted_topic_count = source_health.uncounted_topic_count + excluded.uncounted_topic_count,
               last_delivery_time = greatest(source_health.last_delivery_time, excluded.last_delivery_time))
       SELECT after FROM head"""
).bindparams(
    bindparam("partition", type_=Integer),
    bindparam("count", type_=Integer),
    bindparam("content_hashes", type_=LargeBinary),
    bindparam("payloads", type_=LargeBinary),
)


async def append_new(
    autocommitting: AsyncEngine, partition: int, entries: Sequence[Entry], health: Sequence[Health]
) -> int | None:
    """Commits entries and the health of their sources; answers the position before the first.

    None, and nothing is changed, when one of the keys is known already or stands twice among the entries.
    """
    parameters = {
        **log.placed(partition, [entry.payload for entry in entries]),
        "tenant_ids": texts([entry.key.tenant_id for entry in entries]),
        "sources": texts([entry.key.source for entry in entries]),
        "event_ids": texts([entry.key.event_id for entry in entries]),
        # One after the other: all have 16 bytes.
        "content_hashes": b"".join([entry.content_hash for entry in entries]),
        "heard_tenant_ids": texts([one.tenant_id for one in health]),
        "heard_sources": texts([one.source for one in health]),
        "delivered": texts([str(one.delivered) for one in health]),
        "uncounted": texts([str(one.uncounted) for one in health]),
        "times": texts([one.last_delivery_time.isoformat() for one in health]),
    }
    try:
        async with autocommitting.connect() as connection:
            return int((await connection.execute(_APPEND_NEW, parameters)).scalar_one())
    except IntegrityError:
        return None
