"""WooCommerce's deliveries, as a real shop sent them."""

import base64
import json
from collections import Counter
from functools import cache
from pathlib import Path

import orjson
import pytest
from touchstone.ingest.v1.event_pb2 import Event
from touchstone.ingest.v1.order_pb2 import Order
from touchstone.ingest.v1.source_service_pb2 import Source

from gateway.web.webhooks import signatures, woocommerce
from gateway.web.webhooks.fields import UnusableError
from gateway.web.webhooks.platforms import PLATFORMS
from gateway.web.webhooks.translation import Reader

RECORDED = Path(__file__).parents[1] / "recorded" / "woocommerce"
KEYS = signatures.woocommerce_keys(["lab-s3crét-Kéy"])
READER = Reader(id_prefix="_ecombot_")


@cache
def recorded():
    """(name, headers, body) of each recorded delivery, in the order received."""
    deliveries = []
    for file in sorted(RECORDED.glob("delivery_*.json")):
        told = json.loads(file.read_bytes())
        headers = {name.lower(): value for name, value in told["headers"]}
        deliveries.append((file.stem, headers, base64.b64decode(told["body_b64"])))
    return deliveries


def translated(topic, body):
    return [Event(**fields) for fields in woocommerce.translate(topic, body, READER)]


def orders():
    return [
        (orjson.loads(body), translated(headers["x-wc-webhook-topic"], body)[0])
        for _, headers, body in recorded()
        if headers.get("x-wc-webhook-topic") in ("order.created", "order.updated")
    ]


def body_of(order_id, status=None):
    return next(
        body
        for _, headers, body in recorded()
        if headers.get("x-wc-webhook-topic", "").startswith("order.")
        and (told := orjson.loads(body))["id"] == order_id
        and status in (None, told.get("status"))
    )


def changed(body, **fields):
    return orjson.dumps({**orjson.loads(body), **fields})


def test_every_recorded_delivery_is_signed_or_a_ping():
    kinds = Counter()
    for _, headers, body in recorded():
        signature = headers.get("x-wc-webhook-signature")
        if signature is None:
            assert woocommerce.is_creation_ping(body)
            kinds["ping"] += 1
        else:
            assert signatures.signed_base64(body, signature.encode(), KEYS)
            assert not signatures.signed_base64(body + b" ", signature.encode(), KEYS)
            kinds["signed"] += 1
    assert kinds == {"ping": 10, "signed": 142}


def test_every_recorded_delivery_can_be_used():
    told = Counter()
    for _, headers, body in recorded():
        if topic := headers.get("x-wc-webhook-topic"):
            said = PLATFORMS[Source.WOOCOMMERCE].read(topic, body, READER)
            assert not said.unusable
            told[topic] += len(said.events)
    assert told == {
        "order.created": 43,
        "order.updated": 73,
        "order.deleted": 1,
        "product.created": 7,
        "product.updated": 9,
        "product.deleted": 1,
        "action.woocommerce_order_refunded": 0,
        "coupon.created": 0,
        "customer.created": 0,
    }


def test_amounts_are_the_shops_own_to_the_last_digit():
    def micros(text):
        whole, _, digits = text.lstrip("-").partition(".")
        return int(whole + digits.ljust(6, "0")) * (-1 if text.startswith("-") else 1)

    for sent, event in orders():
        order = event.order
        assert order.total_micros == micros(sent["total"])
        assert order.tax_micros == micros(sent["total_tax"])
        assert order.shipping_micros == micros(sent["shipping_total"])
        assert order.fee_micros == sum(micros(fee["total"]) for fee in sent["fee_lines"])
        assert [line.net_micros for line in order.lines] == [micros(line["total"]) for line in sent["line_items"]]
        assert [refund.amount_micros for refund in order.refunds] == [-micros(one["total"]) for one in sent["refunds"]]
        parts = sum(line.net_micros for line in order.lines) + order.shipping_micros + order.fee_micros
        assert parts + order.tax_micros == order.total_micros


