"""Observations: which identifiers were seen together, by region."""

from collections.abc import Iterable, Mapping

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.arrays import numbers, texts
from services.identity.domain.nodes import Members, Node
from services.identity.store.arrays import NodesOfTenants, columns

Observations = dict[str, dict[Node, set[Members]]]
"""By tenant and region."""

Region = tuple[str, Node]
"""A tenant's region."""

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

# Observations of wide regions are in an index by what they mention. No other index may come first: a region is large.
_READ_MENTIONING = text(
    """SELECT asked.tenant_id, asked_region, node, found.members
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:regions AS bigint[]), CAST(:nodes AS bigint[]), CAST(:most AS int[]))
           AS asked (tenant_id, asked_region, node, most)
       CROSS JOIN LATERAL (
           SELECT members FROM (
               SELECT tenant_id, region, members FROM observation WHERE wide AND members @> ARRAY[asked.node] OFFSET 0
           ) AS mentioning
           WHERE mentioning.tenant_id = asked.tenant_id AND mentioning.region = asked_region LIMIT asked.most) AS found"""
)

_READ_WIDE = text(
    """SELECT wide_region.tenant_id, region FROM wide_region
       JOIN unnest(CAST(:tenant_ids AS text[]), CAST(:nodes AS bigint[])) AS asked (tenant_id, asked_region)
         ON wide_region.tenant_id = asked.tenant_id AND region = asked_region"""
)

_WIDEN = text(
    """INSERT INTO wide_region (tenant_id, region)
       SELECT tenant_id, asked_region
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:nodes AS bigint[])) AS asked (tenant_id, asked_region)
       ON CONFLICT DO NOTHING"""
)

# A wide region that takes another's name makes that one wide.
_MOVE_WIDE = text(
    """WITH moving AS (
           SELECT * FROM unnest(CAST(:tenant_ids AS text[]), CAST(:nodes AS bigint[]), CAST(:new_regions AS bigint[]))
               AS moving (tenant_id, old_region, new_region)),
       gone AS (
           DELETE FROM wide_region USING moving
           WHERE wide_region.tenant_id = moving.tenant_id AND region = old_region
           RETURNING moving.tenant_id, new_region)
       INSERT INTO wide_region (tenant_id, region) SELECT DISTINCT tenant_id, new_region FROM gone
       ON CONFLICT DO NOTHING RETURNING tenant_id, region"""
)

_MAKE_WIDE = text(
    """UPDATE observation SET wide = true
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:nodes AS bigint[])) AS asked (tenant_id, asked_region)
       WHERE observation.tenant_id = asked.tenant_id AND region = asked_region AND NOT wide"""
)

_NARROW = text(
    """DELETE FROM wide_region
       USING unnest(CAST(:tenant_ids AS text[]), CAST(:nodes AS bigint[])) AS asked (tenant_id, asked_region)
       WHERE wide_region.tenant_id = asked.tenant_id AND region = asked_region"""
)

_REMOVE = text(
    """DELETE FROM observation
       USING unnest(CAST(:tenant_ids AS text[]), CAST(:regions AS bigint[]), CAST(:members AS text[]))
           AS asked (tenant_id, asked_region, asked_members)
       WHERE observation.tenant_id = asked.tenant_id AND region = asked_region
         AND digest = hash_array_extended(CAST(asked_members AS bigint[]), 0)"""
)

_DROP = text(
    """DELETE FROM observation
       USING unnest(CAST(:tenant_ids AS text[]), CAST(:nodes AS bigint[])) AS asked (tenant_id, asked_region)
       WHERE observation.tenant_id = asked.tenant_id AND region = asked_region"""
)

_MOVE = text(
    """UPDATE observation
       SET region = new_region,
           wide = wide OR EXISTS (SELECT FROM wide_region
                                  WHERE wide_region.tenant_id = asked.tenant_id AND region = new_region)
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:nodes AS bigint[]), CAST(:new_regions AS bigint[]))
           AS asked (tenant_id, old_region, new_region)
       WHERE observation.tenant_id = asked.tenant_id AND region = old_region"""
)

