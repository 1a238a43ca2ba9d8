"""What events tell of touches and orders."""

import hashlib
from collections.abc import Collection, Sequence

from touchstone.ingest.v1 import conversation_pb2, event_pb2, event_service_pb2, order_pb2, storefront_pb2

from services.attribution.domain.baskets import Seen
from services.attribution.domain.conversations import Stage, Step
from services.attribution.domain.orders import (
    NO_VERSION,
    Line,
    Notice,
    Platform,
    Refund,
    RefundLine,
    State,
    Told,
    Version,
    status_rank,
)
from services.attribution.domain.touches import Action, Answer, Channel, Touch
from services.attribution.wire.people import identifiers
from services.attribution.wire.times import nanos
from services.kernel.crawlers import is_crawler

_PLAIN_NOTICES = frozenset({Notice.TRASHED, Notice.RESTORED, Notice.DELETED})
_CHANNELS = {channel.value: channel for channel in Channel}
_ACTIONS = {action.value: action for action in Action}
_ANSWERS = {answer.value: answer for answer in Answer}
_STAGES = {stage.value: stage for stage in Stage}
_AGENT = conversation_pb2.Conversation.Actor.AGENT
_VISITOR = conversation_pb2.Conversation.Actor.VISITOR
_SEEN = {
    storefront_pb2.Storefront.Action.PRODUCT_VIEWED: False,
    storefront_pb2.Storefront.Action.ADDED_TO_CART: True,
}
_PLATFORMS = {0: Platform.CUSTOM, **{platform.value: platform for platform in Platform}}
_NOTICES = {0: Notice.STATE, **{notice.value: notice for notice in Notice}}


def touch(source: str, event: event_pb2.Event) -> Touch:
    """The touch that an interaction is."""
    reached = event.interaction
    conversation_id = reached.conversation_id
    # By place: a batch has a thousand of them, and names take half as long again.
    return Touch(
        source,
        event.event_id,
        nanos(event.occur_time),
        _CHANNELS[reached.channel],
        _ACTIONS[reached.action],
        _ANSWERS[reached.answer],
        reached.touchpoint,
        conversation_id,
        reached.bot_name,
        reached.agent_id,
        reached.campaign,
        is_crawler(reached.user_agent),
        identifiers(event.identifiers, conversation_id),
        tuple(reached.product_ids),
        reached.experience_id,
    )


def happened(source: str, event: event_pb2.Event) -> Touch | Step | Seen | None:
    """What an event tells that credit may depend on, orders apart; None when it tells nothing of that kind."""
    match event.WhichOneof("payload"):
        case "interaction":
            return touch(source, event)
        case "conversation":
            return _step(source, event)
        case "storefront":
            return _seen(source, event)
        case _:
            return None


_MOST_REMEMBERED = 16_384
_remembered: dict[tuple[str, bytes], Touch | Step | Seen | None] = {}


def happened_first(source: str, event: event_pb2.Event, kept: bytes) -> Touch | Step | Seen | None:
    """What an event tells that is to be kept so. Remembered, as by `happened_again`."""
    if len(_remembered) >= _MOST_REMEMBERED:
        _remembered.clear()
    told = _remembered[source, kept] = happened(source, event)
    return told


def happened_again(source: str, kept: bytes) -> Touch | Step | Seen | None:
    """What an event told, from how it is kept. Remembered: what a visit tells is asked for by each of its orders."""
    try:
        return _remembered[source, kept]
    except KeyError:
        return happened_first(source, event_pb2.Event.FromString(kept), kept)


def forget() -> None:
    """Remembers nothing any more."""
    _remembered.clear()


def _step(source: str, event: event_pb2.Event) -> Step | None:
    told = event.conversation
    stage = _STAGES.get(told.step)
    if stage is None:
        return None
    return Step(
        source=source,
        event_id=event.event_id,
        occur_time=nanos(event.occur_time),
        stage=stage,
        by_agent=told.actor == _AGENT,
        conversation_id=told.conversation_id,
        touchpoint=told.touchpoint,
        bot_name=told.bot_name,
        agent_id=told.agent_id,
        campaign=told.campaign,
        identifiers=identifiers(event.identifiers, told.conversation_id),
        by_visitor=told.actor == _VISITOR,
    )


