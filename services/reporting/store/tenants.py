"""What is known of the tenants whose figures are kept."""

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from sqlalchemy import LargeBinary, Text, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.arrays import joined, numbers, texts
from services.reporting.domain.tenants import Coming, Tenant
from services.reporting.store import experiment_sums

FIELDS: Final[tuple[tuple[str, type], ...]] = (
    ("tenant_id", str),
    ("tenant.partition_id", int),
    ("tenant.time_zone", str),
    ("tenant.currency_code", str),
    ("settings_position", int),
    ("models", dict),
    ("tenant.edition", int),
    ("tenant.settings", bytes),
    ("tenant.counting", int),
    ("coming.counting", int),
    ("coming.time_zone", str),
    ("coming.currency_code", str),
    ("coming.settings", bytes),
    ("coming.edition", int),
    ("coming.source", str),
    ("coming.order_id", str),
    ("activity_kind", str),
    ("activity_key", str),
    ("done", int),
    ("total", int),
)
"""What a tenant is read from, in the sequence of `tenant_of`, and of which kind it is."""

FROM: Final = "FROM tenant LEFT JOIN coming_counting AS coming USING (tenant_id)"
"""Where that stands."""

_READ = text(f"SELECT {', '.join(name for name, _ in FIELDS)} {FROM} WHERE tenant_id = ANY(:tenant_ids)").bindparams(
    bindparam("tenant_ids", type_=ARRAY(Text))
)

_WRITE = text(
    """INSERT INTO tenant (
           tenant_id, partition_id, time_zone, currency_code, settings_position, models, edition, counting, book, settings)
       SELECT tenant_id, partition_id, time_zone, currency_code, settings_position, models, edition, counting, book,
              substring(:settings FROM start FOR length)
       FROM unnest(
           CAST(:tenant_ids AS text[]), CAST(:partitions AS bigint[]), CAST(:time_zones AS text[]),
           CAST(:currency_codes AS text[]), CAST(:settings_positions AS bigint[]), CAST(:models AS jsonb[]),
           CAST(:editions AS bigint[]), CAST(:countings AS bigint[]), CAST(:books AS bigint[]),
           CAST(:starts AS int[]), CAST(:lengths AS int[])
       ) AS told (
           tenant_id, partition_id, time_zone, currency_code, settings_position, models, edition, counting, book,
           start, length)
       ON CONFLICT (tenant_id) DO UPDATE
       SET partition_id = excluded.partition_id, time_zone = excluded.time_zone,
           currency_code = excluded.currency_code, settings_position = excluded.settings_position,
           models = excluded.models, edition = excluded.edition, counting = excluded.counting, book = excluded.book,
           settings = excluded.settings"""
).bindparams(bindparam("settings", type_=LargeBinary))

_WRITE_COMING = text(
    """INSERT INTO coming_counting (
           tenant_id, partition_id, counting, time_zone, currency_code, edition, source, order_id, activity_kind,
           activity_key, done, total, settings)
       SELECT tenant_id, partition_id, counting, time_zone, currency_code, edition, source, order_id, activity_kind,
              activity_key, done, total, substring(:settings FROM start FOR length)
       FROM unnest(
           CAST(:tenant_ids AS text[]), CAST(:partitions AS bigint[]), CAST(:countings AS bigint[]),
           CAST(:time_zones AS text[]), CAST(:currency_codes AS text[]), CAST(:editions AS bigint[]),
           CAST(:sources AS text[]), CAST(:order_ids AS text[]), CAST(:activity_kinds AS text[]),
           CAST(:activity_keys AS text[]), CAST(:done AS bigint[]), CAST(:totals AS bigint[]),
           CAST(:starts AS int[]), CAST(:lengths AS int[])
       ) AS told (
           tenant_id, partition_id, counting, time_zone, currency_code, edition, source, order_id, activity_kind,
           activity_key, done, total, start, length)
       ON CONFLICT (tenant_id) DO UPDATE
       SET counting = excluded.counting, time_zone = excluded.time_zone, currency_code = excluded.currency_code,
           edition = excluded.edition, source = excluded.source, order_id = excluded.order_id,
           activity_kind = excluded.activity_kind, activity_key = excluded.activity_key, done = excluded.done,
           total = excluded.total, settings = excluded.settings"""
).bindparams(bindparam("settings", type_=LargeBinary))

_NOTHING_COMES = text("DELETE FROM coming_counting WHERE tenant_id = ANY(:tenant_ids)").bindparams(
    bindparam("tenant_ids", type_=ARRAY(Text))
)

_HAVE_FACTS = text(
    """SELECT tenant_id FROM unnest(CAST(:tenant_ids AS text[])) AS told (tenant_id)
       WHERE EXISTS (SELECT FROM order_fact WHERE order_fact.tenant_id = told.tenant_id)
          OR EXISTS (SELECT FROM activity_fact WHERE activity_fact.tenant_id = told.tenant_id)"""
)


async def read(connection: AsyncConnection, tenant_ids: Collection[str]) -> dict[str, Tenant]:
    """The tenants among those named of whom settings or models were told, by their ids."""
    rows = await connection.execute(_READ, {"tenant_ids": sorted(tenant_ids)})
    return {row[0]: tenant_of(row) for row in rows}


