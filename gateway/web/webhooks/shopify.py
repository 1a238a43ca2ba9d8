"""Shopify's deliveries in the words of the event log."""

from fractions import Fraction
from math import floor
from typing import Any, NamedTuple

from touchstone.ingest.v1.order_pb2 import Order

from gateway.web.webhooks.fields import (
    UnusableError,
    claim,
    currency,
    flag,
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
)
from gateway.web.webhooks.translation import UNTOLD_TIME, EventFields, Reader, content_hash, event_id
from services.kernel.money import minor_unit

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
        return [{"event_id": event_id(topic, order_id, body), "occur_time": UNTOLD_TIME, "order": notice}]
    if topic in _PRODUCT_STATES:
        product = parse_object(body)
        if "line_items" in product or "order_id" in product:
            raise UnusableError("TOPIC_MISMATCH")
        return _products(topic, body, product)
    if topic == "products/delete":
        product_id = _deleted_id(body)
        gone = {"product_id": product_id, "deleted": True}
        return [{"event_id": event_id(topic, product_id, body), "occur_time": UNTOLD_TIME, "product": gone}]
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
    total = _money(order, "total_price")
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
        "total_micros": total,
        "tax_micros": _money(order, "total_tax"),
        "shipping_micros": _shipping(order, taxes_included=taxes_included),
        "fee_micros": within_bounds(
            _money(order, "original_total_duties") + _money(order, "original_total_additional_fees"),
            "original_total_duties_set",
        ),
        "lines": [_line(line, path, taxes_included=taxes_included) for line, path in parts(order, "line_items")],
        "display_number": text(order, "name"),
        "content_hash": content_hash(body),
    }
    if order.get("refunds"):
        rate = _rate(order, "total_price_set")
        terms = _Terms(currency_code=currency_code, rate=rate, taxes_included=taxes_included)
        state["refunds"] = [_refund(refund, path, terms) for refund, path in parts(order, "refunds")]
    return {
        "event_id": event_id(topic, order_id, body),
        "occur_time": updated,
        "identifiers": _identifiers(order, reader),
        "order": state,
    }


def _identifiers(order: dict[str, Any], reader: Reader) -> dict[str, str] | None:
    known = reader.claims(
        {
            name: note.get("value")
            for note, _ in parts(order, "note_attributes")
            if type(name := note.get("name")) is str
        }
    )
    customer, billing = part(order, "customer"), part(order, "billing_address")
    email = claim(order.get("email") or order.get("contact_email") or customer.get("email"))
    if email:
        known["email"] = email
    phone = claim(order.get("phone") or billing.get("phone") or customer.get("phone"))
    if phone:
        known["phone"] = phone
        known["phone_country"] = claim(billing.get("country_code"))
    customer_id = optional_identifier(customer, "id", "customer.")
    if customer_id:
        known["customer_id"] = customer_id
    return known or None


def _line(line: dict[str, Any], path: str, *, taxes_included: bool) -> dict[str, Any]:
    units = quantity(line, "quantity", path)
    net = _money(line, "price", path) * units
    for discount, discount_path in parts(line, "discount_allocations", path):
        net -= _money(discount, "amount", discount_path)
    tax = sum(_money(tax_line, "price", tax_path) for tax_line, tax_path in parts(line, "tax_lines", path))
    if taxes_included:
        net -= tax
    return {
        "line_id": identifier(line, "id", path),
        "product_id": optional_identifier(line, "product_id", path),
        "variant_id": optional_identifier(line, "variant_id", path),
        "sku": text(line, "sku", path),
        "display_name": text(line, "name", path) or text(line, "title", path),
        "quantity": units,
        "net_micros": within_bounds(net, f"{path}price"),
        "tax_micros": within_bounds(tax, f"{path}tax_lines"),
    }


def _shipping(order: dict[str, Any], *, taxes_included: bool) -> int:
    shipping = _money(order, "total_shipping_price")
    if taxes_included:
        for line, path in parts(order, "shipping_lines"):
            shipping -= sum(
                _money(tax_line, "price", tax_path) for tax_line, tax_path in parts(line, "tax_lines", path)
            )
    return within_bounds(shipping, "total_shipping_price_set")


def _money(holder: dict[str, Any], key: str, path: str = "") -> int:
    """An amount in the shop's own currency: the set's, or the plain string's where there is no set."""
    money = holder.get(f"{key}_set")
    if type(money) is dict:
        shop = money.get("shop_money")
        if type(shop) is dict:
            return micros(shop, "amount", f"{path}{key}_set.shop_money.")
    return micros(holder, key, path)


def _rate(holder: dict[str, Any], key: str, path: str = "") -> tuple[str, Fraction] | None:
    """The shopper's currency and what one unit of it is in the shop's; None where the two are one."""
    money, path = part(holder, key, path), f"{path}{key}."
    shop, shown = part(money, "shop_money", path), part(money, "presentment_money", path)
    shown_currency = text(shown, "currency_code", f"{path}presentment_money.")
    if not shop or not shown_currency or shop.get("currency_code") == shown_currency:
        return None
    shown_amount = micros(shown, "amount", f"{path}presentment_money.")
    if shown_amount <= 0:
        return None
    return shown_currency, Fraction(micros(shop, "amount", f"{path}shop_money."), shown_amount)


