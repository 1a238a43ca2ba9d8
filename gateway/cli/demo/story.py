"""What happens in the demo shop on a day: who talks, who buys, what becomes of the orders. A pure function of the date."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

ORDERS_A_DAY = 36
_SEED = 20261121
_HOURS = range(8, 20)
_FOREIGN = {4: "USD", 9: "JPY", 28: "JPY", 33: "USD"}
"""The orders of a day in other currencies, all of the WooCommerce shop."""

Event = dict[str, Any]
"""An event as `POST /v1/events` takes it."""


class Product(NamedTuple):
    """Something that the shop sells; the price is in euro cents, without tax."""

    product_id: int
    sku: str
    title: str
    cents: int


PRODUCTS = (
    Product(101, "TEA-SENCHA-100", "Sencha, 100 g", 1250),
    Product(102, "TEA-GYOKURO-50", "Gyokuro, 50 g", 2490),
    Product(103, "TEA-EARLGREY-100", "Earl Grey, 100 g", 890),
    Product(104, "TEA-ROOIBOS-100", "Rooibos, 100 g", 790),
    Product(105, "POT-KYUSU-35", "Kyusu teapot, 0.35 l", 4833),
    Product(106, "POT-IRON-80", "Cast iron teapot, 0.8 l", 6900),
    Product(107, "CUP-YUNOMI-2", "Two yunomi cups", 2150),
    Product(108, "WHISK-CHASEN", "Bamboo whisk", 1990),
    Product(109, "TEA-MATCHA-30", "Matcha, 30 g", 2790),
    Product(110, "GIFT-BOX", "Gift box", 450),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shopper:
    """Somebody who buys, with everything by which they can be known."""

    number: int
    session_id: str
    visitor_id: str
    email: str
    phone: str
    customer_id: int


class Item(NamedTuple):
    """A line of an order; the price is one unit's, in the order's currency and minor unit, without tax."""

    product: Product
    quantity: int
    price: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """An order, and what becomes of it: `outcome` is PAID, PART_REFUNDED, REFUNDED, CANCELLED, UNPAID or FAILED."""

    number: int
    shop: str
    shopper: Shopper
    placed: datetime
    changed: datetime
    currency: str
    items: tuple[Item, ...]
    outcome: str


class Day(NamedTuple):
    """A day's conversations and purchases."""

    events: list[Event]
    purchases: list[Purchase]


def play_day(day: date, zone: ZoneInfo) -> Day:
    """Everything that has to do with the day's orders; the same for the same date, whenever it is asked for."""
    # Not a secret: the story has to be the same each time.
    rng = random.Random(f"{_SEED} {day.isoformat()}")  # noqa: S311 - see above
    events: list[Event] = []
    purchases: list[Purchase] = []
    for index in range(ORDERS_A_DAY):
        purchase = _purchase(day, index, zone, rng)
        purchases.append(purchase)
        events += _PLOTS[index % len(_PLOTS)](purchase)
    return Day(events, purchases)


def _purchase(day: date, index: int, zone: ZoneInfo, rng: random.Random) -> Purchase:
    number = day.toordinal() * 100 + index
    shop = "shopify" if index % 5 < 3 else "woo"
    currency = _FOREIGN.get(index, "EUR")
    at = time(rng.choice(_HOURS), rng.randrange(60), rng.randrange(60))
    placed = datetime.combine(day, at, tzinfo=zone)
    items = tuple(
        Item(product, rng.choice((1, 1, 1, 2, 3)), _price(product, currency))
        for product in rng.sample(PRODUCTS, rng.randint(1, 4))
    )
    return Purchase(
        number=number,
        shop=shop,
        shopper=Shopper(
            number=number,
            session_id=f"s-{rng.getrandbits(64):016x}",
            visitor_id=f"v-{rng.getrandbits(64):016x}",
            email=f"shopper-{number}@example.com",
            phone=f"+346{rng.randrange(10**8):08d}",
            customer_id=number * 10 + (1 if shop == "shopify" else 2),
        ),
        placed=placed,
        changed=placed + timedelta(minutes=rng.randint(20, 180)),
        currency=currency,
        items=items,
        outcome=rng.choices(
            ("PAID", "PART_REFUNDED", "REFUNDED", "CANCELLED", "UNPAID", "FAILED"), weights=(80, 6, 4, 5, 3, 2)
        )[0],
    )


def _price(product: Product, currency: str) -> int:
    return product.cents * 17 // 10 if currency == "JPY" else product.cents


