"""Keeps what experiments come to in step with exposures, people and orders; counts everybody anew by other rules."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date
from typing import Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from services.reporting import counting
from services.reporting.domain.experiments.exposures import read
from services.reporting.domain.experiments.people import Person, Purchase, Unit, Who, buyers, people
from services.reporting.domain.experiments.sums import UNIDENTIFIED, Part, contribution
from services.reporting.domain.periods import day_of
from services.reporting.domain.tenants import Tenant
from services.reporting.experiments.reading import SECOND, purchase, sold
from services.reporting.experiments.rules import Rules, read_rules
from services.reporting.store import experiment_sums, experiments, exposures, tenants
from services.reporting.store import people as people_store
from services.reporting.store.experiment_sums import START, Sum
from services.reporting.wire.orders import fact_of

_COUNTED_AT_ONCE: Final = 500
"""People who are counted in a transaction."""

Added = dict[tuple[date, Part], int]


class Touched(NamedTuple):
    """Whom something told may have changed the numbers of.

    `keys` are those of the identifiers that orders named or name; `turned` those of identifiers of which was told whose
    they are, or that they name nobody; `persons` whoever had or has them.
    """

    keys: AbstractSet[int] = frozenset()
    turned: AbstractSet[int] = frozenset()
    persons: AbstractSet[int] = frozenset()


class Gathered(NamedTuple):
    """All that decides what some persons add: all that they were exposed to, by experiment, and all their orders.

    Each order stands with the persons whom it names.
    """

    persons: AbstractSet[int]
    units: Mapping[str, Sequence[Unit]]
    bought: Sequence[tuple[Purchase, Sequence[int]]]

    def amounts(self, rules: Rules, tenant: Tenant) -> dict[int, Added]:
        """What each person adds to an experiment's numbers; those who weren't exposed to it are left out."""
        units = self.units.get(rules.experiment.experiment_id, ())
        found = people(units, self.bought, self.persons)
        first = {unit.person: unit.exposed.first[0].occur_time for unit in units if not unit.is_named}
        return {name: _amounts(rules, tenant, person, first.get(name, 0)) for name, person in found.items()}


def _amounts(rules: Rules, tenant: Tenant, person: Person | None, first: int) -> Added:
    day = day_of((first if person is None else person.exposed_at) // SECOND, tenant.zone)
    if person is None:
        return {(day, UNIDENTIFIED): 1}
    parts = contribution(rules.experiment, rules.told, person, tenant.currency_code)
    return {(day, part): number for part, number in parts.items()}


async def settle(connection: AsyncConnection, tenant: Tenant, touched: Touched) -> None:
    """Brings the numbers of a tenant's experiments up to date after something was told.

    Numbers that are counted by other rules than hold now are worth nothing from here on: everybody is counted anew.
    """
    sums = await experiment_sums.read(connection, tenant.tenant_id)
    if not any(one.rules for one in sums.values()):
        return
    rules = await read_rules(connection, tenant)
    holding = {name: one for name, one in sums.items() if name in rules and one.rules == rules[name].name}
    if void := [
        one._replace(rules="", reached=None) for name, one in sums.items() if one.rules and name not in holding
    ]:
        await experiment_sums.write(connection, tenant.tenant_id, tenant.partition, void)
        await experiment_sums.mark_due(connection, tenant.partition, [tenant.tenant_id])
    if not holding:
        return
    who = await _who(connection, tenant.tenant_id, touched.keys | touched.turned)
    # What names nobody decides no order, and very many may name it: only when it comes to be so, or ends, they count. Of
    # who buys, those count who were exposed.
    buying = _persons(touched.keys - who.nobody, who)
    exposed = await exposures.exposed(connection, tenant.tenant_id, holding, buying)
    persons = touched.persons | _persons(touched.turned, who) | exposed
    if not persons:
        return
    gathered = await gather(connection, tenant, holding, persons)
    # Whoever shares an order with them may gain it or lose it, by what else they bought, too.
    sharing = {name for _, named in gathered.bought for name in named}
    if sharing - persons:
        gathered = await gather(connection, tenant, holding, persons | sharing)
    for name, one in holding.items():
        reached = [person for person in gathered.persons if one.reached is None or person <= one.reached]
        await _put(connection, tenant.tenant_id, one, reached, gathered.amounts(rules[name], tenant))


def _persons(keys: AbstractSet[int], who: Who) -> AbstractSet[int]:
    """Whoever may go by some keys: the persons who have them, and those who are known by nothing else."""
    return {*keys, *(who.persons[key] for key in keys if key in who.persons)}


async def _put(
    connection: AsyncConnection, tenant_id: str, of: Sum, persons: Collection[int], now: Mapping[int, Added]
) -> None:
    """Puts what persons add now in the place of what they added before."""
    before = await experiment_sums.read_members(connection, tenant_id, of, persons)
    changed = {name: now.get(name, {}) for name in persons if now.get(name, {}) != before.get(name, {})}
    added: Added = defaultdict(int)
    for name, amounts in changed.items():
        for key, amount in amounts.items():
            added[key] += amount
        for key, amount in before.get(name, {}).items():
            added[key] -= amount
    await experiment_sums.add_cells(connection, tenant_id, of.experiment_id, added)
    await experiment_sums.write_members(connection, tenant_id, of, changed)


async def gather(
    connection: AsyncConnection,
    tenant: Tenant,
    experiment_ids: Iterable[str],
    persons: AbstractSet[int],
) -> Gathered:
    """Reads what decides what some persons add to experiments.

    Of whom no person was told goes by the key of an identifier: any key may be among `persons`, and the orders that name
    it are read.
    """
    tenant_id, experiment_ids = tenant.tenant_id, sorted(experiment_ids)
    units = await _units(connection, tenant_id, experiment_ids, persons)
    theirs = {key for of_one in units.values() for unit in of_one for key in unit.exposed.keys}
    who = await _who(connection, tenant_id, theirs)
    keys = (theirs - who.nobody) | persons | await people_store.read_keys(connection, tenant_id, persons)
    told = sold(await experiments.read_orders(connection, tenant_id, tenant.edition, keys))
    # Most orders are in the reporting currency: what they come to stands in them.
    foreign = [order for order in told if order.order.currency_code != tenant.currency_code]
    as_counted = await counting.orders_as_counted(connection, [fact_of(order) for order in foreign], tenant)
    counted = {(fact.source, fact.order_id): fact for fact in as_counted}
    purchases = [purchase(order, counted.get((order.order.source, order.order.order_id))) for order in told]
    who = await _who(connection, tenant_id, {key for order in purchases for key in order.keys})
    bought = [(order, buyers(order.keys, who)) for order in purchases]
    others = {name for _, named in bought for name in named} - persons
    if others:
        for experiment_id, more in (await _units(connection, tenant_id, experiment_ids, others)).items():
            units[experiment_id] = [*units.get(experiment_id, ()), *more]
    return Gathered(persons, units, bought)


async def _units(
    connection: AsyncConnection, tenant_id: str, experiment_ids: Iterable[str], persons: Iterable[int]
) -> dict[str, list[Unit]]:
    found: dict[str, list[Unit]] = {}
    for experiment_id, row in await exposures.of_persons(connection, tenant_id, experiment_ids, persons):
        found.setdefault(experiment_id, []).append(Unit(row.person, row.is_named, read(row.state)))
    return found


async def _who(connection: AsyncConnection, tenant_id: str, keys: Iterable[int]) -> Who:
    return who_of(await people_store.read_standings(connection, ((tenant_id, key) for key in keys)))


def who_of(standings: Mapping[people_store.Named, people_store.Standing]) -> Who:
    """Who is who, as one tenant's standings say."""
    return Who(
        persons={key: one.person_id for (_, key), one in standings.items() if one.person_id is not None},
        nobody=frozenset(key for (_, key), one in standings.items() if one.hub),
    )


