"""What can't be used is refused or parked by name, and hurts nothing beside it."""

import base64
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.mesh.running import until
from tests.mesh.shop import Shop, figures

SECRET = "S3CRET & <more>"
TODAY = datetime.now(UTC).date()
MEGABYTE = 1_000_000


def shopify_order(**changed: Any) -> dict[str, Any]:
    placed = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    return {
        "id": 5_500_000_000_001,
        "created_at": placed,
        "updated_at": placed,
        "currency": "EUR",
        "financial_status": "paid",
        "total_price": "12.00",
        "line_items": [{"id": 1, "product_id": 7, "sku": "A", "quantity": 1, "price": "12.00"}],
        **changed,
    }


def woocommerce_order(**changed: Any) -> dict[str, Any]:
    placed = (datetime.now(UTC) - timedelta(hours=1)).replace(tzinfo=None).isoformat(timespec="seconds")
    return {
        "id": 77,
        "status": "processing",
        "currency": "EUR",
        "date_created_gmt": placed,
        "date_modified_gmt": placed,
        "total": "12.00",
        "total_tax": "0.00",
        "line_items": [{"id": 1, "product_id": 7, "sku": "A", "quantity": 1, "total": "12.00", "total_tax": "0.00"}],
        **changed,
    }


def signature(body: bytes, secret: str = SECRET) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), body, "sha256")).decode()


def shopify(body: bytes, topic: str = "orders/paid", *, signed: str | None = None) -> list[tuple[str, str]]:
    return [
        ("Content-Type", "application/json"),
        ("X-Shopify-Topic", topic),
        ("X-Shopify-Hmac-SHA256", signature(body) if signed is None else signed),
    ]


def woocommerce(body: bytes, topic: str = "order.updated", *, signed: str | None = None) -> list[tuple[str, str]]:
    return [
        ("Content-Type", "application/json"),
        ("X-WC-Webhook-Topic", topic),
        ("X-WC-Webhook-ID", "1"),
        ("X-WC-Webhook-Signature", signature(body) if signed is None else signed),
    ]


@pytest.fixture(scope="module")
def wrong(open_shop: Callable[[], Shop]) -> Shop:
    """A shop to which bad things are told."""
    shop = open_shop()
    shop.add_source("shopify", "shopify", SECRET)
    shop.add_source("woo", "woocommerce", SECRET)
    return shop


def health(shop: Shop, source: str) -> dict[str, Any]:
    [told] = [one for one in shop.client.get("/v1/sources").json()["sources"] if one["source"] == source]
    return dict(told)


def stored(shop: Shop, source: str) -> tuple[int, int, int]:
    """Verified deliveries, those of topics without figures, and those parked."""
    told = health(shop, source)
    return int(told["deliveredCount"]), int(told["uncountedTopicCount"]), int(told["parkedCount"])


def newest_parked(shop: Shop, source: str) -> dict[str, Any]:
    listed = shop.client.get(f"/v1/sources/{source}/parked").json()["parkedDeliveries"]
    return dict(listed[0])


def error(answer: httpx.Response) -> tuple[int, str]:
    """Status and reason; every error has the same form."""
    told = answer.json()
    [info] = [detail for detail in told["details"] if detail["@type"].endswith("google.rpc.ErrorInfo")]
    assert info["domain"] == "touchstone"
    return answer.status_code, info["reason"]


@pytest.mark.parametrize("signed", ["", "AAAA", signature(b"another body"), "é" * 10], ids=repr)
@pytest.mark.parametrize("source", ["shopify", "woo"])
def test_a_wrong_or_missing_signature_is_401_and_stores_nothing(source: str, signed: str, wrong: Shop) -> None:
    before = stored(wrong, source)
    body = json.dumps(shopify_order() if source == "shopify" else woocommerce_order()).encode()
    headers = (shopify if source == "shopify" else woocommerce)(body, signed=signed)
    headers = [(name, value.encode("latin-1").decode("latin-1")) for name, value in headers if value]
    url = f"/webhooks/{wrong.tenant}/{source}"
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    answer = wrong.running.client.post(url, headers=raw, content=body)
    assert error(answer) == (401, "BAD_SIGNATURE")
    assert stored(wrong, source) == before


