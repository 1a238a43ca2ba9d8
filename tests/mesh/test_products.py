"""Products through the public doors: webhooks and events in, what an assistant may say out."""

from collections.abc import Callable
from urllib.parse import quote

import pytest

from tests.mesh.shop import RECORDED_SOURCE, Shop, recorded

DAY = "2026-11-21"
ODD = "A/B ü?"
"""A stock-keeping unit that a path can't hold as it is."""


@pytest.fixture(scope="module")
def selling(open_shop: Callable[[], Shop]) -> Shop:
    """A shop that told of its products, the newest first, and of an order."""
    shop = open_shop()
    shop.add_recorded_source()
    for delivery in reversed([one for one in recorded() if one.topic.startswith("product.")]):
        assert shop.deliver(RECORDED_SOURCE, delivery.headers, delivery.body).status_code == 200
    order = {
        "orderId": "1",
        "platform": "CUSTOM",
        "status": "completed",
        "currencyCode": "EUR",
        "totalMicros": "15000000",
        "lines": [
            {"lineId": "1", "sku": "TEE-S", "quantity": "3", "netMicros": "3000000"},
            {"lineId": "2", "sku": ODD, "quantity": "12", "netMicros": "12000000"},
        ],
    }
    told = {"productId": "odd", "sku": ODD, "displayName": "Something odd"}
    occur_time = "2026-11-20T12:00:00Z"
    shop.append([{"eventId": "p", "occurTime": occur_time, "product": told}])
    shop.append([{"eventId": "o", "occurTime": occur_time, "order": order}])
    shop.settle()
    return shop


def test_the_most_sold_by_what_the_shop_tells_and_by_units(selling: Shop) -> None:
    ever = selling.client.get("/v1/products:popular", params={"asOf": DAY, "pageSize": 2}).json()
    assert (ever["by"], ever["totalSize"], ever["asOf"]) == ("TOTAL_SALES", "4", DAY)
    assert [(one["sku"], one["totalSales"], one["ranking"]["rank"]) for one in ever["products"]] == [
        ("THE-SENCHA-100", "15", "1"),
        ("17", "0", "2"),
    ]
    assert ever["nextPageToken"]
    lately = selling.client.get("/v1/products:popular", params={"asOf": DAY, "by": "UNITS", "days": 7}).json()
    assert [(one["sku"], one["displayName"], one["units7Days"]) for one in lately["products"][:2]] == [
        (ODD, "Something odd", "12"),
        ("TEE", "T-shirt", "3"),
    ]


def test_what_can_be_said_of_a_product(selling: Shop) -> None:
    path = f"/v1/products/{quote(ODD, safe='')}/social-proof"
    said = selling.client.get(path, params={"asOf": DAY, "languageCode": "fr"}).json()
    assert (said["sku"], said["productSku"], said["bestSeller"]) == (ODD, ODD, False)
    assert (said["sentence"], said["languageCode"]) == ("12 unités vendues au cours des 7 derniers jours.", "fr")
    variation = selling.client.get("/v1/products/TEE-S/social-proof", params={"asOf": DAY}).json()
    assert (variation["productSku"], variation["units30Days"], variation.get("sentence")) == ("TEE", "3", None)


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/v1/products/nothing/social-proof", 404, "PRODUCT_NOT_FOUND"),
        ("/v1/products:popular?by=LUCK", 400, "by"),
        ("/v1/products:popular?days=8", 400, "days"),
        ("/v1/products/TEE/social-proof?asOf=today", 400, "asOf"),
        ("/v1/products/TEE/social-proof?languageCode=%3F", 400, "languageCode"),
    ],
)
def test_what_is_asked_wrongly(selling: Shop, path: str, status: int, said: str) -> None:
    answer = selling.client.get(path)
    assert (answer.status_code, f'"{said}"' in answer.text) == (status, True)
