"""Shopify's deliveries in the words of the event log."""

from functools import partial
from typing import Any

from touchstone.ingest.v1 import order_pb2

from gateway.web.webhooks.fields import (
    claim,
    currency,
    each,
    flag,
    identifier,
    optional_identifier,
    quantity,
    required_micros,
    required_time,
    text,
    time,
    within_bounds,
)
from gateway.web.webhooks.shapes import BodyOf
from gateway.web.webhooks.shopify_refunds import Taken, announced_refund, money, order_refunds
from gateway.web.webhooks.shopify_shapes import (
    Address,
    AnnouncedRefund,
    Customer,
    Deleted,
    Discount,
    Line,
    Order,
    Product,
    Shipping,
    Taxed,
    Variant,
)
from gateway.web.webhooks.translation import UNTOLD_TIME, EventFields, Reader, content_hash, event_id

_ORDER_STATES = frozenset(
    f"orders/{word}" for word in ("create", "updated", "paid", "cancelled", "fulfilled", "partially_fulfilled")
)
_PRODUCT_STATES = frozenset({"products/create", "products/update"})

_order, _refund, _product, _deleted = BodyOf(Order), BodyOf(AnnouncedRefund), BodyOf(Product), BodyOf(Deleted)


def translate(topic: str, body: bytes, reader: Reader) -> list[EventFields]:
    """The events that a body tells of; none for topics without figures. Raises `UnusableError`.

    The topic's header isn't signed: a body of another shape than the topic's is refused.
    """
    if topic in _ORDER_STATES:
        return [_order_state(topic, body, _order.read(body), reader)]
    if topic == "refunds/create":
        return [_refund_notice(topic, body, _refund.read(body))]
    if topic == "orders/delete":
        order_id = identifier(_deleted.read(body).id, "id")
        notice = {"order_id": order_id, "platform": order_pb2.Order.SHOPIFY, "notice": order_pb2.Order.DELETED}
        return [{"event_id": event_id(topic, order_id, content_hash(body)), "occur_time": UNTOLD_TIME, "order": notice}]
    if topic in _PRODUCT_STATES:
        return _products(topic, body, _product.read(body))
    if topic == "products/delete":
        product_id = identifier(_deleted.read(body).id, "id")
        gone = {"product_id": product_id, "deleted": True}
        return [
            {"event_id": event_id(topic, product_id, content_hash(body)), "occur_time": UNTOLD_TIME, "product": gone}
        ]
    return []


def _order_state(topic: str, body: bytes, order: Order, reader: Reader) -> EventFields:
    order_id = identifier(order.id, "id")
    created = required_time(order.created_at, "created_at")
    updated = time(order.updated_at, "updated_at") or created
    taxes_included = flag(order.taxes_included, "taxes_included")
    currency_code = currency(order.currency, "currency")
    required_micros(order.total_price, "total_price")
    hashed = content_hash(body)
    refunds, taken = order_refunds(order, currency_code, taxes_included=taxes_included)
    lines = each(order.line_items, "line_items", partial(_line, taxes_included))
    state = {
        "order_id": order_id,
        "platform": order_pb2.Order.SHOPIFY,
        "notice": order_pb2.Order.STATE,
        "order_time": created,
        "update_time": updated,
        # Absent on orders without a payment so far.
        "status": text(order.financial_status, "financial_status").lower() or "pending",
        "test": flag(order.test, "test"),
        "cancel_time": time(order.cancelled_at, "cancelled_at"),
        "currency_code": currency_code,
        "total_micros": _gross(order) - taken.micros,
        "tax_micros": money(order.total_tax_set, order.total_tax, "total_tax") - taken.tax_micros,
        "shipping_micros": _shipping(order, taxes_included) - taken.shipping_micros,
        "fee_micros": _fees(order),
        "lines": [_left(line, taken) for line in lines] if taken.lines else lines,
        "refunds": refunds,
        "display_number": text(order.name, "name"),
        "content_hash": hashed,
    }
    return {
        "event_id": event_id(topic, order_id, hashed),
        "occur_time": updated,
        "identifiers": _identifiers(order, reader),
        "order": state,
    }


def _gross(order: Order) -> int:
    """What was ever on the order, refunds not taken off.

    Shopify's documentation has it both ways whether `total_price` holds what was added since the purchase;
    `current_total_price` does, and is greater only then.
    """
    return max(
        money(order.total_price_set, order.total_price, "total_price"),
        money(order.current_total_price_set, order.current_total_price, "current_total_price"),
    )


