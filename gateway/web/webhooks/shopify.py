"""Shopify's deliveries in the words of the event log."""

from typing import Any

from touchstone.ingest.v1.order_pb2 import Order

from gateway.web.webhooks.fields import (
    UnusableError,
    claim,
    currency,
    each,
    flag,
    identifier,
    optional_identifier,
    parse_object,
    part,
    parts,
    quantity,
    required_micros,
    required_time,
    text,
    time,
    within,
    within_bounds,
)
from gateway.web.webhooks.shopify_refunds import Taken, announced_refund, money, order_refunds
from gateway.web.webhooks.translation import UNTOLD_TIME, EventFields, Reader, content_hash, event_id

_ORDER_STATES = frozenset(
    f"orders/{word}" for word in ("create", "updated", "paid", "cancelled", "fulfilled", "partially_fulfilled")
)
_PRODUCT_STATES = frozenset({"products/create", "products/update"})


def translate(topic: str, body: bytes, reader: Reader) -> list[EventFields]:
    """The events that a body tells of; none for topics without figures. Raises `UnusableError`.

    The topic's header isn't signed: a body of another shape than the topic's is refused.
    """
    if topic in _ORDER_STATES:
        order = parse_object(body)
        if "line_items" not in order or "order_id" in order:
            raise UnusableError("TOPIC_MISMATCH")
        return [_order_state(topic, body, order, reader)]
    if topic == "refunds/create":
        refund = parse_object(body)
        if "order_id" not in refund or "line_items" in refund:
            raise UnusableError("TOPIC_MISMATCH")
        return [_refund_notice(topic, body, refund)]
    if topic == "orders/delete":
        order_id = _deleted_id(body)
        notice = {"order_id": order_id, "platform": Order.SHOPIFY, "notice": Order.DELETED}
        return [{"event_id": event_id(topic, order_id, content_hash(body)), "occur_time": UNTOLD_TIME, "order": notice}]
    if topic in _PRODUCT_STATES:
        product = parse_object(body)
        if "line_items" in product or "order_id" in product:
            raise UnusableError("TOPIC_MISMATCH")
        return _products(topic, body, product)
    if topic == "products/delete":
        product_id = _deleted_id(body)
        gone = {"product_id": product_id, "deleted": True}
        return [
            {"event_id": event_id(topic, product_id, content_hash(body)), "occur_time": UNTOLD_TIME, "product": gone}
        ]
    return []


def _deleted_id(body: bytes) -> str:
    notice = parse_object(body)
    if "line_items" in notice or "title" in notice:
        raise UnusableError("TOPIC_MISMATCH")
    return identifier(notice, "id")


def _order_state(topic: str, body: bytes, order: dict[str, Any], reader: Reader) -> EventFields:
    order_id = identifier(order, "id")
    created = required_time(order, "created_at")
    updated = time(order, "updated_at") or created
    taxes_included = flag(order, "taxes_included")
    currency_code = currency(order, "currency")
    required_micros(order, "total_price")
    hashed = content_hash(body)
    refunds, taken = order_refunds(order, currency_code, taxes_included=taxes_included)
    lines = each(order, "line_items", _line, taxes_included=taxes_included)
    state = {
        "order_id": order_id,
        "platform": Order.SHOPIFY,
        "notice": Order.STATE,
        "order_time": created,
        "update_time": updated,
        # Absent on orders without a payment so far.
        "status": text(order, "financial_status").lower() or "pending",
        "test": flag(order, "test"),
        "cancel_time": time(order, "cancelled_at"),
        "currency_code": currency_code,
        "total_micros": _gross(order, taken),
        "tax_micros": money(order, "total_tax") - taken.tax_micros,
        "shipping_micros": _shipping(order, taxes_included=taxes_included) - taken.shipping_micros,
        "fee_micros": within_bounds(
            money(order, "original_total_duties") + money(order, "original_total_additional_fees"),
            "original_total_duties_set",
        ),
        "lines": [_left(line, taken) for line in lines] if taken.lines else lines,
        "refunds": refunds,
        "display_number": text(order, "name"),
        "content_hash": hashed,
    }
    return {
        "event_id": event_id(topic, order_id, hashed),
        "occur_time": updated,
        "identifiers": _identifiers(order, reader),
        "order": state,
    }


