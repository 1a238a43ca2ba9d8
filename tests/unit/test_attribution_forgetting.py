"""What attribution remembers of events outlives neither their state nor the erasing of those whom they name."""

import sys

from services.attribution.background import forget
from services.attribution.store.facts import identifier_number
from services.attribution.wire import events as events_wire
from services.attribution.wire.events import happened_again
from tests.attribution.telling import NOON, interaction


def test_nothing_holds_an_identifier_after_the_state_was_replaced() -> None:
    event = interaction("t", NOON, {"email": "gone@shop.example"}).SerializeToString()
    touch = happened_again("shop", event)
    assert touch is not None
    assert happened_again("shop", event) is touch
    [named] = touch.identifiers
    identifier_number(named)
    value = named.value
    del touch, named
    # One more than those who hold it: it is handed over.
    assert sys.getrefcount(value) > 2
    forget()
    assert sys.getrefcount(value) == 2
    assert len(events_wire._remembered) == identifier_number.cache_info().currsize == 0