def _shipping(order: Order, taxes_included: bool) -> int:
    shipping = money(order.total_shipping_price_set, order.total_shipping_price, "total_shipping_price")
    if taxes_included:
        shipping -= sum(each(order.shipping_lines, "shipping_lines", _taxes))
    return within_bounds(shipping, "total_shipping_price_set")


def _fees(order: Order) -> int:
    duties = money(order.original_total_duties_set, order.original_total_duties, "original_total_duties")
    fees = money(
        order.original_total_additional_fees_set,
        order.original_total_additional_fees,
        "original_total_additional_fees",
    )
    return within_bounds(duties + fees, "original_total_duties_set")


def _line(taxes_included: bool, line: Line) -> dict[str, Any]:
    units = quantity(line.quantity, "quantity")
    net = money(line.price_set, line.price, "price") * units
    net -= sum(each(line.discount_allocations, "discount_allocations", _discount))
    tax = _taxes(line)
    if taxes_included:
        net -= tax
    return {
        "line_id": identifier(line.id, "id"),
        "product_id": optional_identifier(line.product_id, "product_id"),
        "variant_id": optional_identifier(line.variant_id, "variant_id"),
        "sku": text(line.sku, "sku"),
        "display_name": text(line.name, "name") or text(line.title, "title"),
        "quantity": units,
        "net_micros": within_bounds(net, "price"),
        "tax_micros": within_bounds(tax, "tax_lines"),
    }


def _discount(discount: Discount) -> int:
    return money(discount.amount_set, discount.amount, "amount")


def _taxes(taxed: Line | Shipping) -> int:
    return sum(each(taxed.tax_lines, "tax_lines", _tax))


def _tax(tax: Taxed) -> int:
    return money(tax.price_set, tax.price, "price")


def _left(line: dict[str, Any], taken: Taken) -> dict[str, Any]:
    units, net, tax = taken.lines.get(line["line_id"], (0, 0, 0))
    return {
        **line,
        "quantity": max(line["quantity"] - units, 0),
        "net_micros": max(line["net_micros"] - net, 0),
        "tax_micros": max(line["tax_micros"] - tax, 0),
    }


def _identifiers(order: Order, reader: Reader) -> dict[str, str] | None:
    known = reader.claims({note.name: note.value for note in order.note_attributes or () if type(note.name) is str})
    customer, billing = order.customer or Customer(), order.billing_address or Address()
    email = claim(order.email or order.contact_email or customer.email)
    if email:
        known["email"] = email
    phone = claim(order.phone or billing.phone or customer.phone)
    if phone:
        known["phone"] = phone
        known["phone_country"] = claim(billing.country_code)
    customer_id = optional_identifier(customer.id, "customer.id")
    if customer_id:
        known["customer_id"] = customer_id
    return known or None


def _refund_notice(topic: str, body: bytes, refund: AnnouncedRefund) -> EventFields:
    refund_id = identifier(refund.id, "id")
    occurred = "processed_at" if refund.processed_at else "created_at"
    return {
        "event_id": event_id(topic, refund_id, content_hash(body)),
        "occur_time": required_time(getattr(refund, occurred), occurred),
        "order": {
            "order_id": identifier(refund.order_id, "order_id"),
            "platform": order_pb2.Order.SHOPIFY,
            "notice": order_pb2.Order.REFUND,
            "refunds": [announced_refund(refund)],
        },
    }


def _products(topic: str, body: bytes, product: Product) -> list[EventFields]:
    """The product, and each of its variants where it has several; one variant is the product itself."""
    product_id = identifier(product.id, "id")
    dated = "updated_at" if product.updated_at else "created_at"
    updated = required_time(getattr(product, dated), dated)
    name, own_id = text(product.title, "title"), event_id(topic, product_id, content_hash(body))
    variants = product.variants or []
    sku = text(variants[0].sku, "variants[0].sku") if len(variants) == 1 else ""
    told = {"product_id": product_id, "sku": sku, "display_name": name, "update_time": updated}
    events: list[EventFields] = [{"event_id": own_id, "occur_time": updated, "product": told}]
    if len(variants) == 1:
        return events
    for variant in each(variants, "variants", partial(_variant, name)):
        told = {**variant, "update_time": updated, "parent_product_id": product_id}
        events.append({"event_id": f"{own_id}/{variant['product_id']}", "occur_time": updated, "product": told})
    return events


def _variant(product_name: str, variant: Variant) -> dict[str, str]:
    return {
        "product_id": identifier(variant.id, "id"),
        "sku": text(variant.sku, "sku"),
        "display_name": f"{product_name} - {text(variant.title, 'title')}",
    }
