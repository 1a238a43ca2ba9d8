"""The demo shop's orders as Shopify and WooCommerce tell of them, signed."""

import base64
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from gateway.cli.demo.story import Item, Purchase

_TAX_PERCENT = 21
_SHIPPING = {"EUR": 490, "USD": 490, "JPY": 830}
_DIGITS = {"EUR": 2, "USD": 2, "JPY": 0}


class Delivery(NamedTuple):
    """A webhook, ready to send."""

    at: datetime
    source: str
    headers: list[tuple[str, str]]
    body: bytes


class _Line(NamedTuple):
    line_id: int
    item: Item
    net: int
    tax: int


class _State(NamedTuple):
    """An order at one moment: the platform's status and what was given back, in minor units."""

    at: datetime
    status: str
    refunded: int
    refunded_lines: tuple[_Line, ...]


_SHOPIFY = {
    "PAID": ("paid",),
    "PART_REFUNDED": ("paid", "partially_refunded"),
    "REFUNDED": ("paid", "refunded"),
    "CANCELLED": ("paid", "cancelled"),
    "UNPAID": ("pending",),
    "FAILED": ("pending", "voided"),
}
_WOOCOMMERCE = {
    "PAID": ("processing",),
    "PART_REFUNDED": ("processing", "partly"),
    "REFUNDED": ("processing", "refunded"),
    "CANCELLED": ("processing", "cancelled"),
    "UNPAID": ("on-hold",),
    "FAILED": ("pending", "failed"),
}


def tell(purchase: Purchase, secret: str) -> Iterator[Delivery]:
    """The deliveries that a purchase brings about, the order's first state first."""
    statuses = (_SHOPIFY if purchase.shop == "shopify" else _WOOCOMMERCE)[purchase.outcome]
    lines = _lines(purchase)
    for index, status in enumerate(statuses):
        at = purchase.changed if index else purchase.placed
        state = _State(at, status, *_given_back(status, lines, _total(purchase, lines)))
        if purchase.shop == "shopify":
            topic = {"cancelled": "orders/cancelled", "pending": "orders/create"}.get(status, "orders/updated")
            body = _encode(_shopify_order(purchase, lines, state))
            headers = _shopify_headers("orders/paid" if status == "paid" else topic, body, secret)
        else:
            topic = "order.updated" if index else "order.created"
            body = _encode(_woocommerce_order(purchase, lines, state))
            headers = _woocommerce_headers(topic, body, secret)
        yield Delivery(at, purchase.shop, headers, body)


def _lines(purchase: Purchase) -> tuple[_Line, ...]:
    return tuple(
        _Line(purchase.number * 10 + index, item, net, (net * _TAX_PERCENT + 50) // 100)
        for index, item in enumerate(purchase.items)
        for net in [item.price * item.quantity]
    )


def _total(purchase: Purchase, lines: tuple[_Line, ...]) -> int:
    return sum(line.net + line.tax for line in lines) + _SHIPPING[purchase.currency]


def _given_back(status: str, lines: tuple[_Line, ...], total: int) -> tuple[int, tuple[_Line, ...]]:
    if status == "refunded":
        return total, lines
    if status in ("partially_refunded", "partly"):
        return lines[0].net + lines[0].tax, lines[:1]
    return 0, ()


def _amount(minor: int, currency: str) -> str:
    return format(Decimal(minor).scaleb(-_DIGITS[currency]), "f")


def _encode(order: dict[str, Any]) -> bytes:
    return json.dumps(order, separators=(",", ":")).encode()


def _signature(body: bytes, secret: str) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), body, "sha256")).decode()


def _shopify_headers(topic: str, body: bytes, secret: str) -> list[tuple[str, str]]:
    signature = _signature(body, secret)
    return [
        ("Content-Type", "application/json"),
        ("X-Shopify-Topic", topic),
        ("X-Shopify-Shop-Domain", "demo.myshopify.example"),
        ("X-Shopify-API-Version", "2026-10"),
        ("X-Shopify-Webhook-Id", signature[:22]),
        ("X-Shopify-Event-Id", signature[:22]),
        ("X-Shopify-Hmac-SHA256", signature),
    ]


def _woocommerce_headers(topic: str, body: bytes, secret: str) -> list[tuple[str, str]]:
    return [
        ("Content-Type", "application/json"),
        ("User-Agent", "WooCommerce/11.0.1 Hookshot (WordPress/7.0.4)"),
        ("X-WC-Webhook-Source", "https://demo.example/"),
        ("X-WC-Webhook-Topic", topic),
        ("X-WC-Webhook-Resource", "order"),
        ("X-WC-Webhook-Event", topic.removeprefix("order.")),
        ("X-WC-Webhook-ID", "1"),
        ("X-WC-Webhook-Delivery-ID", "0123456789abcdef0123456789abcdef"),
        ("X-WC-Webhook-Signature", _signature(body, secret)),
    ]


