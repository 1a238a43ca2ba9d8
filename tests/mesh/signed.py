"""A second shop of the golden scenario: its orders, signed here, tell a customer or a click, which no recorded one does.

Each body is what the shop sends; what the orders come to stands beside them, written by hand.
"""

import base64
import hmac
import json
from datetime import UTC, datetime
from typing import Any

from tests.mesh.recordings import OrderTold
from tests.mesh.shop import Delivery

SOURCE = "shopify"
SECRET = "hush-hüsh"

CUSTOMER = 6_000_000_000_001
SHARED_CUSTOMER = 6_000_000_000_777
BY_CUSTOMER = 8_200_000_000_001
BY_CLICK = 8_200_000_000_002
BY_SHARED_CUSTOMER = 8_200_000_000_003

PLACED = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


def _told(number: int, gross_micros: int, net_micros: int) -> OrderTold:
    return OrderTold(
        number=number, placed=PLACED, currency="EUR", gross_micros=gross_micros, net_micros=net_micros, excluded=""
    )


ORDERS = {
    BY_CUSTOMER: _told(BY_CUSTOMER, 48_400_000, 36_300_000),
    BY_CLICK: _told(BY_CLICK, 30_000_000, 30_000_000),
    BY_SHARED_CUSTOMER: _told(BY_SHARED_CUSTOMER, 12_000_000, 12_000_000),
}
"""What holds of each order in the end, by its number."""


def _delivery(number: int, topic: str, order: dict[str, Any]) -> Delivery:
    body = json.dumps(order).encode()
    signature = base64.b64encode(hmac.digest(SECRET.encode(), body, "sha256")).decode()
    headers = (("Content-Type", "application/json"), ("X-Shopify-Topic", topic), ("X-Shopify-Hmac-Sha256", signature))
    return Delivery(number, headers, body, SOURCE)


def _order(number: int, updated: str, status: str, total: str, tax: str, **more: Any) -> dict[str, Any]:
    """An order of one line, placed at PLACED and changed at this time of the same day; it names no address."""
    return {
        "id": number,
        "name": f"#{number % 1000}",
        "created_at": "2026-11-21T11:00:00+01:00",
        "updated_at": f"2026-11-21T{updated}Z",
        "currency": "EUR",
        "financial_status": status,
        "email": None,
        "phone": None,
        "taxes_included": True,
        "total_price": total,
        "total_tax": tax,
        "line_items": [
            {"id": 1, "sku": "tea", "quantity": 1, "price": total, "tax_lines": [{"price": tax}]},
        ],
        **more,
    }


def deliveries() -> list[Delivery]:
    """The shop's deliveries in the order sent: an order is placed, paid, and a quarter of it given back."""
    customer = {"customer": {"id": CUSTOMER, "email": None, "phone": None}}
    clicked = {"note_attributes": [{"name": "_touchstone_click_id", "value": "Clk-50"}]}
    refund = {
        "id": 1,
        "created_at": "2026-11-21T12:00:00Z",
        "transactions": [{"kind": "refund", "status": "success", "amount": "12.10", "currency": "EUR"}],
    }
    placed = _order(BY_CUSTOMER, "10:00:00", "pending", "48.40", "8.40", **customer)
    paid = _order(BY_CUSTOMER, "10:00:00", "paid", "48.40", "8.40", **customer)
    given_back = _order(BY_CUSTOMER, "12:00:00", "partially_refunded", "48.40", "8.40", **customer, refunds=[refund])
    shared = _order(BY_SHARED_CUSTOMER, "10:00:00", "paid", "12.00", "2.00", customer={"id": SHARED_CUSTOMER})
    return [
        _delivery(1, "orders/create", placed),
        _delivery(2, "orders/paid", paid),
        _delivery(3, "orders/updated", given_back),
        _delivery(4, "orders/paid", _order(BY_CLICK, "10:00:00", "paid", "30.00", "5.00", **clicked)),
        _delivery(5, "orders/paid", shared),
    ]