def _touch(purchase: Purchase, before: timedelta, identifiers: Event, channel: str, **interaction: str) -> Event:
    """Somebody is reached so long before the purchase; a helpful message on the website unless told otherwise."""
    told = {"channel": channel, "action": "MESSAGE", "touchpoint": "website", "botName": "assistant", **interaction}
    if told["action"] == "MESSAGE":
        told.setdefault("answer", "HELPFUL")
        told.setdefault("conversationId", f"demo-c-{purchase.number}")
    return _event(purchase, before, identifiers, {"interaction": told})


def _event(purchase: Purchase, before: timedelta, identifiers: Event, payload: Event) -> Event:
    kind = next(iter(payload))
    return {
        "eventId": f"demo-{purchase.number}-{kind}-{int(before.total_seconds())}",
        "occurTime": (purchase.placed - before).isoformat(),
        "identifiers": identifiers,
        **payload,
    }


def _silent(_: Purchase) -> Sequence[Event]:
    """Nobody was asked anything."""
    return ()


def _chat(purchase: Purchase) -> Sequence[Event]:
    """A question, its answer, and a second one, all in the visit that ends with the order."""
    here = {"sessionId": purchase.shopper.session_id, "visitorId": purchase.shopper.visitor_id}
    return (
        _touch(purchase, timedelta(minutes=25), here, "CHAT", answer="NOT_ANSWERED"),
        _touch(purchase, timedelta(minutes=22), here, "CHAT"),
        _touch(purchase, timedelta(minutes=9), here, "CHAT"),
    )


def _nudge(purchase: Purchase) -> Sequence[Event]:
    """A nudge is shown and clicked in the visit."""
    here = {"sessionId": purchase.shopper.session_id}
    return (
        _touch(purchase, timedelta(minutes=16), here, "NUDGE", action="VIEW"),
        _touch(purchase, timedelta(minutes=15), here, "NUDGE", action="CLICK"),
    )


def _faq(purchase: Purchase) -> Sequence[Event]:
    """An answer is opened by the same browser, hours before."""
    return (_touch(purchase, timedelta(hours=6), {"visitorId": purchase.shopper.visitor_id}, "FAQ", action="CLICK"),)


def _mail(purchase: Purchase) -> Sequence[Event]:
    """A chat in another browser, where the address was told."""
    return (_touch(purchase, timedelta(hours=5), {"email": purchase.shopper.email.upper()}, "CHAT"),)


def _phone(purchase: Purchase) -> Sequence[Event]:
    """A conversation in a messaging app, which knows the number."""
    asked = {"phone": purchase.shopper.phone}
    return (_touch(purchase, timedelta(hours=4), asked, "MESSAGING", touchpoint="whatsapp"),)


def _customer(purchase: Purchase) -> Sequence[Event]:
    """A chat of somebody signed in."""
    return (_touch(purchase, timedelta(hours=3), {"customerId": str(purchase.shopper.customer_id)}, "CHAT"),)


def _link(purchase: Purchase) -> Sequence[Event]:
    """A conversation in a messaging app that knows nobody, until its link is followed by the browser that buys."""
    conversation = f"demo-c-{purchase.number}"
    visitor = {"visitorId": purchase.shopper.visitor_id}
    return (
        _touch(purchase, timedelta(hours=2), {}, "MESSAGING", touchpoint="instagram"),
        _event(purchase, timedelta(hours=1), visitor, {"linkClick": {"conversationId": conversation}}),
    )


def _unhelpful(purchase: Purchase) -> Sequence[Event]:
    """The assistant did not know."""
    here = {"sessionId": purchase.shopper.session_id}
    return (_touch(purchase, timedelta(minutes=12), here, "CHAT", answer="NOT_ANSWERED"),)


def _too_early(purchase: Purchase) -> Sequence[Event]:
    """A helpful answer the day before yesterday."""
    return (_touch(purchase, timedelta(hours=40), {"email": purchase.shopper.email}, "CHAT"),)


def _shown(purchase: Purchase) -> Sequence[Event]:
    """Recommended products, personalised content and a newsletter, which are no conversations."""
    here = {"sessionId": purchase.shopper.session_id}
    return (
        _touch(purchase, timedelta(minutes=30), here, "PERSONALIZATION", action="VIEW"),
        _touch(purchase, timedelta(minutes=20), here, "RECOMMENDATION", action="CLICK"),
        _touch(purchase, timedelta(hours=8), {"email": purchase.shopper.email}, "JOURNEY", action="NOTIFICATION"),
    )


_PLOTS: tuple[Callable[[Purchase], Sequence[Event]], ...] = (
    _silent,
    _chat,
    _faq,
    _silent,
    _mail,
    _nudge,
    _phone,
    _silent,
    _customer,
    _chat,
    _link,
    _silent,
    _unhelpful,
    _too_early,
    _shown,
    _silent,
    _chat,
)
