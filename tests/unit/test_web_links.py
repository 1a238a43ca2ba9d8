"""Following a tracked link: where it leads, which cookies it sets, and what is remembered of it."""

import asyncio
import time
from contextlib import asynccontextmanager
from http.cookies import SimpleCookie

import grpc
import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from touchstone.identity.v1.link_service_pb2 import ResolveLinkResponse
from touchstone.ingest.v1.event_service_pb2 import AppendDeliveriesRequest

from gateway.web import clicks, cookies, links
from gateway.web.clicks import Clicks
from gateway.web.coalescer import Coalescer
from gateway.web.links import LinkEndpoint, Links

TOKEN = "23456789abcde"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Mobile Safari"
A_YEAR, HALF_AN_HOUR = "31536000", "1800"
CLICK = clicks.click(tenant_id="acme-secret", link_id="l", conversation_id="c", visit=None, user_agent="", now=0)


def rpc_error(code):
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata())


class Identity:
    def __init__(self):
        self.asked = 0
        self.failing = None
        self.hanging = None
        self.links = {
            TOKEN: ResolveLinkResponse(
                tenant_id="acme-secret",
                conversation_id="c-1",
                destination="https://shop.example/cart?id=7#top",
                expire_time={"seconds": int(time.time()) + 60},
            )
        }

    async def resolve(self, link_id):
        self.asked += 1
        if self.hanging is not None:
            await self.hanging.wait()
        if self.failing is not None:
            raise rpc_error(self.failing)
        if link_id not in self.links:
            raise rpc_error(grpc.StatusCode.NOT_FOUND)
        return self.links[link_id]


class Ingest:
    def __init__(self):
        self.stored = []
        self.tried = 0
        self.failing = 0
        self.hanging = None

    async def append(self, request):
        self.tried += 1
        if self.hanging is not None:
            await self.hanging.wait()
        if self.tried <= self.failing:
            raise rpc_error(grpc.StatusCode.UNAVAILABLE)
        for delivery in AppendDeliveriesRequest.FromString(request).deliveries:
            assert (delivery.tenant_id, delivery.source) == ("acme-secret", "touchstone")
            assert delivery.HasField("receive_time")
            self.stored += delivery.events


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


class World:
    def __init__(self):
        self.identity, self.ingest, self.clock = Identity(), Ingest(), Clock()

    @asynccontextmanager
    async def open(self, base_url="https://t.shop.example"):
        async with Coalescer(self.ingest.append) as coalescer, Clicks(coalescer) as kept:
            endpoint = LinkEndpoint(Links(self.identity.resolve, self.clock), kept)
            transport = httpx.ASGITransport(Starlette(routes=[Route(links.PATH, endpoint.answer)]))
            headers = {"user-agent": IPHONE}
            async with httpx.AsyncClient(transport=transport, base_url=base_url, headers=headers) as client:
                yield client


@pytest.fixture
def world():
    return World()


@pytest.fixture
async def client(world):
    async with world.open() as opened:
        yield opened


def set_cookies(answer):
    told = SimpleCookie()
    for header in answer.headers.get_list("set-cookie"):
        told.load(header)
    return told


async def test_a_click_leads_on_and_is_remembered(client, world):
    answer = await client.get(f"/l/{TOKEN}")

    assert answer.status_code == 302
    assert answer.headers["location"] == "https://shop.example/cart?id=7#top"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.content == b""
    [event] = world.ingest.stored
    told = set_cookies(answer)
    assert event.identifiers.visitor_id == told[cookies.VISITOR].value
    assert event.identifiers.session_id == told[cookies.SESSION].value
    click = event.link_click
    assert (click.conversation_id, click.link_id, click.user_agent) == ("c-1", TOKEN, IPHONE)
    assert abs(event.occur_time.seconds - time.time()) < 5


async def test_the_cookies_are_first_party_and_last_as_they_should(client):
    told = set_cookies(await client.get(f"/l/{TOKEN}"))
    for name, seconds in ((cookies.VISITOR, A_YEAR), (cookies.SESSION, HALF_AN_HOUR)):
        cookie = told[name]
        assert (cookie["max-age"], cookie["path"], cookie["samesite"]) == (seconds, "/", "lax")
        assert cookie["secure"] is True
        assert cookie["httponly"] is True
        assert not cookie["domain"]
    assert told[cookies.VISITOR].value != told[cookies.SESSION].value


async def test_who_comes_back_is_known_and_both_cookies_live_on(client, world):
    client.cookies.clear()
    first = set_cookies(await client.get(f"/l/{TOKEN}"))
    again = set_cookies(await client.get(f"/l/{TOKEN}"))
    for name in (cookies.VISITOR, cookies.SESSION):
        assert again[name].value == first[name].value
        assert again[name]["max-age"] == first[name]["max-age"]
    assert len({event.event_id for event in world.ingest.stored}) == 2
    assert len({event.identifiers.session_id for event in world.ingest.stored}) == 1


