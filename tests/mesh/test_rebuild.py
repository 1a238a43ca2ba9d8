"""Rebuilding each service while events come in ends in the same figures."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event as Flag

import pytest

from tests.mesh.golden import FIRST_DAY, LAST_DAY, sequence
from tests.mesh.shop import Delivery, Shop, without_positions
from tests.mesh.telling import add_sources, tell, tell_one

PAUSE_SECONDS = 0.01


@pytest.fixture(scope="module")
def undisturbed(open_shop: Callable[[], Shop]) -> bytes:
    """The statement of a shop in whose time nothing was rebuilt."""
    return without_positions(tell(open_shop(), sequence()).statement)


def test_rebuilds_while_events_come_in_end_in_the_same_statement(
    open_shop: Callable[[], Shop], undisturbed: bytes
) -> None:
    shop = open_shop()
    add_sources(shop)
    rebuilt = Flag()

    def keep_telling() -> int:
        """Tells everything, then all of it again, until the last rebuild has ended."""
        rounds = 0
        while not rounds or not rebuilt.is_set():
            for one in sequence():
                tell_one(shop, one)
                rebuilt.wait(PAUSE_SECONDS)
            rounds += 1
        return rounds

    with ThreadPoolExecutor(1) as pool:
        telling = pool.submit(keep_telling)
        try:
            for service in ("identity", "attribution", "reporting"):
                done = shop.running.touchstone("rebuild", service)
                assert f"{service}: generation " in done.stdout
        finally:
            rebuilt.set()
        assert telling.result() >= 1
    shop.settle()
    assert without_positions(shop.statement(FIRST_DAY, LAST_DAY)) == undisturbed
    assert "0 differ" in shop.running.touchstone("verify", shop.tenant).stdout


def test_a_late_delivery_still_counts_after_a_rebuild(open_shop: Callable[[], Shop], undisturbed: bytes) -> None:
    shop = open_shop()
    everything = sequence()
    webhooks = [one for one in everything if isinstance(one, Delivery)]
    tell(shop, webhooks)
    shop.running.touchstone("rebuild", "reporting")
    told = tell(shop, [one for one in everything if not isinstance(one, Delivery)])
    assert without_positions(told.statement) == undisturbed
