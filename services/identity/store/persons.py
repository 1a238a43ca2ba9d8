"""One person: the identifiers, the pairs that were seen or decided, and the hubs beside them, up to a number of each."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.arrays import numbers
from services.identity.domain.description import MOST_LISTED, Description, Known, Tie
from services.identity.domain.nodes import MOST_TELLING, Node
from services.identity.domain.step import Standing

# A person is a part of a region, and a region's observations name all who are in it.
_SEEN = """
       WITH told AS (
           SELECT row_number() OVER () AS number, members FROM observation
           WHERE tenant_id = :tenant_id AND region = :region),
       seen AS MATERIALIZED (SELECT number, unnest(members) AS node FROM told)"""

_READ_IDENTIFIERS = text(
    f"""{_SEEN}
       SELECT node, value, count(*) OVER () AS known
       FROM (SELECT DISTINCT node FROM seen) AS member
       CROSS JOIN LATERAL (
           SELECT value, person, hub FROM identifier
           WHERE tenant_id = :tenant_id AND identifier.node = member.node OFFSET 0) AS found
       WHERE person = :person AND NOT hub
       ORDER BY node <> :asked, array_position(CAST(:kinds AS bigint[]), node & 7), value LIMIT :most"""
)

# First the decisions and then who was asked for: they explain most.
_READ_LINKS = text(
    f"""{_SEEN},
       shown AS MATERIALIZED (
           SELECT number, node, place FROM seen
           JOIN unnest(CAST(:nodes AS bigint[])) WITH ORDINALITY AS listed (node, place) USING (node))
       SELECT left_node, right_node, occur_nanos
       FROM (SELECT DISTINCT one.node AS left_node, one.place, other.node AS right_node, other.place AS other_place
             FROM shown AS one JOIN shown AS other USING (number) WHERE one.place < other.place) AS pair
       LEFT JOIN LATERAL (
           SELECT occur_nanos, linked FROM decision
           WHERE tenant_id = :tenant_id AND node = left_node AND other = right_node OFFSET 0) AS decided ON true
       WHERE linked IS NOT false
       ORDER BY linked IS NULL, place, other_place LIMIT :most"""
)

_READ_HUBS = text(
    f"""{_SEEN},
       met AS MATERIALIZED (
           SELECT number, seen.node, value, person, hub FROM seen
           CROSS JOIN LATERAL (
               SELECT value, person, hub FROM identifier
               WHERE tenant_id = :tenant_id AND identifier.node = seen.node OFFSET 0) AS found)
       SELECT DISTINCT node, value FROM met
       WHERE hub AND number IN (SELECT number FROM met WHERE person = :person AND NOT hub)
       ORDER BY node LIMIT :most"""
)


async def describe(connection: AsyncConnection, tenant_id: str, node: Node, standing: Standing) -> Description:
    """The person of a known identifier."""
    asked = Known(node, standing.value)
    if standing.hub:
        # A hub's observations are those of everybody who came by.
        return Description(person=standing.person, identifiers=(asked,), count=1, hubs=(asked,))
    region: dict[str, Any] = {
        "tenant_id": tenant_id,
        "region": standing.region,
        "person": standing.person,
        "most": MOST_LISTED,
    }
    kinds = numbers(kind.value for kind in MOST_TELLING)
    found = (await connection.execute(_READ_IDENTIFIERS, {**region, "asked": node, "kinds": kinds})).all()
    listed = {row.node: Known(row.node, row.value) for row in found}
    links = await connection.execute(_READ_LINKS, {**region, "nodes": numbers(listed)})
    hubs = await connection.execute(_READ_HUBS, region)
    return Description(
        person=standing.person,
        identifiers=tuple(listed.values()),
        count=found[0].known if found else 0,
        links=tuple(Tie(listed[row.left_node], listed[row.right_node], row.occur_nanos) for row in links),
        hubs=tuple(Known(row.node, row.value) for row in hubs),
    )
