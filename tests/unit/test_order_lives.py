"""Orders over their whole life: from the shop's own words to what the order is worth, in whatever sequence."""

from decimal import Decimal
from itertools import permutations

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from touchstone.ingest.v1 import event_pb2
from touchstone.ingest.v1.source_service_pb2 import Source

from gateway.web.webhooks.platforms import PLATFORMS
from gateway.web.webhooks.translation import Reader
from services.attribution.domain.orders import fold, known_order
from services.attribution.domain.snapshot import COUNTED, Snapshot, snapshot
from services.attribution.wire import events as wire
from services.attribution.wire.times import nanos
from tests.attribution.lives import NOON, Life
from tests.attribution.lives_shopify import SHOPIFY
from tests.attribution.lives_woocommerce import WOOCOMMERCE
from tests.attribution.telling import at

READER = Reader(id_prefix="_touchstone_")
KINDS = {"shopify": Source.SHOPIFY, "woocommerce": Source.WOOCOMMERCE}
LIVES = (*SHOPIFY, *WOOCOMMERCE)
MINUTE = 60 * 10**9
MOST_SEQUENCES = 24


def micros(amount: str) -> int:
    return int(Decimal(amount) * 1_000_000)


def events(life: Life) -> list[event_pb2.Event]:
    """What the deliveries say, each of which can be used."""
    told = []
    for topic, body in life.told(4711):
        said = PLATFORMS[KINDS[life.platform]].read(topic, orjson.dumps(body), READER)
        assert not said.unusable, said.unusable[0].reason
        told += [event_pb2.Event(**fields) for fields in said.events]
    return [event for event in told if event.HasField("order")]


def sale(told: list[event_pb2.Event]) -> Snapshot:
    known = known_order(fold(wire.told(event) for event in told))
    assert known is not None
    assert {event.order.order_id for event in told} == {"4711"}
    return snapshot("shop", "4711", known, COUNTED)


@pytest.mark.parametrize("life", LIVES, ids=lambda life: f"{life.platform}: {life.because}")
def test_an_order_is_worth_what_a_merchant_expects(life: Life) -> None:
    sold = sale(events(life))
    noon = nanos(at(NOON))
    assert sold.order_time == noon
    assert (sold.excluded.name if sold.excluded else "") == life.excluded
    assert (sold.currency_code, sold.gross_micros, sold.net_micros) == (
        life.currency,
        micros(life.gross),
        micros(life.net),
    )
    listed = [(one.amount_micros, one.refund_time) for one in sold.refunds]
    assert listed == [(micros(amount), noon + minutes * MINUTE) for amount, minutes in life.refunds]
    assert sold.gross_micros - sold.net_micros == sum(amount for amount, _ in listed)
    if life.lines is not None:
        assert {
            one.line_id: (one.quantity, one.refunded_quantity, one.gross_micros, one.net_micros) for one in sold.lines
        } == {
            line_id: (units, back, micros(gross), micros(net))
            for line_id, (units, back, gross, net) in life.lines.items()
        }


@pytest.mark.parametrize("life", LIVES, ids=lambda life: f"{life.platform}: {life.because}")
def test_whatever_came_first(life: Life) -> None:
    told = events(life)
    expected = sale(told)
    for number, sequence in enumerate(permutations(told)):
        if number == MOST_SEQUENCES:
            break
        assert sale(list(sequence)) == expected
    assert sale(told * 2) == expected


@given(st.data(), st.sampled_from(LIVES))
@settings(max_examples=100)
def test_a_delivery_that_is_kept_between_two_others_changes_nothing(data: st.DataObject, life: Life) -> None:
    """What is folded away can't matter again."""
    told = [wire.told(event) for event in events(life)]
    sequence = data.draw(st.permutations(told + data.draw(st.lists(st.sampled_from(told), max_size=3))))
    kept = fold()
    for one in sequence:
        kept = fold(kept, [one])
    assert kept == fold(told)


def test_a_deleted_products_line_keeps_all_its_names() -> None:
    life = next(life for life in LIVES if life.because.startswith("a product was deleted"))
    assert [(line.sku, line.product_id) for line in sale(events(life)).lines] == [("POT", "71"), ("TEA", "72")]


def test_no_two_lives_are_the_same() -> None:
    assert len({(life.platform, life.because) for life in LIVES}) == len(LIVES)


def test_an_edits_own_notice_is_counted_and_says_nothing_of_money() -> None:
    body = b'{"order_edit": {"order_id": 1, "line_items": {"additions": [{"id": 3, "delta": 1}]}}}'
    said = PLATFORMS[Source.SHOPIFY].read("orders/edited", body, READER)
    assert (list(said.events), list(said.unusable)) == ([], [])
