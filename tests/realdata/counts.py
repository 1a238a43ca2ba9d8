"""What a shop's sales come to: the form in which two counts of the same file are compared."""

from dataclasses import dataclass, field
from datetime import date
from typing import TypeAlias

Amounts: TypeAlias = tuple[int, int, int]
"""Orders, what was to be paid, and what is left of it; millionths."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Sales by day, and by customer; what was cancelled, by day; and each product's units and revenue.

    Of a product: units, units taken back, revenue, and what is left of it. Customers are told by what they bought, in
    sequence: what each is called differs from count to count.
    """

    sold: dict[date, Amounts] = field(default_factory=dict)
    cancelled: dict[date, Amounts] = field(default_factory=dict)
    products: dict[str, tuple[int, int, int, int]] = field(default_factory=dict)
    customers: list[Amounts] = field(default_factory=list)

    @property
    def total(self) -> Amounts:
        """All that was sold."""
        orders, gross, net = map(sum, zip((0, 0, 0), *self.sold.values(), strict=True))
        return orders, gross, net
