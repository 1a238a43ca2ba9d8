"""WooCommerce's deliveries in the words of the event log."""

import re
from typing import Any

from touchstone.ingest.v1.order_pb2 import Order

from gateway.web.webhooks.fields import (
    UnusableError,
    claim,
    count,
    currency,
    each,
    identifier,
    micros,
    optional_identifier,
    parse_object,
    part,
    parts,
    quantity,
    required_micros,
    required_time,
    text,
    time,
    within_bounds,
    word,
)
from gateway.web.webhooks.translation import UNTOLD_TIME, EventFields, Reader, content_hash, event_id

_PING = re.compile(rb"webhook_id=\d{1,20}")
_TRASH_MARK = "_wp_trash_meta_time"


def is_creation_ping(body: bytes) -> bool:
    """True for what a shop sends, unsigned, when a webhook is created; it wants exactly 200."""
    return _PING.fullmatch(body) is not None


def translate(topic: str, body: bytes, reader: Reader) -> list[EventFields]:
    """The events that a body tells of; none for topics without figures. Raises `UnusableError`.

    The topic's header isn't signed: a body of another shape than the topic's is refused.
    """
    resource, _, happened = topic.partition(".")
    if resource == "order" and happened in ("created", "updated", "deleted", "restored"):
        order = parse_object(body)
        if happened == "deleted":
            return [_notice(topic, body, order, Order.TRASHED)]
        if happened == "restored":
            return _restored(topic, body, order, reader)
        return [_order_state(topic, body, order, reader)]
    if resource == "product" and happened in ("created", "updated", "deleted", "restored"):
        product = parse_object(body)
        if "line_items" in product:
            raise UnusableError("TOPIC_MISMATCH")
        # Posts-based storage tells product.deleted with an order's id too: it deletes a product that nobody knows.
        return [_product(topic, body, product, happened)]
    return []


def _restored(topic: str, body: bytes, order: dict[str, Any], reader: Reader) -> list[EventFields]:
    if "line_items" not in order:
        return [_notice(topic, body, order, Order.RESTORED)]
    notice = _notice(topic, body, {"id": order.get("id")}, Order.RESTORED)
    notice["event_id"] += "/restored"
    return [_order_state(topic, body, order, reader), notice]


def _notice(topic: str, body: bytes, order: dict[str, Any], notice: Order.Notice.ValueType) -> EventFields:
    if "line_items" in order or "name" in order:
        raise UnusableError("TOPIC_MISMATCH")
    order_id = identifier(order, "id")
    return {
        "event_id": event_id(topic, order_id, content_hash(body)),
        "occur_time": UNTOLD_TIME,
        "order": {"order_id": order_id, "platform": Order.WOOCOMMERCE, "notice": notice},
    }


def _order_state(topic: str, body: bytes, order: dict[str, Any], reader: Reader) -> EventFields:
    order_id = identifier(order, "id")
    if "line_items" not in order:
        raise UnusableError("TOPIC_MISMATCH")
    created = required_time(order, "date_created_gmt", zone="Z")
    updated = time(order, "date_modified_gmt", zone="Z") or created
    meta = {key: item.get("value") for item in parts(order, "meta_data") if type(key := item.get("key")) is str}
    hashed = content_hash(body)
    return {
        "event_id": event_id(topic, order_id, hashed),
        "occur_time": updated,
        "identifiers": _identifiers(order, meta, reader),
        "order": {
            "order_id": order_id,
            "platform": Order.WOOCOMMERCE,
            "notice": Order.STATE,
            "order_time": created,
            "update_time": updated,
            "status": word(order, "status"),
            "formerly_trashed": _TRASH_MARK in meta,
            "currency_code": currency(order, "currency"),
            "total_micros": required_micros(order, "total"),
            "tax_micros": micros(order, "total_tax"),
            "shipping_micros": micros(order, "shipping_total"),
            "fee_micros": within_bounds(sum(each(order, "fee_lines", micros, "total")), "fee_lines"),
            "lines": each(order, "line_items", _line),
            "refunds": each(order, "refunds", _refund),
            "display_number": text(order, "number"),
            "content_hash": hashed,
        },
    }


def _identifiers(order: dict[str, Any], meta: dict[str, Any], reader: Reader) -> dict[str, str] | None:
    known = reader.claims(meta)
    billing = part(order, "billing")
    email, phone = claim(billing.get("email")), claim(billing.get("phone"))
    if email:
        known["email"] = email
    if phone:
        known["phone"] = phone
        known["phone_country"] = claim(billing.get("country"))
    customer_id = optional_identifier(order, "customer_id")
    if customer_id:
        known["customer_id"] = customer_id
    return known or None


def _line(line: dict[str, Any]) -> dict[str, Any]:
    return {
        "line_id": identifier(line, "id"),
        "product_id": optional_identifier(line, "product_id"),
        "variant_id": optional_identifier(line, "variation_id"),
        "sku": text(line, "sku"),
        "display_name": text(line, "name"),
        "quantity": quantity(line, "quantity"),
        "net_micros": micros(line, "total"),
        "tax_micros": micros(line, "total_tax"),
    }


def _refund(refund: dict[str, Any]) -> dict[str, Any]:
    return {"refund_id": identifier(refund, "id"), "amount_micros": abs(micros(refund, "total"))}


def _product(topic: str, body: bytes, product: dict[str, Any], happened: str) -> EventFields:
    product_id = identifier(product, "id")
    named = event_id(topic, product_id, content_hash(body))
    if happened == "deleted":
        gone = {"product_id": product_id, "deleted": True}
        return {"event_id": named, "occur_time": UNTOLD_TIME, "product": gone}
    created = "date_modified_gmt" if product.get("date_modified_gmt") else "date_created_gmt"
    updated = required_time(product, created, zone="Z")
    told = {
        "product_id": product_id,
        "sku": text(product, "sku"),
        "display_name": text(product, "name"),
        "total_sales": count(product, "total_sales"),
        "update_time": updated,
        "parent_product_id": optional_identifier(product, "parent_id") if product.get("type") == "variation" else "",
        "restored": happened == "restored",
    }
    return {"event_id": named, "occur_time": updated, "product": told}