def _seen(source: str, event: event_pb2.Event) -> Seen | None:
    told = event.storefront
    added = _SEEN.get(told.action)
    if added is None or not told.product_ids:
        return None
    return Seen(
        source=source,
        event_id=event.event_id,
        occur_time=nanos(event.occur_time),
        added=added,
        product_ids=tuple(told.product_ids),
        crawler=is_crawler(told.user_agent),
        identifiers=identifiers(event.identifiers),
    )


def told(event: event_pb2.Event) -> Told:
    """What an event tells of an order. The event's id is no part of it: the same told twice is told once.

    `raw` is the event as the one of a list; several of them, one after the other, are the list that `told_again` reads.
    """
    order = event.order
    notice = _NOTICES[order.notice]
    kept = event_service_pb2.AppendEventsRequest()
    if notice in _PLAIN_NOTICES:
        kept.events.add(order=order_pb2.Order(order_id=order.order_id, notice=order.notice))
        return Told(notice, NO_VERSION, None, (), kept.SerializeToString(deterministic=True))
    copy = kept.events.add()
    copy.identifiers.CopyFrom(event.identifiers)
    copy.order.CopyFrom(order)
    if not order.HasField("order_time"):
        copy.order.order_time.CopyFrom(event.occur_time)
    if not order.HasField("update_time"):
        copy.order.update_time.CopyFrom(event.occur_time)
    raw = kept.SerializeToString(deterministic=True)
    state = _state(copy) if notice is Notice.STATE else None
    version = Version(
        update_time=nanos(copy.order.update_time),
        status_rank=status_rank(state.platform, state.status) if state else 0,
        refund_count=len(order.refunds),
        cancelled=state is not None and state.cancelled,
        # The order's own content first: addresses are hashed under the tenant's key, and a tie between two states must
        # not fall otherwise for another tenant.
        content_hash=(
            order.content_hash or hashlib.sha256(copy.order.SerializeToString(deterministic=True)).hexdigest()
        ).encode()
        + hashlib.sha256(raw).digest(),
    )
    return Told(notice, version, state, () if state else _refunds(order.refunds), raw)


def told_again(stored: bytes) -> tuple[Told, ...]:
    """What was once told, from what `stored` made of it."""
    return tuple(told(event) for event in event_service_pb2.AppendEventsRequest.FromString(stored).events)


def stored(told: Sequence[Told]) -> bytes:
    """What was told of an order, to be kept."""
    return b"".join([one.raw for one in told])


def _state(event: event_pb2.Event) -> State:
    order = event.order
    return State(
        platform=_PLATFORMS[order.platform],
        order_time=nanos(order.order_time),
        status=order.status.lower(),
        test=order.test,
        cancelled=order.HasField("cancel_time"),
        formerly_trashed=order.formerly_trashed,
        currency_code=order.currency_code,
        total_micros=order.total_micros,
        tax_micros=order.tax_micros,
        shipping_micros=order.shipping_micros,
        fee_micros=order.fee_micros,
        lines=tuple(
            [
                Line(
                    line.line_id,
                    line.product_id,
                    line.sku,
                    line.quantity,
                    line.net_micros,
                    line.tax_micros,
                    line.variant_id,
                )
                for line in order.lines
            ]
        ),
        refunds=_refunds(order.refunds),
        display_number=order.display_number,
        identifiers=identifiers(event.identifiers),
    )


def _refunds(messages: Collection[order_pb2.Refund]) -> tuple[Refund, ...]:
    if not messages:
        return ()
    return tuple(
        Refund(
            message.refund_id,
            message.amount_micros,
            nanos(message.refund_time) if message.HasField("refund_time") else None,
            tuple(RefundLine(line.line_id, line.quantity, line.net_micros, line.tax_micros) for line in message.lines),
            message.shipping_micros,
        )
        for message in messages
    )
