"""Follows the credit log for the orders and the event log for the settings, and keeps facts and rollups in step."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection
from touchstone.attribution.v1 import credit_pb2
from touchstone.ingest.v1 import event_pb2

from services.chassis.follow import Entry
from services.reporting import activities, derived, record_wire, wire
from services.reporting.domain.contributions import differences
from services.reporting.domain.facts import OrderFact
from services.reporting.domain.tenants import Tenant
from services.reporting.kinds import KINDS
from services.reporting.recount import recount
from services.reporting.store import facts, rollups, tenants


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
    await _take_facts(connection, partition, newest, present)
    if complete:
        await tenants.write(connection, [complete[tenant_id] for tenant_id in sorted(complete)])
    return ()


def _newer(tenant: Tenant, complete: credit_pb2.OrderCredits) -> Tenant:
    """The tenant with an edition that is complete, unless a newer one is."""
    if complete.edition <= tenant.edition:
        return tenant
    return replace(tenant, edition=complete.edition, models=wire.models_of(complete))


async def _take_facts(
    connection: AsyncConnection,
    partition: int,
    newest: Mapping[tuple[str, int, str, str], Entry[credit_pb2.OrderCredits]],
    present: Mapping[str, Tenant],
) -> None:
    if not newest:
        return
    told = [facts.StoredFact(*key, entry.position, wire.payload_of(entry.message)) for key, entry in newest.items()]
    shown = [record_wire.shown_of(entry.message) for entry in newest.values()]
    known = {fact[:4]: fact for fact in await facts.replace(connection, told, shown)}
    changes: list[tuple[OrderFact | None, OrderFact]] = []
    for key, entry in newest.items():
        before = known.get(key)
        if before is None:
            changes.append((None, wire.fact_of(entry.message)))
        elif before.credit_position < entry.position:
            changes.append((wire.stored_fact_of(before.payload), wire.fact_of(entry.message)))
    known_tenants = {tenant_id: _present(present, tenant_id, partition) for tenant_id, *_ in newest}
    sums = differences(changes, {tenant_id: tenant.zone for tenant_id, tenant in known_tenants.items()})
    await derived.put(connection, sums, known_tenants)


async def apply_events(
    connection: AsyncConnection, partition: int, entries: Sequence[Entry[event_pb2.LoggedEvent]]
) -> Sequence[bytes]:
    """Takes over settings, of which those at the greatest position hold, and activity; publishes nothing.

    Another zone dates the tenant's orders anew, other settings its activity.
    """
    present = await tenants.read(connection, {entry.message.tenant_id for entry in entries})
    known = {entry.message.tenant_id: _present(present, entry.message.tenant_id, partition) for entry in entries}
    changed = await activities.apply(connection, KINDS, entries, known)
    await rollups.add(connection, await derived.of_sessions(connection, changed, known))
    telling = [entry for entry in entries if entry.message.event.WhichOneof("payload") == "settings"]
    if not telling:
        return ()
    before = {entry.message.tenant_id: known[entry.message.tenant_id] for entry in telling}
    after = dict(before)
    for entry in telling:
        tenant_id = entry.message.tenant_id
        after[tenant_id] = _told(_present(after, tenant_id, partition), entry)
    await tenants.write(connection, [after[tenant_id] for tenant_id in sorted(after)])
    for tenant_id in sorted(after):
        if after[tenant_id].time_zone != before[tenant_id].time_zone:
            await recount(connection, after[tenant_id])
        if after[tenant_id].settings != before[tenant_id].settings:
            await activities.recount(connection, KINDS, after[tenant_id])
    return ()


def _present(known: Mapping[str, Tenant], tenant_id: str, partition: int) -> Tenant:
    return known.get(tenant_id) or Tenant(tenant_id=tenant_id, partition=partition)


def _told(tenant: Tenant, entry: Entry[event_pb2.LoggedEvent]) -> Tenant:
    if entry.position <= tenant.settings_position:
        return tenant
    told = entry.message.event.settings
    time_zone, currency_code = wire.settings_of(told)
    return replace(
        tenant,
        time_zone=time_zone,
        currency_code=currency_code,
        settings_position=entry.position,
        settings=told.SerializeToString(deterministic=True),
    )
