"""How a large region falls apart when identifiers leave it: its small parts are found, the rest is not looked at."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from services.identity.domain.nodes import Members, Node
from services.identity.domain.people import Components


class Parting:
    """A walk from where the identifiers were, side by side into all parts, until all but one have come to an end.

    So it takes as long as the smaller parts are large, however large the rest is.
    """

    def __init__(self, leaving: AbstractSet[Node]) -> None:
        """`leaving` are in the region until now, and from now on name nobody."""
        self._nobody = set(leaving)
        self._around = Components()
        self._reached: set[Node] = set()
        self._open: set[Node] = set()
        self._seen: set[Members] = set()

    def take(self, found: Iterable[Members], hubs: AbstractSet[Node], whole: AbstractSet[Node]) -> None:
        """Goes on by observations of the region that mention those asked for.

        `hubs` are those of their members that name nobody already; of `whole`, all observations were found.
        """
        self._nobody |= hubs
        for members in found:
            self._seen.add(members)
            clear = [node for node in members if node not in self._nobody]
            self._around.join(clear)
            self._open.update(node for node in clear if node not in self._reached)
            self._reached.update(clear)
        self._open -= whole

    def asking(self, most: int) -> set[Node]:
        """Whose observations are wanted next, at most so many of each part; nobody's once the parts are known."""
        asked: dict[Node, list[Node]] = {}
        for node in sorted(self._open):
            part = asked.setdefault(self._around.of(node), [])
            if len(part) < most:
                part.append(node)
        return {node for part in asked.values() for node in part} if len(asked) > 1 else set()

    def parted(self) -> tuple[set[Node], set[Members]]:
        """The identifiers of all parts that came to an end, and the observations that were seen on the way.

        Those without any member in such a part are of the rest, or of nobody.
        """
        rest = {self._around.of(node) for node in self._open}
        return {node for node in self._reached if self._around.of(node) not in rest}, self._seen
