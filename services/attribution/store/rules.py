"""The tenants' settings and models, as they stand in the event log."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


class RuleDocuments(NamedTuple):
    """A tenant's settings and models, each as it was appended; None before the first."""

    settings: bytes | None = None
    models: bytes | None = None


_READ = text("SELECT tenant_id, settings, models FROM tenant_rules WHERE tenant_id = ANY(CAST(:tenant_ids AS text[]))")

_SAVE = text(
    """INSERT INTO tenant_rules (tenant_id, settings, models)
       SELECT * FROM unnest(CAST(:tenant_ids AS text[]), CAST(:settings AS bytea[]), CAST(:models AS bytea[]))
       ON CONFLICT (tenant_id) DO UPDATE SET settings = excluded.settings, models = excluded.models"""
)


async def read_rules(connection: AsyncConnection, tenant_ids: Iterable[str]) -> dict[str, RuleDocuments]:
    """The documents of each tenant asked for."""
    wanted = sorted(set(tenant_ids))
    rows = await connection.execute(_READ, {"tenant_ids": wanted})
    found = {row.tenant_id: RuleDocuments(row.settings, row.models) for row in rows}
    return {tenant_id: found.get(tenant_id, RuleDocuments()) for tenant_id in wanted}


async def save_rules(connection: AsyncConnection, documents: Mapping[str, RuleDocuments]) -> None:
    """Replaces the documents of these tenants."""
    await connection.execute(
        _SAVE,
        {
            "tenant_ids": list(documents),
            "settings": [document.settings for document in documents.values()],
            "models": [document.models for document in documents.values()],
        },
    )
