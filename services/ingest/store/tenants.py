"""Tenants: their partition, sealed hash key, and settings."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Text, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.ingest.domain.events import Limits
from services.ingest.domain.sources import SourceKind
from services.ingest.domain.tenants import Tenant, TenantTerms
from services.ingest.store.vault import Vault

_INSERT = text(
    """INSERT INTO tenant (tenant_id, partition_id, sealed_hash_key, create_fingerprint, settings, revision,
                           max_age_nanos, max_lead_nanos, create_time)
       VALUES (:tenant_id, :partition, :sealed_hash_key, :create_fingerprint, :settings, 1,
               :max_age_nanos, :max_lead_nanos, :now)"""
)

_FIND = text(
    """SELECT tenant_id, partition_id, settings, create_time, create_fingerprint, revision
       FROM tenant WHERE tenant_id = :tenant_id"""
)

_CHANGE = text(
    """UPDATE tenant SET settings = :settings, revision = :revision,
                         max_age_nanos = :max_age_nanos, max_lead_nanos = :max_lead_nanos
       WHERE tenant_id = :tenant_id"""
)

_LIST = text(
    """SELECT tenant_id, partition_id, settings, create_time FROM tenant
       WHERE tenant_id > :after ORDER BY tenant_id LIMIT :count"""
)

_TERMS = text(
    """SELECT tenant_id, partition_id, sealed_hash_key, max_age_nanos, max_lead_nanos, has_renamed_events,
              array_agg(source) FILTER (WHERE source IS NOT NULL) AS sources,
              array_agg(kind) FILTER (WHERE source IS NOT NULL) AS kinds
       FROM tenant LEFT JOIN source USING (tenant_id)
       WHERE tenant_id = ANY(:tenant_ids) GROUP BY tenant_id"""
).bindparams(bindparam("tenant_ids", type_=ARRAY(Text)))


class Found(NamedTuple):
    """A tenant's row. `create_fingerprint` tells the settings it was created with; `revision` counts its settings."""

    tenant: Tenant
    create_fingerprint: bytes
    revision: int


async def insert_tenant(
    connection: AsyncConnection,
    vault: Vault,
    tenant: Tenant,
    *,
    hash_key: bytes,
    create_fingerprint: bytes,
    limits: Limits,
) -> None:
    """Inserts a tenant with its first settings."""
    await connection.execute(
        _INSERT,
        {
            "tenant_id": tenant.tenant_id,
            "partition": tenant.partition,
            "sealed_hash_key": vault.seal(hash_key, "hash key", tenant.tenant_id),
            "create_fingerprint": create_fingerprint,
            "settings": tenant.settings,
            "max_age_nanos": limits.max_age,
            "max_lead_nanos": limits.max_lead,
            "now": tenant.create_time,
        },
    )


async def find_tenant(connection: AsyncConnection, tenant_id: str) -> Found | None:
    """A tenant, or None. Held still while its partition's head row is locked: all changes are made under it."""
    row = (await connection.execute(_FIND, {"tenant_id": tenant_id})).one_or_none()
    return None if row is None else Found(_tenant(row), bytes(row.create_fingerprint), row.revision)


async def change_settings(
    connection: AsyncConnection, *, tenant_id: str, settings: bytes, revision: int, limits: Limits
) -> None:
    """Puts the whole settings document in place of the one before."""
    await connection.execute(
        _CHANGE,
        {
            "tenant_id": tenant_id,
            "settings": settings,
            "revision": revision,
            "max_age_nanos": limits.max_age,
            "max_lead_nanos": limits.max_lead,
        },
    )


async def list_tenants(engine: AsyncEngine, *, after: str, count: int) -> list[Tenant]:
    """Tenants by id, after the one named `after`."""
    async with engine.connect() as connection:
        return [_tenant(row) for row in await connection.execute(_LIST, {"after": after, "count": count})]


async def read_terms(engine: AsyncEngine, vault: Vault, tenant_ids: Sequence[str]) -> list[TenantTerms]:
    """What must be known of tenants to take their events; nothing for those that don't exist."""
    async with engine.connect() as connection:
        rows = (await connection.execute(_TERMS, {"tenant_ids": list(tenant_ids)})).all()
    return [
        TenantTerms(
            tenant_id=row.tenant_id,
            partition=row.partition_id,
            hash_key=vault.open(row.sealed_hash_key, "hash key", row.tenant_id),
            limits=Limits(max_age=row.max_age_nanos, max_lead=row.max_lead_nanos),
            sources={source: SourceKind(kind) for source, kind in zip(row.sources or (), row.kinds or (), strict=True)},
            has_renamed_events=row.has_renamed_events,
        )
        for row in rows
    ]


def _tenant(row: Any) -> Tenant:
    return Tenant(
        tenant_id=row.tenant_id,
        partition=row.partition_id,
        settings=bytes(row.settings),
        create_time=row.create_time,
    )