def _refund_notice(topic: str, body: bytes, refund: dict[str, Any]) -> EventFields:
    refund_id = identifier(refund, "id")
    told = required_time(refund, "processed_at" if refund.get("processed_at") else "created_at")
    # The body names neither the shop's currency nor whether prices hold their tax: its own lines tell.
    shop_currency, rate = "", None
    for line, path in parts(refund, "refund_line_items"):
        shop_currency = text(part(part(line, "subtotal_set", path), "shop_money", path), "currency_code", path)
        rate = _rate(line, "subtotal_set", path)
        break
    given = _refund(refund, "", _Terms(currency_code=shop_currency, rate=rate, taxes_included=False))
    lines = given["lines"]
    if given["amount_micros"] and given["amount_micros"] == sum(line["net_micros"] for line in lines):
        for line in lines:
            line["net_micros"] -= line["tax_micros"]
    return {
        "event_id": event_id(topic, refund_id, body),
        "occur_time": told,
        "order": {
            "order_id": identifier(refund, "order_id"),
            "platform": Order.SHOPIFY,
            "notice": Order.REFUND,
            "refunds": [given],
        },
    }


class _Terms(NamedTuple):
    """What amounts of a refund mean."""

    currency_code: str
    """The shop's currency; empty where the body doesn't tell."""

    rate: tuple[str, Fraction] | None
    """The shopper's currency, where it is another, and what one unit of it is in the shop's."""

    taxes_included: bool


def _refund(refund: dict[str, Any], path: str, terms: _Terms) -> dict[str, Any]:
    amount = sum(
        _given_back(transaction, transaction_path, terms)
        for transaction, transaction_path in parts(refund, "transactions", path)
        if transaction.get("kind") == "refund" and transaction.get("status") == "success"
    )
    taken = list(parts(refund, "refund_line_items", path))
    # Without the sets there are only JSON's floats: then the amount is spread over the lines.
    exact = all(line.get("subtotal_set") for line, _ in taken)
    return {
        "refund_id": identifier(refund, "id", path),
        "amount_micros": within_bounds(amount, f"{path}transactions"),
        "refund_time": time(refund, "processed_at", path) or time(refund, "created_at", path),
        "lines": [_refund_line(line, line_path, terms) for line, line_path in taken] if exact else [],
    }


def _given_back(transaction: dict[str, Any], path: str, terms: _Terms) -> int:
    amount = _money(transaction, "amount", path)
    if amount < 0:
        raise UnusableError("INVALID_FIELD", f"{path}amount")
    paid_in = text(transaction, "currency", path)
    if transaction.get("amount_set") or not terms.currency_code or paid_in in ("", terms.currency_code):
        return amount
    if terms.rate is None or terms.rate[0] != paid_in:
        raise UnusableError("INVALID_FIELD", f"{path}currency")
    # At the order's own rate, so that giving everything back is giving back the total.
    unit = minor_unit(terms.currency_code)
    return floor(amount * terms.rate[1] / unit + Fraction(1, 2)) * unit


def _refund_line(line: dict[str, Any], path: str, terms: _Terms) -> dict[str, Any]:
    net, tax = _money(line, "subtotal", path), _money(line, "total_tax", path)
    return {
        "line_id": identifier(line, "line_item_id", path),
        "quantity": quantity(line, "quantity", path),
        "net_micros": within_bounds(net - tax if terms.taxes_included else net, f"{path}subtotal_set"),
        "tax_micros": tax,
    }


def _products(topic: str, body: bytes, product: dict[str, Any]) -> list[EventFields]:
    """The product, and each of its variants where it has several; one variant is the product itself."""
    product_id = identifier(product, "id")
    updated = required_time(product, "updated_at" if product.get("updated_at") else "created_at")
    name, own_id = text(product, "title"), event_id(topic, product_id, body)
    variants = list(parts(product, "variants"))
    sku = text(variants[0][0], "sku", variants[0][1]) if len(variants) == 1 else ""
    told = {"product_id": product_id, "sku": sku, "display_name": name, "update_time": updated}
    events: list[EventFields] = [{"event_id": own_id, "occur_time": updated, "product": told}]
    if len(variants) == 1:
        return events
    for variant, path in variants:
        variant_id = identifier(variant, "id", path)
        told = {
            "product_id": variant_id,
            "sku": text(variant, "sku", path),
            "display_name": f"{name} - {text(variant, 'title', path)}",
            "update_time": updated,
            "parent_product_id": product_id,
        }
        events.append({"event_id": f"{own_id}/{variant_id}", "occur_time": updated, "product": told})
    return events