def _gross(order: dict[str, Any], taken: Taken) -> int:
    """What the customer is to pay after the shop's edits, refunds not taken off.

    Shopify's documentation has it both ways whether `total_price` holds what was added since the purchase;
    `current_total_price` does, and is greater only then.
    """
    ever = max(money(order, "total_price"), money(order, "current_total_price"))
    return ever - taken.micros


def _left(line: dict[str, Any], taken: Taken) -> dict[str, Any]:
    units, net, tax = taken.lines.get(line["line_id"], (0, 0, 0))
    return {
        **line,
        "quantity": max(line["quantity"] - units, 0),
        "net_micros": max(line["net_micros"] - net, 0),
        "tax_micros": max(line["tax_micros"] - tax, 0),
    }


def _identifiers(order: dict[str, Any], reader: Reader) -> dict[str, str] | None:
    notes = parts(order, "note_attributes")
    known = reader.claims({name: note.get("value") for note in notes if type(name := note.get("name")) is str})
    customer, billing = part(order, "customer"), part(order, "billing_address")
    email = claim(order.get("email") or order.get("contact_email") or customer.get("email"))
    if email:
        known["email"] = email
    phone = claim(order.get("phone") or billing.get("phone") or customer.get("phone"))
    if phone:
        known["phone"] = phone
        known["phone_country"] = claim(billing.get("country_code"))
    customer_id = within(order, "customer", optional_identifier, "id")
    if customer_id:
        known["customer_id"] = customer_id
    return known or None


def _line(line: dict[str, Any], *, taxes_included: bool) -> dict[str, Any]:
    units = quantity(line, "quantity")
    net = money(line, "price") * units - sum(each(line, "discount_allocations", money, "amount"))
    tax = _taxes(line)
    if taxes_included:
        net -= tax
    return {
        "line_id": identifier(line, "id"),
        "product_id": optional_identifier(line, "product_id"),
        "variant_id": optional_identifier(line, "variant_id"),
        "sku": text(line, "sku"),
        "display_name": text(line, "name") or text(line, "title"),
        "quantity": units,
        "net_micros": within_bounds(net, "price"),
        "tax_micros": within_bounds(tax, "tax_lines"),
    }


def _taxes(line: dict[str, Any]) -> int:
    return sum(each(line, "tax_lines", money, "price"))


def _shipping(order: dict[str, Any], *, taxes_included: bool) -> int:
    shipping = money(order, "total_shipping_price")
    if taxes_included:
        shipping -= sum(each(order, "shipping_lines", _taxes))
    return within_bounds(shipping, "total_shipping_price_set")


def _refund_notice(topic: str, body: bytes, refund: dict[str, Any]) -> EventFields:
    refund_id = identifier(refund, "id")
    return {
        "event_id": event_id(topic, refund_id, content_hash(body)),
        "occur_time": required_time(refund, "processed_at" if refund.get("processed_at") else "created_at"),
        "order": {
            "order_id": identifier(refund, "order_id"),
            "platform": Order.SHOPIFY,
            "notice": Order.REFUND,
            "refunds": [announced_refund(refund)],
        },
    }


def _products(topic: str, body: bytes, product: dict[str, Any]) -> list[EventFields]:
    """The product, and each of its variants where it has several; one variant is the product itself."""
    product_id = identifier(product, "id")
    updated = required_time(product, "updated_at" if product.get("updated_at") else "created_at")
    name, own_id = text(product, "title"), event_id(topic, product_id, content_hash(body))
    variants = parts(product, "variants")
    sku = each(product, "variants", text, "sku")[0] if len(variants) == 1 else ""
    told = {"product_id": product_id, "sku": sku, "display_name": name, "update_time": updated}
    events: list[EventFields] = [{"event_id": own_id, "occur_time": updated, "product": told}]
    if len(variants) == 1:
        return events
    for variant in each(product, "variants", _variant, name):
        told = {**variant, "update_time": updated, "parent_product_id": product_id}
        events.append({"event_id": f"{own_id}/{variant['product_id']}", "occur_time": updated, "product": told})
    return events


def _variant(variant: dict[str, Any], product_name: str) -> dict[str, str]:
    return {
        "product_id": identifier(variant, "id"),
        "sku": text(variant, "sku"),
        "display_name": f"{product_name} - {text(variant, 'title')}",
    }
