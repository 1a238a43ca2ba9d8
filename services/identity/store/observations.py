"""Observations: which identifiers were seen together, by region."""

from collections.abc import Iterable, Mapping

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.arrays import numbers, texts
from services.identity.domain.nodes import Members, Node
from services.identity.store.arrays import NodesOfTenants, columns

Observations = dict[str, dict[Node, set[Members]]]
"""By tenant and region."""

_FIND = text(
    """SELECT asked.tenant_id, members
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:regions AS bigint[]), CAST(:members AS text[]))
           AS asked (tenant_id, asked_region, asked_members)
       CROSS JOIN LATERAL (
           SELECT members FROM observation
           WHERE tenant_id = asked.tenant_id AND region = asked_region
             AND digest = hash_array_extended(CAST(asked_members AS bigint[]), 0) OFFSET 0) AS found"""
)

_READ = text(
    """SELECT asked.tenant_id, region, members
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:nodes AS bigint[])) AS asked (tenant_id, asked_region)
       CROSS JOIN LATERAL (
           SELECT region, members FROM observation
           WHERE tenant_id = asked.tenant_id AND region = asked_region OFFSET 0) AS found"""
)

_DROP = text(
    """DELETE FROM observation
       USING unnest(CAST(:tenant_ids AS text[]), CAST(:nodes AS bigint[])) AS asked (tenant_id, asked_region)
       WHERE observation.tenant_id = asked.tenant_id AND region = asked_region"""
)

_MOVE = text(
    """UPDATE observation SET region = new_region
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:nodes AS bigint[]), CAST(:new_regions AS bigint[]))
           AS asked (tenant_id, old_region, new_region)
       WHERE observation.tenant_id = asked.tenant_id AND region = old_region"""
)

_ADD = text(
    """INSERT INTO observation (tenant_id, region, members)
       SELECT tenant_id, region, CAST(members AS bigint[])
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:regions AS bigint[]), CAST(:members AS text[]))
           AS put (tenant_id, region, members)
       ON CONFLICT (tenant_id, region, digest) DO NOTHING"""
)


async def find(
    connection: AsyncConnection, placed: Mapping[str, Iterable[tuple[Node, Members]]]
) -> dict[str, set[Members]]:
    """Which of the observations are known in the regions where they would be."""
    found: dict[str, set[Members]] = {}
    parameters = _placed_columns(placed)
    if parameters:
        for tenant_id, members in await connection.execute(_FIND, parameters):
            found.setdefault(tenant_id, set()).add(tuple(members))
    return found


async def read(connection: AsyncConnection, regions: NodesOfTenants) -> Observations:
    """Finds every observation of the regions."""
    observations: Observations = {}
    parameters = columns(regions)
    if parameters:
        for tenant_id, region, members in await connection.execute(_READ, parameters):
            observations.setdefault(tenant_id, {}).setdefault(region, set()).add(tuple(members))
    return observations


async def drop(connection: AsyncConnection, regions: NodesOfTenants) -> None:
    """Forgets every observation of the regions."""
    parameters = columns(regions)
    if parameters:
        await connection.execute(_DROP, parameters)


async def move(connection: AsyncConnection, renamed: Mapping[str, Mapping[Node, Node]]) -> None:
    """Gives regions their new names (old to new)."""
    parameters = columns(renamed)
    if parameters:
        new_regions = numbers(new for _, names in sorted(renamed.items()) for _, new in sorted(names.items()))
        await connection.execute(_MOVE, {**parameters, "new_regions": new_regions})


async def add(connection: AsyncConnection, placed: Mapping[str, Iterable[tuple[Node, Members]]]) -> None:
    """Adds observations to regions; what is there already stays."""
    parameters = _placed_columns(placed)
    if parameters:
        await connection.execute(_ADD, parameters)


def _placed_columns(placed: Mapping[str, Iterable[tuple[Node, Members]]]) -> dict[str, str]:
    rows = [(tenant_id, *row) for tenant_id in sorted(placed) for row in sorted(placed[tenant_id])]
    if not rows:
        return {}
    tenant_ids, regions, members = zip(*rows, strict=True)
    return {"tenant_ids": texts(tenant_ids), "regions": numbers(regions), "members": texts(map(numbers, members))}
