"""The road of a messaging conversation: its link, a click, the shop's webhook, and the evidence."""

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import httpx
import pytest
from touchstone.identity.v1.link_service_pb2 import CreateLinkRequest
from touchstone.identity.v1.link_service_pb2_grpc import LinkServiceStub

from gateway.web.cookies import SESSION, VISITOR
from tests.mesh.running import RunningSystem, until
from tests.mesh.shop import Shop

SECRET = "hush"
CONVERSATION = "34600123456@s.whatsapp.net"
IPHONE = {"User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Version/18.1 Mobile Safari"}
WHATSAPP = {"User-Agent": "WhatsApp/2.24.20.89 A"}
DESTINATION = "https://www.shop.example/cart?coupon=A"


def ago(**span: float) -> str:
    return (datetime.now(UTC) - timedelta(**span)).isoformat()


def make(shop: Shop, **told: Any) -> httpx.Response:
    asked = {"conversationId": CONVERSATION, "destination": DESTINATION, "touchpoint": "whatsapp", **told}
    return shop.client.post("/v1/links", json=asked)


def buy(shop: Shop, order_id: int, **identifiers: str) -> None:
    """The shop's own webhook for a paid order of 60 EUR."""
    told = {
        "id": order_id,
        "created_at": ago(),
        "updated_at": ago(),
        "currency": "EUR",
        "financial_status": "paid",
        "total_price": "60.00",
        "line_items": [],
        "note_attributes": [{"name": f"_touchstone_{name}", "value": value} for name, value in identifiers.items()],
    }
    body = json.dumps(told).encode()
    signature = base64.b64encode(hmac.digest(SECRET.encode(), body, "sha256")).decode()
    headers = {"X-Shopify-Topic": "orders/paid", "X-Shopify-Hmac-Sha256": signature}
    shop.deliver("web", headers.items(), body).raise_for_status()


@pytest.fixture
def shop(shop: Shop) -> Shop:
    """A tenant with a shop, hosts for its links, and a helpful conversation of an hour ago."""
    shop.add_source("web", "shopify", SECRET)
    shop.patch_settings({"linkHosts": ["shop.example"]})
    message = {"channel": "MESSAGING", "action": "MESSAGE", "answer": "HELPFUL", "touchpoint": "whatsapp"}
    told = {"interaction": {**message, "conversationId": CONVERSATION}}
    [result] = shop.append([{"eventId": "m-1", "occurTime": ago(hours=1), **told}])
    assert result["status"] == "ACCEPTED"
    return shop


def test_a_conversation_earns_the_order_of_whoever_followed_its_link(mesh: RunningSystem, shop: Shop) -> None:
    made = make(shop)
    assert made.status_code == 200, made.text
    url = made.json()["url"]
    assert url == f"{mesh.client.base_url.copy_with(path='/l/')}{made.json()['linkId']}"

    preview = httpx.get(url, headers=WHATSAPP, trust_env=False)
    assert (preview.status_code, preview.headers["location"]) == (302, DESTINATION)
    assert "set-cookie" not in preview.headers

    clicked = httpx.get(url, headers=IPHONE, trust_env=False)
    assert (clicked.status_code, clicked.headers["location"]) == (302, DESTINATION)
    assert clicked.headers["cache-control"] == "no-store"
    visitor_id, session_id = clicked.cookies[VISITOR], clicked.cookies[SESSION]

    buy(shop, 1, visitor_id=visitor_id)
    buy(shop, 2, session_id=session_id)
    buy(shop, 3, visitor_id="somebody-else")
    shop.settle()

    for order_id in ("1", "2"):
        evidence = shop.evidence(order_id)
        assert evidence["matchedBy"] == "PERSON"
        [credit] = evidence["credits"]
        touch = credit["touch"]
        assert (touch["eventId"], touch["channel"], touch["touchpoint"]) == ("m-1", "MESSAGING", "whatsapp")
        assert credit["amount"]["micros"] == "60000000"
        assert evidence["agreesWithStored"]
    assert "matchedBy" not in shop.evidence("3")
    person = shop.client.get("/v1/people:lookup", params={"visitorId": visitor_id}).json()["person"]
    known = {(one["kind"], one["value"]) for one in person["identifiers"]}
    assert known == {("VISITOR", visitor_id), ("SESSION", session_id), ("CONVERSATION", CONVERSATION)}


