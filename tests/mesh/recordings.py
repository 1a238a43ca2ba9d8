"""What the recorded orders came to, read from their bytes by the shortest way, for tests to compare with."""

import hashlib
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


def orders_told(deliveries: Iterable[Delivery]) -> dict[int, OrderTold]:
    """The newest state of each order, whatever the sequence of the deliveries."""
    newest: dict[int, Delivery] = {}
    for delivery in deliveries:
        state = state_told(delivery)
        if "status" in state:
            newest[state["id"]] = max(newest.get(state["id"], delivery), delivery, key=_precedence)
    return {number: _told(state_told(delivery)) for number, delivery in sorted(newest.items())}


def state_told(delivery: Delivery) -> dict[str, Any]:
    """The order that a delivery tells of; empty when it tells of something else."""
    told: dict[str, Any] = json.loads(delivery.body) if delivery.topic.startswith("order.") else {}
    return told


def newness(state: dict[str, Any]) -> tuple[str, int, int]:
    """What decides between two states of an order, before their bytes do."""
    return state["date_modified_gmt"], STATUSES.index(state["status"]), len(state["refunds"])


def content_hash(body: bytes) -> str:
    """What decides between two states that are equally new."""
    return hashlib.sha256(body).hexdigest()[:32]


def _precedence(delivery: Delivery) -> tuple[tuple[str, int, int], str]:
    return newness(state_told(delivery)), content_hash(delivery.body)


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
