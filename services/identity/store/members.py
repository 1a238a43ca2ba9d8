"""Everybody behind some identifiers: the persons' other identifiers, read a part at a time."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.identity.domain.nodes import Node
from services.identity.store.arrays import columns

_AT_ONCE = 5_000

# A person is a part of a region, and a region's observations name all who are in it.
_READ = text(
    """WITH asked AS MATERIALIZED (
           SELECT asked.node, region, person, hub
           FROM unnest(CAST(:tenant_ids AS text[]), CAST(:nodes AS bigint[])) AS asked (tenant_id, node)
           CROSS JOIN LATERAL (
               SELECT region, person, hub FROM identifier
               WHERE tenant_id = asked.tenant_id AND node = asked.node OFFSET 0) AS found
           WHERE NOT hub),
       member AS (
           SELECT DISTINCT node FROM (
               SELECT unnest(members) AS node FROM (SELECT DISTINCT region FROM asked) AS regions
               CROSS JOIN LATERAL (
                   SELECT members FROM observation
                   WHERE tenant_id = :tenant_id AND region = regions.region OFFSET 0) AS observed) AS mentioned)
       SELECT member.node, found.value, found.person FROM member
       CROSS JOIN LATERAL (
           SELECT value, person, hub FROM identifier WHERE tenant_id = :tenant_id AND node = member.node OFFSET 0) AS found
       WHERE NOT found.hub AND found.person IN (SELECT person FROM asked)"""
)


class Member(NamedTuple):
    """An identifier and its person."""

    node: Node
    value: str
    person: Node


async def read(connection: AsyncConnection, tenant_id: str, nodes: Iterable[Node]) -> AsyncIterator[Sequence[Member]]:
    """The identifiers of the persons of those of the nodes that are known, and are no hubs; in parts."""
    parameters: Mapping[str, str] = columns({tenant_id: nodes})
    if not parameters:
        return
    async with connection.stream(_READ, {**parameters, "tenant_id": tenant_id}) as rows:
        async for part in rows.partitions(_AT_ONCE):
            yield [Member(row.node, row.value, row.person) for row in part]
