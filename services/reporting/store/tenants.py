"""What is known of the tenants whose figures are kept."""

import json
from collections.abc import Collection, Sequence

from sqlalchemy import LargeBinary, Text, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.arrays import joined, numbers, texts
from services.reporting.domain.tenants import Tenant

_READ = text(
    """SELECT tenant_id, partition_id, time_zone, currency_code, settings_position, models, edition, settings
       FROM tenant WHERE tenant_id = ANY(:tenant_ids)"""
).bindparams(bindparam("tenant_ids", type_=ARRAY(Text)))

_WRITE = text(
    """INSERT INTO tenant (
           tenant_id, partition_id, time_zone, currency_code, settings_position, models, edition, settings)
       SELECT tenant_id, partition_id, time_zone, currency_code, settings_position, models, edition,
              substring(:settings FROM start FOR length)
       FROM unnest(
           CAST(:tenant_ids AS text[]), CAST(:partitions AS bigint[]), CAST(:time_zones AS text[]),
           CAST(:currency_codes AS text[]), CAST(:settings_positions AS bigint[]), CAST(:models AS jsonb[]),
           CAST(:editions AS bigint[]), CAST(:starts AS int[]), CAST(:lengths AS int[])
       ) AS told (tenant_id, partition_id, time_zone, currency_code, settings_position, models, edition, start, length)
       ON CONFLICT (tenant_id) DO UPDATE
       SET partition_id = excluded.partition_id, time_zone = excluded.time_zone,
           currency_code = excluded.currency_code, settings_position = excluded.settings_position,
           models = excluded.models, edition = excluded.edition, settings = excluded.settings"""
).bindparams(bindparam("settings", type_=LargeBinary))


async def read(connection: AsyncConnection, tenant_ids: Collection[str]) -> dict[str, Tenant]:
    """The tenants among those named of whom settings or models were told, by their ids."""
    rows = await connection.execute(_READ, {"tenant_ids": sorted(tenant_ids)})
    return {
        row.tenant_id: Tenant(
            tenant_id=row.tenant_id,
            partition=row.partition_id,
            time_zone=row.time_zone,
            currency_code=row.currency_code,
            settings_position=row.settings_position,
            models=row.models,
            edition=row.edition,
            settings=row.settings,
        )
        for row in rows
    }


async def write(connection: AsyncConnection, tenants: Sequence[Tenant]) -> None:
    """Stores tenants in the place of what was known of them."""
    settings = joined([tenant.settings for tenant in tenants])
    await connection.execute(
        _WRITE,
        {
            "tenant_ids": texts(tenant.tenant_id for tenant in tenants),
            "partitions": numbers(tenant.partition for tenant in tenants),
            "time_zones": texts(tenant.time_zone for tenant in tenants),
            "currency_codes": texts(tenant.currency_code for tenant in tenants),
            "settings_positions": numbers(tenant.settings_position for tenant in tenants),
            "models": texts(json.dumps(dict(tenant.models)) for tenant in tenants),
            "editions": numbers(tenant.edition for tenant in tenants),
            "settings": settings.together,
            "starts": settings.starts,
            "lengths": settings.lengths,
        },
    )


_OUTDATED = text("SELECT DISTINCT partition_id FROM tenant WHERE cleared_edition < edition")

_NEXT_OUTDATED = text(
    """SELECT tenant_id, edition FROM tenant
       WHERE partition_id = :partition AND cleared_edition < edition ORDER BY tenant_id LIMIT 1"""
)

_CLEARED = text("UPDATE tenant SET cleared_edition = :edition WHERE tenant_id = :tenant_id")


async def outdated(connection: AsyncConnection) -> Collection[int]:
    """The partitions of tenants who have rows of editions that are no longer in force."""
    return [int(row.partition_id) for row in await connection.execute(_OUTDATED)]


async def next_outdated(connection: AsyncConnection, partition: int) -> tuple[str, int] | None:
    """A tenant of a partition who has rows of older editions than this; None when there is none."""
    row = (await connection.execute(_NEXT_OUTDATED, {"partition": partition})).first()
    return None if row is None else (row.tenant_id, row.edition)


async def cleared(connection: AsyncConnection, tenant_id: str, edition: int) -> None:
    """Notes that a tenant has no rows of older editions than this."""
    await connection.execute(_CLEARED, {"tenant_id": tenant_id, "edition": edition})