def test_an_order_as_it_was_told():
    sent, event = orders()[0]
    assert event.event_id.startswith("order.updated/20/")
    assert event.identifiers.session_id == "sess_01HZXA7"
    assert event.identifiers.visitor_id == "vis_9f8e7d"
    assert event.identifiers.email == "Zoe.OConnor+shop@Example.test"
    assert (event.identifiers.phone, event.identifiers.phone_country) == ("+33 4 77 00 00 00", "FR")
    assert event.identifiers.customer_id == ""
    order = event.order
    assert (order.platform, order.notice, order.status) == (Order.WOOCOMMERCE, Order.STATE, "processing")
    assert order.order_time.ToJsonString() == f"{sent['date_created_gmt']}Z"
    assert event.occur_time == order.update_time
    first = order.lines[0]
    assert (first.line_id, first.product_id, first.variant_id, first.sku) == ("2", "11", "", "THE-SENCHA-100")
    assert order.lines[1].variant_id == "15"
    assert not order.refunds


def test_what_is_gone_is_absent():
    gone = [line for _, event in orders() for line in event.order.lines if not line.product_id]
    assert gone
    assert {(line.sku, line.product_id) for line in gone} == {("", "")}


def test_an_order_back_from_the_bin_says_so():
    trashed = {event.order.order_id for _, event in orders() if event.order.formerly_trashed}
    assert trashed == {"29"}


def test_notices_without_a_time_are_the_same_each_time():
    body = b'{"id":29}'
    (first,), (second,) = translated("order.deleted", body), translated("order.deleted", body)
    assert first == second
    assert first.HasField("occur_time")
    assert first.order.notice == Order.TRASHED
    (restored,) = translated("order.restored", body)
    assert restored.order.notice == Order.RESTORED


def test_a_restored_order_told_whole_is_a_state_and_a_notice():
    state, notice = translated("order.restored", body_of(20))
    assert (state.order.notice, notice.order.notice) == (Order.STATE, Order.RESTORED)
    assert state.event_id != notice.event_id
    assert state.order.order_id == notice.order.order_id == "20"


def test_products():
    _, headers, body = next(one for one in recorded() if one[1].get("x-wc-webhook-topic") == "product.updated")
    (event,) = translated(headers["x-wc-webhook-topic"], body)
    sent = orjson.loads(body)
    assert event.product.product_id == str(sent["id"])
    assert event.product.total_sales == int(sent["total_sales"])
    (text_sales,) = translated("product.updated", changed(body, total_sales="17", type="variation", parent_id=12))
    assert (text_sales.product.total_sales, text_sales.product.parent_product_id) == (17, "12")
    (untold,) = translated("product.updated", changed(body, total_sales=None))
    assert not untold.product.HasField("total_sales")
    (deleted,) = translated("product.deleted", b'{"id":29}')
    assert deleted.product.deleted
    (restored,) = translated("product.restored", body)
    assert (restored.product.restored, restored.product.display_name) == (True, sent["name"])
    assert not event.product.restored


