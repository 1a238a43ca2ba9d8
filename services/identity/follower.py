"""Follows the event log: reads what a batch touches, decides, writes the differences, publishes them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection
from touchstone.ingest.v1 import event_pb2

from services.chassis.follow import Entry
from services.identity.domain import step
from services.identity.domain.facts import Facts
from services.identity.domain.nodes import Members, Node, Pair
from services.identity.domain.parting import Endings, endings
from services.identity.domain.rules import Decision, Rules, newer_decisions, unlinked_pairs
from services.identity.parting import gather, part
from services.identity.store import decisions, identifiers, links, observations, rules
from services.identity.wire import facts as wire

WIDE: Final = 500
"""Observations from which on a region is large."""


async def apply(
    connection: AsyncConnection, _partition: int, entries: Sequence[Entry[event_pb2.LoggedEvent]]
) -> Sequence[bytes]:
    """Applies consecutive entries of the event log to what is kept; answers the entries of the people log."""
    tenants = {tenant_id: _Tenant(facts=facts) for tenant_id, facts in wire.facts_by_tenant(entries).items()}
    if not tenants:
        return []
    await _read_rules(connection, tenants)
    await _read_touched(connection, tenants)
    await _leave_out_known(connection, tenants)
    await _read_in_question(connection, tenants)
    await _read_parted(connection, tenants)
    await _read_torn(connection, tenants)
    changes = await _settle(connection, tenants)
    await _write(connection, tenants, changes)
    return [
        entry
        for tenant_id in sorted(changes)
        for entry in wire.people_changes(tenant_id, changes[tenant_id], tenants[tenant_id].facts)
    ]


@dataclass(slots=True, kw_only=True)
class _Tenant:
    """What a batch says of one tenant, and what was read for it so far."""

    facts: Facts
    rules_before: Rules = field(default_factory=Rules)
    rules: Rules = field(default_factory=Rules)
    standings: dict[Node, step.Standing] = field(default_factory=dict)
    decisions: dict[Pair, Decision] = field(default_factory=dict)
    decided: dict[Pair, Decision] = field(default_factory=dict)
    """The batch's decisions that hold."""
    links: set[Members] = field(default_factory=set)
    naming: step.Naming = field(default_factory=lambda: step.Naming(hubs=frozenset(), emails={}))
    unlinked: AbstractSet[Pair] = frozenset()
    endings: dict[Node, Endings] = field(default_factory=dict)
    """Where links end, by region."""
    torn: set[Node] = field(default_factory=set)
    freed: AbstractSet[Node] = frozenset()
    leaving: set[Node] = field(default_factory=set)
    apart: set[Node] = field(default_factory=set)
    kept_in: dict[Members, Node] = field(default_factory=dict)

    @property
    def newly_unlinked(self) -> list[Pair]:
        return [pair for pair, decision in self.decided.items() if not decision.linked]


async def _read_rules(connection: AsyncConnection, tenants: Mapping[str, _Tenant]) -> None:
    """Learns the rules, before and after the batch's settings, and what a change of limits concerns."""
    stored = await rules.read(connection, tenants)
    changed: dict[str, tuple[Rules, Rules]] = {}
    kept: dict[str, tuple[int, Rules]] = {}
    for tenant_id, tenant in tenants.items():
        position, tenant.rules_before = stored.get(tenant_id, (0, Rules()))
        told = tenant.facts.rules
        # An entry that was parked may be applied after newer ones.
        if told is None or tenant.facts.rules_position <= position:
            tenant.rules = tenant.rules_before
            continue
        tenant.rules = told
        kept[tenant_id] = tenant.facts.rules_position, told
        changed[tenant_id] = tenant.rules_before, told
    await rules.write(connection, kept)
    await links.keep_hosts(
        connection, {tenant_id: (kept[tenant_id][0], tenants[tenant_id].facts.link_hosts) for tenant_id in kept}
    )
    for tenant_id, standings in (await identifiers.read_limited(connection, changed)).items():
        tenants[tenant_id].standings.update(standings)


async def _read_touched(connection: AsyncConnection, tenants: Mapping[str, _Tenant]) -> None:
    """Finds the identifiers that the batch mentions, and what was decided about them."""
    touched = {
        tenant_id: {
            *tenant.facts.values,
            *tenant.standings,
            *tenant.rules_before.blocked.symmetric_difference(tenant.rules.blocked),
        }
        for tenant_id, tenant in tenants.items()
    }
    for tenant_id, standings in (await identifiers.read(connection, touched)).items():
        tenants[tenant_id].standings.update(standings)
    # Whoever is decided about is mentioned by that, and so is known: of new identifiers there are no decisions.
    stored = await decisions.read(
        connection, {tenant_id: tenant.standings for tenant_id, tenant in tenants.items() if tenant.standings}
    )
    for tenant_id, tenant in tenants.items():
        before = stored.get(tenant_id, {})
        tenant.decided = newer_decisions(before, tenant.facts.decisions)
        tenant.decisions = {**before, **tenant.decided}
        tenant.unlinked = unlinked_pairs(tenant.decisions)


async def _leave_out_known(connection: AsyncConnection, tenants: Mapping[str, _Tenant]) -> None:
    """Leaves the observations that are new, and those that a decision makes count anew."""
    placed = {
        tenant_id: [
            (place, members)
            for members in tenant.facts.observations
            if (place := step.place_if_known(members, tenant.standings)) is not None
        ]
        for tenant_id, tenant in tenants.items()
    }
    known = await observations.find(connection, placed)
    for tenant_id, tenant in tenants.items():
        relinked = [pair for pair, decision in tenant.decided.items() if decision.linked]
        tenant.links = tenant.facts.observations.difference(known.get(tenant_id, ())).union(relinked)


