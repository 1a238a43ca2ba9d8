"""Decides orders anew under every edition of their tenants' rules, and keeps and publishes what changed."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from services.attribution.domain.editions import Edition, Editions
from services.attribution.domain.orders import Told, fold
from services.attribution.recount import Recounted, recount
from services.attribution.store import blocks, facts, orders
from services.attribution.store.moments import micros
from services.attribution.store.orders import OrderIdentifier, OrderKey, StoredOrder
from services.attribution.wire import editions as editions_wire
from services.attribution.wire import events as events_wire
from services.attribution.wire.editions import Cause
from services.kernel.identifiers import Identifier


class Reopened(NamedTuple):
    """An order to be computed anew: as it was kept (None: it is new), what is now told of it, and why."""

    key: OrderKey
    kept: StoredOrder | None
    before: tuple[Told, ...]
    told: tuple[Told, ...]
    cause: Cause


def reopened(key: OrderKey, kept: StoredOrder | None, told: Sequence[Told], cause: Cause) -> Reopened:
    """An order of which something more was told, or nothing."""
    before = events_wire.told_again(kept.told) if kept else ()
    return Reopened(key, kept, before, fold(before, told) if told else before, cause)


class _Change(NamedTuple):
    """An order as it was kept, in the editions that there now are, and as it is to be kept."""

    one: Reopened
    kept: StoredOrder | None
    now: StoredOrder


async def recompute(
    connection: AsyncConnection, orders_: Sequence[Reopened], editions: Mapping[str, Editions]
) -> list[bytes]:
    """Decides these orders anew, keeps what changed, and answers what is to be published of it."""
    in_force = {tenant_id: known.in_force.rules for tenant_id, known in editions.items()}
    recounted = await recount(connection, {one.key: one.told for one in orders_}, in_force)
    coming = {tenant_id: known.coming.rules for tenant_id, known in editions.items() if known.coming}
    staged = {one.key: one.told for one in orders_ if one.key.tenant_id in coming} if coming else {}
    then = await recount(connection, staged, coming) if staged else {}
    changes = [_change(one, recounted.get(one.key), then.get(one.key), editions[one.key.tenant_id]) for one in orders_]
    changed = [change for change in changes if change.now != change.kept]
    await orders.add_orders(connection, [change.now for change in changed if change.one.kept is None])
    await orders.change_orders(connection, [change.now for change in changed if change.one.kept is not None])
    await blocks.append(connection, blocks.ORDERS, _order_rows(changed, recounted))
    await _move_identifiers(connection, [change.one for change in changed])
    return [entry for change in changed for entry in _entries(change)]


async def stage(
    connection: AsyncConnection, known: Sequence[StoredOrder], tenant_id: str, editions: Editions
) -> list[bytes]:
    """Decides a tenant's orders under the coming edition alone; answers what is to be published of it.

    Those that were decided under it, since it is coming, are left as they are.
    """
    coming = editions.coming
    if coming is None:
        return []
    waiting = {
        order.key: order.under(editions.in_force.number, coming.number)
        for order in known
        if order.credits is not None and order.next_edition != coming.number
    }
    told = {key: events_wire.told_again(order.told) for key, order in waiting.items()}
    recounted = await recount(connection, told, {tenant_id: coming.rules})
    staged = [
        order._replace(next_credits=recounted[key].entry, next_open=recounted[key].open_to_people)
        for key, order in waiting.items()
    ]
    await orders.change_orders(connection, staged)
    return [_of_settings(order.next_credits, coming) for order in staged if order.next_credits is not None]


def _of_settings(entry: bytes, edition: Edition) -> bytes:
    return editions_wire.published(entry, Cause(editions_wire.BY_SETTINGS, edition.number), edition.number)


def _change(one: Reopened, recounted: Recounted | None, then: Recounted | None, editions: Editions) -> _Change:
    in_force, coming = editions.in_force.number, editions.coming.number if editions.coming else None
    now = StoredOrder(
        one.key,
        events_wire.stored(one.told),
        *_decided(recounted),
        in_force,
        *_decided(then),
        coming,
    )
    return _Change(one, one.kept.under(in_force, coming) if one.kept else None, now)


def _decided(recounted: Recounted | None) -> tuple[bytes | None, bool]:
    return (None, False) if recounted is None else (recounted.entry, recounted.open_to_people)


def _entries(change: _Change) -> list[bytes]:
    """What is to be published of an order: in the edition in force, and in the coming one."""
    one, kept, now = change
    entries: list[bytes] = []
    if now.credits is not None and (kept is None or now.credits != kept.credits):
        entries.append(editions_wire.published(now.credits, one.cause, now.edition))
    if (
        now.next_edition is not None
        and now.next_credits is not None
        and (kept is None or now.next_credits != kept.next_credits)
    ):
        entries.append(editions_wire.published(now.next_credits, one.cause, now.next_edition))
    return entries


def _order_rows(changed: Sequence[_Change], recounted: Mapping[OrderKey, Recounted]) -> list[tuple[str, facts.Row]]:
    """The rows of orders of which something else is told than before."""
    return [
        (one.key.tenant_id, row)
        for one, kept, now in changed
        if one.key in recounted and (kept is None or kept.told != now.told)
        if (row := facts.order_row(one.told, recounted[one.key].case.order)) is not None
    ]


async def _move_identifiers(connection: AsyncConnection, changed: Sequence[Reopened]) -> None:
    """Lets orders be found by the identifiers of their newest state, and no longer by those of an older one."""
    gone: list[OrderIdentifier] = []
    new: list[OrderIdentifier] = []
    for one in changed:
        if one.told is one.before:
            continue
        before, now = _findable(one.before), _findable(one.told)
        gone += [OrderIdentifier(one.key, *found_by) for found_by in before - now]
        new += [OrderIdentifier(one.key, *found_by) for found_by in now - before]
    await orders.replace_identifiers(connection, gone, new)


def _findable(told: Sequence[Told]) -> set[tuple[Identifier, int]]:
    """The identifiers of the newest state, each with the order's time in microseconds."""
    newest = next((one.state for one in told if one.state is not None), None)
    if newest is None:
        return set()
    order_micros = micros(newest.order_time)
    return {(identifier, order_micros) for identifier in newest.identifiers}
