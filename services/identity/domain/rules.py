"""What a tenant decides about people: values that name nobody, and pairs that were judged by somebody."""

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple

from services.identity.domain.nodes import Node, Pair, kind_of, pair_of
from services.kernel.identifiers import Kind

DEFAULT_LIMITS: Mapping[Kind, int] = {Kind.VISITOR: 3, Kind.PHONE: 3, Kind.CUSTOMER: 3}
"""How many e-mail addresses a value of each kind may be seen with. Other kinds have no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When a value names nobody.

    `limits` has an entry for each kind of `DEFAULT_LIMITS`; `blocked` are values that the tenant says identify nobody.
    """

    limits: Mapping[Kind, int] = field(default_factory=lambda: DEFAULT_LIMITS)
    blocked: frozenset[Node] = frozenset()

    def names_nobody(self, node: Node, emails: Collection[Node], unlinked: AbstractSet[Pair]) -> bool:
        """True when the node is blocked, or is linked with more of `emails` than its kind may be."""
        if node in self.blocked:
            return True
        limit = self.limits.get(kind_of(node))
        if limit is None or len(emails) <= limit:
            return False
        return sum(pair_of(node, email) not in unlinked for email in emails) > limit


class Decision(NamedTuple):
    """Somebody's judgement of a pair. The greatest holds, so the fields' order is the rule."""

    occur_nanos: int
    """When it was made, in nanoseconds of Unix time."""
    event_id: str
    linked: bool
    """True: the two belong together; false: they don't. Whatever was observed."""


def newer_decisions(stored: Mapping[Pair, Decision], told: Mapping[Pair, Decision]) -> dict[Pair, Decision]:
    """Those told of that overrule what is stored."""
    return {pair: decision for pair, decision in told.items() if pair not in stored or decision > stored[pair]}


def unlinked_pairs(decisions: Mapping[Pair, Decision]) -> frozenset[Pair]:
    """The pairs that are judged not to belong together."""
    return frozenset(pair for pair, decision in decisions.items() if not decision.linked)
