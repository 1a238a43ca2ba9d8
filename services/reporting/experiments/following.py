"""Takes over what the logs tell: sets of experiments, exposures, who is who, and which orders name whom."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection
from touchstone.attribution.v1 import credit_pb2
from touchstone.identity.v1 import people_pb2
from touchstone.ingest.v1 import event_pb2

from services.chassis.follow import Entry
from services.kernel.identifiers import Identifier, Kind, identifier_key
from services.reporting.domain.experiments.exposures import NAMING, Exposure, fold, read, unit_of
from services.reporting.domain.experiments.people import Who, shown
from services.reporting.domain.tenants import Tenant
from services.reporting.experiments.summing import Touched, settle, who_of
from services.reporting.kinds.exposures import exposure_of
from services.reporting.store import experiment_sums, experiments, exposures, facts, people, tenants
from services.reporting.store.experiments import OrderKey, SetRow
from services.reporting.store.exposures import UnitKey, UnitRow
from services.reporting.store.people import Named, Standing

_SECOND = 1_000_000_000


async def take_sets(
    connection: AsyncConnection, partition: int, entries: Sequence[Entry[event_pb2.LoggedEvent]]
) -> None:
    """Keeps every set of experiments; with a tenant's first one, all orders that are known are looked through.

    A shop without experiments keeps no index of who is named by its orders.
    """
    telling = [entry for entry in entries if entry.message.event.WhichOneof("payload") == "experiments"]
    if not telling:
        return
    tenant_ids = {entry.message.tenant_id for entry in telling}
    known = await experiments.tenants_with_sets(connection, tenant_ids)
    for entry in telling:
        event = entry.message.event
        occurred = event.occur_time.seconds * _SECOND + event.occur_time.nanos
        document = event.experiments.SerializeToString(deterministic=True)
        row = SetRow(entry.message.tenant_id, entry.position, event.event_id, occurred, document)
        await experiments.add_set(connection, row)
    for tenant_id in sorted(tenant_ids - known):
        async for chunk in facts.read_all(connection, tenant_id, 0, and_newer=True):
            told = [credit_pb2.OrderCredits.FromString(fact.payload) for fact in chunk]
            await experiments.add_order_keys(connection, list(_keys(told)))
    await experiment_sums.mark_due(connection, partition, tenant_ids)


async def take_exposures(
    connection: AsyncConnection, entries: Sequence[Entry[event_pb2.LoggedEvent]], known: Mapping[str, Tenant]
) -> None:
    """Keeps exposures, and counts those who were exposed. `known` are the tenants as they are counted now."""
    told: dict[UnitKey, list[Exposure]] = defaultdict(list)
    for entry in entries:
        event = entry.message.event
        if event.WhichOneof("payload") == "exposure":
            exposure = exposure_of(entry.message)
            if (unit := unit_of(exposure.identifiers)) is not None:
                told[UnitKey(entry.message.tenant_id, event.exposure.experiment_id, unit)].append(exposure)
    if not told:
        return
    before = await exposures.read(connection, told)
    states = {key: fold(before[key].state if key in before else b"", some) for key, some in told.items()}
    changed = {key: state for key, state in states.items() if key not in before or before[key].state != state}
    await exposures.add_keys(connection, [(key, one) for key, state in changed.items() for one in read(state).keys])
    for tenant_id, persons in (await _place(connection, changed, before)).items():
        await settle(connection, known[tenant_id], Touched(persons=persons))


async def _place(
    connection: AsyncConnection, states: Mapping[UnitKey, bytes], before: Mapping[UnitKey, UnitRow]
) -> dict[str, set[int]]:
    """Stores units, each with the person whose it is now; answers, by tenant, the persons who had or have one of them."""
    keys = {(unit.tenant_id, key) for unit, state in states.items() for key in read(state).keys}
    of_tenant: dict[str, dict[Named, Standing]] = defaultdict(dict)
    for named, standing in (await people.read_standings(connection, keys)).items():
        of_tenant[named[0]][named] = standing
    who = {tenant_id: who_of(standings) for tenant_id, standings in of_tenant.items()}
    rows: dict[UnitKey, UnitRow] = {}
    persons: dict[str, set[int]] = defaultdict(set)
    for unit, state in states.items():
        person = shown(read(state).keys, who.get(unit.tenant_id, _NOBODY_KNOWN))
        rows[unit] = UnitRow(unit.unit if person is None else person, person is not None, state)
        persons[unit.tenant_id] |= {rows[unit].person, before[unit].person if unit in before else rows[unit].person}
    await exposures.write(connection, {unit: row for unit, row in rows.items() if row != before.get(unit)})
    return persons


_NOBODY_KNOWN = Who(persons={}, nobody=frozenset())


async def take_people(
    connection: AsyncConnection, partition: int, entries: Sequence[Entry[people_pb2.PeopleChange]]
) -> None:
    """Takes in who belongs together now: what was shown and sold to whom follows them."""
    told = _told_last(entries)
    before = await people.read_standings(connection, told)
    after = {named: _newer(before.get(named, Standing()), *last) for named, last in told.items()}
    changed = {named: standing for named, standing in after.items() if standing != before.get(named)}
    await people.save_standings(connection, changed)
    if not changed:
        return
    units = await exposures.read(connection, await exposures.named_by(connection, changed))
    persons = await _place(connection, {unit: row.state for unit, row in units.items()}, units)
    experimenting = await experiments.tenants_with_sets(connection, {tenant_id for tenant_id, _ in changed})
    if not experimenting:
        return
    present = await tenants.read(connection, experimenting)
    for tenant_id in sorted(experimenting):
        turned = {named[1] for named in changed if named[0] == tenant_id}
        standings = [one[tenant_id, key] for one in (before, after) for key in turned if (tenant_id, key) in one]
        whose = {one.person_id for one in standings if one.person_id is not None} | persons.get(tenant_id, set())
        tenant = present.get(tenant_id) or Tenant(tenant_id=tenant_id, partition=partition)
        await settle(connection, tenant, Touched(turned=turned, persons=whose))


_Last = tuple[tuple[int, int] | None, tuple[int, bool] | None]
"""What was told last of an identifier, each with its position: its person, and whether it names nobody."""


def _told_last(entries: Sequence[Entry[people_pb2.PeopleChange]]) -> dict[Named, _Last]:
    persons: dict[Named, tuple[int, int]] = {}
    hubs: dict[Named, tuple[int, bool]] = {}
    for entry in entries:
        for membership in entry.message.memberships:
            if _names(membership):
                persons[_named(entry.message, membership)] = (entry.position, _signed(membership.person_id))
        for hub in entry.message.hubs:
            if _names(hub):
                hubs[_named(entry.message, hub)] = (entry.position, hub.hub)
    return {named: (persons.get(named), hubs.get(named)) for named in persons.keys() | hubs.keys()}


def _names(told: people_pb2.Membership | people_pb2.HubChange) -> bool:
    return int(told.identifier.kind) in NAMING


def _named(change: people_pb2.PeopleChange, told: people_pb2.Membership | people_pb2.HubChange) -> Named:
    identifier = Identifier(Kind(int(told.identifier.kind)), told.identifier.value)
    return change.tenant_id, identifier_key(identifier)


def _signed(person_id: int) -> int:
    """An unsigned 64-bit number as the signed one of the same bits, as Postgres keeps it."""
    return person_id - (1 << 64) if person_id >> 63 else person_id


def _newer(before: Standing, person: tuple[int, int] | None, hub: tuple[int, bool] | None) -> Standing:
    """The standing after what was told, unless something newer was told before: an entry may have been parked."""
    if person is not None and person[0] > before.person_position:
        before = before._replace(person_position=person[0], person_id=person[1])
    if hub is not None and hub[0] > before.hub_position:
        before = before._replace(hub_position=hub[0], hub=hub[1])
    return before


async def take_orders(
    connection: AsyncConnection,
    told: Sequence[credit_pb2.OrderCredits],
    before: Iterable[bytes],
    present: Mapping[str, Tenant],
) -> None:
    """Notes whom orders name, and counts them, of tenants who have experiments.

    `before` are the same orders as they were stored; what they come to is noted already. `present` are the tenants.
    """
    known = await experiments.tenants_with_sets(connection, {one.tenant_id for one in told})
    if not known:
        return
    await experiments.add_order_keys(connection, list(_keys(one for one in told if one.tenant_id in known)))
    keys: dict[str, set[int]] = {tenant_id: set() for tenant_id in known}
    for one in (*told, *map(credit_pb2.OrderCredits.FromString, before)):
        if one.tenant_id in known and one.edition == present[one.tenant_id].edition:
            keys[one.tenant_id].update(one.order.identifier_keys)
    for tenant_id in sorted(known):
        await settle(connection, present[tenant_id], Touched(keys=keys[tenant_id]))


async def take_converted(connection: AsyncConnection, tenant: Tenant, orders: Sequence[bytes]) -> None:
    """Counts stored orders of a tenant that are converted otherwise than before."""
    if orders:
        keys = {key for order in orders for key in credit_pb2.OrderCredits.FromString(order).order.identifier_keys}
        await settle(connection, tenant, Touched(keys=keys))


def _keys(told: Iterable[credit_pb2.OrderCredits]) -> Iterable[OrderKey]:
    return (
        OrderKey(one.tenant_id, key, one.order.source, one.order.order_id)
        for one in told
        for key in one.order.identifier_keys
    )
