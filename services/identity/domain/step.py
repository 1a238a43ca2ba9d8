"""One step of a tenant's people: what new observations and decisions change about what is kept.

A step looks only at what it touches. Identifiers that hang together by observations are a *region*, named by its
most telling one like a person; decisions divide a region into persons. Where observations and links are only added, regions
and persons can only grow together, so their names are enough. Where an identifier begins to name nobody, or a pair is
unlinked, the region is *torn*: it is made again from all of its observations. Of a large region only small parts may
*leave*, or be set *apart* as persons: these are made again, and the rest stays as it is. A hub is a region of its own;
it keeps copies of the observations that mention it, for the day on which it may name somebody again.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, NamedTuple

from services.identity.domain.nodes import Members, Node, Pair, kind_of
from services.identity.domain.people import Components, emails_seen
from services.identity.domain.rules import DEFAULT_LIMITS, Rules

_KEPT_OF_HUB: Final = 64
"""E-mail addresses of a hub that are kept: so many say that it stays one while few of them are unlinked from it."""


class Standing(NamedTuple):
    """What is kept about an identifier.

    `emails` are the e-mail addresses that a value with a limit was observed with, ascending; of a hub the first of them.
    `published` is true when the people log has told of its person.
    """

    value: str
    region: Node
    person: Node
    published: bool
    hub: bool
    emails: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """Which of the identifiers in a step name nobody, and the e-mail addresses that are kept of those with a limit."""

    hubs: AbstractSet[Node]
    emails: Mapping[Node, tuple[Node, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """All that a step looks at.

    `links` are the observations that are new, or that count anew: those of torn regions, of what leaves a region, and of
    hubs that name somebody again (`freed`). Each has its `clear` members, without the hubs. `leaving` are identifiers
    that leave their region, those `apart` stay in it but not in their persons; `kept_in` are the regions in which links
    are kept that may have to leave with them.
    """

    standings: Mapping[Node, Standing]
    links: Mapping[Members, Members]
    unlinked: AbstractSet[Pair]
    naming: Naming
    torn: AbstractSet[Node]
    freed: AbstractSet[Node]
    leaving: AbstractSet[Node] = frozenset()
    apart: AbstractSet[Node] = frozenset()
    kept_in: Mapping[Members, Node] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        *,
        standings: Mapping[Node, Standing],
        links: Iterable[Members],
        unlinked: AbstractSet[Pair],
        naming: Naming,
        torn: AbstractSet[Node],
        freed: AbstractSet[Node],
        leaving: AbstractSet[Node] = frozenset(),
        apart: AbstractSet[Node] = frozenset(),
        kept_in: Mapping[Members, Node] | None = None,
    ) -> "Step":
        """A step in which hubs that `naming` did not judge stay hubs."""
        staying = {node for node, standing in standings.items() if standing.hub and node not in freed}
        hubs = naming.hubs | staying
        return cls(
            standings=standings,
            links={members: tuple(node for node in members if node not in hubs) for members in links},
            unlinked=unlinked,
            naming=Naming(hubs=hubs, emails=naming.emails),
            torn=torn,
            freed=freed,
            leaving=leaving,
            apart=apart,
            kept_in=kept_in or {},
        )

    def keeps_place(self, node: Node, standing: Standing) -> bool:
        """True when what is kept about the identifier's region still holds, or has only grown."""
        return not standing.hub and standing.region not in self.torn and node not in self.leaving

    def keeps_person(self, node: Node, standing: Standing) -> bool:
        """True when what is kept about the identifier's person holds, too."""
        return self.keeps_place(node, standing) and node not in self.apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """The regions and persons after a step, each known by its most telling identifier, the old ones by their old names."""

    regions: Components
    persons: Components


