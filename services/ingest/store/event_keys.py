"""The keys of all events ever taken, by which a repeated event is known."""

from collections.abc import Sequence

from sqlalchemy import BigInteger, LargeBinary, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.arrays import texts
from services.ingest.domain.deduplication import Entry, Key

_INCOMING = """
    SELECT incoming.tenant_id, incoming.source, incoming.event_id,
           substring(:content_hashes FROM incoming.ordinal::int * 16 - 15 FOR 16), :head + incoming.ordinal
    FROM unnest(CAST(:tenant_ids AS text[]), CAST(:sources AS text[]), CAST(:event_ids AS text[]))
         WITH ORDINALITY AS incoming (tenant_id, source, event_id, ordinal)"""

_PARAMETERS = (
    bindparam("head", type_=BigInteger),
    bindparam("content_hashes", type_=LargeBinary),
)

# Setting a known key's position to itself makes RETURNING tell of it, in the same round trip and always by the
# primary key, whatever the planner believes about a table that was empty a minute ago.
_CLAIM = text(
    f"""WITH claimed AS (
            INSERT INTO event_key (tenant_id, source, event_id, content_hash, position) {_INCOMING}
            ON CONFLICT (tenant_id, source, event_id) DO UPDATE SET position = event_key.position
            RETURNING tenant_id, source, event_id, content_hash, position)
        SELECT tenant_id, source, event_id, content_hash FROM claimed WHERE position <= :head"""
).bindparams(*_PARAMETERS)

_PLACE = text(
    f"""INSERT INTO event_key (tenant_id, source, event_id, content_hash, position) {_INCOMING}
        ON CONFLICT (tenant_id, source, event_id) DO UPDATE SET position = excluded.position"""
).bindparams(*_PARAMETERS)


async def claim(connection: AsyncConnection, head: int, entries: Sequence[Entry]) -> dict[Key, bytes]:
    """Inserts the keys at the positions after `head`, and answers those that were there before, with their content.

    The caller holds the head row of the partition; no key stands twice in `entries`. When any was there before, the
    positions of the others have gaps: `place` closes them.
    """
    rows = await connection.execute(_CLAIM, _arrays(head, entries))
    return {Key(row.tenant_id, row.source, row.event_id): bytes(row.content_hash) for row in rows}


async def place(connection: AsyncConnection, head: int, entries: Sequence[Entry]) -> None:
    """Gives keys that were just claimed the positions after `head`."""
    await connection.execute(_PLACE, _arrays(head, entries))


def _arrays(head: int, entries: Sequence[Entry]) -> dict[str, object]:
    return {
        "head": head,
        "tenant_ids": texts([entry.key.tenant_id for entry in entries]),
        "sources": texts([entry.key.source for entry in entries]),
        "event_ids": texts([entry.key.event_id for entry in entries]),
        # One after the other: all have 16 bytes.
        "content_hashes": b"".join([entry.content_hash for entry in entries]),
    }
