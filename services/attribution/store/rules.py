"""The tenants' settings and models, as they stand in the event log."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


class RuleDocuments(NamedTuple):
    """A tenant's settings and models, each as it was appended and where; None before the first."""

    settings: bytes | None = None
    settings_position: int = 0
    models: bytes | None = None
    models_position: int = 0


_READ = text(
    """SELECT tenant_id, settings, settings_position, models, models_position
       FROM tenant_rules WHERE tenant_id = ANY(CAST(:tenant_ids AS text[]))"""
)

_SAVE = text(
    """INSERT INTO tenant_rules (tenant_id, settings, settings_position, models, models_position)
       SELECT * FROM unnest(CAST(:tenant_ids AS text[]), CAST(:settings AS bytea[]),
                            CAST(:settings_positions AS bigint[]), CAST(:models AS bytea[]),
                            CAST(:models_positions AS bigint[]))
       ON CONFLICT (tenant_id) DO UPDATE
       SET settings = excluded.settings, settings_position = excluded.settings_position,
           models = excluded.models, models_position = excluded.models_position"""
)


async def read_rules(connection: AsyncConnection, tenant_ids: Iterable[str]) -> dict[str, RuleDocuments]:
    """The documents of each tenant asked for."""
    wanted = sorted(set(tenant_ids))
    rows = await connection.execute(_READ, {"tenant_ids": wanted})
    found = {row.tenant_id: RuleDocuments(*row[1:]) for row in rows}
    return {tenant_id: found.get(tenant_id, RuleDocuments()) for tenant_id in wanted}


async def save_rules(connection: AsyncConnection, documents: Mapping[str, RuleDocuments]) -> None:
    """Replaces the documents of these tenants."""
    await connection.execute(
        _SAVE,
        {
            "tenant_ids": list(documents),
            "settings": [document.settings for document in documents.values()],
            "settings_positions": [document.settings_position for document in documents.values()],
            "models": [document.models for document in documents.values()],
            "models_positions": [document.models_position for document in documents.values()],
        },
    )