def test_an_unknown_source_is_404(wrong: Shop) -> None:
    assert error(wrong.deliver("nowhere", [], b"{}")) == (404, "SOURCE_NOT_FOUND")


DEEP = b'{"id": 1, "line_items": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
UNUSABLE = {
    "no JSON": (b"id=1&total=12", "INVALID_JSON"),
    "cut off": (json.dumps(shopify_order()).encode()[:-9], "INVALID_JSON"),
    "no UTF-8": (b'{"id": 1, "name": "\xff\xfe"}', "INVALID_JSON"),
    "nested too deep": (DEEP, "INVALID_JSON"),
    "a lone surrogate": (json.dumps(shopify_order(email="\ud800@example.com")).encode(), "INVALID_JSON"),
    "a list": (b"[1, 2]", "NOT_AN_OBJECT"),
    "no id": (json.dumps(shopify_order(id=None)).encode(), "MISSING_FIELD: id"),
    "an id beyond 64 bits": (json.dumps(shopify_order(id=10**30)).encode(), "INVALID_FIELD: id"),
    "no total": (json.dumps(shopify_order(total_price=None)).encode(), "MISSING_FIELD: total_price"),
    "an absurd total": (json.dumps(shopify_order(total_price="9" * 40)).encode(), "INVALID_FIELD: total_price"),
    "a total below zero": (json.dumps(shopify_order(total_price="-1.00")).encode(), "INVALID_FIELD: total_price"),
    "a total that is no number": (json.dumps(shopify_order(total_price="NaN")).encode(), "INVALID_FIELD: total_price"),
    "a NUL in the currency": (json.dumps(shopify_order(currency="E\0R")).encode(), "INVALID_FIELD: currency"),
    "another topic's body": (json.dumps({"id": 1, "order_id": 2}).encode(), "TOPIC_MISMATCH"),
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_a_signed_body_that_cant_be_used_is_parked_with_its_reason(what: str, wrong: Shop) -> None:
    body, reason = UNUSABLE[what]
    delivered, uncounted, parked = stored(wrong, "shopify")
    assert wrong.deliver("shopify", shopify(body), body).status_code == 200
    assert stored(wrong, "shopify") == (delivered + 1, uncounted, parked + 1)
    newest = newest_parked(wrong, "shopify")
    assert newest["reason"].startswith(reason)
    assert newest["topic"] == "orders/paid"
    assert int(newest["bodyBytes"]) == len(body)
    assert "body" not in newest
    shown = wrong.client.get(f"/v1/sources/shopify/parked/{newest['parkedId']}").json()["parkedDelivery"]
    assert base64.b64decode(shown["body"]) == body


def test_what_is_too_far_ahead_is_parked_by_name(wrong: Shop) -> None:
    ahead = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    body = json.dumps(shopify_order(created_at=ahead, updated_at=ahead)).encode()
    assert wrong.deliver("shopify", shopify(body), body).status_code == 200
    assert newest_parked(wrong, "shopify")["reason"].startswith("OCCUR_TIME_TOO_FAR_AHEAD")


def test_an_identifier_that_cant_be_one_costs_the_order_nothing(open_shop: Callable[[], Shop]) -> None:
    shop = open_shop()
    shop.add_source("shopify", "shopify", SECRET)
    ids = [{"name": "_touchstone_session_id", "value": "x\0y"}, {"name": "_touchstone_visitor_id", "value": "z" * 999}]
    body = json.dumps(shopify_order(note_attributes=ids, email="nul\0@example.com")).encode()
    assert shop.deliver("shopify", shopify(body), body).status_code == 200
    shop.settle()
    day = (TODAY - timedelta(days=2)).isoformat()
    assert figures(shop.statement(day, (TODAY + timedelta(days=1)).isoformat()))["EUR"]["store"][0] == 1


def test_too_large_is_413_but_not_from_a_shop_that_gives_up(wrong: Shop) -> None:
    large = json.dumps(shopify_order(note="x" * 6 * MEGABYTE)).encode()
    before = stored(wrong, "shopify")
    assert error(wrong.deliver("shopify", shopify(large), large)) == (413, "REQUEST_TOO_LARGE")
    assert stored(wrong, "shopify") == before
    assert wrong.deliver("woo", woocommerce(large), large).status_code == 200
    newest = newest_parked(wrong, "woo")
    assert newest["reason"] == "BODY_TOO_LARGE"
    shown = wrong.client.get(f"/v1/sources/woo/parked/{newest['parkedId']}").json()["parkedDelivery"]
    assert not shown.get("body")
    assert error(wrong.deliver("woo", woocommerce(large, signed="AAAA"), large)) == (401, "BAD_SIGNATURE")


def test_woocommerces_ping_is_answered_200_and_only_that(wrong: Shop) -> None:
    before = stored(wrong, "woo")
    form = [("Content-Type", "application/x-www-form-urlencoded")]
    assert wrong.deliver("woo", form, b"webhook_id=17").status_code == 200
    assert error(wrong.deliver("woo", form, b"webhook_id=17&total=3")) == (401, "BAD_SIGNATURE")
    assert error(wrong.deliver("shopify", form, b"webhook_id=17")) == (401, "BAD_SIGNATURE")
    assert stored(wrong, "woo") == before


@pytest.mark.parametrize("topic", ["coupon.created", "customer.updated", "action.woocommerce_order_refunded"])
def test_topics_without_figures_are_counted_not_parked(topic: str, wrong: Shop) -> None:
    delivered, uncounted, parked = stored(wrong, "woo")
    body = json.dumps({"id": 4, "code": "welcome"}).encode()
    assert wrong.deliver("woo", woocommerce(body, topic), body).status_code == 200
    assert stored(wrong, "woo") == (delivered + 1, uncounted + 1, parked)


def event(event_id: str, **changed: Any) -> dict[str, Any]:
    return {
        "eventId": event_id,
        "occurTime": (datetime.now(UTC) - timedelta(minutes=5)).isoformat(),
        "identifiers": {"sessionId": "s-1"},
        "interaction": {"channel": "CHAT", "action": "MESSAGE", "answer": "HELPFUL"},
        **changed,
    }


CHAT = {"channel": "CHAT", "action": "MESSAGE"}
REFUSED = {
    "an unknown field": ({"colour": "blue"}, "colour"),
    "an unknown field within": ({"interaction": {**CHAT, "mood": "good"}}, "interaction.mood"),
    "a wrong enum": ({"interaction": {**CHAT, "channel": "PHONE_CALL"}}, "interaction.channel"),
    "a prefixed enum": ({"interaction": {**CHAT, "channel": "CHANNEL_CHAT"}}, "interaction.channel"),
    "an unspecified enum": ({"interaction": {**CHAT, "channel": "CHANNEL_UNSPECIFIED"}}, "interaction.channel"),
    "a missing field": ({"interaction": {"channel": "CHAT"}}, "interaction.action"),
    "no time": ({"occurTime": None}, "occurTime"),
    "a time without a zone": ({"occurTime": "2026-11-20T10:15:00"}, "occurTime"),
    "two payloads": ({"storefront": {"action": "SESSION_STARTED"}}, "storefront"),
    "no payload": ({"interaction": None}, "payload"),
    "nobody": ({"identifiers": {}}, "identifiers"),
    "an identifier too long": ({"identifiers": {"sessionId": "s" * 257}}, "identifiers.sessionId"),
    "a NUL": ({"identifiers": {"sessionId": "s\0"}}, "identifiers.sessionId"),
    "what only the installation may say": ({"interaction": None, "settings": {"timeZone": "Europe/Paris"}}, "settings"),
    "too far ahead": (
        {"occurTime": (datetime.now(UTC) + timedelta(hours=2)).isoformat()},
        "OCCUR_TIME_TOO_FAR_AHEAD",
    ),
    "too old": ({"occurTime": (datetime.now(UTC) - timedelta(days=3661)).isoformat()}, "OCCUR_TIME_TOO_OLD"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_bad_event_is_rejected_by_name_and_the_others_are_taken(what: str, wrong: Shop) -> None:
    changed, named = REFUSED[what]
    name = what.replace(" ", "-")
    results = wrong.append([event(f"{name}-1"), event(f"{name}-2", **changed), event(f"{name}-3")])
    assert [result["status"] for result in results] == ["ACCEPTED", "REJECTED", "ACCEPTED"]
    assert [result["eventId"] for result in results] == [f"{name}-1", f"{name}-2", f"{name}-3"]
    assert named in results[1]["reason"]
    assert "reason" not in results[0]


def test_an_old_event_is_rejected_at_the_default_age(open_shop: Callable[[], Shop]) -> None:
    shop = open_shop()
    shop.patch_settings({"maxEventAge": f"{400 * 86_400}s"})

    def look() -> bool:
        old = event(f"old-{datetime.now(UTC).timestamp()}")
        [result] = shop.append([{**old, "occurTime": (datetime.now(UTC) - timedelta(days=401)).isoformat()}])
        return str(result.get("reason", "")).startswith("OCCUR_TIME_TOO_OLD")

    until("the limit holds", look, 15)


def test_the_same_id_again_is_a_duplicate_and_with_other_content_a_conflict(wrong: Shop) -> None:
    first = event("same")
    assert wrong.append([first])[0]["status"] == "ACCEPTED"
    assert wrong.append([first, first]) == [{"eventId": "same", "status": "DUPLICATE"}] * 2
    [result] = wrong.append([{**first, "identifiers": {"sessionId": "s-2"}}])
    assert result["status"] == "REJECTED"
    assert result["reason"].startswith("EVENT_ID_CONFLICT")


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"{", ""),
        (b"[]", ""),
        (b'{"event": []}', "event"),
        (b'{"events": {}}', "events"),
        (json.dumps({"events": [{}] * 1001}).encode(), "events"),
    ],
)
def test_a_request_that_is_no_list_of_events_is_400(body: bytes, named: str, wrong: Shop) -> None:
    answer = wrong.client.post("/v1/events", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    error(answer)
    assert named in answer.text


def run_report(shop: Shop, **changed: Any) -> httpx.Response:
    asked = {"metrics": ["attributed_orders"], "startDate": "2026-11-01", "endDate": "2026-11-02", **changed}
    return shop.client.post("/v1/reports:run", json=asked)


@pytest.mark.parametrize(
    ("changed", "listed"),
    [
        ({"metrics": ["revenue_of_dreams"]}, "attributed_revenue"),
        ({"dimensions": ["colour"]}, "channel"),
        ({"filters": [{"dimension": "colour", "values": ["blue"]}]}, "channel"),
        ({"filters": [{"dimension": "channel", "values": ["PIGEON"]}]}, "CHAT"),
        ({"compareTo": "LAST_SUMMER"}, "PREVIOUS_YEAR"),
    ],
)
def test_an_unknown_name_in_a_report_is_400_and_tells_what_there_is(
    changed: dict[str, Any], listed: str, wrong: Shop
) -> None:
    answer = run_report(wrong, **changed)
    assert answer.status_code == 400
    error(answer)
    assert listed in answer.text


@pytest.mark.parametrize(
    "query",
    [
        {"startDate": "2026-11-01"},
        {"startDate": "2026-11-01", "endDate": "tomorrow"},
        {"startDate": "2026-11-02", "endDate": "2026-11-01"},
        {"startDate": "2026-11-01", "endDate": "2026-11-02", "modell": "conversations"},
        {"startDate": "2026-11-01", "endDate": "2026-11-02", "model": "horoscope"},
    ],
    ids=str,
)
def test_a_statement_that_cant_be_made_is_400(query: dict[str, str], wrong: Shop) -> None:
    answer = wrong.client.get("/v1/statement", params=query)
    assert answer.status_code == 400
    error(answer)
