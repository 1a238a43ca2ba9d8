"""Compares stored credits with what is computed from all that is known: any difference is an alarm."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from services.attribution.domain.rules import Rules
from services.attribution.editions import editions_of
from services.attribution.recount import Recounted, recount
from services.attribution.store.orders import OrderKey, StoredOrder
from services.attribution.store.reopening import waiting_among
from services.attribution.wire import events as events_wire


class Compared(NamedTuple):
    """How many orders were compared, and those whose stored credits differ."""

    checked: int
    different: tuple[OrderKey, ...]


async def compare(connection: AsyncConnection, page: Sequence[StoredOrder]) -> Compared:
    """Computes the orders again in both editions that there may be; the connection must see one moment.

    An order that waits to be computed anew differs for a while, and is no alarm.
    """
    with_credits = [order for order in page if order.credits is not None]
    editions = await editions_of(connection, {order.key.tenant_id for order in with_credits})
    in_force = {tenant_id: known.in_force.rules for tenant_id, known in editions.items()}
    coming = {tenant_id: known.coming.rules for tenant_id, known in editions.items() if known.coming}
    stored = [
        order.under(known.in_force.number, known.coming.number if known.coming else None)
        for order in with_credits
        for known in (editions[order.key.tenant_id],)
    ]
    # Those that were not yet decided under the coming edition can't disagree with it.
    staged = [order for order in stored if order.next_credits is not None]
    now = await _recounted(connection, stored, in_force)
    then = await _recounted(connection, staged, coming)
    different = {order.key for order in stored if now[order.key].entry != order.credits}
    different.update(order.key for order in staged if then[order.key].entry != order.next_credits)
    if different:
        different -= await waiting_among(connection, different)
    return Compared(len(stored), tuple(sorted(different)))


async def _recounted(
    connection: AsyncConnection, orders: Iterable[StoredOrder], rules: dict[str, Rules]
) -> dict[OrderKey, Recounted]:
    told = {order.key: events_wire.told_again(order.told) for order in orders}
    return await recount(connection, told, rules) if told else {}
