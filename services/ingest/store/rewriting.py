"""The event log rewritten in place, a page at a time, and the settings that stand beside it."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Integer, LargeBinary, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.chassis import log
from services.chassis.arrays import numbers, texts
from services.ingest.domain.deduplication import Key
from services.ingest.domain.erasing import ERASED_CONTENT
from services.ingest.domain.events import OWN_SOURCE

_PAGE_ENTRIES = 5_000

_PAGE_BYTES = 16 << 20

_READ_SETTINGS = text(
    """SELECT payload FROM tenant
       JOIN event_key ON event_key.tenant_id = tenant.tenant_id AND source = :source
                     AND event_id = 'settings/' || tenant.revision
       JOIN log_entry ON log_entry.partition_id = tenant.partition_id AND log_entry.position = event_key.position
       WHERE tenant.tenant_id = :tenant_id"""
)

_SET_SETTINGS = text("UPDATE tenant SET settings = :settings WHERE tenant_id = :tenant_id AND settings <> :settings")

# Other tenants' entries of the partition are passed by unread.
_READ_PAGE = text(
    """SELECT position, CASE WHEN substring(payload FOR :prefix_bytes) = :prefix THEN payload END AS payload
       FROM (SELECT position, payload,
                    sum(octet_length(payload)) OVER (ORDER BY position) - octet_length(payload) AS bytes_before
             FROM log_entry
             WHERE partition_id = :partition AND position > :after AND position <= :through
             ORDER BY position LIMIT :count) AS page
       WHERE bytes_before < :bytes ORDER BY position"""
).bindparams(bindparam("prefix", type_=LargeBinary))

_REWRITE = text(
    """UPDATE log_entry SET payload = substring(:payloads FROM entry.start FOR entry.length)
       FROM unnest(CAST(:positions AS bigint[]), CAST(:starts AS int[]), CAST(:lengths AS int[]))
                AS entry (position, start, length)
       WHERE log_entry.partition_id = :partition AND log_entry.position = entry.position"""
).bindparams(bindparam("partition", type_=Integer), bindparam("payloads", type_=LargeBinary))

_FORGET_CONTENT = text(
    """UPDATE event_key SET content_hash = :erased
       FROM unnest(CAST(:sources AS text[]), CAST(:event_ids AS text[])) AS rewritten (source, event_id)
       WHERE event_key.tenant_id = :tenant_id AND event_key.source = rewritten.source
         AND event_key.event_id = rewritten.event_id"""
).bindparams(bindparam("erased", type_=LargeBinary))

_RENAME = text(
    """WITH renamed AS (
           SELECT source, event_id, new_id
           FROM unnest(CAST(:sources AS text[]), CAST(:event_ids AS text[]), CAST(:new_ids AS text[]))
                    AS renamed (source, event_id, new_id)),
       listed AS (
           INSERT INTO erasure_renamed (tenant_id, source, event_id)
           SELECT :tenant_id, source, event_id FROM renamed ON CONFLICT DO NOTHING),
       noted AS (UPDATE tenant SET has_renamed_events = true WHERE tenant_id = :tenant_id AND NOT has_renamed_events)
       INSERT INTO event_key (tenant_id, source, event_id, content_hash, position)
       SELECT tenant_id, source, new_id, :erased, position FROM event_key JOIN renamed USING (source, event_id)
       WHERE tenant_id = :tenant_id ON CONFLICT DO NOTHING"""
).bindparams(bindparam("erased", type_=LargeBinary), bindparam("tenant_id", type_=Text))

_TABLES = "log_entry, event_key, parked_delivery, tenant, privacy_request, erasure, erasure_plan, erasure_renamed, erasing_rest"

_VACUUM = text(f"VACUUM {_TABLES}")


class PageEntry(NamedTuple):
    """An entry to be looked at; `payload` is None where it is another tenant's."""

    position: int
    payload: bytes | None


class NewEntry(NamedTuple):
    """An entry as it stands from now on. `new_name` is there where the event's own id named somebody."""

    position: int
    payload: bytes
    key: Key
    new_name: str | None


async def read_settings(connection: AsyncConnection, tenant_id: str) -> bytes:
    """The entry that told of the tenant's settings as they hold."""
    asked = {"tenant_id": tenant_id, "source": OWN_SOURCE}
    return bytes((await connection.execute(_READ_SETTINGS, asked)).scalar_one())


async def set_settings(connection: AsyncConnection, tenant_id: str, settings: bytes) -> None:
    """Puts what is left of the settings in their place."""
    await connection.execute(_SET_SETTINGS, {"tenant_id": tenant_id, "settings": settings})


async def read_page(engine: AsyncEngine, *, partition: int, prefix: bytes, after: int, through: int) -> list[PageEntry]:
    """Some consecutive entries after a position; none when there are no more."""
    asked = {"partition": partition, "after": after, "through": through, "prefix": prefix}
    sizes = {"prefix_bytes": len(prefix), "count": _PAGE_ENTRIES, "bytes": _PAGE_BYTES}
    async with engine.connect() as connection:
        rows = (await connection.execute(_READ_PAGE, {**asked, **sizes})).all()
    return [PageEntry(row.position, None if row.payload is None else bytes(row.payload)) for row in rows]


async def rewrite(connection: AsyncConnection, partition: int, tenant_id: str, entries: Sequence[NewEntry]) -> None:
    """Puts entries in the place of those at their positions, and forgets the content that they were known by.

    Appends wait only while their keys are changed.
    """
    if not entries:
        return
    placed = log.placed(partition, [entry.payload for entry in entries])
    positions = numbers(entry.position for entry in entries)
    await connection.execute(_REWRITE, {**placed, "positions": positions})
    # An append locks keys in whatever sequence its events have: under the head row nobody waits for anybody crosswise.
    await log.lock_head(connection, partition)
    await connection.execute(_FORGET_CONTENT, {"tenant_id": tenant_id, "erased": ERASED_CONTENT, **_names(entries)})
    renamed = [entry for entry in entries if entry.new_name is not None]
    if renamed:
        new_ids = texts(entry.new_name or "" for entry in renamed)
        names = {"tenant_id": tenant_id, "erased": ERASED_CONTENT, **_names(renamed)}
        await connection.execute(_RENAME, {**names, "new_ids": new_ids})


async def tidy(autocommitting: AsyncEngine) -> None:
    """Makes the database forget the rows that were replaced, too."""
    async with autocommitting.connect() as connection:
        await connection.execute(_VACUUM)


def _names(entries: Sequence[NewEntry]) -> dict[str, str]:
    return {
        "sources": texts(entry.key.source for entry in entries),
        "event_ids": texts(entry.key.event_id for entry in entries),
    }
