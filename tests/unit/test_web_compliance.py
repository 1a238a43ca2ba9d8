"""Shopify's mandatory topics about people's data."""

from typing import Any

import orjson
import pytest
from touchstone.ingest.v1.privacy_pb2 import PrivacyDemand
from touchstone.ingest.v1.source_service_pb2 import Source

from gateway.web.webhooks import compliance
from gateway.web.webhooks.fields import UnusableError
from gateway.web.webhooks.platforms import PLATFORMS
from gateway.web.webhooks.translation import Reader, Translation

SHOP = {"shop_id": 954889, "shop_domain": "shop.myshopify.com"}
CUSTOMER = {"id": 191167, "email": "John@example.com", "phone": "+1 555-625-1199"}
REDACT = {**SHOP, "customer": CUSTOMER, "orders_to_redact": [299938, 9_007_199_254_740_993_001]}
REQUEST = {**SHOP, "customer": CUSTOMER, "orders_requested": [299938], "data_request": {"id": 9999}}


def demanded(topic: str, body: dict[str, Any]) -> PrivacyDemand:
    [fields] = compliance.demands(topic, orjson.dumps(body))
    return PrivacyDemand(**fields)


def read(topic: str, body: dict[str, Any]) -> Translation:
    return PLATFORMS[Source.SHOPIFY].read(topic, orjson.dumps(body), Reader(id_prefix="_touchstone_"))


def test_a_customer_is_named_by_number_addresses_and_orders() -> None:
    demand = demanded("customers/redact", REDACT)
    assert demand.kind == PrivacyDemand.ERASURE
    assert demand.identifiers.customer_id == "191167"
    assert demand.identifiers.email == "John@example.com"
    assert demand.identifiers.phone == "+1 555-625-1199"
    assert list(demand.order_ids) == ["299938", "9007199254740993001"]


def test_a_customer_who_left_little_is_named_by_it() -> None:
    demand = demanded("customers/redact", {**SHOP, "customer": {"id": 7, "email": None}, "orders_to_redact": None})
    assert (demand.identifiers.customer_id, demand.identifiers.email, list(demand.order_ids)) == ("7", "", [])


def test_what_is_held_is_asked_for_by_the_orders_requested() -> None:
    demand = demanded("customers/data_request", REQUEST)
    assert (demand.kind, list(demand.order_ids)) == (PrivacyDemand.ACCESS, ["299938"])


def test_a_whole_shop_names_nobody() -> None:
    demand = demanded("shop/redact", SHOP)
    assert (demand.kind, demand.identifiers.ByteSize(), list(demand.order_ids)) == (PrivacyDemand.SHOP_ERASURE, 0, [])


def test_the_same_body_is_the_same_demand_of_its_topic_only() -> None:
    assert demanded("customers/redact", REDACT).demand_id == demanded("customers/redact", REDACT).demand_id
    other = {**REDACT, "orders_to_redact": [1]}
    assert demanded("customers/redact", REDACT).demand_id != demanded("customers/redact", other).demand_id


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        # A header that somebody changed must not make more of a body than its shop signed.
        ("shop/redact", REDACT),
        ("shop/redact", REQUEST),
        ("shop/redact", {}),
        ("shop/redact", {**SHOP, "line_items": []}),
        ("customers/redact", REQUEST),
        ("customers/redact", SHOP),
        ("customers/data_request", REDACT),
    ],
)
def test_a_body_of_another_topic_is_refused(topic: str, body: dict[str, Any]) -> None:
    with pytest.raises(UnusableError, match="TOPIC_MISMATCH"):
        compliance.demands(topic, orjson.dumps(body))
    told = read(topic, body)
    assert [one.reason for one in told.unusable] == ["TOPIC_MISMATCH"]
    assert not told.privacy_demands


@pytest.mark.parametrize("orders", ["299938", [1.5], [{"id": 1}], {}])
def test_orders_that_cannot_be_read_are_not_left_out(orders: object) -> None:
    with pytest.raises(UnusableError, match="orders_to_redact"):
        compliance.demands("customers/redact", orjson.dumps({**REDACT, "orders_to_redact": orders}))


def test_other_topics_demand_nothing() -> None:
    assert compliance.demands("orders/paid", b"not even JSON") == []
    told = read("customers/redact", REDACT)
    assert len(told.privacy_demands) == 1
    assert not told.events
    assert not told.unusable
