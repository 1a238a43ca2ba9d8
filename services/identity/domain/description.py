"""A person as somebody is shown it: the identifiers, and everything that says that they belong together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

from services.identity.domain.nodes import Members, Node, Pair
from services.identity.domain.rules import Decision, unlinked_pairs
from services.identity.domain.step import Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A person. `links` has the decision that made each pair belong together, or None where it was observed.

    `hubs` were observed with the person, and name too many to count.
    """

    person: Node
    identifiers: tuple[Node, ...]
    links: Mapping[Pair, Decision | None]
    hubs: tuple[Node, ...]


def describe(
    node: Node,
    standings: Mapping[Node, Standing],
    observations: Iterable[Members],
    decisions: Mapping[Pair, Decision],
) -> Description:
    """Describes the person of a known identifier.

    `observations` are those of the identifier's region, `standings` has all whom they mention, `decisions` those about
    them. A hub is described alone.
    """
    person = standings[node].person
    unlinked = unlinked_pairs(decisions)
    identifiers, hubs = {node}, {node} if standings[node].hub else set[Node]()
    links: dict[Pair, Decision | None] = {}
    for members in observations:
        own = [member for member in members if standings[member].person == person]
        if not own:
            continue
        identifiers.update(own)
        hubs.update(member for member in members if standings[member].hub)
        for pair in combinations(own, 2):
            if pair not in unlinked:
                links[pair] = decisions.get(pair)
    return Description(person=person, identifiers=tuple(sorted(identifiers)), links=links, hubs=tuple(sorted(hubs)))