def test_every_recorded_product_tells_its_sales_and_what_it_is_a_variation_of():
    told = [
        (orjson.loads(body), translated(topic, body)[0].product)
        for _, headers, body in recorded()
        if (topic := headers.get("x-wc-webhook-topic", "")) in ("product.created", "product.updated")
    ]
    assert len(told) == 16
    for sent, product in told:
        assert product.total_sales == int(sent["total_sales"])
        assert product.sku == sent["sku"]
        assert product.parent_product_id == (str(sent["parent_id"]) if sent["type"] == "variation" else "")
    assert sum(bool(product.parent_product_id) for _, product in told) == 3


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"id": None}, "MISSING_FIELD: id"),
        ({"id": 0}, "MISSING_FIELD: id"),
        ({"id": 1e30}, "INVALID_FIELD: id"),
        ({"id": [1]}, "INVALID_FIELD: id"),
        ({"total": None}, "MISSING_FIELD: total"),
        ({"total": "1e99"}, "INVALID_FIELD: total"),
        ({"total": "-1.00"}, "INVALID_FIELD: total"),
        ({"total": "0.0000001"}, "INVALID_FIELD: total"),
        ({"total": 56.09}, "INVALID_FIELD: total"),
        ({"total_tax": "NaN"}, "INVALID_FIELD: total_tax"),
        ({"currency": "EURO"}, "INVALID_FIELD: currency"),
        ({"currency": None}, "MISSING_FIELD: currency"),
        ({"status": ""}, "MISSING_FIELD: status"),
        ({"status": "pro\0cessing"}, "INVALID_FIELD: status"),
        ({"date_created_gmt": None}, "MISSING_FIELD: date_created_gmt"),
        ({"date_created_gmt": "2026-02-30T00:00:00"}, "INVALID_FIELD: date_created_gmt"),
        ({"date_created_gmt": "0000-00-00T00:00:00"}, "INVALID_FIELD: date_created_gmt"),
        ({"date_modified_gmt": 5}, "INVALID_FIELD: date_modified_gmt"),
        ({"line_items": {}}, "INVALID_FIELD: line_items"),
        ({"line_items": [5]}, "INVALID_FIELD: line_items[0]"),
        ({"line_items": [{"id": 1}, {}]}, "MISSING_FIELD: line_items[1].id"),
        ({"line_items": [{"id": 1, "quantity": -1}]}, "INVALID_FIELD: line_items[0].quantity"),
        ({"line_items": [{"id": 1, "sku": 5}]}, "INVALID_FIELD: line_items[0].sku"),
        ({"refunds": [{"id": 3, "total": "x"}]}, "INVALID_FIELD: refunds[0].total"),
        ({"fee_lines": [{"total": "1000000000000"}] * 3}, "INVALID_FIELD: fee_lines"),
        ({"meta_data": "x"}, "INVALID_FIELD: meta_data"),
    ],
)
def test_what_cannot_be_used_names_its_field(fields, reason):
    with pytest.raises(UnusableError) as caught:
        woocommerce.translate("order.updated", changed(body_of(20), **fields), READER)
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "INVALID_JSON"),
        (b"{", "INVALID_JSON"),
        (b"\xff\xfe", "INVALID_JSON"),
        (b'{"id": "\\ud800"}', "INVALID_JSON"),
        (b"[" * 5000 + b"]" * 5000, "INVALID_JSON"),
        (b'{"id":' * 2000 + b"1" + b"}" * 2000, "INVALID_JSON"),
        (b"[]", "NOT_AN_OBJECT"),
        (b"null", "NOT_AN_OBJECT"),
        (b'{"id":29}', "TOPIC_MISMATCH"),
    ],
)
def test_bodies_of_another_kind(body, reason):
    said = PLATFORMS[Source.WOOCOMMERCE].read("order.updated", body, READER)
    assert [(part.reason, part.body) for part in said.unusable] == [(reason, body)]


def test_a_body_under_another_topic_is_refused():
    for topic in ("order.deleted", "product.updated", "product.deleted"):
        with pytest.raises(UnusableError, match="TOPIC_MISMATCH"):
            woocommerce.translate(topic, body_of(20), READER)


def test_impossible_claims_cost_the_match_and_not_the_order():
    meta = [
        {"key": "_ecombot_session_id", "value": "s" * 257},
        {"key": "_ecombot_visitor_id", "value": {"a": 1}},
        {"key": 5, "value": "x"},
    ]
    (event,) = translated("order.updated", changed(body_of(20), meta_data=meta, billing={"email": "a\0b@example.com"}))
    assert not event.identifiers.ByteSize()
    assert event.order.total_micros == 56_090_000


def test_signed_identifiers_only():
    reader = Reader(id_prefix="_ecombot_", signed_ids_only=True, secrets=("new", "old"))
    # HMAC-SHA-256 of "sess.1" under "old", in base64url without padding.
    signed = "sess.1.MG92uHk2bOsmOWBlBr1qIMUJFa2Re6HV-Xp26Q5T0aA"
    meta = [{"key": "_ecombot_session_id", "value": signed}, {"key": "_ecombot_visitor_id", "value": "forged"}]
    (fields,) = woocommerce.translate("order.updated", changed(body_of(20), meta_data=meta), reader)
    assert fields["identifiers"]["session_id"] == "sess.1"
    assert "visitor_id" not in fields["identifiers"]