def tenant_of(row: Sequence[Any]) -> Tenant:
    """The tenant that a row of `FIELDS` tells of."""
    tenant_id, partition, time_zone, currency_code, position, models, edition, settings, counting, *coming = row
    return Tenant(
        tenant_id=tenant_id,
        partition=partition,
        time_zone=time_zone,
        currency_code=currency_code,
        settings_position=position,
        models=models,
        edition=edition,
        settings=settings,
        counting=counting,
        coming=_coming(coming),
    )


def _coming(told: Sequence[Any]) -> Coming | None:
    counting, time_zone, currency_code, settings, edition, source, order_id, kind, key, done, total = told
    if counting is None:
        return None
    return Coming(
        counting=counting,
        time_zone=time_zone,
        currency_code=currency_code,
        settings=settings,
        reached=None if edition is None else (edition, source, order_id),
        activity=(kind, key),
        done=done,
        total=total,
    )


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
            "countings": numbers(tenant.counting for tenant in tenants),
            "books": numbers(tenant.book for tenant in tenants),
            "settings": settings.together,
            "starts": settings.starts,
            "lengths": settings.lengths,
        },
    )
    of_partition: dict[int, list[str]] = {}
    for tenant in tenants:
        of_partition.setdefault(tenant.partition, []).append(tenant.tenant_id)
    for partition, tenant_ids in of_partition.items():
        await experiment_sums.mark_due(connection, partition, tenant_ids)
    if done := [tenant.tenant_id for tenant in tenants if tenant.coming is None]:
        await connection.execute(_NOTHING_COMES, {"tenant_ids": done})
    if coming := [(tenant, tenant.coming) for tenant in tenants if tenant.coming is not None]:
        await _write_coming(connection, coming)


async def _write_coming(connection: AsyncConnection, coming: Sequence[tuple[Tenant, Coming]]) -> None:
    settings = joined([one.settings for _, one in coming])
    await connection.execute(
        _WRITE_COMING,
        {
            "tenant_ids": texts(tenant.tenant_id for tenant, _ in coming),
            "partitions": numbers(tenant.partition for tenant, _ in coming),
            "countings": numbers(one.counting for _, one in coming),
            "time_zones": texts(one.time_zone for _, one in coming),
            "currency_codes": texts(one.currency_code for _, one in coming),
            "editions": _nullable(one.reached[0] if one.reached else None for _, one in coming),
            "sources": texts(one.reached[1] if one.reached else "" for _, one in coming),
            "order_ids": texts(one.reached[2] if one.reached else "" for _, one in coming),
            "activity_kinds": texts(one.activity[0] for _, one in coming),
            "activity_keys": texts(one.activity[1] for _, one in coming),
            "done": numbers(one.done for _, one in coming),
            "totals": _nullable(one.total for _, one in coming),
            "settings": settings.together,
            "starts": settings.starts,
            "lengths": settings.lengths,
        },
    )


def _nullable(values: Iterable[int | None]) -> str:
    return "{" + ",".join("NULL" if value is None else str(value) for value in values) + "}"


async def have_facts(connection: AsyncConnection, tenant_ids: Collection[str]) -> set[str]:
    """Those of whom orders or activity were told."""
    rows = await connection.execute(_HAVE_FACTS, {"tenant_ids": texts(sorted(tenant_ids))})
    return {row.tenant_id for row in rows}


_COMING = text("SELECT DISTINCT partition_id FROM coming_counting")

_NEXT_COMING = text("SELECT tenant_id FROM coming_counting WHERE partition_id = :partition ORDER BY tenant_id LIMIT 1")


async def coming(connection: AsyncConnection) -> Collection[int]:
    """The partitions of tenants whose figures are being counted anew."""
    return [int(row.partition_id) for row in await connection.execute(_COMING)]


async def next_coming(connection: AsyncConnection, partition: int) -> Tenant | None:
    """A tenant of a partition whose figures are being counted anew; None when there is none."""
    row = (await connection.execute(_NEXT_COMING, {"partition": partition})).first()
    return None if row is None else (await read(connection, [row.tenant_id]))[row.tenant_id]


_OUTDATED = text("SELECT DISTINCT partition_id FROM tenant WHERE cleared_book < book")

_NEXT_OUTDATED = text(
    """SELECT tenant_id, edition, book FROM tenant
       WHERE partition_id = :partition AND cleared_book < book ORDER BY tenant_id LIMIT 1"""
)

_CLEARED = text("UPDATE tenant SET cleared_book = :book WHERE tenant_id = :tenant_id")


async def outdated(connection: AsyncConnection) -> Collection[int]:
    """The partitions of tenants who have rows of editions or countings that are no longer in force."""
    return [int(row.partition_id) for row in await connection.execute(_OUTDATED)]


async def next_outdated(connection: AsyncConnection, partition: int) -> tuple[str, int, int] | None:
    """A tenant of a partition who has rows of older editions, or in older books, than these; None for none."""
    row = (await connection.execute(_NEXT_OUTDATED, {"partition": partition})).first()
    return None if row is None else (row.tenant_id, row.edition, row.book)


async def cleared(connection: AsyncConnection, tenant_id: str, book: int) -> None:
    """Notes that a tenant has no rows in older books than this."""
    await connection.execute(_CLEARED, {"tenant_id": tenant_id, "book": book})
