"""Tries models where columns lack what they look at: each of a period's orders is decided by itself, page by page."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from services.attribution.domain.touches import Channel
from services.attribution.recount import recount
from services.attribution.simulation.asking import Trial
from services.attribution.simulation.cases import Numbers
from services.attribution.simulation.loading import orders_between
from services.attribution.simulation.result import Result, Weight
from services.attribution.simulation.stopping import Stop
from services.attribution.simulation.tables import Source
from services.attribution.simulation.tally import Tally
from services.attribution.simulation.trying import Progress
from services.attribution.store import orders
from services.attribution.store.blocks import ORDERS
from services.attribution.store.orders import OrderKey
from services.attribution.wire import events as events_wire

_PAGE: Final = 100
"""Orders decided at a time: the event loop waits for so long."""


def keys(source: Source, tenant_id: str, trial: Trial) -> list[OrderKey]:
    """The period's orders, by id and source."""
    rows: Numbers = orders_between(source, trial.from_time, trial.through_time)
    found = source.names(ORDERS, rows)
    return sorted(OrderKey(tenant_id, order_id, source_name) for source_name, order_id in found.values())


async def try_each(
    connection: AsyncConnection,
    asked: Sequence[OrderKey],
    trial: Trial,
    learned: Mapping[Channel, Weight],
    *,
    stop: Stop,
    progress: Progress,
) -> Result:
    """What the trial finds of these orders."""
    simulated = trial.simulated
    if learned:
        simulated = replace(simulated, weights={channel: one.weight for channel, one in learned.items()})
    # The two may be of one name: it only tells them apart.
    compared = replace(trial.compared, name=f"{simulated.name} beside")
    rules = replace(trial.rules, models=(simulated, compared))
    tally = Tally(trial.moved_order_count)
    for start in range(0, len(asked), _PAGE):
        stop.look()
        page = await orders.read_orders(connection, asked[start : start + _PAGE])
        told = {order.key: events_wire.told_again(order.told) for order in page}
        recounted = await recount(connection, told, {key.tenant_id: rules for key in told})
        for one in recounted.values():
            by_name = {attribution.model: attribution for attribution in one.attributions}
            tally.add(one.case.order, by_name[simulated.name], by_name[compared.name])
        progress(min(start + _PAGE, len(asked)), len(asked))
    return tally.result(learned)
