"""Shopify's deliveries."""

import copy
import json
from pathlib import Path

import orjson
import pytest
from touchstone.ingest.v1.event_pb2 import Event
from touchstone.ingest.v1.order_pb2 import Order
from touchstone.ingest.v1.source_service_pb2 import Source

from gateway.web.webhooks import shopify
from gateway.web.webhooks.fields import UnusableError
from gateway.web.webhooks.platforms import PLATFORMS
from gateway.web.webhooks.translation import Reader

READER = Reader(id_prefix="_touchstone_")
SAMPLES = Path(__file__).parents[3] / "shared" / "fixtures" / "shopify"


def money(amount, shown=None, currency="EUR", shown_currency="EUR"):
    return {
        "shop_money": {"amount": amount, "currency_code": currency},
        "presentment_money": {"amount": shown or amount, "currency_code": shown_currency},
    }


ORDER = {
    "id": 9_007_199_254_740_993_001,
    "name": "#1001",
    "created_at": "2026-11-20T11:15:00+01:00",
    "updated_at": "2026-11-20T11:20:00.250+01:00",
    "cancelled_at": None,
    "test": False,
    "taxes_included": False,
    "currency": "EUR",
    "financial_status": "paid",
    "email": "Shopper@Example.com",
    "phone": None,
    "total_price": "70.80",
    "total_price_set": money("70.80"),
    "total_tax": "11.80",
    "total_shipping_price_set": money("5.00"),
    "note_attributes": [
        {"name": "_touchstone_session_id", "value": "s-1"},
        {"name": "_touchstone_visitor_id", "value": "v-1"},
        {"name": "gift", "value": None},
    ],
    "customer": {"id": 6_000_000_000_001},
    "billing_address": {"phone": "0477 00 00 00", "country_code": "FR"},
    "shipping_lines": [{"id": 1, "price": "5.00", "tax_lines": [{"price": "1.00"}]}],
    "refunds": [],
    "line_items": [
        {
            "id": 1,
            "sku": None,
            "product_id": None,
            "variant_id": 7,
            "name": "Tea",
            "quantity": 3,
            "price": "20.00",
            "price_set": money("20.00"),
            "discount_allocations": [{"amount": "6.00", "amount_set": money("6.00")}],
            "tax_lines": [{"price": "10.80", "price_set": money("10.80")}],
        }
    ],
}

REFUND = {
    "id": 501,
    "order_id": ORDER["id"],
    "created_at": "2026-11-21T10:00:00Z",
    "processed_at": None,
    "transactions": [
        {"kind": "refund", "status": "success", "amount": "24.00", "currency": "EUR"},
        {"kind": "refund", "status": "failure", "amount": "99.00", "currency": "EUR"},
        {"kind": "void", "status": "success", "amount": "99.00", "currency": "EUR"},
    ],
    "refund_line_items": [
        {
            "line_item_id": 1,
            "quantity": 1,
            "subtotal": 20.000000001,
            "subtotal_set": money("20.00"),
            "total_tax_set": money("4.00"),
        }
    ],
}


def translated(topic, told):
    return [Event(**fields) for fields in shopify.translate(topic, json.dumps(told).encode(), READER)]


def state(**fields):
    (event,) = translated("orders/updated", {**ORDER, **fields})
    return event


def test_an_order():
    event = state()
    assert event.event_id.startswith("orders/updated/9007199254740993001/")
    assert event.occur_time.ToJsonString() == "2026-11-20T10:20:00.250Z"
    order = event.order
    assert (order.order_id, order.platform, order.notice) == ("9007199254740993001", Order.SHOPIFY, Order.STATE)
    assert order.order_time.ToJsonString() == "2026-11-20T10:15:00Z"
    assert (order.total_micros, order.tax_micros, order.shipping_micros) == (70_800_000, 11_800_000, 5_000_000)
    (line,) = order.lines
    assert (line.quantity, line.net_micros, line.tax_micros) == (3, 54_000_000, 10_800_000)
    assert (line.sku, line.product_id, line.variant_id) == ("", "", "7")
    assert line.net_micros + order.shipping_micros + order.tax_micros == order.total_micros
    ids = event.identifiers
    assert (ids.session_id, ids.visitor_id, ids.customer_id) == ("s-1", "v-1", "6000000000001")
    assert (ids.email, ids.phone, ids.phone_country) == ("Shopper@Example.com", "0477 00 00 00", "FR")


