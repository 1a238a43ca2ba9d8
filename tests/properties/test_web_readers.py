"""Whatever a shop or a program sends: it is used, or refused by name; nothing trips the readers."""

import base64
import hmac
import html
import json

from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from touchstone.ingest.v1.event_pb2 import Event
from touchstone.ingest.v1.event_service_pb2 import Delivery
from touchstone.ingest.v1.source_service_pb2 import Source

from gateway.web.protojson.reading import MalformedError, reader
from gateway.web.protojson.writing import writer
from gateway.web.webhooks import signatures
from gateway.web.webhooks.platforms import PLATFORMS
from gateway.web.webhooks.translation import Reader

READER = Reader(id_prefix="_touchstone_")
AMOUNTS = st.one_of(st.decimals(allow_nan=True).map(str), st.sampled_from(["", "56.09", "-13.50", "1e3", "0.0000001"]))
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=20), AMOUNTS)
NAMES = st.sampled_from(
    [
        "id",
        "order_id",
        "line_items",
        "refunds",
        "total",
        "total_price",
        "total_price_set",
        "shop_money",
        "amount",
        "currency",
        "status",
        "price",
        "sku",
        "created_at",
        "updated_at",
        "date_created_gmt",
        "date_modified_gmt",
        "customer",
        "billing",
        "billing_address",
        "email",
        "phone",
        "meta_data",
        "key",
        "value",
        "note_attributes",
        "name",
        "quantity",
        "transactions",
        "refund_line_items",
        "variants",
        "title",
        "kind",
        "test",
    ]
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=8)),
    max_leaves=25,
)
ORDER = {
    "id": 5,
    "line_items": [{"id": 1, "quantity": 1, "price": "5.00", "total": "5.00"}],
    "currency": "EUR",
    "total": "5.00",
    "total_price": "5.00",
    "status": "processing",
    "financial_status": "paid",
    "created_at": "2026-11-20T10:15:00Z",
    "date_created_gmt": "2026-11-20T10:15:00",
}
TOPICS = st.sampled_from(
    [
        (Source.SHOPIFY, "orders/paid"),
        (Source.SHOPIFY, "refunds/create"),
        (Source.SHOPIFY, "products/update"),
        (Source.WOOCOMMERCE, "order.updated"),
        (Source.WOOCOMMERCE, "order.restored"),
        (Source.WOOCOMMERCE, "product.updated"),
        (Source.CUSTOM, "events"),
    ]
)


def read(kind, topic, body):
    said = PLATFORMS[kind].read(topic, body, READER)
    assert "UNREADABLE" not in {part.reason for part in said.unusable}
    # What was read is a message: no number is beyond its bounds, no text beyond UTF-8.
    return Delivery(events=said.events).SerializeToString()


@settings(max_examples=200, deadline=None)
@given(TOPICS, st.dictionaries(NAMES, JSON, max_size=6))
def test_any_json_within_an_order_is_used_or_parked(platform, fields):
    body = json.dumps({**ORDER, **fields}).encode()
    assert read(*platform, body) == read(*platform, body)


@settings(max_examples=100, deadline=None)
@given(TOPICS, st.binary(max_size=200))
def test_any_bytes_are_used_or_parked(platform, body):
    read(*platform, body)


@given(st.binary(max_size=500), st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=3), st.data())
def test_a_signature_holds_for_its_body_and_secrets_alone(body, secrets, data):
    secret = data.draw(st.sampled_from(secrets))
    for key_of in (signatures.keys, signatures.woocommerce_keys):
        made = base64.b64encode(hmac.digest(secret.encode(), body, "sha256"))
        assert signatures.signed_base64(body, made, key_of(secrets))
        assert not signatures.signed_base64(body + b"x", made, key_of(secrets))
        assert not signatures.signed_base64(body, made, key_of(["another secret of forty-one characters...."]))
        assert not signatures.signed_base64(body, b"", key_of(secrets))


@given(st.text(alphabet="ab&<>\"'", min_size=1, max_size=12))
def test_a_secret_holds_in_the_form_that_wordpress_gives_it(secret):
    keys = signatures.woocommerce_keys([secret])
    assert secret.encode() in keys
    assert html.escape(secret, quote=False).encode() in keys
    assert html.escape(secret).replace("&#x27;", "&#039;").encode() in keys


@given(st.binary(max_size=200), st.integers(0, 2**33), st.integers(-400, 400))
def test_a_timed_signature_holds_for_five_minutes(body, sent_at, late):
    key = b"secret"
    made = hmac.new(key, b"%d.%b" % (sent_at, body), "sha256").hexdigest()
    holds = signatures.signed_with_time(body, f"t={sent_at},v1={'0' * 64},v1={made}", [b"old", key], sent_at + late)
    assert holds == (abs(late) <= 300)
    assert not signatures.signed_with_time(body, f"t={sent_at + 1},v1={made}", [key], sent_at)
    assert not signatures.signed_with_time(body, f"v1={made}", [key], sent_at)


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=10)
TIMES = st.builds(dict, seconds=st.integers(-62_135_596_800, 253_402_300_799), nanos=st.integers(0, 999_999_999))
EVENTS = st.builds(
    lambda event_id, time, channel, texts, amount, sales: [
        Event(
            event_id=event_id,
            occur_time=time,
            interaction={"channel": channel, "product_ids": texts},
        ),
        Event(event_id=event_id, order={"order_id": event_id, "total_micros": amount, "lines": [{"sku": event_id}]}),
        Event(event_id=event_id, product={"product_id": event_id, "total_sales": sales}),
    ],
    TEXTS,
    TIMES,
    st.integers(1, 7),
    st.lists(TEXTS, max_size=3),
    st.integers(-(2**63), 2**63 - 1),
    st.none() | st.integers(0, 2**63 - 1),
)


@given(EVENTS)
def test_what_is_written_is_read_as_the_same(events):
    for event in events:
        told = writer(Event.DESCRIPTOR)(event)
        assert Event(**reader(Event.DESCRIPTOR)(told)) == event
        assert Event(**reader(Event.DESCRIPTOR)(json_format.MessageToDict(event))) == event
        assert json_format.ParseDict(told, Event()) == event


EVENT_NAMES = st.sampled_from(
    ["eventId", "occurTime", "identifiers", "interaction", "channel", "order", "lines", "quantity", "sessionId", "x"]
)
EVENT_JSON = st.recursive(
    st.one_of(LEAVES, st.sampled_from(["CHAT", "MESSAGE", "2026-11-20T10:15:00Z"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(EVENT_NAMES, inner, max_size=5)),
    max_leaves=15,
)


@settings(max_examples=200, deadline=None)
@given(EVENT_JSON)
def test_the_strict_reader_takes_nothing_that_protobuf_refuses(told):
    try:
        read_event = Event(**reader(Event.DESCRIPTOR)(told))
    except MalformedError:
        return
    assert json_format.ParseDict(told, Event()) == read_event
