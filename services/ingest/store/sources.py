"""Sources, their sealed secrets and their health."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Text, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.ingest.domain.deliveries import Health
from services.ingest.domain.sources import Source, SourceKind, SourceTerms, check_same_terms, with_secret
from services.ingest.store.vault import Vault

_ADD_HEALTH = text(
    """INSERT INTO source_health (tenant_id, source, delivered_count, uncounted_topic_count, last_delivery_time)
       SELECT * FROM unnest(:tenant_ids, :sources, :delivered, :uncounted, :times)
       ON CONFLICT (tenant_id, source) DO UPDATE SET
           delivered_count = source_health.delivered_count + excluded.delivered_count,
           uncounted_topic_count = source_health.uncounted_topic_count + excluded.uncounted_topic_count,
           last_delivery_time = greatest(source_health.last_delivery_time, excluded.last_delivery_time)"""
).bindparams(
    bindparam("tenant_ids", type_=ARRAY(Text)),
    bindparam("sources", type_=ARRAY(Text)),
    bindparam("delivered", type_=ARRAY(BigInteger)),
    bindparam("uncounted", type_=ARRAY(BigInteger)),
    bindparam("times", type_=ARRAY(DateTime(timezone=True))),
)

_INSERT = text(
    """INSERT INTO source (tenant_id, source, kind, id_prefix, require_signed_ids, secrets, create_time)
       VALUES (:tenant_id, :source, :kind, :id_prefix, :require_signed_ids, '{}', :now)
       ON CONFLICT DO NOTHING"""
)

_LOCK = text(
    """SELECT source, kind, id_prefix, require_signed_ids, secrets FROM source
       WHERE tenant_id = :tenant_id AND source = :source FOR UPDATE"""
)

_SET_SECRETS = text("UPDATE source SET secrets = :secrets WHERE tenant_id = :tenant_id AND source = :source")

_LIST = text(
    """SELECT source, kind, id_prefix, require_signed_ids, secrets, create_time, last_delivery_time,
              coalesce(delivered_count, 0) AS delivered_count,
              coalesce(uncounted_topic_count, 0) AS uncounted_topic_count,
              (SELECT count(*) FROM parked_delivery AS parked
               WHERE parked.tenant_id = source.tenant_id AND parked.source = source.source
                 AND parked.expire_time > :now) AS parked_count
       FROM source LEFT JOIN source_health USING (tenant_id, source)
       WHERE tenant_id = :tenant_id AND source > :after AND (:source = '' OR source = :source)
       ORDER BY source LIMIT :count"""
)


async def add_health(connection: AsyncConnection, health: Sequence[Health]) -> None:
    """Counts deliveries, in the transaction that takes what they brought."""
    await connection.execute(
        _ADD_HEALTH,
        {
            "tenant_ids": [one.tenant_id for one in health],
            "sources": [one.source for one in health],
            "delivered": [one.delivered for one in health],
            "uncounted": [one.uncounted for one in health],
            "times": [one.last_delivery_time for one in health],
        },
    )


async def create_source(
    engine: AsyncEngine, vault: Vault, *, tenant_id: str, terms: SourceTerms, secret: str, now: datetime
) -> None:
    """Creates a source, or adds a secret to the one that is there. Raises AlreadyExistsError when that one differs."""
    name = {"tenant_id": tenant_id, "source": terms.source}
    async with engine.begin() as connection:
        await connection.execute(
            _INSERT,
            {
                **name,
                "kind": terms.kind,
                "id_prefix": terms.id_prefix,
                "require_signed_ids": terms.require_signed_ids,
                "now": now,
            },
        )
        row = (await connection.execute(_LOCK, name)).one()
        check_same_terms(_terms(row), terms)
        held = _secrets(vault, tenant_id, row)
        holding = with_secret(held, secret)
        if holding != held:
            sealed = [vault.seal(one.encode(), "secret", tenant_id, terms.source) for one in holding]
            await connection.execute(_SET_SECRETS, {**name, "secrets": sealed})


async def list_sources(engine: AsyncEngine, *, tenant_id: str, after: str, count: int, now: datetime) -> list[Source]:
    """The tenant's sources by name, after the one named `after`."""
    asked = {"tenant_id": tenant_id, "after": after, "count": count, "source": "", "now": now}
    async with engine.connect() as connection:
        return [_source(row) for row in await connection.execute(_LIST, asked)]


async def find_source(
    engine: AsyncEngine, vault: Vault, *, tenant_id: str, source: str, now: datetime
) -> tuple[Source, list[str]] | None:
    """A source and the secrets that hold, newest first; None when there is none by that name."""
    asked = {"tenant_id": tenant_id, "after": "", "count": 1, "source": source, "now": now}
    async with engine.connect() as connection:
        row = (await connection.execute(_LIST, asked)).one_or_none()
    return None if row is None else (_source(row), _secrets(vault, tenant_id, row))


def _secrets(vault: Vault, tenant_id: str, row: Any) -> list[str]:
    return [vault.open(sealed, "secret", tenant_id, row.source).decode() for sealed in row.secrets]


def _terms(row: Any) -> SourceTerms:
    return SourceTerms(
        source=row.source,
        kind=SourceKind(row.kind),
        id_prefix=row.id_prefix,
        require_signed_ids=row.require_signed_ids,
    )


def _source(row: Any) -> Source:
    return Source(
        terms=_terms(row),
        create_time=row.create_time,
        last_delivery_time=row.last_delivery_time,
        delivered_count=row.delivered_count,
        uncounted_topic_count=row.uncounted_topic_count,
        parked_count=row.parked_count,
    )