def test_tax_within_prices_is_taken_out():
    order = state(taxes_included=True, total_price="59.00", total_price_set=money("59.00")).order
    assert order.lines[0].net_micros == 43_200_000
    assert order.shipping_micros == 4_000_000
    assert order.lines[0].net_micros + order.shipping_micros + order.tax_micros == order.total_micros


def test_amounts_are_in_the_shops_currency():
    line = {**ORDER["line_items"][0], "price": "21.70", "price_set": money("20.00", "21.70", "EUR", "USD")}
    order = state(
        total_price_set=money("70.80", "76.82", "EUR", "USD"),
        total_price="70.80",
        line_items=[line],
        refunds=[{**REFUND, "transactions": [transaction("76.82", "USD")], "refund_line_items": []}],
    ).order
    assert (order.currency_code, order.lines[0].net_micros) == ("EUR", 54_000_000)
    assert order.refunds[0].amount_micros == order.total_micros


def transaction(amount, currency="EUR"):
    return {"kind": "refund", "status": "success", "amount": amount, "currency": currency}


def test_money_of_an_unknown_currency_is_not_guessed():
    with pytest.raises(UnusableError, match=r"refunds\[0\]\.transactions\[0\]\.currency"):
        state(refunds=[{**REFUND, "transactions": [transaction("5.00", "CHF")]}])


def test_refunds_are_what_was_paid_back():
    (refund,) = state(financial_status="partially_refunded", refunds=[REFUND]).order.refunds
    assert (refund.refund_id, refund.amount_micros) == ("501", 24_000_000)
    assert refund.refund_time.ToJsonString() == "2026-11-21T10:00:00Z"
    (line,) = refund.lines
    assert (line.line_id, line.quantity, line.net_micros, line.tax_micros) == ("1", 1, 20_000_000, 4_000_000)


def test_a_refund_without_transactions_gives_no_money_back():
    failed = [{"kind": "refund", "status": "failure", "amount": "24.00", "currency": "EUR"}]
    (refund,) = state(refunds=[{**REFUND, "transactions": failed}]).order.refunds
    assert (refund.amount_micros, len(refund.lines)) == (0, 1)


def test_what_an_edit_took_off_without_money_is_no_refund():
    order = state(refunds=[{**REFUND, "transactions": []}]).order
    assert (order.total_micros, order.tax_micros, list(order.refunds)) == (46_800_000, 7_800_000, [])
    (line,) = order.lines
    assert (line.quantity, line.net_micros, line.tax_micros) == (2, 34_000_000, 6_800_000)


def test_refund_lines_without_exact_amounts_are_left_to_be_spread():
    inexact = copy.deepcopy(REFUND)
    del inexact["refund_line_items"][0]["subtotal_set"]
    (refund,) = state(refunds=[inexact]).order.refunds
    assert (refund.amount_micros, len(refund.lines)) == (24_000_000, 0)


def test_a_refund_notice():
    (event,) = translated("refunds/create", REFUND)
    assert event.event_id.startswith("refunds/create/501/")
    assert (event.order.order_id, event.order.notice) == ("9007199254740993001", Order.REFUND)
    assert event.occur_time.ToJsonString() == "2026-11-21T10:00:00Z"
    (refund,) = event.order.refunds
    assert (refund.amount_micros, refund.lines[0].net_micros) == (24_000_000, 20_000_000)
    inclusive = {**REFUND, "transactions": [transaction("20.00")]}
    (event,) = translated("refunds/create", inclusive)
    assert event.order.refunds[0].lines[0].net_micros == 16_000_000