@dataclass(slots=True, kw_only=True)
class Changes:
    """What a step changes.

    `added` and `changed` are where identifiers stand now that were not known and that were. `dropped` regions lose all
    observations and others those `removed` (region, members), `moved` ones are renamed. Then observations are put in:
    `new_observations` mention somebody who was not known, so they can't be there yet; the other `observations` may be.
    `memberships` and `hubs` are the standings to publish, by identifier.
    """

    added: dict[Node, Standing] = field(default_factory=dict)
    changed: dict[Node, Standing] = field(default_factory=dict)
    new_observations: set[tuple[Node, Members]] = field(default_factory=set)
    observations: set[tuple[Node, Members]] = field(default_factory=set)
    dropped: AbstractSet[Node] = frozenset()
    removed: set[tuple[Node, Members]] = field(default_factory=set)
    moved: dict[Node, Node] = field(default_factory=dict)
    memberships: dict[Node, Standing] = field(default_factory=dict)
    hubs: dict[Node, Standing] = field(default_factory=dict)


def place_if_known(members: Members, standings: Mapping[Node, Standing]) -> Node | None:
    """The region in which the observation is kept, if it is known; None when it can't be."""
    regions, hub = set[Node](), None
    for node in members:
        standing = standings.get(node)
        if standing is None:
            return None
        if standing.hub:
            hub = node
        else:
            regions.add(standing.region)
    if len(regions) > 1:
        return None
    return regions.pop() if regions else hub


def hubs_in_question(
    standings: Mapping[Node, Standing],
    before: Rules,
    after: Rules,
    newly_unlinked: Iterable[Pair],
    unlinked: AbstractSet[Pair],
) -> set[Node]:
    """Hubs that may name somebody again: no longer blocked, under a higher limit, or unlinked from something.

    Not those that are hubs all the same by what is kept of them.
    """
    raised = {kind for kind in DEFAULT_LIMITS if after.limits[kind] > before.limits[kind]}
    allowed = before.blocked - after.blocked
    separated = {node for pair in newly_unlinked for node in pair}
    return {
        node
        for node, standing in standings.items()
        if standing.hub
        and (node in allowed or node in separated or kind_of(node) in raised)
        and not after.names_nobody(node, standing.emails, unlinked)
    }


def name(
    standings: Mapping[Node, Standing],
    observations: AbstractSet[Members],
    copies: Mapping[Node, AbstractSet[Members]],
    rules: Rules,
    unlinked: AbstractSet[Pair],
) -> Naming:
    """Says which identifiers name nobody, of those kept and those in new observations.

    `copies` has the observations of each hub in question; other hubs stay what they are.
    """
    seen = emails_seen(observations)
    blocked = rules.blocked.intersection(chain.from_iterable(observations)) if rules.blocked else rules.blocked
    hubs: set[Node] = set()
    emails: dict[Node, tuple[Node, ...]] = {}
    for node in {*standings, *seen, *blocked}:
        standing, new = standings.get(node), seen.get(node, set())
        if node in copies:
            all_emails = tuple(sorted(new.union(emails_seen(copies[node]).get(node, ()))))
        else:
            known = standing.emails if standing is not None else ()
            all_emails = tuple(sorted(new.union(known))) if new else known
        stays = standing is not None and standing.hub and node not in copies
        if stays or rules.names_nobody(node, all_emails, unlinked):
            hubs.add(node)
            all_emails = all_emails[:_KEPT_OF_HUB]
        if all_emails:
            emails[node] = all_emails
    return Naming(hubs=hubs, emails=emails)


def settle(step: Step) -> Settlement:
    """Joins what belongs together after the step."""
    kept = [(node, standing) for node, standing in step.standings.items() if step.keeps_place(node, standing)]
    regions = Components((node, standing.region) for node, standing in kept)
    for clear in step.links.values():
        regions.join(clear)
    if not step.unlinked and all(standing.person == standing.region for _, standing in kept):
        return Settlement(regions=regions, persons=regions)
    persons = Components((node, standing.person) for node, standing in kept if node not in step.apart)
    for clear in step.links.values():
        persons.join_linked(clear, step.unlinked)
    return Settlement(regions=regions, persons=persons)


