"""What is done between the batches: coming editions, orders that wait to be reopened, and the check that never ends."""

import logging
import time
from typing import Final

from opentelemetry import metrics
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.attribution.agreement import compare
from services.attribution.editions import editions_of
from services.attribution.recomputing import recompute, reopened, stage
from services.attribution.store import alarms, orders, reopening
from services.attribution.store import rules as rules_store
from services.attribution.store.facts import identifier_number
from services.attribution.store.moments import at_one_moment
from services.attribution.store.orders import OrderKey
from services.attribution.wire import editions as editions_wire
from services.attribution.wire import events as events_wire
from services.attribution.wire.editions import Cause, cause_kind
from services.chassis.chores import Turn, paged, repeat

PAGE: Final = 500
"""Orders decided in a transaction."""

CHECKED_AT_ONCE: Final = 20
CHECK_SECONDS: Final = 1.0
"""How many orders are checked how often, at most."""

_CHECK_SHARE: Final = 0.02
"""Of the time, at most: while very much is followed a check takes longer, and the next one comes later."""

_START = OrderKey("", "", "")

_log = logging.getLogger(__name__)
_meter = metrics.get_meter(__name__)
_checked = _meter.create_counter("touchstone.agreement.checked", description="orders computed again")
_standing = _meter.create_gauge("touchstone.agreement.standing", description="orders that differ, as far as is known")
_different = _meter.create_counter("touchstone.agreement.different", description="orders found to differ")


async def decide_coming(connection: AsyncConnection, partition: int) -> list[bytes]:
    """Decides a page of a tenant's orders under the coming edition; with the last page it comes into force."""
    coming = await rules_store.next_coming(connection, partition)
    if coming is None:
        return []
    tenant_id = coming.tenant_id
    editions = (await editions_of(connection, {tenant_id}))[tenant_id]
    page = await orders.read_page(connection, tenant_id, OrderKey(*coming), PAGE)
    published = await stage(connection, page, tenant_id, editions)
    if len(page) == PAGE:
        last = page[-1].key
        counted = sum(order.credits is not None for order in page)
        await rules_store.advance(connection, tenant_id, (last.order_id, last.source), counted)
        return published
    await rules_store.come_into_force(connection, tenant_id)
    return [*published, editions_wire.completed(tenant_id, editions.newest)]


async def decide_waiting(connection: AsyncConnection, partition: int) -> list[bytes]:
    """Decides a page of the orders that a change concerned together with very many others."""
    waiting = await reopening.read_waiting(connection, partition, PAGE)
    causes = {one.key: Cause(cause_kind(one.cause), one.position, one.receive_micros) for one in waiting}
    editions = await editions_of(connection, {key.tenant_id for key in causes})
    known = await orders.read_orders(connection, causes)
    published = await recompute(
        connection, [reopened(order.key, order, (), causes[order.key]) for order in known], editions
    )
    await reopening.forget_waiting(connection, causes)
    return published


async def check_some(engine: AsyncEngine) -> None:
    """Compares the next orders of all tenants, and those that differed, with what is computed from what is known."""
    async with at_one_moment(engine) as connection, connection.begin():
        last = await alarms.lock_cursor(connection)
        if last is None:
            return
        page = await orders.read_any(connection, last, CHECKED_AT_ONCE)
        differed = await alarms.read_alarms(connection, CHECKED_AT_ONCE)
        again = await orders.read_orders(connection, differed)
        every = {order.key: order for order in (*again, *page)}
        compared = await compare(connection, list(every.values()))
        found = await alarms.raise_alarms(connection, compared.different) if compared.different else []
        await alarms.clear_alarms(connection, ({*every} | {*differed}) - {*compared.different})
        if page or last != _START:
            await alarms.move_cursor(connection, page[-1].key if len(page) == CHECKED_AT_ONCE else _START)
        standing = await alarms.count_all(connection)
    _standing.set(standing)
    _checked.add(compared.checked)
    _different.add(len(found))
    for key in found:
        _log.error(
            "stored credits differ from those computed: order %s of %s/%s", key.order_id, key.tenant_id, key.source
        )


async def agrees(engine: AsyncEngine) -> bool:
    """True while no order is known whose stored credits differ from those computed."""
    async with engine.connect() as connection:
        return not await alarms.count_all(connection)


async def _check_for_ever(engine: AsyncEngine, _turn: Turn) -> None:
    async def step() -> float:
        began = time.monotonic()
        await check_some(engine)
        return max(CHECK_SECONDS, (time.monotonic() - began) / _CHECK_SHARE)

    await repeat("the check of credits", step)


CHORES = (
    paged("a coming edition", rules_store.partitions_coming, decide_coming),
    paged("reopening orders", reopening.partitions_waiting, decide_waiting),
    _check_for_ever,
)
"""What is to be done in every generation."""

UNFINISHED = (rules_store.partitions_coming, reopening.partitions_waiting)
"""What must be done before a generation is served."""


def forget() -> None:
    """Drops what this process remembers of events and of those whom they name: somebody may have been erased."""
    events_wire.forget()
    identifier_number.cache_clear()
