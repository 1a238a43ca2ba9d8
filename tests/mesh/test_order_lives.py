"""Orders over their whole life, and what a tenant's policies say of them, through the real doors."""

import base64
import hmac
import json
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from random import Random

import pytest

from tests.attribution.lives import Body, Life
from tests.attribution.lives_shopify import SHOPIFY, shopify
from tests.attribution.lives_woocommerce import WOOCOMMERCE
from tests.mesh.running import until
from tests.mesh.shop import Event, Shop, figures

SECRETS = {"shopify": "hush", "woocommerce": "lab-s3crét-Kéy"}
LIVES = dict(enumerate((*SHOPIFY, *WOOCOMMERCE), start=9_100_000_000_001))
"""By the order's id."""

DAY = {"startDate": "2026-11-20", "endDate": "2026-11-20"}
TRIAL, BOUGHT_BY_CRAWLED = 9_200_000_000_001, 9_200_000_000_002
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def micros(amount: str) -> int:
    return int(Decimal(amount) * 1_000_000)


def deliver(shop: Shop, platform: str, topic: str, body: Body) -> None:
    """Sends a webhook, signed as the platform signs."""
    told = json.dumps(body).encode()
    signature = base64.b64encode(hmac.digest(SECRETS[platform].encode(), told, "sha256")).decode()
    names = ("X-Shopify-Topic", "X-Shopify-Hmac-Sha256")
    if platform == "woocommerce":
        names = ("X-WC-Webhook-Topic", "X-WC-Webhook-Signature")
    answer = shop.deliver(platform, [*zip(names, (topic, signature), strict=True)], told)
    assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def told(open_shop: Callable[[], Shop]) -> Shop:
    """A shop to which all lives were told at once, twice, in an order that nobody would think of."""
    shop = open_shop()
    for platform, secret in SECRETS.items():
        shop.add_source(platform, platform, secret)
    sent = [(life.platform, *one) for order_id, life in LIVES.items() for one in life.told(order_id)] * 2
    Random(7).shuffle(sent)
    for one in sent:
        deliver(shop, *one)
    shop.settle()
    return shop


@pytest.mark.parametrize(
    "order_id", LIVES, ids=lambda order_id: f"{LIVES[order_id].platform}: {LIVES[order_id].because}"
)
def test_an_order_is_worth_what_a_merchant_expects(order_id: int, told: Shop) -> None:
    life = LIVES[order_id]
    evidence = told.evidence(str(order_id))
    assert evidence["agreesWithStored"]
    assert (evidence.get("counted", False), evidence.get("excludedReason", "")) == (not life.excluded, life.excluded)
    assert evidence["amount"]["currencyCode"] == life.currency
    assert [int(evidence[what].get("micros", 0)) for what in ("amount", "net")] == [
        micros(life.gross),
        micros(life.net),
    ]


def test_their_statement_adds_up_to_what_merchants_expect(told: Shop) -> None:
    by_currency: dict[str, list[Life]] = defaultdict(list)
    for life in LIVES.values():
        by_currency[life.currency].append(life)

    def add_up(lives: list[Life]) -> tuple[int, int, int]:
        return len(lives), sum(micros(life.gross) for life in lives), sum(micros(life.net) for life in lives)

    statement = figures(told.statement(DAY["startDate"], DAY["endDate"]))
    assert set(statement) == set(by_currency)
    for currency, lives in by_currency.items():
        reasons = {life.excluded for life in lives if life.excluded}
        assert statement[currency]["store"] == add_up(lives)
        assert statement[currency]["unattributed"] == add_up([life for life in lives if not life.excluded])
        assert statement[currency]["excluded"] == {
            reason: add_up([life for life in lives if life.excluded == reason]) for reason in reasons
        }
        assert statement[currency]["difference"] == (0, 0, 0)


def chat(event_id: str, session_id: str, user_agent: str = "") -> Event:
    said = {"channel": "CHAT", "action": "MESSAGE", "answer": "HELPFUL", "userAgent": user_agent}
    told = {"eventId": event_id, "occurTime": "2026-11-20T11:00:00Z", "identifiers": {"sessionId": session_id}}
    return {**told, "interaction": said}


def in_session(session_id: str) -> Body:
    return {"note_attributes": [{"name": "_touchstone_session_id", "value": session_id}], "email": ""}


def test_trials_and_crawlers_count_where_the_tenant_says_so_and_else_not(shop: Shop) -> None:
    """Both are kept and labelled: the policy may change at any time, and back."""
    shop.add_source("shopify", "shopify", SECRETS["shopify"])
    for number, more in ((TRIAL, {"test": True, **in_session("s1")}), (BOUGHT_BY_CRAWLED, in_session("s2"))):
        topic, body = shopify("paid", 0, **more)
        deliver(shop, "shopify", topic, {**body, "id": number})
    results = shop.append([chat("helped", "s1"), chat("crawled", "s2", GOOGLEBOT)])
    assert [one["status"] for one in results] == ["ACCEPTED"] * 2
    shop.settle()
    one, both = (1, 100_000_000, 100_000_000), (2, 200_000_000, 200_000_000)
    nothing = (0, 0, 0)

    def seen() -> tuple[str, str, tuple[int, ...], dict[str, tuple[int, ...]], tuple[int, ...]]:
        trial, crawled = (shop.evidence(str(number)) for number in (TRIAL, BOUGHT_BY_CRAWLED))
        day = figures(shop.statement(DAY["startDate"], DAY["endDate"]))["EUR"]
        assert (day["store"], day["difference"]) == (both, nothing)
        [helped], [crawl] = trial["touches"], crawled["touches"]
        assert trial["agreesWithStored"]
        assert crawled["agreesWithStored"]
        return helped["verdict"], crawl["verdict"], day["attributed"], day["excluded"], day["unattributed"]

    by_default = ("ORDER_NOT_COUNTED", "CRAWLER", nothing, {"TEST": one}, one)
    assert seen() == by_default
    for policy, expected in (
        ({"countTestOrders": True}, ("CREDITED", "CRAWLER", one, {}, one)),
        ({"countCrawlers": True}, ("CREDITED", "CREDITED", both, {}, nothing)),
        ({"countTestOrders": False}, ("ORDER_NOT_COUNTED", "CREDITED", one, {"TEST": one}, nothing)),
        ({"countCrawlers": False}, by_default),
    ):
        # In so many words; without a mask, it is what the body names.
        mask = {"updateMask": ",".join(policy)}
        shop.client.patch("/v1/settings", params=mask, json=policy).raise_for_status()
        until(f"{policy} holds", lambda wanted=expected: seen() == wanted, 90, pause=0.2)