async def test_after_a_silence_the_browser_is_known_and_the_visit_is_new(client, world):
    await client.get(f"/l/{TOKEN}")
    client.cookies.delete(cookies.SESSION)
    await client.get(f"/l/{TOKEN}")
    before, after = (event.identifiers for event in world.ingest.stored)
    assert before.visitor_id == after.visitor_id
    assert before.session_id != after.session_id


@pytest.mark.parametrize("sent", ["", "short", "x" * 65, "ábcdefghijklmnopqr", "a b" * 8])
async def test_a_cookie_that_can_not_be_ours_is_made_anew(world, sent):
    async with world.open() as client:
        told = set_cookies(await client.get(f"/l/{TOKEN}", headers={"cookie": f"{cookies.VISITOR}={sent}".encode()}))
    assert told[cookies.VISITOR].value != sent
    assert len(told[cookies.VISITOR].value) >= 20


@pytest.mark.parametrize(
    ("base_url", "secure"),
    [
        ("https://t.shop.example", True),
        ("http://t.shop.example", True),
        ("http://10.0.0.7:8080", True),
        ("https://localhost:8080", True),
        ("http://localhost.evil.example", True),
        ("http://localhost:8080", False),
        ("http://127.0.0.1:8080", False),
        ("http://[::1]:8080", False),
        ("http://shop.localhost:8080", False),
    ],
)
async def test_cookies_are_secure_but_for_plain_http_on_this_machine(world, base_url, secure):
    async with world.open(base_url) as client:
        told = set_cookies(await client.get(f"/l/{TOKEN}"))
    assert bool(told[cookies.VISITOR]["secure"]) is secure
    assert bool(told[cookies.SESSION]["secure"]) is secure


async def test_the_edge_says_how_it_was_called(world):
    async with world.open("http://127.0.0.1:9") as client:
        headers = {"touchstone-origin": "https://t.shop.example"}
        told = set_cookies(await client.get(f"/l/{TOKEN}", headers=headers))
    assert told[cookies.VISITOR]["secure"]


@pytest.mark.parametrize(
    "user_agent",
    ["WhatsApp/2.23.20.0", "facebookexternalhit/1.1", "TelegramBot (like TwitterBot)", "Slackbot-LinkExpanding 1.0"],
)
async def test_a_link_preview_is_led_on_and_labelled_but_is_nobody(client, world, user_agent):
    client.cookies.set(cookies.VISITOR, "v" * 22)
    answer = await client.get(f"/l/{TOKEN}", headers={"user-agent": user_agent})
    assert (answer.status_code, answer.headers["location"]) == (302, "https://shop.example/cart?id=7#top")
    assert "set-cookie" not in answer.headers
    [event] = world.ingest.stored
    assert event.link_click.user_agent == user_agent
    assert not event.HasField("identifiers")


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("HEAD", {}),
        ("GET", {"purpose": "prefetch"}),
        ("GET", {"sec-purpose": "prefetch"}),
        ("GET", {"sec-purpose": "prefetch;prerender"}),
        ("GET", {"x-moz": "prefetch"}),
        ("GET", {"x-purpose": "preview"}),
    ],
)
async def test_looking_ahead_is_no_click(client, world, method, headers):
    answer = await client.request(method, f"/l/{TOKEN}", headers=headers)
    assert (answer.status_code, answer.headers["location"]) == (302, "https://shop.example/cart?id=7#top")
    assert "set-cookie" not in answer.headers
    await asyncio.sleep(0.05)
    assert not world.ingest.stored


def is_plain_page(answer):
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers
    assert "location" not in answer.headers
    for leak in ("acme", "c-1", "shop.example", "Traceback", TOKEN):
        assert leak not in answer.text
    return True


async def test_an_expired_link_is_gone(client, world):
    world.identity.links[TOKEN].expire_time.seconds = int(time.time()) - 1
    answer = await client.get(f"/l/{TOKEN}")
    assert answer.status_code == 410
    assert is_plain_page(answer)
    assert not world.ingest.stored


async def test_a_link_expires_also_while_it_is_remembered(client, world, monkeypatch):
    expires = world.identity.links[TOKEN].expire_time.ToNanoseconds()
    monkeypatch.setattr(links.time, "time_ns", lambda: expires - 1)
    assert (await client.get(f"/l/{TOKEN}")).status_code == 302
    monkeypatch.setattr(links.time, "time_ns", lambda: expires)
    assert (await client.get(f"/l/{TOKEN}")).status_code == 410
    assert world.identity.asked == 1


@pytest.mark.parametrize("token", ["zzzzzzzzzzzzz", "UPPER", "a" * 65, "%00", "a.b", "ñ"])
async def test_there_is_no_other_link(client, world, token):
    answer = await client.get(f"/l/{token}")
    assert answer.status_code == 404
    assert is_plain_page(answer)
    assert not world.ingest.stored