def regions_to_load(step: Step, settlement: Settlement) -> set[Node]:
    """Regions of which every identifier changes or is to be published, beside those in the step."""
    linked = {node for members in step.links for node in members}
    return {
        standing.region
        for node, standing in step.standings.items()
        if step.keeps_place(node, standing)
        and (settlement.regions.of(standing.region) != standing.region or (node in linked and not standing.published))
    }


def persons_to_load(step: Step, settlement: Settlement) -> dict[Node, dict[Node, Node]]:
    """By region, persons that get another name: identifiers of theirs in the step, each with its person."""
    found: dict[Node, dict[Node, Node]] = {}
    for node, standing in step.standings.items():
        if step.keeps_person(node, standing) and settlement.persons.of(standing.person) != standing.person:
            found.setdefault(standing.region, {})[node] = standing.person
    return found


def differences(
    step: Step, settlement: Settlement, values: Mapping[Node, str], others: Mapping[Node, Standing]
) -> Changes:
    """What the step changes.

    `values` are those of the identifiers that aren't kept yet, `others` the identifiers of `regions_to_load`.
    """
    changes = Changes(dropped=step.torn | step.freed)
    shared = _shared_regions(step, settlement)
    linked = {node for members in step.links for node in members}
    for node in {*step.standings, *others, *linked}:
        old = step.standings.get(node) or others.get(node)
        new = _standing_after(step, settlement, node, old, values[node] if old is None else old.value, shared=shared)
        if new == old:
            continue
        (changes.added if old is None else changes.changed)[node] = new
        if new.published and (old is None or not old.published or old.person != new.person):
            changes.memberships[node] = new
        if new.hub != (old is not None and old.hub):
            changes.hubs[node] = new
    _place(step, settlement, changes)
    return changes


def _place(step: Step, settlement: Settlement, changes: Changes) -> None:
    """Where the step's observations are kept from now on, and which regions have other names."""
    of, known = settlement.regions.of, step.standings.keys()
    for members, clear in step.links.items():
        placed = changes.observations if known >= set(members) else changes.new_observations
        if clear:
            placed.add((of(clear[0]), members))
        if len(clear) < len(members):
            placed.update((node, members) for node in members if node in step.naming.hubs)
    for members, region in step.kept_in.items():
        clear = step.links[members]
        if not clear or of(clear[0]) != of(region):
            changes.removed.add((region, members))
    for node, standing in step.standings.items():
        region = of(standing.region)
        if step.keeps_place(node, standing) and region != standing.region:
            changes.moved[standing.region] = region


def _shared_regions(step: Step, settlement: Settlement) -> set[Node]:
    """Regions in which more than one observation meets, so that their people must be told of.

    What one observation says by itself need not be: who follows people follows events too.
    """
    of, met, shared = settlement.regions.of, set[Node](), set[Node]()
    for clear in step.links.values():
        if clear:
            region = of(clear[0])
            if region in met or not step.standings.keys().isdisjoint(clear):
                shared.add(region)
            met.add(region)
    return shared


def _standing_after(
    step: Step, settlement: Settlement, node: Node, old: Standing | None, value: str, *, shared: AbstractSet[Node]
) -> Standing:
    if node in step.naming.hubs:
        emails = step.naming.emails.get(node, () if old is None else old.emails)
        return Standing(value=value, region=node, person=node, published=True, hub=True, emails=emails)
    if old is None:
        region, person = settlement.regions.of(node), settlement.persons.of(node)
        return Standing(value, region, person, region in shared, False, step.naming.emails.get(node, ()))
    region = settlement.regions.of(old.region if step.keeps_place(node, old) else node)
    person = settlement.persons.of(old.person if step.keeps_person(node, old) else node)
    emails = step.naming.emails.get(node, old.emails)
    return Standing(value, region, person, region in shared or old.published, False, emails)
