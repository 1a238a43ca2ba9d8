"""What is done between the batches: figures counted anew, by other settings or other rates, and old ones deleted."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.chores import paged
from services.reporting import activities, counting, derived
from services.reporting.domain.tenants import BEHIND_ALL_FACTS, Coming, OrderPlace, Tenant
from services.reporting.experiments import following, summing
from services.reporting.kinds import KINDS
from services.reporting.store import conversions, experiment_sums, facts, recounts, rollups, tenants, waiting
from services.reporting.wire.orders import stored_fact_of

_PAGE: Final = 2_000
"""Rows of a table that are deleted in a transaction."""

COUNTED_AT_ONCE: Final = 500
"""Orders, or facts of activity, that are counted in a transaction."""


async def count_some(connection: AsyncConnection, partition: int) -> Sequence[bytes]:
    """Counts a page of a tenant's activity, then of its orders, under the settings told last; publishes nothing.

    With the last page all figures change at once.
    """
    tenant = await tenants.next_coming(connection, partition)
    if tenant is None or tenant.coming is None:
        return ()
    settled, coming = tenant.newest, tenant.coming
    if coming.total is None:
        coming = replace(coming, total=await _to_go_through(connection, tenant, coming))
    if coming.activity < BEHIND_ALL_FACTS:
        reached, count = await activities.prepare_some(connection, KINDS, tenant, COUNTED_AT_ONCE)
        further = replace(coming, activity=reached, done=coming.done + count)
        await tenants.write(connection, [replace(tenant, coming=further)])
        return ()
    if coming.reached is not None:
        start = _start(tenant, coming.reached)
        page = await facts.read_page(connection, tenant.tenant_id, start, COUNTED_AT_ONCE)
        newest = {tenant.tenant_id: settled}
        sums = await counting.count(connection, [(None, stored_fact_of(fact.payload)) for fact in page], newest)
        await derived.put(connection, sums, newest)
        if len(page) == COUNTED_AT_ONCE:
            last = (page[-1].edition, page[-1].source, page[-1].order_id)
            further = replace(coming, reached=last, done=coming.done + len(page))
            await tenants.write(connection, [replace(tenant, coming=further)])
            return ()
    await tenants.write(connection, [settled])
    await activities.take_over(connection, KINDS, settled)
    return ()


async def _to_go_through(connection: AsyncConnection, tenant: Tenant, coming: Coming) -> int:
    total = await recounts.facts_behind(connection, tenant.tenant_id, coming.activity)
    if coming.reached is not None:
        total += await recounts.orders_behind(connection, tenant.tenant_id, _start(tenant, coming.reached))
    return total


def _start(tenant: Tenant, reached: OrderPlace) -> OrderPlace:
    """Behind which order the count goes on: orders of older editions are in no figure any more."""
    return max(reached, (tenant.edition, "", ""))


async def convert_some(connection: AsyncConnection, partition: int) -> Sequence[bytes]:
    """Looks a page of orders through for whose days rates were told; publishes nothing."""
    told = await waiting.next_of(connection, partition)
    if told is None:
        return ()
    known = (await tenants.read(connection, [told.tenant_id])).get(told.tenant_id)
    ways = known.ways if known else ()
    sums, after, changed = await counting.convert_some(connection, told, ways)
    for way, of_way in zip(ways, sums, strict=True):
        await derived.put(connection, of_way, {way.tenant_id: way})
    if known is not None:
        await following.take_converted(connection, known, changed)
    await waiting.advance(connection, told, after)
    return ()


async def clear_some(connection: AsyncConnection, partition: int) -> Sequence[bytes]:
    """Deletes a page of a tenant's rows that no figure is read from; publishes nothing."""
    outdated = await tenants.next_outdated(connection, partition)
    if outdated is None:
        return ()
    tenant_id, edition, book = outdated
    deleted = await facts.clear_before(connection, tenant_id, edition, _PAGE)
    deleted += await rollups.clear_before(connection, tenant_id, book, _PAGE)
    deleted += await conversions.clear_before(connection, tenant_id, book, _PAGE)
    if not deleted:
        await tenants.cleared(connection, tenant_id, book)
    return ()


CHORES = (
    paged("counting anew", tenants.coming, count_some),
    paged("converting anew", waiting.partitions, convert_some),
    paged("counting experiments", experiment_sums.partitions, summing.count_some),
    paged("clearing old editions", tenants.outdated, clear_some),
)
"""What is to be done in every generation."""

UNFINISHED = (tenants.coming, waiting.partitions)
"""What must be done before a generation is served."""
