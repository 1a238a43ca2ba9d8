"""What is known of the tenants whose figures are kept."""

import json
from collections.abc import Collection, Sequence

from sqlalchemy import Text, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.arrays import numbers, texts
from services.reporting.domain.tenants import Tenant

_READ = text(
    """SELECT tenant_id, partition_id, time_zone, currency_code, settings_position, models, models_position
       FROM tenant WHERE tenant_id = ANY(:tenant_ids)"""
).bindparams(bindparam("tenant_ids", type_=ARRAY(Text)))

_WRITE = text(
    """INSERT INTO tenant (
           tenant_id, partition_id, time_zone, currency_code, settings_position, models, models_position)
       SELECT * FROM unnest(
           CAST(:tenant_ids AS text[]), CAST(:partitions AS bigint[]), CAST(:time_zones AS text[]),
           CAST(:currency_codes AS text[]), CAST(:settings_positions AS bigint[]), CAST(:models AS jsonb[]),
           CAST(:models_positions AS bigint[]))
       ON CONFLICT (tenant_id) DO UPDATE
       SET partition_id = excluded.partition_id, time_zone = excluded.time_zone,
           currency_code = excluded.currency_code, settings_position = excluded.settings_position,
           models = excluded.models, models_position = excluded.models_position"""
)


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
            models_position=row.models_position,
        )
        for row in rows
    }


async def write(connection: AsyncConnection, tenants: Sequence[Tenant]) -> None:
    """Stores tenants in the place of what was known of them."""
    await connection.execute(
        _WRITE,
        {
            "tenant_ids": texts(tenant.tenant_id for tenant in tenants),
            "partitions": numbers(tenant.partition for tenant in tenants),
            "time_zones": texts(tenant.time_zone for tenant in tenants),
            "currency_codes": texts(tenant.currency_code for tenant in tenants),
            "settings_positions": numbers(tenant.settings_position for tenant in tenants),
            "models": texts(json.dumps(dict(tenant.models)) for tenant in tenants),
            "models_positions": numbers(tenant.models_position for tenant in tenants),
        },
    )
