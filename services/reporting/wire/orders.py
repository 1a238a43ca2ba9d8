"""Orders as the credit log tells of them."""

from touchstone.attribution.v1 import credit_pb2
from touchstone.ingest.v1 import interaction_pb2

from services.reporting.domain.facts import Attribution, Contact, Credit, Line, OrderFact

# A number that is not here is newer than this code: its entry is parked until it is known.
_CHANNELS = {number: name for name, number in interaction_pb2.Interaction.Channel.items() if number}
_TIERS = {number: name if number else "" for name, number in credit_pb2.MatchBasis.Tier.items()}
_REASONS = {number: name if number else "" for name, number in credit_pb2.Exclusion.Reason.items()}


def payload_of(credits_: credit_pb2.OrderCredits) -> bytes:
    """An order as it is stored."""
    return credits_.SerializeToString(deterministic=True)


def stored_fact_of(payload: bytes) -> OrderFact:
    """A stored order as a fact."""
    return fact_of(credit_pb2.OrderCredits.FromString(payload))


def fact_of(credits_: credit_pb2.OrderCredits) -> OrderFact:
    """An entry of the credit log as a fact."""
    order = credits_.order
    return OrderFact(
        credits_.tenant_id,
        credits_.edition,
        order.source,
        order.order_id,
        order.order_time.seconds if order.HasField("order_time") else None,
        order.currency_code,
        order.gross_micros,
        order.net_micros,
        _REASONS[order.excluded_reason],
        tuple(
            [
                Line(
                    line.sku,
                    line.quantity,
                    line.refunded_quantity,
                    line.gross_micros,
                    line.net_micros,
                    line.product_id,
                )
                for line in order.lines
            ]
        ),
        tuple(
            [
                Attribution(
                    said.model,
                    _TIERS[said.matched_by],
                    tuple([_credit(credit) for credit in said.credits]),
                    _REASONS[said.excluded_reason],
                )
                for said in credits_.attributions
            ]
        ),
        order.customer_key,
        order.session_id,
    )


def _credit(credit: credit_pb2.Credit) -> Credit:
    touch = credit.touch
    contact = Contact(
        _CHANNELS[touch.channel],
        touch.touchpoint,
        touch.bot_name,
        touch.agent_id,
        touch.campaign,
        touch.experience_id,
    )
    asked = touch.visitor_time.seconds if touch.HasField("visitor_time") else None
    return Credit(
        contact,
        credit.gross_micros,
        credit.net_micros,
        credit.session_id,
        tuple(touch.product_ids),
        visitor_seconds=asked,
    )


def models_of(complete: credit_pb2.OrderCredits) -> dict[str, int]:
    """The versions of the models of an edition, as the entry tells that says that it is complete."""
    return {said.model: said.model_version for said in complete.attributions}