async def count_some(connection: AsyncConnection, partition: int) -> Sequence[bytes]:
    """Begins to count a tenant's experiments whose rules changed, or counts a page of people; publishes nothing."""
    if (tenant_id := await experiment_sums.next_due(connection, partition)) is not None:
        known = await tenants.read(connection, [tenant_id])
        await _begin(connection, known.get(tenant_id) or Tenant(tenant_id=tenant_id, partition=partition))
        await experiment_sums.not_due(connection, tenant_id)
        return ()
    unfinished = await experiment_sums.next_unfinished(connection, partition)
    if unfinished is None:
        return ()
    tenant_id, one = unfinished
    known = await tenants.read(connection, [tenant_id])
    tenant = known.get(tenant_id) or Tenant(tenant_id=tenant_id, partition=partition)
    rules = (await read_rules(connection, tenant)).get(one.experiment_id)
    if rules is None or rules.name != one.rules:
        await experiment_sums.write(connection, tenant_id, partition, [one._replace(rules="", reached=None)])
        await experiment_sums.mark_due(connection, partition, [tenant_id])
        return ()
    after = START if one.reached is None else one.reached
    page = await exposures.persons_after(connection, tenant_id, one.experiment_id, after, _COUNTED_AT_ONCE)
    gathered = await gather(connection, tenant, [one.experiment_id], set(page))
    await _put(connection, tenant_id, one, page, gathered.amounts(rules, tenant))
    reached = page[-1] if len(page) == _COUNTED_AT_ONCE else None
    await experiment_sums.write(connection, tenant_id, partition, [one._replace(reached=reached)])
    return ()


async def _begin(connection: AsyncConnection, tenant: Tenant) -> None:
    rules = await read_rules(connection, tenant)
    sums = await experiment_sums.read(connection, tenant.tenant_id)
    begun = []
    for name, one in rules.items():
        before = sums.get(name) or Sum(name, "", 0, None)
        if before.rules != one.name:
            begun.append(Sum(name, one.name, before.run + 1, START))
    if begun:
        await experiment_sums.clear_cells(connection, tenant.tenant_id, [one.experiment_id for one in begun])
        await experiment_sums.write(connection, tenant.tenant_id, tenant.partition, begun)