def test_the_touchpoint_is_in_the_reports(shop: Shop) -> None:
    clicked = httpx.get(make(shop).json()["url"], headers=IPHONE, trust_env=False)
    buy(shop, 1, visitor_id=clicked.cookies[VISITOR])
    shop.settle()
    today = datetime.now(UTC).date()
    asked = {
        "metrics": ["attributed_revenue"],
        "dimensions": ["channel", "touchpoint", "tier"],
        "startDate": str(today - timedelta(days=1)),
        "endDate": str(today + timedelta(days=1)),
    }

    def rows() -> list[dict[str, Any]] | None:
        answer = shop.client.post("/v1/reports:run", json=asked)
        answer.raise_for_status()
        return answer.json().get("rows") or None

    [row] = until("the report has the order", rows)
    assert row["dimensions"] == {"channel": "MESSAGING", "touchpoint": "whatsapp", "tier": "PERSON"}


def test_a_link_works_at_once_and_not_for_ever(shop: Shop) -> None:
    for number in range(20):
        url = make(shop, conversationId=f"c-{number}").json()["url"]
        assert httpx.head(url, trust_env=False).status_code == 302
    url = make(shop, lifetime="1s").json()["url"]
    until("the link has expired", lambda: httpx.get(url, trust_env=False).status_code == 410, 10)
    gone = httpx.get(url, trust_env=False)
    assert gone.headers["content-type"].startswith("text/html")
    assert shop.tenant not in gone.text
    assert httpx.get(f"{url[:-1]}{'2' if url[-1] != '2' else '3'}", trust_env=False).status_code == 404


def test_links_lead_to_the_tenants_own_hosts_only(shop: Shop) -> None:
    for destination in ("https://evil.example/", "https://shop.example@evil.example/", "http://shop.example/", "x"):
        refused = make(shop, destination=destination)
        assert refused.status_code == 400, destination
        [violation] = next(one for one in refused.json()["details"] if "fieldViolations" in one)["fieldViolations"]
        assert violation["field"] == "destination"
    # A new host holds for the very next link.
    shop.patch_settings({"linkHosts": ["shop.example", "other.example"]})
    url = make(shop, destination="https://other.example/").json()["url"]
    assert httpx.get(url, trust_env=False).headers["location"] == "https://other.example/"


def test_links_are_made_over_grpc_too_and_begin_where_the_installation_was_found(
    mesh: RunningSystem, shop: Shop
) -> None:
    metadata = (("authorization", f"Bearer {shop.token}"),)
    asked = CreateLinkRequest(conversation_id="c", destination=DESTINATION)
    with grpc.insecure_channel(f"127.0.0.1:{mesh.port}", options=[("grpc.enable_http_proxy", 0)]) as channel:
        answer = LinkServiceStub(channel).CreateLink(asked, metadata=metadata, timeout=10)
    assert answer.url == f"http://127.0.0.1:{mesh.port}/l/{answer.link_id}"
    told = shop.client.post(
        "/v1/links",
        json={"conversationId": "c", "destination": DESTINATION},
        headers={"Host": "t.shop.example"},
    )
    assert told.json()["url"].startswith("http://t.shop.example/l/")


def test_the_command_line_makes_links(mesh: RunningSystem, shop: Shop) -> None:
    made = mesh.touchstone("link", shop.tenant, "c", DESTINATION, "--touchpoint", "sms", "--days", "0.5")
    assert httpx.head(made.stdout.strip(), trust_env=False).headers["location"] == DESTINATION
    refused = mesh.touchstone("link", shop.tenant, "c", "https://evil.example/", check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "linkHosts" in refused.stderr
