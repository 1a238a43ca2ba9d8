"""Finds how people in large regions fall apart and come together, without reading the rest of their regions."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from operator import attrgetter
from typing import Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from services.identity.domain.nodes import Members, Node, Pair
from services.identity.domain.parting import EVERY, Endings, Parting
from services.identity.domain.rules import unlinked_pairs
from services.identity.store import decisions, identifiers, observations
from services.identity.store.observations import Region

_MOST_ROUNDS: Final = 48
"""Looks into the store before a region is read whole after all: its small parts are then long chains."""

_PERSON: Final = attrgetter("person")
_REGION: Final = attrgetter("region")

EndingsOfTenants = Mapping[str, Mapping[Node, Endings]]
"""By tenant and region."""


class Parted(NamedTuple):
    """What falls off the rest of a region, which stays as it is.

    `leaving` are identifiers that leave the region, the new hubs among them; of those `apart`, only the person is made
    again. `observations` are all that mention any of these.
    """

    leaving: AbstractSet[Node]
    apart: AbstractSet[Node]
    observations: AbstractSet[Members]


async def part(connection: AsyncConnection, endings: EndingsOfTenants) -> dict[str, dict[Node, Parted]]:
    """What falls off those of the regions of which that can be told, by tenant and region; others must be read whole.

    It can't be told of small regions, nor where what falls off is a long chain, or has the name by which the rest is
    known: that gets another name.
    """
    ended = {one: endings[one[0]][one[1]] for one in await observations.read_wide(connection, endings)}
    people = {one: Parting(ending.persons, ending.hubs, _PERSON) for one, ending in ended.items()}
    await _walk(connection, people, {one: ending.unlinked for one, ending in ended.items()})
    # Where no unlinked pair was met, a region falls apart like its people.
    regions = {
        one: Parting(dict.fromkeys(ended[one].hubs, one[1]), ended[one].hubs, _REGION)
        for one, walk in people.items()
        if walk.meets_unlinked
    }
    await _walk(connection, regions)
    found: dict[str, dict[Node, Parted]] = {}
    for (tenant_id, region), walk in people.items():
        apart, leaving = walk.parted(), regions.get((tenant_id, region), walk).parted()
        if apart is not None and leaving is not None and region not in leaving.nodes:
            nodes = apart.nodes | leaving.nodes
            seen = {members for members in apart.seen | leaving.seen if not nodes.isdisjoint(members)}
            found.setdefault(tenant_id, {})[region] = Parted(leaving.nodes, apart.nodes - leaving.nodes, seen)
    return found


async def gather(
    connection: AsyncConnection, persons: Mapping[str, Mapping[Node, Mapping[Node, Node]]]
) -> identifiers.Standings:
    """All identifiers of persons, by tenant, found from some by region; of small regions, everybody's."""
    open_nodes = {
        (tenant_id, region): set(persons[tenant_id][region])
        for tenant_id, region in await observations.read_wide(connection, persons)
    }
    found: identifiers.Standings = {}
    for _ in range(_MOST_ROUNDS):
        asked = {one: dict.fromkeys(nodes, EVERY) for one, nodes in open_nodes.items() if nodes}
        if not asked:
            break
        mentioned = _mentioned(await observations.read_mentioning(connection, asked))
        standings = await identifiers.read(connection, mentioned)
        for (tenant_id, region), nodes in asked.items():
            wanted = set(persons[tenant_id][region].values())
            known = found.setdefault(tenant_id, {})
            theirs = {
                node: standing
                for node, standing in standings.get(tenant_id, {}).items()
                if standing.region == region and standing.person in wanted
            }
            open_nodes[tenant_id, region] = theirs.keys() - known.keys() - nodes.keys()
            known |= theirs
    whole = {
        tenant_id: {region for region in regions if open_nodes.get((tenant_id, region), True)}
        for tenant_id, regions in persons.items()
    }
    for tenant_id, standings_of_tenant in (await identifiers.read_regions(connection, whole)).items():
        found.setdefault(tenant_id, {}).update(standings_of_tenant)
    return found


async def _walk(
    connection: AsyncConnection,
    walks: Mapping[Region, Parting],
    newly_unlinked: Mapping[Region, AbstractSet[Pair]] | None = None,
) -> None:
    """Lets all go on side by side until each knows what it asks for; without unlinked pairs, these count like others."""
    for _ in range(_MOST_ROUNDS):
        asked = {one: walk.asked for one, walk in walks.items() if walk.asked}
        if not asked:
            return
        found = await observations.read_mentioning(connection, asked)
        mentioned = _mentioned(found)
        standings = await identifiers.read(connection, mentioned)
        stored = {} if newly_unlinked is None else await decisions.read(connection, mentioned)
        unlinked = {tenant_id: unlinked_pairs(of_tenant) for tenant_id, of_tenant in stored.items()}
        for one in asked:
            pairs = unlinked.get(one[0], frozenset()) | (newly_unlinked or {}).get(one, frozenset())
            walks[one].take(found.get(one, {}), standings.get(one[0], {}), pairs)


def _mentioned(found: Mapping[Region, Mapping[Node, Iterable[Members]]]) -> dict[str, set[Node]]:
    mentioned: dict[str, set[Node]] = {}
    for (tenant_id, _), by_node in found.items():
        mentioned.setdefault(tenant_id, set()).update(*(members for every in by_node.values() for members in every))
    return mentioned