def _shopify_order(purchase: Purchase, lines: tuple[_Line, ...], state: _State) -> dict[str, Any]:
    def money(minor: int) -> str:
        return _amount(minor, purchase.currency)

    def both(minor: int) -> dict[str, Any]:
        shown = {"amount": money(minor), "currency_code": purchase.currency}
        return {"shop_money": shown, "presentment_money": shown}

    shopper, total, shipping = purchase.shopper, _total(purchase, lines), _SHIPPING[purchase.currency]
    cancelled = state.status == "cancelled"
    return {
        "id": purchase.number + 5_000_000_000_000,
        "name": f"#{purchase.number}",
        "order_number": purchase.number,
        "created_at": purchase.placed.isoformat(),
        "processed_at": purchase.placed.isoformat(),
        "updated_at": state.at.isoformat(),
        "cancelled_at": state.at.isoformat() if cancelled else None,
        "cancel_reason": "customer" if cancelled else None,
        "test": False,
        "currency": purchase.currency,
        "presentment_currency": purchase.currency,
        "financial_status": "paid" if cancelled else state.status,
        "email": shopper.email,
        "phone": shopper.phone,
        "taxes_included": False,
        "total_price": money(total),
        "total_price_set": both(total),
        "current_total_price": money(total - state.refunded),
        "current_total_price_set": both(total - state.refunded),
        "subtotal_price": money(sum(line.net for line in lines)),
        "total_tax": money(sum(line.tax for line in lines)),
        "total_tax_set": both(sum(line.tax for line in lines)),
        "total_discounts": money(0),
        "total_shipping_price_set": both(shipping),
        "note_attributes": [
            {"name": "_touchstone_session_id", "value": shopper.session_id},
            {"name": "_touchstone_visitor_id", "value": shopper.visitor_id},
        ],
        "customer": {"id": shopper.customer_id, "email": shopper.email},
        "billing_address": {"country_code": "ES", "phone": shopper.phone},
        "shipping_lines": [
            {
                "id": purchase.number,
                "title": "Post",
                "price": money(shipping),
                "price_set": both(shipping),
                "tax_lines": [],
            }
        ],
        "line_items": [
            {
                "id": line.line_id,
                "sku": line.item.product.sku,
                "product_id": line.item.product.product_id,
                "variant_id": line.item.product.product_id * 10,
                "title": line.item.product.title,
                "name": line.item.product.title,
                "quantity": line.item.quantity,
                "price": money(line.item.price),
                "price_set": both(line.item.price),
                "total_discount": money(0),
                "discount_allocations": [],
                "tax_lines": [{"title": "VAT", "rate": 0.21, "price": money(line.tax), "price_set": both(line.tax)}],
            }
            for line in lines
        ],
        "refunds": [
            {
                "id": purchase.number,
                "created_at": state.at.isoformat(),
                "refund_line_items": [
                    {
                        "id": line.line_id,
                        "line_item_id": line.line_id,
                        "quantity": line.item.quantity,
                        "subtotal_set": both(line.net),
                        "total_tax_set": both(line.tax),
                    }
                    for line in state.refunded_lines
                ],
                "transactions": [
                    {
                        "id": purchase.number,
                        "kind": "refund",
                        "status": "success",
                        "amount": money(state.refunded),
                        "currency": purchase.currency,
                    }
                ],
                "order_adjustments": [],
            }
        ]
        if state.refunded
        else [],
    }


def _woocommerce_order(purchase: Purchase, lines: tuple[_Line, ...], state: _State) -> dict[str, Any]:
    def money(minor: int) -> str:
        return _amount(minor, purchase.currency)

    shopper, total, shipping = purchase.shopper, _total(purchase, lines), _SHIPPING[purchase.currency]
    tax = sum(line.tax for line in lines)
    placed, changed = (at.astimezone(UTC).replace(tzinfo=None).isoformat() for at in (purchase.placed, state.at))
    return {
        "id": purchase.number,
        "number": str(purchase.number),
        "status": "processing" if state.status == "partly" else state.status,
        "currency": purchase.currency,
        "prices_include_tax": False,
        "date_created_gmt": placed,
        "date_modified_gmt": changed,
        "date_paid_gmt": placed if state.status not in ("pending", "on-hold", "failed") else None,
        "discount_total": money(0),
        "discount_tax": money(0),
        "shipping_total": money(shipping),
        "shipping_tax": money(0),
        "cart_tax": money(tax),
        "total": money(total),
        "total_tax": money(tax),
        "customer_id": shopper.customer_id,
        "billing": {"country": "ES", "email": shopper.email, "phone": shopper.phone},
        "meta_data": [
            {"id": 1, "key": "_touchstone_session_id", "value": shopper.session_id},
            {"id": 2, "key": "_touchstone_visitor_id", "value": shopper.visitor_id},
        ],
        "line_items": [
            {
                "id": line.line_id,
                "name": line.item.product.title,
                "product_id": line.item.product.product_id,
                "variation_id": 0,
                "quantity": line.item.quantity,
                "subtotal": money(line.net),
                "subtotal_tax": money(line.tax),
                "total": money(line.net),
                "total_tax": money(line.tax),
                "sku": line.item.product.sku,
            }
            for line in lines
        ],
        "shipping_lines": [{"id": purchase.number, "total": money(shipping), "total_tax": money(0)}],
        "fee_lines": [],
        "coupon_lines": [],
        "refunds": [{"id": purchase.number * 10, "reason": "", "total": f"-{money(state.refunded)}"}]
        if state.refunded
        else [],
    }
