"""How people in a large region fall apart where links of theirs end: small parts are found, the rest is not looked at."""

from collections.abc import Callable, Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from heapq import nsmallest
from itertools import combinations
from typing import Final, NamedTuple

from services.identity.domain.nodes import Members, Node, Pair
from services.identity.domain.people import Components
from services.identity.domain.step import Standing

EVERY: Final = 2**31 - 1
"""More observations than mention anybody."""

_NODES_AT_ONCE: Final = 16
_OBSERVATIONS_AT_FIRST: Final = 64


class Endings(NamedTuple):
    """Where links of a region end: identifiers that become hubs, and pairs that are newly unlinked.

    `persons` has the person, until now, of each of these.
    """

    hubs: set[Node]
    unlinked: set[Pair]
    persons: dict[Node, Node]


def endings(
    standings: Mapping[Node, Standing], hubs: AbstractSet[Node], unlinked: Iterable[Pair]
) -> dict[Node, Endings]:
    """Regions that may fall apart: an identifier of theirs became a hub, or two of one person are newly unlinked."""
    found: dict[Node, Endings] = {}
    for node, standing in standings.items():
        if node in hubs and not standing.hub:
            ending = found.setdefault(standing.region, Endings(set(), set(), {}))
            ending.hubs.add(node)
            ending.persons[node] = standing.person
    for pair in unlinked:
        persons = {node: standings[node].person for node in pair if node in standings and node not in hubs}
        if len(persons) > len(set(persons.values())):
            ending = found.setdefault(standings[pair[0]].region, Endings(set(), set(), {}))
            ending.unlinked.add(pair)
            ending.persons.update(persons)
    return found


class Part(NamedTuple):
    """Identifiers that fall off, and observations, among which are all that mention these."""

    nodes: AbstractSet[Node]
    seen: AbstractSet[Members]


class Parting:
    """A walk from where links end, side by side into all parts of what was one, until all but one have come to an end.

    Each part is asked of about as much as the one that has least to ask for: so it takes as long as the smaller parts
    are large, however large the rest is.
    """

    def __init__(
        self, ends: Mapping[Node, Node], hubs: AbstractSet[Node], known_by: Callable[[Standing], Node]
    ) -> None:
        """`ends` are identifiers of which links end, with those by which they were known; `hubs` are the new ones of them.

        `known_by` tells by whom others were known: by their persons, if people part, or by their regions.
        """
        self._new_hubs = frozenset(hubs)
        self._known_by = known_by
        self._torn = frozenset(ends.values())
        self._around = Components()
        self._before = {node: name for node, name in ends.items() if node not in hubs}
        self._open = set(self._before)
        self._seen: set[Members] = set()
        # Whatever mentions a new hub is copied, so all of that is read.
        self._asked = dict.fromkeys(hubs, EVERY) | dict.fromkeys(self._open, _OBSERVATIONS_AT_FIRST)
        self._next = dict.fromkeys(self._open, 2 * _OBSERVATIONS_AT_FIRST)
        self.meets_unlinked = bool(self._open)
        """True when an unlinked pair was met: then a region and its people may fall apart differently."""

    @property
    def asked(self) -> Mapping[Node, int]:
        """How many observations, at most, are wanted next of whom; of nobody once the parts are known."""
        return self._asked

    def take(
        self,
        found: Mapping[Node, Collection[Members]],
        standings: Mapping[Node, Standing],
        unlinked: AbstractSet[Pair] = frozenset(),
    ) -> None:
        """Goes on by the observations that were asked for, of members with these standings, and asks for the next.

        The pairs in `unlinked` don't count.
        """
        for members in {members for every in found.values() for members in every} - self._seen:
            self._seen.add(members)
            clear = [node for node in members if node not in self._new_hubs and not standings[node].hub]
            self._around.join_linked(clear, unlinked)
            if unlinked and not unlinked.isdisjoint(combinations(members, 2)):
                self.meets_unlinked = True
            for node in clear:
                # Only what was one falls apart.
                if node not in self._before and (name := self._known_by(standings[node])) in self._torn:
                    self._before[node] = name
                    self._open.add(node)
        self._open.difference_update([node for node, most in self._asked.items() if len(found.get(node, ())) < most])
        self._ask()

    def _ask(self) -> None:
        self._asked = {}
        for parts in self._open_parts().values():
            least = min(map(len, parts.values()))
            for part in parts.values() if len(parts) > 1 else ():
                for node in nsmallest(max(_NODES_AT_ONCE, 2 * least), part, key=self._priority):
                    self._asked[node] = most = self._next.get(node, _OBSERVATIONS_AT_FIRST)
                    self._next[node] = 2 * most

    def _priority(self, node: Node) -> tuple[int, Node]:
        """Who was asked for least comes first: of whom there is much seldom ends a part."""
        return self._next.get(node, 0), node

    def _open_parts(self) -> dict[Node, dict[Node, list[Node]]]:
        """Whom parts may go on by, by who they were known by before and are known by on the way."""
        parts: dict[Node, dict[Node, list[Node]]] = {}
        for node in self._open:
            parts.setdefault(self._before[node], {}).setdefault(self._around.of(node), []).append(node)
        return parts

    def parted(self) -> Part | None:
        """The new hubs and all parts that came to an end.

        None where more is to be asked for, and where the name by which the rest was known left, too.
        """
        rest = self._open_parts()
        open_parts = {part for parts in rest.values() for part in parts}
        nodes = self._new_hubs.union(node for node in self._before if self._around.of(node) not in open_parts)
        return None if self._asked or not nodes.isdisjoint(rest) else Part(nodes, self._seen)
