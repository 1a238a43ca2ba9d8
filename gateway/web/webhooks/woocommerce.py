"""WooCommerce's deliveries in the words of the event log."""

import re
from typing import Any

from msgspec import UNSET
from touchstone.ingest.v1 import order_pb2

from gateway.web.webhooks.fields import (
    claim,
    count,
    currency,
    each,
    identifier,
    micros,
    optional_identifier,
    quantity,
    required_micros,
    required_time,
    text,
    time,
    within_bounds,
    word,
)
from gateway.web.webhooks.shapes import BodyOf
from gateway.web.webhooks.translation import UNTOLD_TIME, EventFields, Reader, content_hash, event_id
from gateway.web.webhooks.woocommerce_shapes import Address, Bare, Fee, Line, Order, Product, Refund, Restored

_PING = re.compile(rb"webhook_id=\d{1,20}")
_TRASH_MARK = "_wp_trash_meta_time"

_order, _bare, _restored, _product = BodyOf(Order), BodyOf(Bare), BodyOf(Restored), BodyOf(Product)


def is_creation_ping(body: bytes) -> bool:
    """True for what a shop sends, unsigned, when a webhook is created; it wants exactly 200."""
    return _PING.fullmatch(body) is not None


def translate(topic: str, body: bytes, reader: Reader) -> list[EventFields]:
    """The events that a body tells of; none for topics without figures. Raises `UnusableError`.

    The topic's header isn't signed: a body of another shape than the topic's is refused.
    """
    resource, _, happened = topic.partition(".")
    if resource == "order" and happened in ("created", "updated", "deleted", "restored"):
        if happened == "deleted":
            return [_notice(topic, body, _bare.read(body), order_pb2.Order.TRASHED)]
        if happened == "restored":
            return _back(topic, body, reader)
        return [_order_state(topic, body, _order.read(body), reader)]
    if resource == "product" and happened in ("created", "updated", "deleted", "restored"):
        # Posts-based storage tells product.deleted with an order's id too: it deletes a product that nobody knows.
        return [_product_told(topic, body, _product.read(body), happened)]
    return []


def _back(topic: str, body: bytes, reader: Reader) -> list[EventFields]:
    if _restored.read(body).line_items is UNSET:
        return [_notice(topic, body, _bare.read(body), order_pb2.Order.RESTORED)]
    order = _order.read(body)
    notice = _notice(topic, body, order, order_pb2.Order.RESTORED)
    notice["event_id"] += "/restored"
    return [_order_state(topic, body, order, reader), notice]


def _notice(topic: str, body: bytes, order: Order | Bare, notice: order_pb2.Order.Notice.ValueType) -> EventFields:
    order_id = identifier(order.id, "id")
    return {
        "event_id": event_id(topic, order_id, content_hash(body)),
        "occur_time": UNTOLD_TIME,
        "order": {"order_id": order_id, "platform": order_pb2.Order.WOOCOMMERCE, "notice": notice},
    }


def _order_state(topic: str, body: bytes, order: Order, reader: Reader) -> EventFields:
    order_id = identifier(order.id, "id")
    created = required_time(order.date_created_gmt, "date_created_gmt", zone="Z")
    updated = time(order.date_modified_gmt, "date_modified_gmt", zone="Z") or created
    meta = {item.key: item.value for item in order.meta_data or () if type(item.key) is str}
    hashed = content_hash(body)
    return {
        "event_id": event_id(topic, order_id, hashed),
        "occur_time": updated,
        "identifiers": _identifiers(order, meta, reader),
        "order": {
            "order_id": order_id,
            "platform": order_pb2.Order.WOOCOMMERCE,
            "notice": order_pb2.Order.STATE,
            "order_time": created,
            "update_time": updated,
            "status": word(order.status, "status"),
            "formerly_trashed": _TRASH_MARK in meta,
            "currency_code": currency(order.currency, "currency"),
            "total_micros": required_micros(order.total, "total"),
            "tax_micros": micros(order.total_tax, "total_tax"),
            "shipping_micros": micros(order.shipping_total, "shipping_total"),
            "fee_micros": within_bounds(sum(each(order.fee_lines, "fee_lines", _fee)), "fee_lines"),
            "lines": each(order.line_items, "line_items", _line),
            "refunds": each(order.refunds, "refunds", _refund),
            "display_number": text(order.number, "number"),
            "content_hash": hashed,
        },
    }


def _identifiers(order: Order, meta: dict[str, Any], reader: Reader) -> dict[str, str] | None:
    known = reader.claims(meta)
    billing = order.billing or Address()
    email, phone = claim(billing.email), claim(billing.phone)
    if email:
        known["email"] = email
    if phone:
        known["phone"] = phone
        known["phone_country"] = claim(billing.country)
    customer_id = optional_identifier(order.customer_id, "customer_id")
    if customer_id:
        known["customer_id"] = customer_id
    return known or None


def _fee(fee: Fee) -> int:
    return micros(fee.total, "total")


def _line(line: Line) -> dict[str, Any]:
    return {
        "line_id": identifier(line.id, "id"),
        "product_id": optional_identifier(line.product_id, "product_id"),
        "variant_id": optional_identifier(line.variation_id, "variation_id"),
        "sku": text(line.sku, "sku"),
        "display_name": text(line.name, "name"),
        "quantity": quantity(line.quantity, "quantity"),
        "net_micros": micros(line.total, "total"),
        "tax_micros": micros(line.total_tax, "total_tax"),
    }


def _refund(refund: Refund) -> dict[str, Any]:
    return {"refund_id": identifier(refund.id, "id"), "amount_micros": abs(micros(refund.total, "total"))}


def _product_told(topic: str, body: bytes, product: Product, happened: str) -> EventFields:
    product_id = identifier(product.id, "id")
    named = event_id(topic, product_id, content_hash(body))
    if happened == "deleted":
        gone = {"product_id": product_id, "deleted": True}
        return {"event_id": named, "occur_time": UNTOLD_TIME, "product": gone}
    dated = "date_modified_gmt" if product.date_modified_gmt else "date_created_gmt"
    updated = required_time(getattr(product, dated), dated, zone="Z")
    told = {
        "product_id": product_id,
        "sku": text(product.sku, "sku"),
        "display_name": text(product.name, "name"),
        "total_sales": count(product.total_sales, "total_sales"),
        "update_time": updated,
        "parent_product_id": optional_identifier(product.parent_id, "parent_id") if product.type == "variation" else "",
        "restored": happened == "restored",
    }
    return {"event_id": named, "occur_time": updated, "product": told}
