"""Follows the credit log for orders, the event log for settings, rates and activity; keeps facts and rollups in step."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection
from touchstone.attribution.v1 import credit_pb2
from touchstone.identity.v1 import people_pb2
from touchstone.ingest.v1 import event_pb2

from services.chassis.follow import Entry
from services.reporting import activities, counting, derived, ledger, record_wire
from services.reporting.domain.facts import OrderFact
from services.reporting.domain.tenants import Tenant
from services.reporting.experiments import following
from services.reporting.kinds import KINDS
from services.reporting.store import coming_activity, conversions, facts, rollups, tenants, waiting
from services.reporting.store.waiting import START, Waiting
from services.reporting.wire.orders import fact_of, models_of, payload_of, stored_fact_of
from services.reporting.wire.settings import rates_of, settings_of


async def apply_credits(
    connection: AsyncConnection, partition: int, entries: Sequence[Entry[credit_pb2.OrderCredits]]
) -> Sequence[bytes]:
    """Puts orders in the place of what was told of them before in the same edition; publishes nothing.

    An edition that is complete comes into force with all its figures at once: only the tenant's row changes.

    The chassis applies to a partition, and so to a tenant, in one transaction at a time, whichever log it is: the
    zone read here is the one that the tenant's cells are dated by.
    """
    present = await tenants.read(connection, {entry.message.tenant_id for entry in entries})
    newest: dict[tuple[str, int, str, str], Entry[credit_pb2.OrderCredits]] = {}
    complete: dict[str, Tenant] = {}
    for entry in entries:
        told, tenant = entry.message, _present(present, entry.message.tenant_id, partition)
        if told.edition < tenant.edition:
            # Told before the edition in force was complete, and parked.
            continue
        if told.complete:
            complete[told.tenant_id] = _newer(complete.get(told.tenant_id, tenant), told)
        else:
            newest[told.tenant_id, told.edition, told.order.source, told.order.order_id] = entry
    before, read = await _take_facts(connection, partition, newest, present)
    in_force = {entry.message.tenant_id: 0 for entry in entries} | {key: one.edition for key, one in present.items()}
    await ledger.note(connection, entries, in_force, before, read)
    if complete:
        await tenants.write(connection, [complete[tenant_id] for tenant_id in sorted(complete)])
    return ()


def _newer(tenant: Tenant, complete: credit_pb2.OrderCredits) -> Tenant:
    """The tenant with an edition that is complete, unless a newer one is."""
    if complete.edition <= tenant.edition:
        return tenant
    return replace(tenant, edition=complete.edition, models=models_of(complete))


async def _take_facts(
    connection: AsyncConnection,
    partition: int,
    newest: Mapping[tuple[str, int, str, str], Entry[credit_pb2.OrderCredits]],
    present: Mapping[str, Tenant],
) -> tuple[Mapping[tuple[str, int, str, str], facts.StoredFact], Mapping[int, OrderFact]]:
    """Keeps the newest of what is told of each order, and counts it.

    Answers the facts as they were stored before, and those that were read, by the position that told of them.
    """
    if not newest:
        return {}, {}
    told = [facts.StoredFact(*key, entry.position, payload_of(entry.message)) for key, entry in newest.items()]
    shown = [record_wire.shown_of(entry.message) for entry in newest.values()]
    known = {fact[:4]: fact for fact in await facts.replace(connection, told, shown)}
    changes: list[tuple[OrderFact | None, OrderFact]] = []
    read: dict[int, OrderFact] = {}
    for key, entry in newest.items():
        before = known.get(key)
        if before is None:
            read[entry.position] = fact_of(entry.message)
            changes.append((None, read[entry.position]))
        elif before.credit_position < entry.position:
            read[before.credit_position] = stored_fact_of(before.payload)
            read[entry.position] = fact_of(entry.message)
            changes.append((read[before.credit_position], read[entry.position]))
    known_tenants = {tenant_id: _present(present, tenant_id, partition) for tenant_id, *_ in newest}
    await derived.put(connection, await counting.count(connection, changes, known_tenants), known_tenants)
    if coming := {tenant_id: tenant for tenant_id, tenant in known_tenants.items() if len(tenant.ways) > 1}:
        counted = [change for change in changes if _is_reached(change[1], coming.get(change[1].tenant_id))]
        anew = {tenant_id: tenant.newest for tenant_id, tenant in coming.items()}
        await derived.put(connection, await counting.count(connection, counted, anew), anew)
    stored = [fact.payload for fact in known.values()]
    await following.take_orders(connection, [entry.message for entry in newest.values()], stored, known_tenants)
    return known, read


def _is_reached(order: OrderFact, tenant: Tenant | None) -> bool:
    """True for an order that is in the coming counting already; the others come into it in their sequence."""
    if tenant is None or tenant.coming is None or tenant.coming.reached is None:
        return False
    return (order.edition, order.source, order.order_id) <= tenant.coming.reached


async def apply_events(
    connection: AsyncConnection, partition: int, entries: Sequence[Entry[event_pb2.LoggedEvent]]
) -> Sequence[bytes]:
    """Takes over settings, of which those at the greatest position hold, rates and activity; publishes nothing.

    What other settings and rates make of orders and activity that were told before is left to the background.
    """
    present = await tenants.read(connection, {entry.message.tenant_id for entry in entries})
    known = {entry.message.tenant_id: _present(present, entry.message.tenant_id, partition) for entry in entries}
    await ledger.note_rules(connection, entries, known)
    known |= await _settled(connection, entries, known)
    changed = await activities.apply(connection, KINDS, entries, known)
    await rollups.add(connection, await derived.of_sessions(connection, changed, known))
    await _take_rates(connection, partition, entries, known)
    await following.take_sets(connection, partition, entries)
    await following.take_exposures(connection, entries, known)
    return ()


async def apply_people(
    connection: AsyncConnection, partition: int, entries: Sequence[Entry[people_pb2.PeopleChange]]
) -> Sequence[bytes]:
    """Takes in who belongs together now; publishes nothing."""
    await following.take_people(connection, partition, entries)
    return ()


async def _settled(
    connection: AsyncConnection, entries: Sequence[Entry[event_pb2.LoggedEvent]], known: Mapping[str, Tenant]
) -> dict[str, Tenant]:
    """The tenants of whom settings are told, with them; of whom nothing else was told yet, they hold at once."""
    after: dict[str, Tenant] = {}
    for entry in entries:
        tenant_id, told = entry.message.tenant_id, entry.message.event
        if told.WhichOneof("payload") == "settings":
            time_zone, currency_code = settings_of(told.settings)
            settings = told.settings.SerializeToString(deterministic=True)
            before = after.get(tenant_id, known[tenant_id])
            after[tenant_id] = before.told(entry.position, time_zone, currency_code, settings)
    if not after:
        return {}
    if anew := [tenant_id for tenant_id, tenant in after.items() if tenant.coming != known[tenant_id].coming]:
        await coming_activity.clear(connection, anew)
    counted = await tenants.have_facts(connection, after)
    for tenant_id in after.keys() - counted:
        after[tenant_id] = replace(after[tenant_id].newest, counting=known[tenant_id].counting)
    await tenants.write(connection, [after[tenant_id] for tenant_id in sorted(after)])
    return after


async def _take_rates(
    connection: AsyncConnection,
    partition: int,
    entries: Sequence[Entry[event_pb2.LoggedEvent]],
    known: Mapping[str, Tenant],
) -> None:
    rates = [
        rate
        for entry in entries
        if entry.message.event.WhichOneof("payload") == "exchange_rates"
        for rate in rates_of(entry.message, entry.position)
    ]
    if not rates:
        return
    await conversions.store(connection, rates)
    days: dict[tuple[str, str], list[date]] = defaultdict(list)
    for rate in rates:
        if any(way.currency_code == rate.base_currency_code for way in known[rate.tenant_id].ways):
            days[rate.tenant_id, rate.currency_code].append(rate.day)
    if days:
        every = [Waiting(*key, min(of_key), max(of_key), START) for key, of_key in days.items()]
        await waiting.add(connection, partition, every)


def _present(known: Mapping[str, Tenant], tenant_id: str, partition: int) -> Tenant:
    return known.get(tenant_id) or Tenant(tenant_id=tenant_id, partition=partition)
