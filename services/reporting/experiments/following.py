"""Takes over what the logs tell: sets of experiments, and which orders name whom."""

from collections.abc import Iterable, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection
from touchstone.attribution.v1 import credit_pb2
from touchstone.ingest.v1 import event_pb2

from services.chassis.follow import Entry
from services.reporting.store import experiments, facts
from services.reporting.store.experiments import OrderKey, SetRow

_SECOND = 1_000_000_000


async def take_sets(connection: AsyncConnection, entries: Sequence[Entry[event_pb2.LoggedEvent]]) -> None:
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


async def take_orders(connection: AsyncConnection, told: Sequence[credit_pb2.OrderCredits]) -> None:
    """Notes whom orders name, of tenants who have experiments."""
    known = await experiments.tenants_with_sets(connection, {one.tenant_id for one in told})
    if known:
        await experiments.add_order_keys(connection, list(_keys(one for one in told if one.tenant_id in known)))


def _keys(told: Iterable[credit_pb2.OrderCredits]) -> Iterable[OrderKey]:
    return (
        OrderKey(one.tenant_id, key, one.order.source, one.order.order_id)
        for one in told
        for key in one.order.identifier_keys
    )
