"""Telling a shop's story to the system, one request after the other."""

from collections.abc import Iterable
from typing import NamedTuple

from tests.mesh import signed
from tests.mesh.golden import FIRST_DAY, LAST_DAY
from tests.mesh.shop import TAKEN, Delivery, Event, Shop


class Told(NamedTuple):
    """A shop to which everything was told, and its statement."""

    shop: Shop
    statement: bytes


def tell(shop: Shop, what: Iterable[Delivery | Event]) -> Told:
    """Tells a shop everything, in this sequence, and reads its statement once it has settled."""
    add_sources(shop)
    for one in what:
        tell_one(shop, one)
    shop.settle()
    return Told(shop, shop.statement(FIRST_DAY, LAST_DAY))


def add_sources(shop: Shop) -> None:
    """Adds the sources of all that the golden scenario delivers."""
    shop.add_recorded_source()
    shop.add_source(signed.SOURCE, "shopify", signed.SECRET)


def tell_one(shop: Shop, one: Delivery | Event) -> None:
    """Sends a delivery or an event, which must be taken."""
    if isinstance(one, Delivery):
        answer = shop.deliver(one.source, one.headers, one.body)
        assert answer.status_code == 200, (one.source, one.number, answer.text)
    else:
        [result] = shop.append([one])
        assert result["status"] in TAKEN, result
