"""Identifiers: where each stands."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.arrays import flags, numbers, texts
from services.identity.domain.nodes import Node
from services.identity.domain.rules import Rules
from services.identity.domain.step import Standing
from services.identity.store.arrays import NodesOfTenants, columns
from services.kernel.identifiers import Kind

Standings = dict[str, dict[Node, Standing]]
"""By tenant and node; a tenant of whom nothing was found has no entry."""

# LATERAL with OFFSET 0 holds the planner to one look-up by key for each row asked for, also while the tables are young
# and their statistics say that they are empty.
_READ = text(
    """SELECT asked.tenant_id, asked.node, value, region, person, published, hub, emails
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:nodes AS bigint[])) AS asked (tenant_id, node)
       CROSS JOIN LATERAL (
           SELECT value, region, person, published, hub, emails FROM identifier
           WHERE tenant_id = asked.tenant_id AND node = asked.node OFFSET 0) AS found"""
)

_READ_REGIONS = text(
    """SELECT DISTINCT ON (asked.tenant_id, member) asked.tenant_id, member, value, region, person, published, hub, emails
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:nodes AS bigint[])) AS asked (tenant_id, asked_region)
       CROSS JOIN LATERAL (
           SELECT members FROM observation
           WHERE tenant_id = asked.tenant_id AND region = asked_region OFFSET 0) AS observed
       CROSS JOIN LATERAL unnest(members) AS member
       CROSS JOIN LATERAL (
           SELECT value, region, person, published, hub, emails FROM identifier
           WHERE tenant_id = asked.tenant_id AND node = member AND region = asked_region OFFSET 0) AS found"""
)

_READ_LIMITED = text(
    """SELECT identifier.tenant_id, node, value, region, person, published, hub, emails
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:kinds AS bigint[]), CAST(:limits AS int[]))
           AS asked (tenant_id, kind, max_emails)
       JOIN identifier ON identifier.tenant_id = asked.tenant_id AND node & 7 = kind
       WHERE hub OR cardinality(emails) > max_emails"""
)

_PUT = """
       INSERT INTO identifier (tenant_id, node, value, region, person, published, hub, emails)
       SELECT tenant_id, node, value, region, person, published, hub, CAST(emails AS bigint[])
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:nodes AS bigint[]), CAST(:values AS text[]),
                   CAST(:regions AS bigint[]), CAST(:persons AS bigint[]), CAST(:published AS boolean[]),
                   CAST(:hubs AS boolean[]), CAST(:emails AS text[]))
           AS put (tenant_id, node, value, region, person, published, hub, emails)"""

_ADD = text(_PUT)

_CHANGE = text(
    f"""{_PUT}
       ON CONFLICT (tenant_id, node) DO UPDATE
       SET region = excluded.region, person = excluded.person, published = excluded.published,
           hub = excluded.hub, emails = excluded.emails"""
)


async def read(connection: AsyncConnection, nodes: NodesOfTenants) -> Standings:
    """Finds those of the identifiers that are known."""
    return await _read(connection, nodes, _READ)


async def read_regions(connection: AsyncConnection, regions: NodesOfTenants) -> Standings:
    """Finds every identifier of the regions; hubs are in none but their own."""
    return await _read(connection, regions, _READ_REGIONS)


async def read_limited(connection: AsyncConnection, rules: Mapping[str, tuple[Rules, Rules]]) -> Standings:
    """Finds the identifiers that may begin or cease to be hubs, where tenants' limits change (before, after).

    Reads each of those tenants' identifiers once; a change of settings is rare.
    """
    changed: list[tuple[str, Kind, int]] = [
        (tenant_id, kind, limit)
        for tenant_id, (before, after) in rules.items()
        for kind, limit in after.limits.items()
        if limit != before.limits[kind]
    ]
    if not changed:
        return {}
    parameters = {
        "tenant_ids": texts(tenant_id for tenant_id, _, _ in changed),
        "kinds": numbers(kind.value for _, kind, _ in changed),
        "limits": numbers(limit for _, _, limit in changed),
    }
    return _by_tenant((await connection.execute(_READ_LIMITED, parameters)).all())


async def add(connection: AsyncConnection, standings: Mapping[str, Mapping[Node, Standing]]) -> None:
    """Keeps where identifiers stand that were not known: in half the time that it takes for those that may be."""
    await _put(connection, standings, _ADD)


async def change(connection: AsyncConnection, standings: Mapping[str, Mapping[Node, Standing]]) -> None:
    """Keeps where known identifiers stand now."""
    await _put(connection, standings, _CHANGE)


async def _put(
    connection: AsyncConnection, standings: Mapping[str, Mapping[Node, Standing]], statement: TextClause
) -> None:
    rows = [
        (tenant_id, node, *standing)
        for tenant_id, of_tenant in sorted(standings.items())
        for node, standing in sorted(of_tenant.items())
    ]
    if not rows:
        return
    tenant_ids, nodes, values, regions, persons, published, hubs, emails = zip(*rows, strict=True)
    parameters = {
        "tenant_ids": texts(tenant_ids),
        "nodes": numbers(nodes),
        "values": texts(values),
        "regions": numbers(regions),
        "persons": numbers(persons),
        "published": flags(published),
        "hubs": flags(hubs),
        "emails": texts(map(numbers, emails)),
    }
    await connection.execute(statement, parameters)


async def _read(connection: AsyncConnection, nodes: NodesOfTenants, statement: TextClause) -> Standings:
    parameters = columns(nodes)
    return _by_tenant((await connection.execute(statement, parameters)).all()) if parameters else {}


def _by_tenant(rows: Iterable[Any]) -> Standings:
    standings: Standings = {}
    for tenant_id, node, value, region, person, published, hub, emails in rows:
        standings.setdefault(tenant_id, {})[node] = Standing(value, region, person, published, hub, tuple(emails))
    return standings
