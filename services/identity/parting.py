"""Finds what leaves large regions when identifiers of theirs become hubs, without reading the rest of them."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from services.identity.domain.nodes import Members, Node
from services.identity.domain.parting import Parting
from services.identity.store import decisions, identifiers, observations

_MOST_ROUNDS: Final = 12
"""Looks into the store before a region is read whole after all: its small parts are then long chains."""

_NODES_AT_FIRST: Final = 16
_OBSERVATIONS_AT_FIRST: Final = 64
"""Of each part, and of each identifier; twice as many in each round."""

Leaving = Mapping[str, Mapping[Node, AbstractSet[Node]]]
"""The identifiers that become hubs, by tenant and region."""


class Parted(NamedTuple):
    """What leaves a region: identifiers, the hubs among them, and every observation that mentions any of these."""

    nodes: AbstractSet[Node]
    observations: AbstractSet[Members]


async def part(connection: AsyncConnection, leaving: Leaving) -> dict[str, dict[Node, Parted]]:
    """What leaves those of the regions of which that can be told, by tenant and region; others must be read whole.

    It can't be told of small regions, of those that decisions divide, and where the identifier leaves by which a region
    is named.
    """
    walks = {
        one: Parting(leaving[one[0]][one[1]])
        for one in await observations.read_wide(connection, leaving)
        if one[1] not in leaving[one[0]][one[1]]
    }
    for one in await decisions.read_divided(connection, _by_tenant(walks)):
        del walks[one]
    asked = {one: set(leaving[one[0]][one[1]]) for one in walks}
    # Whatever mentions a hub is copied, so all of that is read.
    nodes, most = _NODES_AT_FIRST, observations.ALL
    for _ in range(_MOST_ROUNDS):
        if not asked:
            break
        await _go_on(connection, walks, asked, most)
        asked = {one: wanted for one, walk in walks.items() if (wanted := walk.asking(nodes))}
        most = _OBSERVATIONS_AT_FIRST * nodes // _NODES_AT_FIRST
        nodes *= 2
    found: dict[str, dict[Node, Parted]] = {}
    for (tenant_id, region), walk in walks.items():
        nodes_left, seen = walk.parted()
        nodes_left |= leaving[tenant_id][region]
        if (tenant_id, region) not in asked and region not in nodes_left:
            theirs = {members for members in seen if not nodes_left.isdisjoint(members)}
            found.setdefault(tenant_id, {})[region] = Parted(nodes_left, theirs)
    return found


async def _go_on(
    connection: AsyncConnection,
    walks: Mapping[observations.Region, Parting],
    asked: Mapping[observations.Region, AbstractSet[Node]],
    most: int,
) -> None:
    """One round of all walks."""
    found = await observations.read_mentioning(connection, asked, most)
    mentioned: dict[str, set[Node]] = {}
    for (tenant_id, _), by_node in found.items():
        mentioned.setdefault(tenant_id, set()).update(*(members for every in by_node.values() for members in every))
    standings = await identifiers.read(connection, mentioned)
    for one, wanted in asked.items():
        by_node = found.get(one, {})
        known = standings.get(one[0], {})
        hubs = {node for every in by_node.values() for members in every for node in members if known[node].hub}
        walks[one].take(
            {members for every in by_node.values() for members in every},
            hubs,
            {node for node in wanted if len(by_node.get(node, ())) < most},
        )


def _by_tenant(regions: Mapping[observations.Region, object]) -> dict[str, set[Node]]:
    found: dict[str, set[Node]] = {}
    for tenant_id, region in regions:
        found.setdefault(tenant_id, set()).add(region)
    return found
