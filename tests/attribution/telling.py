"""Events, orders and people as their logs tell them, in as few words as a test needs."""

from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from touchstone.identity.v1 import people_pb2
from touchstone.ingest.v1 import conversation_pb2, event_pb2, interaction_pb2, order_pb2, storefront_pb2
from touchstone.type.v1 import identifier_pb2

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
EUR = 1_000_000
CENT = 10_000


def at(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def before_noon(**ago: float) -> datetime:
    return NOON - timedelta(**ago)


def interaction(event_id: str, when: datetime, by: dict[str, str], **told: Any) -> event_pb2.Event:
    """A touch; a helpful chat message unless told otherwise. `by` as in `Identifiers`."""
    said = {"channel": "CHAT", "action": "MESSAGE", "answer": "HELPFUL", **told}
    return event_pb2.Event(
        event_id=event_id,
        occur_time=at(when),
        identifiers=event_pb2.Identifiers(**by),
        interaction=interaction_pb2.Interaction(**said),
    )


def step(event_id: str, when: datetime, what: str, by: dict[str, str] | None = None, **told: Any) -> event_pb2.Event:
    """A step of the conversation `k`, unless told otherwise."""
    said = {"conversation_id": "k", **told}
    return event_pb2.Event(
        event_id=event_id,
        occur_time=at(when),
        identifiers=event_pb2.Identifiers(**(by or {})),
        conversation=conversation_pb2.Conversation(step=what, **said),
    )


def seen(event_id: str, when: datetime, action: str, product: str, by: dict[str, str], **told: Any) -> event_pb2.Event:
    """A product that was looked at in the shop, or put in the cart."""
    return event_pb2.Event(
        event_id=event_id,
        occur_time=at(when),
        identifiers=event_pb2.Identifiers(**by),
        storefront=storefront_pb2.Storefront(action=action, product_ids=[product], **told),
    )


def order(order_id: str, by: dict[str, str] | None = None, **told: Any) -> event_pb2.Event:
    """A paid order of 100 EUR at noon unless told otherwise."""
    when = told.pop("when", NOON)
    said = {
        "platform": "WOOCOMMERCE",
        "notice": "STATE",
        "order_time": at(NOON),
        "update_time": at(told.pop("updated", when)),
        "status": "processing",
        "currency_code": "EUR",
        "total_micros": 100 * EUR,
        **told,
    }
    return event_pb2.Event(
        event_id=f"{order_id}/{hash(str(sorted(said.items(), key=lambda one: one[0])))}",
        occur_time=at(when),
        identifiers=event_pb2.Identifiers(**(by or {})),
        order=order_pb2.Order(order_id=order_id, **said),
    )


def notice(order_id: str, kind: str, when: datetime = NOON, **told: Any) -> event_pb2.Event:
    return event_pb2.Event(
        event_id=f"{order_id}/{kind}/{when}",
        occur_time=at(when),
        order=order_pb2.Order(order_id=order_id, platform="WOOCOMMERCE", notice=kind, **told),
    )


def line(
    line_id: str, net: int, tax: int = 0, *, sku: str = "", product_id: str = "p", variant_id: str = ""
) -> order_pb2.OrderLine:
    return order_pb2.OrderLine(
        line_id=line_id,
        product_id=product_id,
        variant_id=variant_id,
        sku=sku,
        quantity=1,
        net_micros=net,
        tax_micros=tax,
    )


def refund(refund_id: str, amount: int, *lines: tuple[str, int, int]) -> order_pb2.Refund:
    """Lines as (line id, net, tax)."""
    return order_pb2.Refund(
        refund_id=refund_id,
        amount_micros=amount,
        lines=[
            order_pb2.RefundLine(line_id=line_id, quantity=1, net_micros=net, tax_micros=tax)
            for line_id, net, tax in lines
        ],
    )


def logged(event: event_pb2.Event, tenant_id: str = "acme", source: str = "shop") -> event_pb2.LoggedEvent:
    return event_pb2.LoggedEvent(tenant_id=tenant_id, source=source, event=event)


def named(kind: str, value: str) -> identifier_pb2.Identifier:
    return identifier_pb2.Identifier(kind=kind, value=value)


def people(
    tenant_id: str = "acme",
    persons: dict[tuple[str, str], int] | None = None,
    hubs: dict[tuple[str, str], bool] | None = None,
) -> people_pb2.PeopleChange:
    """Who belongs to which person now, and who names nobody; identifiers as (kind, value)."""
    return people_pb2.PeopleChange(
        tenant_id=tenant_id,
        memberships=[
            people_pb2.Membership(identifier=named(*identifier), person_id=person)
            for identifier, person in (persons or {}).items()
        ],
        hubs=[people_pb2.HubChange(identifier=named(*identifier), hub=hub) for identifier, hub in (hubs or {}).items()],
    )
