"""Shopify's deliveries in the words of the event log."""

from fractions import Fraction
from math import floor
from typing import Any, NamedTuple

from touchstone.ingest.v1.order_pb2 import Order

from gateway.web.webhooks.fields import (
    UnusableError,
    claim,
    currency,
    each,
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
    within,
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
    total = _money(order, "total_price")
    hashed = content_hash(body)
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
        "lines": each(order, "line_items", _line, taxes_included=taxes_included),
        "display_number": text(order, "name"),
        "content_hash": hashed,
    }
    if order.get("refunds"):
        rate = within(order, "total_price_set", _rate)
        terms = _Terms(currency_code=currency_code, rate=rate, taxes_included=taxes_included)
        state["refunds"] = each(order, "refunds", _refund, terms)
    return {
        "event_id": event_id(topic, order_id, hashed),
        "occur_time": updated,
        "identifiers": _identifiers(order, reader),
        "order": state,
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
    net = _money(line, "price") * units - sum(each(line, "discount_allocations", _money, "amount"))
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
    return sum(each(line, "tax_lines", _money, "price"))


def _shipping(order: dict[str, Any], *, taxes_included: bool) -> int:
    shipping = _money(order, "total_shipping_price")
    if taxes_included:
        shipping -= sum(each(order, "shipping_lines", _taxes))
    return within_bounds(shipping, "total_shipping_price_set")


def _money(holder: dict[str, Any], key: str) -> int:
    """An amount in the shop's own currency: the set's, or the plain string's where there is no set."""
    money = holder.get(f"{key}_set")
    if type(money) is dict:
        shop = money.get("shop_money")
        if type(shop) is dict:
            try:
                return micros(shop, "amount")
            except UnusableError as error:
                raise error.inside(f"{key}_set.shop_money") from None
    return micros(holder, key)


def _rate(money: dict[str, Any]) -> tuple[str, Fraction] | None:
    """The shopper's currency and what one unit of it is in the shop's; None where the two are one."""
    shop = part(money, "shop_money")
    shown_currency = within(money, "presentment_money", text, "currency_code")
    if not shop or not shown_currency or shop.get("currency_code") == shown_currency:
        return None
    shown_amount = within(money, "presentment_money", micros, "amount")
    if shown_amount <= 0:
        return None
    return shown_currency, Fraction(within(money, "shop_money", micros, "amount"), shown_amount)


def _refund_notice(topic: str, body: bytes, refund: dict[str, Any]) -> EventFields:
    refund_id = identifier(refund, "id")
    told = required_time(refund, "processed_at" if refund.get("processed_at") else "created_at")
    given = _refund(refund, _own_terms(refund))
    lines = given["lines"]
    if given["amount_micros"] and given["amount_micros"] == sum(line["net_micros"] for line in lines):
        for line in lines:
            line["net_micros"] -= line["tax_micros"]
    return {
        "event_id": event_id(topic, refund_id, content_hash(body)),
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


def _own_terms(refund: dict[str, Any]) -> _Terms:
    """The body names neither the shop's currency nor whether prices hold their tax: its own first line tells."""
    first = {"refund_line_items": parts(refund, "refund_line_items")[:1]}
    told = each(first, "refund_line_items", within, "subtotal_set", _terms)
    return told[0] if told else _terms({})


def _terms(money: dict[str, Any]) -> _Terms:
    shop_currency = within(money, "shop_money", text, "currency_code")
    return _Terms(currency_code=shop_currency, rate=_rate(money), taxes_included=False)


def _refund(refund: dict[str, Any], terms: _Terms) -> dict[str, Any]:
    amount = sum(each(refund, "transactions", _given_back, terms))
    # Without the sets there are only JSON's floats: then the amount is spread over the lines.
    exact = all(line.get("subtotal_set") for line in parts(refund, "refund_line_items"))
    return {
        "refund_id": identifier(refund, "id"),
        "amount_micros": within_bounds(amount, "transactions"),
        "refund_time": time(refund, "processed_at") or time(refund, "created_at"),
        "lines": each(refund, "refund_line_items", _refund_line, terms) if exact else [],
    }


def _given_back(transaction: dict[str, Any], terms: _Terms) -> int:
    if transaction.get("kind") != "refund" or transaction.get("status") != "success":
        return 0
    amount = _money(transaction, "amount")
    if amount < 0:
        raise UnusableError("INVALID_FIELD", "amount")
    paid_in = text(transaction, "currency")
    if transaction.get("amount_set") or not terms.currency_code or paid_in in ("", terms.currency_code):
        return amount
    if terms.rate is None or terms.rate[0] != paid_in:
        raise UnusableError("INVALID_FIELD", "currency")
    # At the order's own rate, so that giving everything back is giving back the total.
    unit = minor_unit(terms.currency_code)
    return floor(amount * terms.rate[1] / unit + Fraction(1, 2)) * unit


def _refund_line(line: dict[str, Any], terms: _Terms) -> dict[str, Any]:
    net, tax = _money(line, "subtotal"), _money(line, "total_tax")
    return {
        "line_id": identifier(line, "line_item_id"),
        "quantity": quantity(line, "quantity"),
        "net_micros": within_bounds(net - tax if terms.taxes_included else net, "subtotal_set"),
        "tax_micros": tax,
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
