"""People's judgement of who belongs together, and what it does to credits: over REST, through everything."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.mesh.shop import Shop

MAIL = "ana@example.com"


def ago(**span: float) -> str:
    return (datetime.now(UTC) - timedelta(**span)).isoformat()


def chat(event_id: str, **identifiers: str) -> dict[str, Any]:
    message = {"channel": "CHAT", "action": "MESSAGE", "answer": "HELPFUL", "conversationId": f"c-{event_id}"}
    return {"eventId": event_id, "occurTime": ago(hours=2), "identifiers": identifiers, "interaction": message}


def seen(event_id: str, **identifiers: str) -> dict[str, Any]:
    return {
        "eventId": event_id,
        "occurTime": ago(hours=3),
        "identifiers": identifiers,
        "storefront": {"action": "SESSION_STARTED"},
    }


def order(order_id: str, **identifiers: str) -> dict[str, Any]:
    told = {"orderId": order_id, "status": "completed", "currencyCode": "EUR", "totalMicros": "60000000"}
    return {"eventId": f"o-{order_id}", "occurTime": ago(hours=1), "identifiers": identifiers, "order": told}


def judge(shop: Shop, verb: str, left: dict[str, str], right: dict[str, str]) -> httpx.Response:
    return shop.client.post(f"/v1/people:{verb}", json={"left": left, "right": right})


def credited(shop: Shop, order_id: str) -> tuple[str, list[str]]:
    """By what the order was matched, and the touches that earned it; the stored credit agrees."""
    evidence = shop.evidence(order_id)
    assert evidence["agreesWithStored"]
    return evidence.get("matchedBy", ""), [credit["touch"]["eventId"] for credit in evidence.get("credits", [])]


@pytest.fixture
def told(shop: Shop) -> Shop:
    """Somebody chatted in one browser, was seen in it with an address, and bought by the address alone."""
    events = [
        chat("i-1", visitorId="v-1"),
        seen("s-1", visitorId="v-1", email=MAIL),
        order("1", email=MAIL),
        chat("i-2", visitorId="v-2"),
        order("2", customerId="77"),
    ]
    assert {result["status"] for result in shop.append(events)} == {"ACCEPTED"}
    shop.settle()
    return shop


def test_credits_follow_a_judgement_and_its_reversal(told: Shop) -> None:
    assert credited(told, "1") == ("PERSON", ["i-1"])
    assert credited(told, "2") == ("", [])

    parted = judge(told, "unlink", {"visitorId": "v-1"}, {"email": MAIL})
    assert parted.status_code == 200, parted.text
    assert parted.json()["link"]["basis"] == "DECIDED"
    assert judge(told, "relink", {"visitorId": "v-2"}, {"customerId": "77"}).status_code == 200
    told.settle()
    assert credited(told, "1") == ("", [])
    assert credited(told, "2") == ("PERSON", ["i-2"])

    assert judge(told, "relink", {"email": MAIL}, {"visitorId": "v-1"}).status_code == 200
    assert judge(told, "unlink", {"customerId": "77"}, {"visitorId": "v-2"}).status_code == 200
    told.settle()
    assert credited(told, "1") == ("PERSON", ["i-1"])
    assert credited(told, "2") == ("", [])


def test_errors_name_the_side(shop: Shop) -> None:
    for left, right, field in (
        ({"visitorId": "v", "email": MAIL}, {"sessionId": "s"}, "left.email"),
        ({"visitorId": "v"}, {}, "right"),
        ({"visitorId": "v"}, {"email": "nobody"}, "right.email"),
        ({"visitorId": "v"}, {"visitorId": "v"}, "right.visitorId"),
    ):
        refused = judge(shop, "unlink", left, right)
        assert refused.status_code == 400, refused.text
        [violation] = next(one for one in refused.json()["details"] if "fieldViolations" in one)["fieldViolations"]
        assert violation["field"] == field
    assert shop.client.get("/v1/people:lookup", params={"visitorId": "nobody"}).status_code == 404
