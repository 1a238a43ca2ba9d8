"""The golden scenario: conversations around the recorded orders, and what becomes of each."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.mesh import signed
from tests.mesh.recordings import OrderTold, orders_told
from tests.mesh.shop import Delivery, Event, recorded

FIRST_DAY = "2026-11-20"
LAST_DAY = "2026-11-22"

HUB_PHONE = "+33 4 77 00 00 00"
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Something that the assistant or the storefront tells, so long before an order; negative: after it.

    `verdict` is what the order's evidence says of it: empty when the evidence may leave it out.
    """

    name: str
    order: int
    before: timedelta
    by: dict[str, str]
    payload: dict[str, Any]
    verdict: str = ""

    def event(self, placed: datetime) -> Event:
        at = (placed - self.before).isoformat().replace("+00:00", "Z")
        return {"eventId": self.name, "occurTime": at, "identifiers": self.by, **self.payload}


def touch(channel: str, answer: str = "HELPFUL", action: str = "MESSAGE", **more: str) -> dict[str, Any]:
    """An interaction; without an answer where it is empty."""
    told = {"channel": channel, "action": action, **({"answer": answer} if answer else {}), **more}
    return {"interaction": told}


def visit() -> dict[str, Any]:
    """A visit to the shop, which only tells who belongs together."""
    return {"storefront": {"action": "SESSION_STARTED"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """How an order came about. `tier` and `channel` are empty when no conversation brought it in."""

    order: int
    because: str
    tier: str = ""
    channel: str = ""
    moments: tuple[Moment, ...] = field(default=())


def journey(order: int, because: str, tier: str = "", channel: str = "", *told: tuple[Any, ...]) -> Journey:
    """Each moment told as (time before the order, by whom, what, verdict)."""
    moments = tuple(
        Moment(name=f"j{order}-{index}", order=order, before=before, by=by, payload=payload, verdict=verdict)
        for index, (before, by, payload, verdict) in enumerate(told, start=1)
    )
    return Journey(order=order, because=because, tier=tier, channel=channel, moments=moments)


# Each order of the recordings has at most one journey; those without one were brought in by no conversation.
JOURNEYS = (
    journey(
        20, "the window's first instant belongs to it, the second before does not", "SESSION", "CHAT",
        (hours(24) + timedelta(seconds=1), {"sessionId": "sess_01HZXA7"}, touch("CHAT"), "OUTSIDE_WINDOW"),
        (hours(24), {"sessionId": "sess_01HZXA7"}, touch("CHAT"), "CREDITED"),
        (hours(1), {"email": "zoe.oconnor+shop@example.test"}, touch("FAQ"), "LOWER_TIER"),
        (hours(1), {"email": "zoe.oconnor@example.test"}, touch("FAQ"), ""),
    ),
    journey(
        25, "a clicked nudge needs no answer, a shown one earns nothing", "SESSION", "NUDGE",
        (minutes(20), {"sessionId": "sess_REST"}, touch("NUDGE", "", "VIEW"), "NOT_HELPFUL"),
        (minutes(15), {"sessionId": "sess_REST"}, touch("NUDGE", "", "CLICK"), "CREDITED"),
    ),
    journey(
        32, "the address is the same however it is typed", "EMAIL", "MESSAGING",
        (hours(3), {"email": "  USD@Example.TEST "}, touch("MESSAGING", conversationId="c32"), "CREDITED"),
    ),
    journey(
        37, "an answer opened in the visit", "SESSION", "FAQ",
        (minutes(2), {"sessionId": "sess_JP"}, touch("FAQ", "", "CLICK"), "CREDITED"),
    ),
    journey(
        39, "a phone that many addresses share names nobody, the address does", "EMAIL", "CHAT",
        (hours(2), {"phone": HUB_PHONE}, touch("CHAT"), "HUB"),
        (minutes(10), {"email": "kwd@example.test"}, touch("CHAT"), "CREDITED"),
    ),
    journey(
        40, "the same browser, whoever else was named in it", "VISITOR", "CHAT",
        (minutes(50), {"visitorId": "vis_only", "email": "someone.else@example.test"}, touch("CHAT"), "CREDITED"),
    ),
    journey(
        44, "a number is the same in national and in international form", "PHONE", "MESSAGING",
        (hours(2), {"phone": "+33 1 00 00 00 00"}, touch("MESSAGING", touchpoint="whatsapp"), "CREDITED"),
        (hours(1), {"phone": "01 00 00 00 00", "phoneCountry": "FR"}, touch("MESSAGING"), "NOT_FIRST"),
    ),
    journey(
        42, "a browser whose owner becomes known after the order", "PERSON", "CHAT",
        (hours(4), {"visitorId": "vis_draft"}, touch("CHAT"), "CREDITED"),
        (minutes(-5), {"visitorId": "vis_draft", "email": "draft@example.test"}, visit(), ""),
    ),
    journey(
        45, "the first of two answers takes it", "SESSION", "FAQ",
        (hours(2), {"sessionId": "sess_B2"}, touch("FAQ"), "CREDITED"),
        (hours(1), {"sessionId": "sess_B2"}, touch("CHAT"), "NOT_FIRST"),
    ),
    journey(
        46, "no answer, a call for people, and an answer that came too late", "", "",
        (minutes(9), {"sessionId": "sess_B0"}, touch("CHAT", "NOT_ANSWERED"), "NOT_HELPFUL"),
        (minutes(8), {"sessionId": "sess_B0"}, touch("CHAT", "ESCALATED"), "NOT_HELPFUL"),
        (minutes(-10), {"sessionId": "sess_B0"}, touch("CHAT"), "AFTER_ORDER"),
    ),
    journey(
        48, "the moment of the order belongs to the window", "SESSION", "CHAT",
        (minutes(0), {"sessionId": "sess_B1"}, touch("CHAT"), "CREDITED"),
    ),
    journey(
        47, "a recommendation is no conversation, a followed link no answer", "", "",
        (minutes(9), {"sessionId": "sess_B3"}, touch("RECOMMENDATION", "", "CLICK"), "CHANNEL_NOT_IN_MODEL"),
        (minutes(8), {"sessionId": "sess_B3"}, touch("CHAT", "HELPFUL", "LINK_CLICK"), "LINK_CLICK"),
    ),
    journey(
        50, "a messaging app knows nobody until its link is followed", "PERSON", "MESSAGING",
        (hours(5), {}, touch("MESSAGING", conversationId="c50"), "CREDITED"),
        (hours(4), {"visitorId": "vis_50"}, {"linkClick": {"conversationId": "c50"}}, ""),
        (minutes(3), {"visitorId": "vis_50", "sessionId": "sess_B5"}, visit(), ""),
    ),
    journey(
        52, "a conversation is one person's, whatever each message tells", "PERSON", "CHAT",
        (hours(2), {"visitorId": "vis_52"}, touch("CHAT", conversationId="c52"), "CREDITED"),
        (hours(1), {"email": "burst6@example.test"}, touch("CHAT", "NOT_ANSWERED", conversationId="c52"), "NOT_HELPFUL"),
    ),
    journey(
        49, "on a shared device, another's conversation proves nothing", "", "",
        (hours(2), {"visitorId": "vis_49", "email": "other@example.test"}, touch("CHAT"), "CONTACT_CONFLICT"),
        (hours(1), {"visitorId": "vis_49", "sessionId": "sess_B4"}, visit(), ""),
    ),
    journey(
        51, "a kiosk's browser names nobody", "", "",
        (hours(9), {"visitorId": "vis_kiosk", "email": "k1@example.test"}, visit(), ""),
        (hours(8), {"visitorId": "vis_kiosk", "email": "k2@example.test"}, visit(), ""),
        (hours(7), {"visitorId": "vis_kiosk", "email": "k3@example.test"}, visit(), ""),
        (hours(6), {"visitorId": "vis_kiosk", "email": "k4@example.test"}, visit(), ""),
        (hours(2), {"visitorId": "vis_kiosk"}, touch("CHAT"), ""),
        (hours(1), {"visitorId": "vis_kiosk", "sessionId": "sess_B7"}, visit(), ""),
    ),
    journey(
        53, "a crawler buys nothing", "", "",
        (minutes(9), {"sessionId": "sess_B8"}, touch("CHAT", userAgent=GOOGLEBOT), "CRAWLER"),
    ),
    journey(
        54, "values compare exactly, case included", "", "",
        (minutes(9), {"sessionId": "SESS_B10"}, touch("CHAT"), ""),
    ),
    journey(
        27, "paid and then cancelled", "", "",
        (minutes(9), {"email": "c2@example.test"}, touch("CHAT"), "ORDER_NOT_COUNTED"),
    ),
    journey(
        41, "on hold for ever", "", "",
        (minutes(9), {"email": "late@example.test"}, touch("CHAT"), "ORDER_NOT_COUNTED"),
    ),
    journey(
        29, "binned, then taken out again", "EMAIL", "CHAT",
        (minutes(9), {"email": "t@example.test"}, touch("CHAT"), "CREDITED"),
    ),
    journey(
        30, "all of it given back: an order, and nothing net", "EMAIL", "FAQ",
        (minutes(9), {"email": "H@example.test"}, touch("FAQ"), "CREDITED"),
    ),
    journey(
        34, "an order of nothing is an order", "EMAIL", "CHAT",
        (minutes(9), {"email": "free@example.test"}, touch("CHAT"), "CREDITED"),
    ),
    journey(
        signed.BY_CUSTOMER, "a customer who logged in, and left no address", "CUSTOMER", "CHAT",
        (hours(4), {"visitorId": "vis_s1"}, touch("FAQ"), "LOWER_TIER"),
        (hours(3), {"visitorId": "vis_s1", "customerId": str(signed.CUSTOMER)}, visit(), ""),
        (hours(2), {"customerId": str(signed.CUSTOMER + 1)}, touch("FAQ"), ""),
        (hours(1), {"customerId": str(signed.CUSTOMER)}, touch("CHAT"), "CREDITED"),
        (minutes(9), {"customerId": str(signed.CUSTOMER)}, touch("FAQ"), "NOT_FIRST"),
    ),
    journey(
        signed.BY_CLICK, "a click that the order names, on a conversation's link", "PERSON", "MESSAGING",
        (hours(2), {}, touch("MESSAGING", conversationId="c-s2"), "CREDITED"),
        (hours(1), {"clickId": "Clk-50"}, {"linkClick": {"conversationId": "c-s2"}}, ""),
    ),
    journey(
        signed.BY_SHARED_CUSTOMER, "a customer number that everybody buys by names nobody", "", "",
        (hours(9), {"customerId": str(signed.SHARED_CUSTOMER), "email": "s1@example.test"}, visit(), ""),
        (hours(8), {"customerId": str(signed.SHARED_CUSTOMER), "email": "s2@example.test"}, visit(), ""),
        (hours(7), {"customerId": str(signed.SHARED_CUSTOMER), "email": "s3@example.test"}, visit(), ""),
        (hours(6), {"customerId": str(signed.SHARED_CUSTOMER), "email": "s4@example.test"}, visit(), ""),
        (hours(2), {"customerId": str(signed.SHARED_CUSTOMER)}, touch("CHAT"), "HUB"),
    ),
)  # fmt: skip

BY_ORDER = {told.order: told for told in JOURNEYS}


def all_orders() -> dict[int, OrderTold]:
    """What holds in the end of every order, recorded or signed."""
    return {**orders_told(recorded()), **signed.ORDERS}


def sequence() -> list[Delivery | Event]:
    """Deliveries and conversations as they came: conversations at their time, the shop's webhooks in their order."""
    deliveries = recorded()
    orders = all_orders()
    moments = [moment for told in JOURNEYS for moment in told.moments]
    before = sorted((moment for moment in moments if moment.before > minutes(0)), key=lambda moment: -moment.before)
    after = [moment for moment in moments if moment not in before]
    # The pings of the shop's new webhooks came first of all.
    return [
        *deliveries[:10],
        *(moment.event(orders[moment.order].placed) for moment in before),
        *deliveries[10:],
        *signed.deliveries(),
        *(moment.event(orders[moment.order].placed) for moment in after),
    ]


def shuffled(seed: int) -> list[Delivery | Event]:
    """Everything three times, in an order that nobody would think of."""
    mixed = sequence() * 3
    random.Random(seed).shuffle(mixed)
    return mixed


def expected_figures() -> dict[str, dict[str, Any]]:
    """The statement's numbers, added up from the orders and the journeys by nothing of ours.

    In the form of `shop.figures`: buckets of (orders, micros, net micros), by currency.
    """
    by_currency: dict[str, list[OrderTold]] = {}
    for order in all_orders().values():
        by_currency.setdefault(order.currency, []).append(order)
    return {currency: _expected(orders) for currency, orders in by_currency.items()}


def _expected(orders: Sequence[OrderTold]) -> dict[str, Any]:
    def add_up(some: Sequence[OrderTold]) -> tuple[int, int, int]:
        return len(some), sum(order.gross_micros for order in some), sum(order.net_micros for order in some)

    def grouped(some: Sequence[OrderTold], names: dict[int, str]) -> dict[str, tuple[int, int, int]]:
        found = sorted({names[order.number] for order in some})
        return {name: add_up([order for order in some if names[order.number] == name]) for name in found}

    counted = [order for order in orders if not order.excluded]
    tiers = {number: told.tier for number, told in BY_ORDER.items() if told.tier}
    attributed = [order for order in counted if order.number in tiers]
    return {
        "store": add_up(orders),
        "attributed": add_up(attributed),
        "byChannel": grouped(attributed, {number: told.channel for number, told in BY_ORDER.items()}),
        "byTier": grouped(attributed, tiers),
        "unattributed": add_up([order for order in counted if order.number not in tiers]),
        "excluded": grouped(
            [order for order in orders if order.excluded], {order.number: order.excluded for order in orders}
        ),
        "difference": (0, 0, 0),
    }