async def _read_in_question(connection: AsyncConnection, tenants: Mapping[str, _Tenant]) -> None:
    """Says who names nobody; reads the observations of the hubs that may name somebody again."""
    in_question = {
        tenant_id: step.hubs_in_question(
            tenant.standings, tenant.rules_before, tenant.rules, tenant.newly_unlinked, tenant.unlinked
        )
        for tenant_id, tenant in tenants.items()
    }
    read = await observations.read(connection, in_question)
    for tenant_id, tenant in tenants.items():
        copies = {hub: read.get(tenant_id, {}).get(hub, set()) for hub in in_question[tenant_id]}
        tenant.naming = step.name(tenant.standings, tenant.links, copies, tenant.rules, tenant.unlinked)
        tenant.freed = in_question[tenant_id] - tenant.naming.hubs
        tenant.endings = endings(tenant.standings, tenant.naming.hubs, tenant.newly_unlinked)
        tenant.links.update(*(copies[hub] for hub in tenant.freed))


async def _read_parted(connection: AsyncConnection, tenants: Mapping[str, _Tenant]) -> None:
    """Finds what falls off large regions; these need not be torn."""
    parted = await part(connection, {tenant_id: tenant.endings for tenant_id, tenant in tenants.items()})
    for tenant_id, tenant in tenants.items():
        found = parted.get(tenant_id, {})
        tenant.torn = tenant.endings.keys() - found.keys()
        for region, off in found.items():
            tenant.leaving |= off.leaving
            tenant.apart |= off.apart
            tenant.kept_in |= dict.fromkeys(off.observations, region)
        tenant.links |= tenant.kept_in.keys()


async def _read_torn(connection: AsyncConnection, tenants: Mapping[str, _Tenant]) -> None:
    """Reads the regions that may fall apart, and whom the hubs that name somebody again were seen with."""
    read = await observations.read(connection, {tenant_id: tenant.torn for tenant_id, tenant in tenants.items()})
    missing: dict[str, set[Node]] = {}
    for tenant_id, tenant in tenants.items():
        tenant.links.update(*read.get(tenant_id, {}).values())
        if tenant.torn or tenant.freed or tenant.kept_in:
            mentioned = {node for members in tenant.links for node in members}
            missing[tenant_id] = mentioned.difference(tenant.standings)
    for tenant_id, standings in (await identifiers.read(connection, missing)).items():
        tenants[tenant_id].standings.update(standings)
    for tenant_id, found in (await decisions.read(connection, missing)).items():
        tenants[tenant_id].unlinked |= unlinked_pairs({**found, **tenants[tenant_id].decisions})


async def _settle(connection: AsyncConnection, tenants: Mapping[str, _Tenant]) -> dict[str, step.Changes]:
    """Decides what changes, by tenant."""
    steps = {
        tenant_id: step.Step.of(
            standings=tenant.standings,
            links=tenant.links,
            unlinked=tenant.unlinked,
            naming=tenant.naming,
            torn=tenant.torn,
            freed=tenant.freed,
            leaving=tenant.leaving,
            apart=tenant.apart,
            kept_in=tenant.kept_in,
        )
        for tenant_id, tenant in tenants.items()
    }
    settled = {tenant_id: step.settle(of_tenant) for tenant_id, of_tenant in steps.items()}
    others = await identifiers.read_regions(
        connection,
        {tenant_id: step.regions_to_load(steps[tenant_id], settled[tenant_id]) for tenant_id in tenants},
    )
    renamed = await gather(
        connection, {tenant_id: step.persons_to_load(steps[tenant_id], settled[tenant_id]) for tenant_id in tenants}
    )
    return {
        tenant_id: step.differences(
            steps[tenant_id],
            settled[tenant_id],
            tenant.facts.values,
            {**renamed.get(tenant_id, {}), **others.get(tenant_id, {})},
        )
        for tenant_id, tenant in tenants.items()
    }


async def _write(
    connection: AsyncConnection, tenants: Mapping[str, _Tenant], changes: Mapping[str, step.Changes]
) -> None:
    """Keeps what changes."""
    await links.add(connection, {tenant_id: tenant.facts.links for tenant_id, tenant in tenants.items()})
    await decisions.write(connection, {tenant_id: tenant.decided for tenant_id, tenant in tenants.items()})
    await identifiers.add(connection, {tenant_id: changed.added for tenant_id, changed in changes.items()})
    await identifiers.change(connection, {tenant_id: changed.changed for tenant_id, changed in changes.items()})
    await observations.drop(connection, {tenant_id: changed.dropped for tenant_id, changed in changes.items()})
    await observations.remove(connection, {tenant_id: changed.removed for tenant_id, changed in changes.items()})
    await observations.widen(
        connection, {tenant_id: _wide(tenants[tenant_id], changed) for tenant_id, changed in changes.items()}
    )
    await observations.move(connection, {tenant_id: changed.moved for tenant_id, changed in changes.items()})
    await observations.add(connection, {tenant_id: changed.new_observations for tenant_id, changed in changes.items()})
    await observations.add_missing(
        connection, {tenant_id: changed.observations for tenant_id, changed in changes.items()}
    )


def _wide(tenant: _Tenant, changed: step.Changes) -> set[Node]:
    """The large ones of the regions that others fell into: the next time, only what falls off them is to be read."""
    if not tenant.torn and not tenant.leaving:
        return set()
    sizes = Counter(region for region, _ in chain(changed.new_observations, changed.observations))
    large = {region for region, size in sizes.items() if size >= WIDE and region not in tenant.naming.hubs}
    return large.difference(tenant.kept_in.values())