def test_status_test_and_cancellation():
    assert state(financial_status=None).order.status == "pending"
    assert state(test=True).order.test
    assert state(cancelled_at="2026-11-20T12:00:00Z").order.cancel_time.seconds


def test_deletions():
    (event,) = translated("orders/delete", {"id": 77})
    assert (event.order.order_id, event.order.notice) == ("77", Order.DELETED)
    assert event.HasField("occur_time")
    (event,) = translated("products/delete", {"id": 78})
    assert (event.product.product_id, event.product.deleted) == ("78", True)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the platform's own samples are not here")
def test_a_sample_product_of_several_skus():
    sent = orjson.loads((SAMPLES / "pyapi_product.json").read_bytes())["product"]
    product, *variants = (event.product for event in translated("products/update", sent))
    assert (product.product_id, product.display_name, product.sku) == (str(sent["id"]), sent["title"], "")
    assert [(one.product_id, one.sku) for one in variants] == [(str(v["id"]), v["sku"]) for v in sent["variants"]]
    assert {one.parent_product_id for one in variants} == {product.product_id}
    assert not any(one.HasField("total_sales") for one in (product, *variants))


def test_products_with_one_and_with_several_variants():
    product = {"id": 1, "title": "Tea", "updated_at": "2026-11-20T12:00:00Z", "variants": [{"id": 2, "sku": "T"}]}
    (event,) = translated("products/update", product)
    assert (event.product.product_id, event.product.sku, event.product.display_name) == ("1", "T", "Tea")
    product["variants"] = [{"id": 2, "sku": "T-S", "title": "S"}, {"id": 3, "sku": None, "title": "M"}]
    events = translated("products/create", product)
    assert [event.product.sku for event in events] == ["", "T-S", ""]
    assert [event.product.parent_product_id for event in events] == ["", "1", "1"]
    assert len({event.event_id for event in events}) == 3


def test_topics_without_figures():
    for topic in ("orders/edited", "checkouts/create", "app/uninstalled", "customers/redact", "made/up"):
        assert shopify.translate(topic, b"not even JSON", READER) == []


@pytest.mark.parametrize(
    ("topic", "told"),
    [
        ("orders/paid", REFUND),
        ("orders/paid", {"id": 1}),
        ("refunds/create", ORDER),
        ("orders/delete", ORDER),
        ("products/update", ORDER),
        ("products/update", REFUND),
        ("orders/paid", {**ORDER, "order_id": None}),
        ("orders/paid", {"id": 1, "note_attributes": {}}),
        ("refunds/create", {**REFUND, "line_items": [], "transactions": 5}),
    ],
)
def test_a_topic_must_fit_its_body(topic, told):
    with pytest.raises(UnusableError, match="TOPIC_MISMATCH"):
        translated(topic, told)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"total_price": None}, "MISSING_FIELD: total_price"),
        ({"total_price_set": money("x")}, "INVALID_FIELD: total_price_set.shop_money.amount"),
        ({"created_at": "2026-11-20T11:15:00"}, "INVALID_FIELD: created_at"),
        ({"created_at": "yesterday"}, "INVALID_FIELD: created_at"),
        ({"test": "false"}, "INVALID_FIELD: test"),
        ({"taxes_included": 1}, "INVALID_FIELD: taxes_included"),
        ({"line_items": [{"id": 1, "price": "999999999999", "quantity": 999}]}, "INVALID_FIELD: line_items[0].price"),
        ({"customer": "x"}, "INVALID_FIELD: customer"),
        ({"customer": {"id": []}}, "INVALID_FIELD: customer.id"),
        ({"id": 2**64}, "INVALID_FIELD: id"),
        ({"id": 5.0}, "INVALID_FIELD: id"),
        ({"id": True}, "INVALID_FIELD: id"),
        ({"total_price_set": "70.80"}, "INVALID_FIELD: total_price_set"),
        ({"total_price_set": {"shop_money": 70.8}}, "INVALID_FIELD: total_price_set.shop_money"),
        ({"refunds": {}}, "INVALID_FIELD: refunds"),
        ({"note_attributes": [None]}, "INVALID_FIELD: note_attributes[0]"),
        ({"name": "a\0b"}, "INVALID_FIELD: name"),
        ({"line_items": [{"id": 1}, 5]}, "INVALID_FIELD: line_items[1]"),
        (
            {"line_items": [{"id": 1, "tax_lines": [{}, {"price_set": money("x")}]}]},
            "INVALID_FIELD: line_items[0].tax_lines[1].price_set.shop_money.amount",
        ),
        (
            {"refunds": [{"id": 1, "transactions": [transaction("-5")]}]},
            "INVALID_FIELD: refunds[0].transactions[0].amount",
        ),
    ],
)
def test_unusable_orders_name_their_field(fields, reason):
    with pytest.raises(UnusableError) as caught:
        state(**fields)
    assert str(caught.value) == reason