async def test_what_can_not_be_a_link_is_not_asked_for(client, world):
    for token in ("UPPER", "a" * 65, "a b", "ñ"):
        await client.get(f"/l/{token}")
    assert not world.identity.asked


async def test_a_link_is_remembered_for_ten_seconds_and_that_there_is_none_never(client, world):
    for _ in range(3):
        await client.get(f"/l/{TOKEN}")
    assert world.identity.asked == 1
    world.clock.now += 11
    await client.get(f"/l/{TOKEN}")
    assert world.identity.asked == 2
    missing = world.identity.links.pop(TOKEN)
    world.clock.now += 11
    assert (await client.get(f"/l/{TOKEN}")).status_code == 404
    world.identity.links[TOKEN] = missing
    assert (await client.get(f"/l/{TOKEN}")).status_code == 302


async def test_a_known_link_works_while_identity_is_away_for_some_minutes(client, world):
    assert (await client.get(f"/l/{TOKEN}")).status_code == 302
    world.identity.failing = grpc.StatusCode.UNAVAILABLE
    world.clock.now += 599
    assert (await client.get(f"/l/{TOKEN}")).status_code == 302
    world.clock.now += 2
    answer = await client.get(f"/l/{TOKEN}")
    assert answer.status_code == 503
    assert is_plain_page(answer)
    assert answer.headers["retry-after"] == "1"


async def test_nobody_waits_for_long_until_a_known_link_is_asked_for_again(client, world, monkeypatch):
    assert links._ASKING_AGAIN + links._STORING < 1
    monkeypatch.setattr(links, "_ASKING_AGAIN", 0.01)
    assert (await client.get(f"/l/{TOKEN}")).status_code == 302
    world.identity.hanging = asyncio.Event()
    world.clock.now += 11
    assert (await client.get(f"/l/{TOKEN}")).status_code == 302
    assert world.identity.asked == 2


async def test_what_is_remembered_is_bounded(world, monkeypatch):
    monkeypatch.setattr(links, "_MOST_KNOWN", 3)
    known = Links(world.identity.resolve, world.clock)
    for token in "abcd":
        world.identity.links[token] = world.identity.links[TOKEN]
        await known.get(token)
    assert list(known._known) == ["b", "c", "d"]
    await known.get("d")
    assert world.identity.asked == 4
    await known.get("a")
    assert world.identity.asked == 5


async def test_a_shopper_is_led_on_while_the_log_hangs_and_the_click_comes_after(world, monkeypatch):
    monkeypatch.setattr(links, "_STORING", 0.01)
    world.ingest.hanging = asyncio.Event()
    async with world.open() as client:
        answer = await client.get(f"/l/{TOKEN}")
        assert answer.status_code == 302
        assert not world.ingest.stored
        visitor_id = set_cookies(answer)[cookies.VISITOR].value
        world.ingest.hanging.set()
    assert [event.identifiers.visitor_id for event in world.ingest.stored] == [visitor_id]


async def test_a_click_that_is_refused_is_tried_again_as_the_same_event(world, monkeypatch):
    monkeypatch.setattr(clicks, "_PAUSES", (0.01,))
    world.ingest.failing = 3
    async with world.open() as client:
        assert (await client.get(f"/l/{TOKEN}")).status_code == 302
    assert world.ingest.tried == 4
    assert len(world.ingest.stored) == 1


async def test_trying_ends(world, monkeypatch, caplog):
    monkeypatch.setattr(clicks, "_PAUSES", (0.01,))
    world.ingest.failing = 10**9
    async with Coalescer(world.ingest.append) as coalescer, Clicks(coalescer, patience=0.05) as kept:
        await kept.store(CLICK, wait=1)
    assert world.ingest.tried > 1
    assert "a click was not stored" in caplog.text


async def test_closing_waits_only_so_long(world, monkeypatch, caplog):
    monkeypatch.setattr(clicks, "_PAUSES", (0.01,))
    monkeypatch.setattr(clicks, "CLOSING_SECONDS", 0.1)
    world.ingest.failing = 10**9
    async with Coalescer(world.ingest.append) as coalescer, Clicks(coalescer) as kept:
        await kept.store(CLICK, wait=0.01)
    assert "a click was not stored" in caplog.text


async def test_no_more_clicks_wait_than_there_is_room_for(world, monkeypatch, caplog):
    monkeypatch.setattr(clicks, "MOST_WAITING", 1)
    world.ingest.hanging = asyncio.Event()
    async with Coalescer(world.ingest.append) as coalescer, Clicks(coalescer) as kept:
        await kept.store(CLICK, wait=0.01)
        assert "a click was not stored" not in caplog.text
        await kept.store(CLICK, wait=10)
        assert "a click was not stored" in caplog.text
        world.ingest.hanging.set()
    assert world.ingest.tried == 1
