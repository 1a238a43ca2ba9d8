"""What the recorded orders came to, read from their bytes by the shortest way, for tests to compare with."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.mesh.shop import Delivery

STATUSES = ("checkout-draft", "pending", "failed", "on-hold", "processing", "completed", "cancelled", "refunded")
COUNTED = {"processing", "completed", "refunded"}
EXCLUDED = {"cancelled": "CANCELLED", "failed": "FAILED"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTold:
    """An order as the shop last told it; `excluded` is why it doesn't count, or empty."""

    number: int
    placed: datetime
    currency: str
    gross_micros: int
    net_micros: int
    excluded: str


def orders_told(deliveries: Iterable[Delivery]) -> dict[int, list[OrderTold]]:
    """The newest state of each order, whatever the sequence of the deliveries.

    Several where the shop gave equally new states different totals: one of them holds, and always the same.
    """
    states: dict[int, list[dict[str, Any]]] = {}
    for delivery in deliveries:
        body = json.loads(delivery.body) if delivery.topic.startswith("order.") else {}
        if "status" in body:
            states.setdefault(body["id"], []).append(body)
    newest = {number: max(map(_newness, told)) for number, told in states.items()}
    return {
        number: list(dict.fromkeys(_told(state) for state in told if _newness(state) == newest[number]))
        for number, told in sorted(states.items())
    }


def _newness(state: dict[str, Any]) -> tuple[str, int, int]:
    return state["date_modified_gmt"], STATUSES.index(state["status"]), len(state["refunds"])


def _told(state: dict[str, Any]) -> OrderTold:
    gross = Decimal(state["total"])
    net = gross + sum(Decimal(refund["total"]) for refund in state["refunds"])
    return OrderTold(
        number=state["id"],
        placed=datetime.fromisoformat(state["date_created_gmt"]).replace(tzinfo=UTC),
        currency=state["currency"],
        gross_micros=int(gross * 1_000_000),
        net_micros=int(net * 1_000_000),
        excluded="" if state["status"] in COUNTED else EXCLUDED.get(state["status"], "UNPAID"),
    )
