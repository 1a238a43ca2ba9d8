"""Popularity: how much of each product was sold, where it stands by that, and what makes it a best seller."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from services.kernel.failures import InvalidArgumentError

SPANS: Final = (7, 30, 90)
"""The days over which units are counted."""

BEST_SELLER_SPAN: Final = 30
LEAST_RANKED: Final = 10
"""Products that must be ranked before one of them can be a best seller."""
BEST_SHARE: Final = 10
"""One in so many, at most, is a best seller."""
LEAST_SOLD: Final = 10
"""Units that a best seller has sold, at least."""


class By(IntEnum):
    """What products are ranked by; numbered as in `touchstone.reporting.v1.Ranking.By`."""

    EITHER = 0
    TOTAL_SALES = 1
    UNITS = 2


class Ranking(NamedTuple):
    """Where a product stands: `rank` is one more than how many sold more; `below` is how many sold less.

    `days` is 0 for total sales. A product itself is among the `ranked`.
    """

    by: By
    days: int
    sold: int
    rank: int
    ranked: int
    below: int

    @property
    def percentile(self) -> float | None:
        """How many of 100 other products sold less; None when there is no other."""
        return 100 * self.below / (self.ranked - 1) if self.ranked > 1 else None

    @property
    def makes_best_seller(self) -> bool:
        """True when so many are ranked, so few stand before it and so much of it was sold that it may be called one."""
        return (
            self.days in (0, BEST_SELLER_SPAN)
            and self.ranked >= LEAST_RANKED
            and self.rank * BEST_SHARE <= self.ranked
            and self.sold >= LEAST_SOLD
        )


class Sold(NamedTuple):
    """A product with all its variations, and how much of it was sold; `units` over each of the spans.

    `total_sales` is None where the shop doesn't tell; `product_id` is empty for what was never told of as a product.
    """

    sku: str
    product_id: str
    display_name: str
    total_sales: int | None
    units: tuple[int, ...]


class Popularity(NamedTuple):
    """A product and where it stands: by total sales when the shop tells them, then by units over each span."""

    product: Sold
    rankings: tuple[Ranking, ...]


def best_seller(rankings: Sequence[Ranking]) -> Ranking | None:
    """The ranking that makes a product a best seller; what was sold lately counts before what ever was."""
    return max((one for one in rankings if one.makes_best_seller), key=lambda one: one.days, default=None)


def read_ranked_by(by: int, days: int) -> tuple[By, int]:
    """What to rank by and over how many days; raises `InvalidArgumentError` naming `days`.

    Days without `by` mean units. Where total sales may be told or not, the days are for when they are not.
    """
    if days and days not in SPANS:
        raise InvalidArgumentError.of("days", f"is none of {', '.join(map(str, SPANS))}")
    ranked_by = By(by)
    if days and ranked_by is By.TOTAL_SALES:
        raise InvalidArgumentError.of("days", "goes with units; total sales are of all time")
    if days:
        ranked_by = By.UNITS
    return ranked_by, days or BEST_SELLER_SPAN
