"""Follows the credit log for the orders and the event log for the settings, and keeps facts and rollups in step."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection
from touchstone.attribution.v1 import credit_pb2
from touchstone.ingest.v1 import event_pb2

from services.chassis.follow import Entry
from services.reporting import wire
from services.reporting.domain.contributions import differences
from services.reporting.domain.facts import OrderFact
from services.reporting.domain.tenants import Tenant
from services.reporting.recount import recount
from services.reporting.store import facts, rollups, tenants


async def apply_credits(
    connection: AsyncConnection, partition: int, entries: Sequence[Entry[credit_pb2.OrderCredits]]
) -> Sequence[bytes]:
    """Puts orders in the place of what was told of them before; publishes nothing.

    The chassis applies to a partition, and so to a tenant, in one transaction at a time, whichever log it is: the
    zone read here is the one that the tenant's cells are dated by.
    """
    newest = {
        (entry.message.tenant_id, entry.message.order.source, entry.message.order.order_id): entry for entry in entries
    }
    told = [facts.StoredFact(*key, entry.position, wire.payload_of(entry.message)) for key, entry in newest.items()]
    tenant_ids = {fact.tenant_id for fact in told}
    present = await tenants.read(connection, tenant_ids)
    known = {fact[:3]: fact for fact in await facts.replace(connection, told)}
    changes: list[tuple[OrderFact | None, OrderFact]] = []
    for key, entry in newest.items():
        before = known.get(key)
        if before is None:
            changes.append((None, wire.fact_of(entry.message)))
        elif before.credit_position < entry.position:
            changes.append((wire.stored_fact_of(before.payload), wire.fact_of(entry.message)))
    zones = {tenant_id: _present(present, tenant_id, partition).zone for tenant_id in tenant_ids}
    await rollups.add(connection, differences(changes, zones))
    return ()


async def apply_events(
    connection: AsyncConnection, partition: int, entries: Sequence[Entry[event_pb2.LoggedEvent]]
) -> Sequence[bytes]:
    """Takes over settings and models, of which those at the greatest position hold; publishes nothing.

    Another zone dates the tenant's orders anew.
    """
    telling = [entry for entry in entries if entry.message.event.WhichOneof("payload") in ("settings", "models")]
    if not telling:
        return ()
    before = await tenants.read(connection, {entry.message.tenant_id for entry in telling})
    after = dict(before)
    for entry in telling:
        tenant_id = entry.message.tenant_id
        after[tenant_id] = _told(_present(after, tenant_id, partition), entry)
    await tenants.write(connection, [after[tenant_id] for tenant_id in sorted(after)])
    for tenant_id in sorted(after):
        if after[tenant_id].time_zone != _present(before, tenant_id, partition).time_zone:
            await recount(connection, after[tenant_id])
    return ()


def _present(known: dict[str, Tenant], tenant_id: str, partition: int) -> Tenant:
    return known.get(tenant_id) or Tenant(tenant_id=tenant_id, partition=partition)


def _told(tenant: Tenant, entry: Entry[event_pb2.LoggedEvent]) -> Tenant:
    event, position = entry.message.event, entry.position
    if event.HasField("settings"):
        if position <= tenant.settings_position:
            return tenant
        time_zone, currency_code = wire.settings_of(event.settings)
        return replace(tenant, time_zone=time_zone, currency_code=currency_code, settings_position=position)
    if position <= tenant.models_position:
        return tenant
    return replace(tenant, models=wire.models_of(event.models), models_position=position)
