"""Who each identifier belongs to, by its key, and which name nobody, as the people log last said."""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.arrays import flags, numbers, optional_numbers, texts

Named = tuple[str, int]
"""The key of a tenant's identifier."""


class Standing(NamedTuple):
    """What the people log says of an identifier, and at which positions; no person before one was told."""

    person_id: int | None = None
    hub: bool = False
    person_position: int = 0
    hub_position: int = 0


_READ = text(
    """SELECT asked.tenant_id, asked.identifier_key, person_id, hub, person_position, hub_position
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:keys AS bigint[])) AS asked (tenant_id, identifier_key)
       CROSS JOIN LATERAL (
           SELECT person_id, hub, person_position, hub_position FROM person_key
           WHERE tenant_id = asked.tenant_id AND identifier_key = asked.identifier_key LIMIT 1) AS known"""
)

_SAVE = text(
    """INSERT INTO person_key (tenant_id, identifier_key, person_id, hub, person_position, hub_position)
       SELECT * FROM unnest(CAST(:tenant_ids AS text[]), CAST(:keys AS bigint[]), CAST(:person_ids AS bigint[]),
                            CAST(:hubs AS boolean[]), CAST(:person_positions AS bigint[]),
                            CAST(:hub_positions AS bigint[]))
       ON CONFLICT (tenant_id, identifier_key) DO UPDATE
       SET person_id = excluded.person_id, hub = excluded.hub,
           person_position = excluded.person_position, hub_position = excluded.hub_position"""
)

_READ_KEYS = text(
    """SELECT known.identifier_key
       FROM unnest(CAST(:person_ids AS bigint[])) AS asked (person_id)
       CROSS JOIN LATERAL (
           SELECT identifier_key FROM person_key
           WHERE tenant_id = :tenant_id AND person_id = asked.person_id AND NOT hub OFFSET 0) AS known"""
)


async def read_standings(connection: AsyncConnection, asked: Iterable[Named]) -> dict[Named, Standing]:
    """What is known of identifiers; those never told of are left out."""
    wanted = sorted(set(asked))
    if not wanted:
        return {}
    rows = (await connection.execute(_READ, _columns(wanted))).all()
    return {(tenant_id, key): Standing(*standing) for tenant_id, key, *standing in rows}


async def save_standings(connection: AsyncConnection, standings: Mapping[Named, Standing]) -> None:
    """Replaces what is known of identifiers."""
    ordered = sorted(standings)
    if not ordered:
        return
    kept = [standings[named] for named in ordered]
    await connection.execute(
        _SAVE,
        {
            **_columns(ordered),
            "person_ids": optional_numbers(standing.person_id for standing in kept),
            "hubs": flags(standing.hub for standing in kept),
            "person_positions": numbers(standing.person_position for standing in kept),
            "hub_positions": numbers(standing.hub_position for standing in kept),
        },
    )


async def read_keys(connection: AsyncConnection, tenant_id: str, person_ids: Iterable[int]) -> set[int]:
    """The keys of all identifiers that belong to some persons."""
    bound = {"tenant_id": tenant_id, "person_ids": numbers(sorted(set(person_ids)))}
    return set((await connection.execute(_READ_KEYS, bound)).scalars().all())


def _columns(named: Collection[Named]) -> dict[str, str]:
    return {"tenant_ids": texts(tenant_id for tenant_id, _ in named), "keys": numbers(key for _, key in named)}
