"""Keeps what happened around orders, and finds the orders that it may concern."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from services.attribution.domain.baskets import Seen
from services.attribution.domain.conversations import Step
from services.attribution.domain.spans import EVER, Spans
from services.attribution.domain.touches import Touch
from services.attribution.store import blocks, facts, touched_orders, touches
from services.attribution.store.moments import micros
from services.attribution.store.orders import OrderKey
from services.kernel.identifiers import Kind


class Happened(NamedTuple):
    """Something that credit may depend on, where the log tells of it, and the event as it stands there.

    `row` is the same in columns, for questions about very many orders at once.
    """

    tenant_id: str
    position: int
    what: Touch | Step | Seen
    event: bytes
    receive_micros: int
    layout: blocks.Layout
    row: facts.Row


def happened(tenant_id: str, position: int, what: Touch | Step | Seen, event: bytes, receive_micros: int) -> Happened:
    """What happened, and its row."""
    match what:
        case Touch():
            layout, row = blocks.TOUCHES, facts.touch_row(what)
        case Step():
            layout, row = blocks.STEPS, facts.step_row(what)
        case Seen():
            layout, row = blocks.SEEN, facts.seen_row(what)
    return Happened(tenant_id, position, what, event, receive_micros, layout, row)


async def reach(
    connection: AsyncConnection, partition: int, happened: Sequence[Happened], spans: Mapping[str, Spans]
) -> dict[OrderKey, int]:
    """Keeps what was not known yet; answers the orders that it may concern, each with the last position of it.

    `spans` are the tenants'.
    """
    if not happened:
        return {}
    told = {(one.tenant_id, one.what.source, one.what.event_id): one for one in happened}
    known = await touches.insert_touches(connection, [_new(one) for one in told.values()])
    fresh = [one for key, one in told.items() if key not in known]
    await _keep_columns(connection, fresh)
    concerned = [by for one in fresh for by in _by_itself(one, spans[one.tenant_id])]
    concerned += await _by_conversations(connection, fresh, spans)
    times = {one.position: one.receive_micros for one in happened}
    return await touched_orders.orders_by_touches(connection, partition, concerned, times)


async def _keep_columns(connection: AsyncConnection, fresh: Sequence[Happened]) -> None:
    rows: dict[blocks.Layout, list[tuple[str, facts.Row]]] = {}
    for one in fresh:
        rows.setdefault(one.layout, []).append((one.tenant_id, one.row))
    for layout, mine in rows.items():
        await blocks.append(connection, layout, mine)


def _new(one: Happened) -> touches.NewTouch:
    what = one.what
    return touches.NewTouch(
        one.tenant_id,
        what.source,
        what.event_id,
        micros(what.occur_time),
        what.identifiers,
        one.event,
        _conversation_id(what),
    )


def _conversation_id(what: Touch | Step | Seen) -> str:
    return "" if isinstance(what, Seen) else what.conversation_id


def _by_itself(one: Happened, spans: Spans) -> Iterable[touched_orders.ByTouch]:
    """Whom a touch or a product seen concerns by its own identifiers, and through the people whom they name."""
    what = one.what
    if isinstance(what, Step):
        return
    span = spans.seen if isinstance(what, Seen) else spans.touch[what.channel]
    ever = isinstance(what, Touch) and what.channel in spans.session_channels
    tenant_id, position, since = one.tenant_id, one.position, micros(what.occur_time)
    # One more: both times are rounded down.
    through = None if span is None else since + micros(span) + 1
    for identifier in what.identifiers:
        if through is not None:
            yield touched_orders.ByTouch(tenant_id, identifier, since, through, position)
        if ever and identifier.kind is Kind.SESSION:
            yield touched_orders.ByTouch(
                tenant_id, identifier, since, since + micros(EVER) + 1, position, personal=False
            )


async def _by_conversations(
    connection: AsyncConnection, fresh: Sequence[Happened], spans: Mapping[str, Spans]
) -> list[touched_orders.ByTouch]:
    """Whom conversations concern to which something was added: by all their identifiers, from their first event on."""
    positions: dict[tuple[str, str], int] = {}
    for one in fresh:
        conversation_id = _conversation_id(one.what)
        if conversation_id and spans[one.tenant_id].conversation is not None:
            of = one.tenant_id, conversation_id
            positions[of] = max(positions.get(of, 0), one.position)
    return [
        touched_orders.ByTouch(
            tenant_id=found.tenant_id,
            identifier=found.identifier,
            from_micros=found.first_micros,
            through_micros=found.last_micros + micros(spans[found.tenant_id].conversation or 0) + 1,
            position=positions[found.tenant_id, found.conversation_id],
        )
        for found in await touches.read_conversations(connection, positions)
    ]
