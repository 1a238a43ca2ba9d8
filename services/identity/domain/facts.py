"""What a batch of the event log says about one tenant's people."""

from dataclasses import dataclass, field

from services.identity.domain.links import TrackedLink
from services.identity.domain.nodes import Members, Node, Pair
from services.identity.domain.rules import Decision, Rules


@dataclass(slots=True, kw_only=True)
class Facts:
    """What was told of a tenant, gathered from consecutive entries.

    `values` has the value of every node mentioned; `decisions` the greatest told of for each pair; `rules` and
    `link_hosts` are those of the newest settings, if there were any; `links` are the new tracked links. Positions are
    those of the event log: `position` of the last entry, received at `receive_micros`, and `rules_position` of the
    settings.
    """

    position: int = 0
    receive_micros: int = 0
    values: dict[Node, str] = field(default_factory=dict)
    observations: set[Members] = field(default_factory=set)
    decisions: dict[Pair, Decision] = field(default_factory=dict)
    rules: Rules | None = None
    rules_position: int = 0
    link_hosts: tuple[str, ...] = ()
    links: list[TrackedLink] = field(default_factory=list)

    def observe(self, members: Members) -> None:
        """Adds an observation."""
        self.observations.add(members)

    def decide(self, pair: Pair, decision: Decision) -> None:
        """Adds a decision. It mentions its pair like an observation; what it links was seen together."""
        self.decisions[pair] = max(decision, self.decisions.get(pair, decision))
        self.observations.update([pair] if decision.linked else [pair[:1], pair[1:]])

    def set_rules(self, rules: Rules, position: int, link_hosts: tuple[str, ...] = ()) -> None:
        """Adds settings; those at the greatest position hold."""
        if position > self.rules_position:
            self.rules, self.link_hosts, self.rules_position = rules, link_hosts, position
