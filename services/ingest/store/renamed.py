"""Events whose own ids named somebody who was erased: known again by a fingerprint of the id."""

from collections.abc import Collection, Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.chassis.arrays import texts
from services.ingest.domain.deduplication import Entry, Key
from services.ingest.domain.erasing import ERASED_NAME
from services.ingest.store.vault import Vault

_FIND = text(
    """SELECT tenant_id, source, event_id
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:sources AS text[]), CAST(:event_ids AS text[]))
                AS asked (tenant_id, source, event_id)
       JOIN event_key USING (tenant_id, source, event_id)"""
)


def new_name(vault: Vault, key: Key) -> str:
    """What an event's key is called once its id is erased; the same for the same id, and nothing can be read from it."""
    return ERASED_NAME + vault.fingerprint(key.event_id.encode(), "event", key.tenant_id, key.source).hex()


async def as_known(
    engine: AsyncEngine, vault: Vault, entries: Sequence[Entry], tenant_ids: Collection[str]
) -> Sequence[Entry]:
    """The entries, those of these tenants under the names that their keys have by now."""
    names = {entry.key: new_name(vault, entry.key) for entry in entries if entry.key.tenant_id in tenant_ids}
    if not names:
        return entries
    asked = {
        "tenant_ids": texts(key.tenant_id for key in names),
        "sources": texts(key.source for key in names),
        "event_ids": texts(names.values()),
    }
    async with engine.connect() as connection:
        known = {Key(*row) for row in await connection.execute(_FIND, asked)}
    renamed = {key: key._replace(event_id=name) for key, name in names.items()}
    return [entry._replace(key=renamed[entry.key]) if renamed.get(entry.key) in known else entry for entry in entries]
