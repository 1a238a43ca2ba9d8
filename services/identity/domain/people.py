"""People: the connected components of identifiers, without those that name nobody.

The rule in two steps: `hubs` says which identifiers name nobody, `people` joins the others. Both look at the set of
observations only, never at their order.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from itertools import combinations

from services.identity.domain.nodes import Members, Node, Pair, kind_of, naming_key
from services.identity.domain.rules import DEFAULT_LIMITS, Rules
from services.kernel.identifiers import Kind

_EMAIL = Kind.EMAIL


class Components:
    """Disjoint sets of nodes, each known by its most telling node; of several by the smallest.

    That name is a pure function of the set. It also makes growth cheap. Who comes again brings new sessions and
    conversations, which never name anybody who has a visitor or an address. And hashes being random, the smaller of two
    sets that are joined is the one that most likely loses its name: naming anew costs little in the long run. Addresses
    of e-mail come first also because they never become hubs: what they name keeps its name when hubs leave it.
    """

    __slots__ = ("_parents",)

    def __init__(self, names: Iterable[tuple[Node, Node]] = ()) -> None:
        """`names` are nodes with those by which their sets are known already; such a one is known by itself."""
        self._parents: dict[Node, Node] = {node: name for node, name in names if node != name}

    def of(self, node: Node) -> Node:
        """The node by which the set is known that the node is in; itself when it was never joined."""
        parents = self._parents
        root = parents.get(node, node)
        if root not in parents:
            return root
        while (parent := parents.get(root)) is not None:
            root = parent
        while node != root:
            parents[node], node = root, parents[node]
        return root

    def join(self, nodes: Sequence[Node]) -> None:
        """Makes one set of those that the nodes are in."""
        if not nodes:
            return
        parents, first = self._parents, self.of(nodes[0])
        for other in nodes[1:]:
            # Mostly it is there already, or by itself: then nothing is to be followed.
            root = parents.get(other, other)
            if root != first and (root := self.of(root)) != first:
                low, high = (first, root) if naming_key(first) < naming_key(root) else (root, first)
                self._parents[high] = first = low

    def join_linked(self, nodes: Sequence[Node], unlinked: AbstractSet[Pair]) -> None:
        """Joins all of the ascending nodes pairwise, but for the pairs in `unlinked`."""
        pairs = list(combinations(nodes, 2)) if unlinked else []
        if unlinked.isdisjoint(pairs):
            self.join(nodes)
            return
        for pair in pairs:
            if pair not in unlinked:
                self.join(pair)


def emails_seen(observations: Iterable[Members]) -> dict[Node, set[Node]]:
    """The e-mail addresses that each value with a limit was observed with; values without any are left out."""
    seen: dict[Node, set[Node]] = {}
    for members in observations:
        emails = [node for node in members if kind_of(node) is _EMAIL]
        if emails:
            for node in members:
                if kind_of(node) in DEFAULT_LIMITS:
                    seen.setdefault(node, set()).update(emails)
    return seen


def hubs(observations: Iterable[Members], rules: Rules, unlinked: AbstractSet[Pair]) -> set[Node]:
    """The identifiers that name nobody."""
    observed = list(observations)
    seen = emails_seen(observed)
    nodes = {node for members in observed for node in members}
    return {node for node in nodes if rules.names_nobody(node, seen.get(node, ()), unlinked)}


def people(observations: Iterable[Members], hubs: AbstractSet[Node], unlinked: AbstractSet[Pair]) -> dict[Node, Node]:
    """Each identifier's person: the most telling of all that it is connected with. A hub is alone."""
    components, nodes = Components(), set[Node]()
    for members in observations:
        nodes.update(members)
        components.join_linked([node for node in members if node not in hubs], unlinked)
    return {node: components.of(node) for node in nodes}