@pytest.mark.parametrize("gone", [None, []])
def test_objects_that_are_not_there(gone):
    order = state(customer=gone, billing_address=gone, total_price_set=gone, total_tax_set={"shop_money": gone})
    assert (order.identifiers.customer_id, order.identifiers.phone) == ("", "")
    assert (order.order.total_micros, order.order.tax_micros) == (70_800_000, 11_800_000)


@pytest.mark.parametrize("impossible", [2**70, 5.5, "a\0b", "x" * 600, {"a": 1}, [], True])
def test_impossible_claims_cost_the_match_and_not_the_order(impossible):
    event = state(email=impossible, phone=impossible, billing_address=None, note_attributes=[{"value": 1}])
    assert (event.identifiers.email, event.identifiers.phone, event.identifiers.session_id) == ("", "", "")
    assert event.order.total_micros == 70_800_000


def test_plain_amounts_beside_a_set_are_not_looked_at():
    line = {**ORDER["line_items"][0], "price": 20.000000001}
    order = state(line_items=[line], total_tax=11.8, total_tax_set=money("11.80")).order
    assert (order.lines[0].net_micros, order.tax_micros) == (54_000_000, 11_800_000)


def test_a_price_that_is_gone_wrong_beside_lines_that_are_right_is_found():
    lines = [ORDER["line_items"][0]] * 3 + [{**ORDER["line_items"][0], "price_set": money("20,00")}]
    with pytest.raises(UnusableError, match=r"line_items\[3\]\.price_set\.shop_money\.amount"):
        state(line_items=lines)


def test_an_adjustment_is_named_by_its_place_in_the_list():
    adjustments = [{"kind": "other", "amount": 1.5}, {"kind": "shipping_refund", "amount": "x"}]
    with pytest.raises(UnusableError, match=r"refunds\[0\]\.order_adjustments\[1\]\.amount"):
        state(refunds=[{**REFUND, "order_adjustments": adjustments}])


def test_a_missing_topic_is_parked():
    said = PLATFORMS[Source.SHOPIFY].read("", b"{}", READER)
    assert [part.reason for part in said.unusable] == ["MISSING_FIELD: x-shopify-topic"]


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the platform's own samples are not here")
def test_published_samples_are_read_or_parked_but_never_trip_the_reader():
    read = 0
    for file in sorted(SAMPLES.glob("*.json")):
        told = orjson.loads(file.read_bytes())
        bodies = [told, *(told.values() if isinstance(told, dict) else told)]
        bodies += [one for body in bodies if isinstance(body, list) for one in body]
        for body in bodies:
            for topic in ("orders/updated", "refunds/create", "products/update", "orders/delete"):
                said = PLATFORMS[Source.SHOPIFY].read(topic, orjson.dumps(body), READER)
                assert "UNREADABLE" not in {part.reason for part in said.unusable}
                read += len([Event(**fields) for fields in said.events])
    assert read
