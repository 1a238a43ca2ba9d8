"""What was done with products before an order: seen, and put in the cart."""

from collections.abc import Iterable
from typing import NamedTuple

from services.attribution.domain.snapshot import SnapshotLine
from services.kernel.identifiers import Identifier


class Seen(NamedTuple):
    """Products that were viewed in the shop, or put in the cart; `occur_time` in nanoseconds."""

    source: str
    event_id: str
    occur_time: int
    added: bool
    product_ids: tuple[str, ...]
    crawler: bool
    identifiers: tuple[Identifier, ...]


def names(line: SnapshotLine) -> frozenset[str]:
    """What a line's product is called: its id, its variation's, its stock-keeping unit."""
    return frozenset({line.product_id, line.variant_id, line.sku} - {""})


class LastSeen(NamedTuple):
    """When a product was last viewed, and last put in the cart; None for never."""

    viewed: int | None
    added: int | None

    def after(self, moment: int) -> bool:
        """True when it was both, at the moment or later."""
        return self.viewed is not None and self.added is not None and min(self.viewed, self.added) >= moment


def last_seen(seen: Iterable[Seen], product: frozenset[str], through: int) -> LastSeen:
    """When the product of these names was last seen, through a moment."""
    viewed: int | None = None
    added: int | None = None
    for one in seen:
        if one.occur_time <= through and not product.isdisjoint(one.product_ids):
            if one.added:
                added = one.occur_time if added is None else max(added, one.occur_time)
            else:
                viewed = one.occur_time if viewed is None else max(viewed, one.occur_time)
    return LastSeen(viewed, added)
