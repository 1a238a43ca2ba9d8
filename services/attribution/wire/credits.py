"""Orders with their credits, and the evidence for them, as messages."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from touchstone.attribution.v1 import credit_pb2
from touchstone.ingest.v1 import interaction_pb2
from touchstone.type.v1 import money_pb2

from services.attribution.domain.attribute import WHOLE, Attribution, Considered, Tier, Verdict
from services.attribution.domain.snapshot import Snapshot
from services.attribution.domain.touches import Touch
from services.attribution.wire.times import parts, timestamp
from services.kernel.identifiers import Identifier, Kind, identifier_key

MOST_TOUCHES: Final = 1000
"""Touches that the evidence lists, at most."""

_NAMING: Final = frozenset((Kind.VISITOR, Kind.EMAIL, Kind.PHONE, Kind.CUSTOMER))
"""What an order names somebody by."""


def order_credits(tenant_id: str, order: Snapshot, attributions: Sequence[Attribution]) -> bytes:
    """An entry of the credit log without its cause: what is stored, and compared byte by byte."""
    message = credit_pb2.OrderCredits(tenant_id=tenant_id)
    _fill_snapshot(message.order, order)
    said = b"".join([_attribution(attribution) for attribution in attributions])
    # What models say is the field after the order, so it may follow what is written of that.
    return message.SerializeToString(deterministic=True) + said


def _attribution(attribution: Attribution) -> bytes:
    """What a model says, as a field of the entry."""
    if attribution.credits:
        return _attribution_field(_attribution_message(attribution))
    return _no_credits(attribution.model, attribution.model_version, int(attribution.excluded or 0))


@lru_cache(maxsize=4096)
def _no_credits(model: str, model_version: int, excluded: int) -> bytes:
    """What a model says of an order of which it credits nothing: the same of very many."""
    reason = credit_pb2.Exclusion.Reason.ValueType(excluded)
    return _attribution_field(credit_pb2.Attribution(model=model, model_version=model_version, excluded_reason=reason))


def _attribution_field(message: credit_pb2.Attribution) -> bytes:
    return credit_pb2.OrderCredits(attributions=[message]).SerializeToString(deterministic=True)


def _fill_snapshot(message: credit_pb2.OrderSnapshot, order: Snapshot) -> None:
    """Writes an order into the entry's own message: one made beside it would be copied, and takes half as long again."""
    message.source = order.source
    message.order_id = order.order_id
    message.display_number = order.display_number
    message.order_time.seconds, message.order_time.nanos = parts(order.order_time)
    message.currency_code = order.currency_code
    message.gross_micros = order.gross_micros
    message.net_micros = order.net_micros
    message.tax_micros = order.tax_micros
    message.shipping_micros = order.shipping_micros
    message.fee_micros = order.fee_micros
    message.excluded_reason = credit_pb2.Exclusion.Reason.ValueType(order.excluded or 0)
    message.status = order.status
    message.customer_key = order.customer_key
    message.identifier_keys.extend(
        sorted({identifier_key(identifier) for identifier in order.identifiers if identifier.kind in _NAMING})
    )
    message.session_id = _session(order.identifiers)
    lines = message.lines
    for line in order.lines:
        # Named as arguments, the same takes half as long again.
        added = lines.add()
        added.line_id = line.line_id
        added.sku = line.sku
        added.product_id = line.product_id
        added.quantity = line.quantity
        added.refunded_quantity = line.refunded_quantity
        added.gross_micros = line.gross_micros
        added.net_micros = line.net_micros
    for refund in order.refunds:
        message.refunds.add(
            refund_id=refund.refund_id,
            amount_micros=refund.amount_micros,
            refund_time=timestamp(order.order_time if refund.refund_time is None else refund.refund_time),
        )


def _attribution_message(attribution: Attribution) -> credit_pb2.Attribution:
    return credit_pb2.Attribution(
        model=attribution.model,
        model_version=attribution.model_version,
        matched_by=_tier_number(attribution.matched_by),
        credits=[
            credit_pb2.Credit(
                touch=_touch_message(credit.touch),
                fraction_millionths=credit.fraction_millionths,
                gross_micros=credit.gross_micros,
                net_micros=credit.net_micros,
                line_id=credit.line_id,
                session_id=_session(credit.touch.identifiers),
            )
            for credit in attribution.credits
        ],
        excluded_reason=credit_pb2.Exclusion.Reason.ValueType(attribution.excluded or 0),
    )


def _session(identifiers: Sequence[Identifier]) -> str:
    """The visit that is named; empty for none."""
    return next((identifier.value for identifier in identifiers if identifier.kind is Kind.SESSION), "")


def _tier_number(tier: Tier | None) -> credit_pb2.MatchBasis.Tier.ValueType:
    return credit_pb2.MatchBasis.Tier.ValueType(tier or 0)


def _touch_message(value: Touch) -> credit_pb2.Touch:
    return credit_pb2.Touch(
        source=value.source,
        event_id=value.event_id,
        occur_time=timestamp(value.occur_time),
        channel=interaction_pb2.Interaction.Channel.ValueType(value.channel),
        action=interaction_pb2.Interaction.Action.ValueType(value.action),
        answer=interaction_pb2.Interaction.Answer.ValueType(value.answer),
        touchpoint=value.touchpoint,
        conversation_id=value.conversation_id,
        bot_name=value.bot_name,
        agent_id=value.agent_id,
        campaign=value.campaign,
        experience_id=value.experience_id,
        product_ids=value.product_ids,
        end_time=None if value.end_time is None else timestamp(value.end_time),
        visitor_time=None if value.visitor_time is None else timestamp(value.visitor_time),
    )


def evidence(order: Snapshot, attribution: Attribution, *, agrees: bool) -> credit_pb2.Evidence:
    """Why an order's credit is what it is."""

    def money(micros: int) -> money_pb2.Money:
        return money_pb2.Money(currency_code=order.currency_code, micros=micros)

    return credit_pb2.Evidence(
        order_id=order.order_id,
        source=order.source,
        order_time=timestamp(order.order_time),
        counted=attribution.excluded is None,
        excluded_reason=credit_pb2.Exclusion.Reason.ValueType(attribution.excluded or 0),
        amount=money(order.gross_micros),
        net=money(order.net_micros),
        model=attribution.model,
        model_version=attribution.model_version,
        matched_by=_tier_number(attribution.matched_by),
        credits=[
            credit_pb2.EvidenceCredit(
                touch=_touch_message(credit.touch),
                fraction=credit.fraction_millionths / WHOLE,
                amount=money(credit.gross_micros),
                net=money(credit.net_micros),
                line_id=credit.line_id,
            )
            for credit in attribution.credits
        ],
        touches=[
            credit_pb2.ConsideredTouch(
                event_id=considered.touch.event_id,
                touch=_touch_message(considered.touch),
                verdict=credit_pb2.ConsideredTouch.Verdict.ValueType(considered.verdict),
                matched_by=_tier_number(considered.matched_by),
            )
            for considered in _listed(attribution.considered)
        ],
        agrees_with_stored=agrees,
        touch_count=len(attribution.considered),
    )


def _listed(considered: Sequence[Considered]) -> Sequence[Considered]:
    """All, or where they are very many those that earn something and the latest of the others."""
    if len(considered) <= MOST_TOUCHES:
        return considered
    places = sorted(
        range(len(considered)), key=lambda place: (considered[place].verdict is not Verdict.CREDITED, -place)
    )
    return [considered[place] for place in sorted(places[:MOST_TOUCHES])]
