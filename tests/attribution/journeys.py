"""Journeys that a marketer can read: who was reached and when, what was bought, and who earns it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from touchstone.identity.v1 import people_pb2
from touchstone.ingest.v1 import event_pb2

from tests.attribution.telling import NOON, interaction, notice, order, people

ME = {"session_id": "s", "visitor_id": "v", "email": "me", "phone": "p", "customer_id": "c"}
HELPFUL, CLICK = {}, {"action": "CLICK", "answer": "ANSWER_UNSPECIFIED"}
FIRST = {"name": "conversations", "version": 7, "window": timedelta(hours=24), "helpful_only": True, "active": True}


def ago(hours: float = 0, *, seconds: float = 0, nanos: int = 0) -> tuple[timedelta, int]:
    return timedelta(hours=hours, seconds=seconds), nanos


@dataclass(frozen=True, kw_only=True)
class Journey:
    """One order and the touches around it, each told as (name, how long before it, by whom, what).

    `shares` are the touches' parts of the order in millionths; `verdicts` what became of them. `beside` is what else
    happened: steps of conversations, products seen, settings. `asks` names the default model that is asked, where no
    other is told.
    """

    because: str
    touches: tuple[tuple[str, tuple[timedelta, int], dict[str, str], dict[str, Any]], ...] = ()
    orders: tuple[event_pb2.Event, ...] = (order("1", ME),)
    people: people_pb2.PeopleChange | None = None
    model: dict[str, Any] | None = None
    asks: str = "conversations"
    beside: tuple[event_pb2.Event, ...] = ()
    tier: str = ""
    shares: dict[str, int]
    verdicts: dict[str, str]
    excluded: str = ""

    def events(self) -> list[event_pb2.Event]:
        return [*map(self._touch, self.touches), *self.beside, *self.orders]

    @staticmethod
    def _touch(told: tuple[str, tuple[timedelta, int], dict[str, str], dict[str, Any]]) -> event_pb2.Event:
        name, (before, nanos), by, what = told
        event = interaction(name, NOON - before, by, **what)
        event.occur_time.nanos += nanos
        return event


def one(because: str, what: tuple, verdict: str, tier: str = "", **more: Any) -> Journey:
    """A journey of one touch, `t`, as (how long before, by whom, what)."""
    shares = {"t": 1_000_000} if verdict == "CREDITED" else {}
    return Journey(because=because, touches=(("t", *what),), verdicts={"t": verdict}, shares=shares, tier=tier, **more)


def many(because: str, *touches: tuple, tier: str = "SESSION", **more: Any) -> Journey:
    """Touches as (name, how long before, by whom, what, verdict, share)."""
    return Journey(
        because=because,
        touches=tuple(touch[:4] for touch in touches),
        verdicts={touch[0]: touch[4] for touch in touches},
        shares={touch[0]: touch[5] for touch in touches if touch[5]},
        tier=tier,
        **more,
    )


SESSION, EMAIL, PHONE = {"session_id": "s"}, {"email": "me"}, {"phone": "p"}
CUSTOMER, VISITOR, STRANGER = {"customer_id": "c"}, {"visitor_id": "v"}, {"visitor_id": "other"}
TOGETHER = people(persons={("EMAIL", "me"): 1, ("VISITOR", "other"): 1, ("CONVERSATION", "k"): 1})
NUDGE, FAQ = {"channel": "NUDGE"}, {"channel": "FAQ"}
WHOLE = 1_000_000


def model(rule: str, **more: Any) -> dict[str, Any]:
    return {**FIRST, "rule": rule, **more}


TIERS = (
    one("the same visit", (ago(1), SESSION, HELPFUL), "CREDITED", "SESSION"),
    one("the same address", (ago(1), EMAIL, HELPFUL), "CREDITED", "EMAIL"),
    one("the same telephone", (ago(1), PHONE, HELPFUL), "CREDITED", "PHONE"),
    one("the same customer number", (ago(1), CUSTOMER, HELPFUL), "CREDITED", "CUSTOMER"),
    one("the same browser", (ago(1), VISITOR, HELPFUL), "CREDITED", "VISITOR"),
    one("the same person", (ago(1), STRANGER, HELPFUL), "CREDITED", "PERSON", people=TOGETHER),
    one(
        "a conversation is one person's",
        (ago(1), {}, {"conversation_id": "k"}), "CREDITED", "PERSON", people=TOGETHER,
    ),
    one(
        "a visit tied two ways is the stronger",
        (ago(1), {"session_id": "s", "email": "me"}, HELPFUL), "CREDITED", "SESSION",
    ),
    many(
        "a stronger tier decides, however late",
        ("mail", ago(3), EMAIL, HELPFUL, "LOWER_TIER", 0),
        ("visit", ago(1), SESSION, HELPFUL, "CREDITED", WHOLE),
        ("browser", ago(2), VISITOR, HELPFUL, "LOWER_TIER", 0),
    ),
    many(
        "known contact is one tier, named by its strongest tie",
        ("number", ago(3), CUSTOMER, HELPFUL, "CREDITED", WHOLE),
        ("mail", ago(2), EMAIL, HELPFUL, "NOT_FIRST", 0),
        tier="EMAIL",
    ),
    many(
        "a useless answer leaves the tier to the next",
        ("visit", ago(1), SESSION, {"answer": "NOT_ANSWERED"}, "NOT_HELPFUL", 0),
        ("browser", ago(2), VISITOR, HELPFUL, "CREDITED", WHOLE),
        tier="VISITOR",
    ),
    one(
        "on a shared device another's contact proves nothing",
        (ago(1), {"visitor_id": "other", "email": "you"}, HELPFUL), "CONTACT_CONFLICT", people=TOGETHER,
    ),
    one(
        "the browser's own tier has no such guard",
        (ago(1), {"visitor_id": "v", "email": "you"}, HELPFUL), "CREDITED", "VISITOR",
    ),
    one(
        "a value of too many names nobody",
        (ago(1), PHONE, HELPFUL), "HUB", people=people(hubs={("PHONE", "p"): True}),
    ),
    one(
        "a customer number that names nobody contradicts nobody",
        (ago(1), {"visitor_id": "other", "customer_id": "kiosk"}, HELPFUL), "CREDITED", "PERSON",
        people=people(
            persons={("EMAIL", "me"): 1, ("VISITOR", "other"): 1}, hubs={("CUSTOMER", "kiosk"): True}
        ),
    ),
)  # fmt: skip

BOUNDS = (
    one("24 hours exactly belong to the window", (ago(24), SESSION, HELPFUL), "CREDITED", "SESSION"),
    one("a second more does not", (ago(24, seconds=1), SESSION, HELPFUL), "OUTSIDE_WINDOW"),
    one("nor does a nanosecond", (ago(24, seconds=1, nanos=999_999_999), SESSION, HELPFUL), "OUTSIDE_WINDOW"),
    one("the order's own moment belongs to it", (ago(0), SESSION, HELPFUL), "CREDITED", "SESSION"),
    one("a nanosecond later does not", (ago(0, nanos=1), SESSION, HELPFUL), "AFTER_ORDER"),
    one("a second later neither", (ago(0, seconds=-1), SESSION, HELPFUL), "AFTER_ORDER"),
)

KINDS = (
    one("no answer is known of", (ago(1), SESSION, {"answer": "ANSWER_UNSPECIFIED"}), "NOT_HELPFUL"),
    one("a person was called in", (ago(1), SESSION, {"answer": "ESCALATED"}), "NOT_HELPFUL"),
    one("a clicked nudge needs no answer", (ago(1), SESSION, {**NUDGE, **CLICK}), "CREDITED", "SESSION"),
    one("an opened question needs none either", (ago(1), SESSION, {**FAQ, **CLICK}), "CREDITED", "SESSION"),
    one("a nudge that was only shown", (ago(1), SESSION, {**NUDGE, **CLICK, "action": "VIEW"}), "NOT_HELPFUL"),
    one("a click in a chat is no answer", (ago(1), SESSION, CLICK), "NOT_HELPFUL"),
    one("a clicked nudge that failed", (ago(1), SESSION, {**NUDGE, **CLICK, "answer": "NOT_ANSWERED"}), "NOT_HELPFUL"),
    one("a tracked link", (ago(1), SESSION, {"action": "LINK_CLICK"}), "LINK_CLICK"),
    one("another channel", (ago(1), SESSION, {"channel": "RECOMMENDATION"}), "CHANNEL_NOT_IN_MODEL"),
    one("a crawler", (ago(1), SESSION, {"user_agent": "Mozilla/5.0 (compatible; Googlebot/2.1)"}), "CRAWLER"),
    one("a shopper's phone", (ago(1), SESSION, {"user_agent": "Mozilla/5.0 (iPhone) Cubot"}), "CREDITED", "SESSION"),
)

THREE = (("a", ago(8)), ("b", ago(4)), ("c", ago(0)))


def three(rule: str, *shares: int, others: str = "", **more: Any) -> Journey:
    touches = [
        (name, when, SESSION, HELPFUL, "CREDITED" if share else others, share)
        for (name, when), share in zip(THREE, shares, strict=True)
    ]
    return many(f"{rule} of three", *touches, model=model(rule, **more))


RULES = (
    three("FIRST_TOUCH", WHOLE, 0, 0, others="NOT_FIRST"),
    three("LAST_TOUCH", 0, 0, WHOLE, others="NOT_LAST"),
    three("LINEAR", 333_334, 333_333, 333_333),
    three("POSITION_BASED", 400_000, 200_000, 400_000),
    three("TIME_DECAY", 142_857, 285_714, 571_429, half_life=timedelta(hours=4)),
    many(
        "two share evenly by position",
        ("a", ago(2), SESSION, HELPFUL, "CREDITED", 500_000),
        ("b", ago(1), SESSION, HELPFUL, "CREDITED", 500_000),
        model=model("POSITION_BASED"),
    ),
    many(
        "at the same moment the event's name decides",
        ("a", ago(1), SESSION, HELPFUL, "CREDITED", WHOLE),
        ("b", ago(1), SESSION, HELPFUL, "NOT_FIRST", 0),
    ),
)


def state(because: str, status: str, excluded: str = "", *more: event_pb2.Event, **told: Any) -> Journey:
    """An order in one status, with one touch that would earn it."""
    return one(
        because,
        (ago(1), SESSION, HELPFUL),
        "ORDER_NOT_COUNTED" if excluded else "CREDITED",
        "" if excluded else "SESSION",
        orders=(order("1", ME, status=status, **told), *more),
        excluded=excluded,
    )


SHOPIFY = {"platform": "SHOPIFY"}
STATUSES = (
    *(state(f"WooCommerce {status}", status) for status in ("processing", "completed", "refunded")),
    *(
        state(f"WooCommerce {status}", status, "UNPAID")
        for status in ("pending", "on-hold", "checkout-draft", "wc-at-the-printer", "")
    ),
    state("WooCommerce cancelled", "cancelled", "CANCELLED"),
    state("WooCommerce failed", "failed", "FAILED"),
    state("WooCommerce's bin by its status", "trash", "TRASHED"),
    state("binned", "completed", "TRASHED", notice("1", "TRASHED")),
    state("binned and restored", "completed", "", notice("1", "TRASHED"), notice("1", "RESTORED")),
    state("restored, as its state shows", "completed", "", notice("1", "TRASHED"), formerly_trashed=True),
    state("deleted, which is more than binned", "completed", "DELETED", notice("1", "TRASHED"), notice("1", "DELETED")),
    state("a trial, which is more than deleted", "completed", "TEST", notice("1", "DELETED"), test=True),
    *(
        state(f"Shopify {status}", status, **SHOPIFY)
        for status in ("paid", "partially_paid", "partially_refunded", "refunded")
    ),
    *(state(f"Shopify {status}", status, "UNPAID", **SHOPIFY) for status in ("pending", "authorized", "voided")),
    state("Shopify cancelled, though paid", "paid", "CANCELLED", cancel_time=order("1").order.order_time, **SHOPIFY),
    state("a shop of one's own", "completed", platform="CUSTOM"),
    state("a shop of one's own, unpaid", "pending", "UNPAID", platform="PLATFORM_UNSPECIFIED"),
)

ALL = (*TIERS, *BOUNDS, *KINDS, *RULES, *STATUSES)