_PUT = """
       INSERT INTO observation (tenant_id, region, members, wide)
       SELECT tenant_id, region, CAST(members AS bigint[]),
              EXISTS (SELECT FROM wide_region WHERE wide_region.tenant_id = put.tenant_id AND wide_region.region = put.region)
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:regions AS bigint[]), CAST(:members AS text[]))
           AS put (tenant_id, region, members)"""

_ADD = text(_PUT)

_ADD_MISSING = text(f"{_PUT} ON CONFLICT (tenant_id, region, digest) DO NOTHING")


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


async def read_wide(connection: AsyncConnection, regions: NodesOfTenants) -> list[Region]:
    """Those of the regions that are wide: what mentions an identifier of theirs is found without reading all of them."""
    parameters = columns(regions)
    if not parameters:
        return []
    return [(tenant_id, region) for tenant_id, region in await connection.execute(_READ_WIDE, parameters)]


async def read_mentioning(
    connection: AsyncConnection, asked: Mapping[Region, Mapping[Node, int]]
) -> dict[Region, dict[Node, list[Members]]]:
    """Observations of wide regions by the identifiers that they mention, at most so many of each."""
    rows = [(*region, *one) for region in sorted(asked) for one in sorted(asked[region].items())]
    tenant_ids, regions, nodes, most = zip(*rows, strict=True)
    parameters = {
        "tenant_ids": texts(tenant_ids),
        "regions": numbers(regions),
        "nodes": numbers(nodes),
        "most": numbers(most),
    }
    found: dict[Region, dict[Node, list[Members]]] = {}
    for tenant_id, region, node, members in await connection.execute(_READ_MENTIONING, parameters):
        found.setdefault((tenant_id, region), {}).setdefault(node, []).append(tuple(members))
    return found


async def widen(connection: AsyncConnection, regions: NodesOfTenants) -> None:
    """Makes regions wide, also before they have any observations."""
    parameters = columns(regions)
    if parameters:
        await connection.execute(_WIDEN, parameters)
        await connection.execute(_MAKE_WIDE, parameters)


async def drop(connection: AsyncConnection, regions: NodesOfTenants) -> None:
    """Forgets every observation of the regions."""
    parameters = columns(regions)
    if parameters:
        await connection.execute(_DROP, parameters)
        await connection.execute(_NARROW, parameters)


async def remove(connection: AsyncConnection, placed: Mapping[str, Iterable[tuple[Node, Members]]]) -> None:
    """Forgets observations of regions."""
    parameters = _placed_columns(placed)
    if parameters:
        await connection.execute(_REMOVE, parameters)


async def move(connection: AsyncConnection, renamed: Mapping[str, Mapping[Node, Node]]) -> None:
    """Gives regions their new names (old to new)."""
    parameters = columns(renamed)
    if parameters:
        new_regions = numbers(new for _, names in sorted(renamed.items()) for _, new in sorted(names.items()))
        bound = {**parameters, "new_regions": new_regions}
        widened: dict[str, set[Node]] = {}
        for tenant_id, region in await connection.execute(_MOVE_WIDE, bound):
            widened.setdefault(tenant_id, set()).add(region)
        if widened:
            await connection.execute(_MAKE_WIDE, columns(widened))
        await connection.execute(_MOVE, bound)


async def add(connection: AsyncConnection, placed: Mapping[str, Iterable[tuple[Node, Members]]]) -> None:
    """Adds observations to regions in which they are not: in two thirds of the time that it takes where they may be."""
    parameters = _placed_columns(placed)
    if parameters:
        await connection.execute(_ADD, parameters)


async def add_missing(connection: AsyncConnection, placed: Mapping[str, Iterable[tuple[Node, Members]]]) -> None:
    """Adds observations to regions; what is there already stays."""
    parameters = _placed_columns(placed)
    if parameters:
        await connection.execute(_ADD_MISSING, parameters)


def _placed_columns(placed: Mapping[str, Iterable[tuple[Node, Members]]]) -> dict[str, str]:
    rows = [(tenant_id, *row) for tenant_id in sorted(placed) for row in sorted(placed[tenant_id])]
    if not rows:
        return {}
    tenant_ids, regions, members = zip(*rows, strict=True)
    return {"tenant_ids": texts(tenant_ids), "regions": numbers(regions), "members": texts(map(numbers, members))}
