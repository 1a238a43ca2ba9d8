"""Products: what a shop's tellings of one come to, whatever the sequence."""

from collections.abc import Iterable
from typing import NamedTuple


class Told(NamedTuple):
    """What an event tells of a product that is there; of two the greater one holds.

    `moment` is when the shop last changed it, in nanoseconds since 1970. Of two states of one moment the one with more
    sales holds: shops write times in whole seconds, and sell more often than they take back. `total_sales` is -1 where
    the shop doesn't tell.
    """

    moment: int
    total_sales: int
    event_id: str
    sku: str
    display_name: str
    parent_product_id: str


class Gone(NamedTuple):
    """What an event tells of a product that was deleted; `moment` is None where the shop doesn't say when."""

    moment: int | None


class Product(NamedTuple):
    """A product as it now is.

    `told` is None while nothing but deletions was told. `deleted_at` is the latest known moment of a deletion.
    `binned` and `restored` say that such notices came, which name no moment: once restored, it stays so.
    """

    told: Told | None = None
    deleted_at: int | None = None
    binned: bool = False
    restored: bool = False

    @property
    def deleted(self) -> bool:
        """True when the shop has it no longer."""
        if self.binned and not self.restored:
            return True
        if self.deleted_at is None:
            return False
        return self.told is None or self.told.moment <= self.deleted_at


def fold(before: Product, news: Iterable[Told | Gone], *, restored: bool) -> Product:
    """The product after some news of it; `restored` says that one of them took it out of the bin."""
    told, deleted_at, binned = before.told, before.deleted_at, before.binned
    for one in news:
        if isinstance(one, Told):
            told = one if told is None else max(told, one)
        elif one.moment is None:
            binned = True
        else:
            deleted_at = one.moment if deleted_at is None else max(deleted_at, one.moment)
    return Product(told, deleted_at, binned, before.restored or restored)
