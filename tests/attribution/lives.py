"""Orders over their whole life, as Shopify and WooCommerce tell it: what each is worth in the end, worked out by hand.

Every order is placed at noon. What the shop sends is told as (topic, minutes after noon, what has changed).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)

Body = dict[str, Any]
Sent = tuple[str, Body]
"""A topic and a body. Orders have no id yet: `Life.told` gives them one."""


@dataclass(frozen=True, kw_only=True)
class Life:
    """What a shop sends of one order, and what follows: amounts as a merchant writes them.

    `lines` are (units, units taken back, gross, net) by the line's id. `refunds` are (amount, minutes after noon), in
    their sequence: they add up to what gross and net differ by.
    """

    because: str
    platform: str
    sent: tuple[Sent, ...]
    currency: str = "EUR"
    excluded: str = ""
    gross: str
    net: str
    lines: dict[str, tuple[int, int, str, str]] | None = None
    refunds: tuple[tuple[str, int], ...] = ()

    def told(self, order_id: int) -> list[Sent]:
        """The deliveries, in the sequence of what happened, of an order with this id."""
        return [(topic, {**body, "order_id" if "order_id" in body else "id": order_id}) for topic, body in self.sent]


def at(minutes: int) -> str:
    return (NOON + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")
