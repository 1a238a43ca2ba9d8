"""Journeys under every kind of model, which a marketer can read: the credit expected, to the cent."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from touchstone.ingest.v1 import event_pb2, settings_pb2

from tests.attribution.telling import EUR, NOON, interaction, line, order, refund, seen, step

ME = {"session_id": "s", "visitor_id": "v", "email": "me"}
SESSION, EMAIL, VISITOR, OTHER_VISIT = {"session_id": "s"}, {"email": "me"}, {"visitor_id": "v"}, {"session_id": "z"}
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1)"


@dataclass(frozen=True, kw_only=True)
class Journey:
    """What happened around an order, and what one model makes of it.

    `model` is a default model's name, or a model. `earned` are (touch, line, gross, net) in cents, in the credits'
    sequence; the line is empty where whole orders are credited. `verdicts` are those of all touches considered.
    """

    because: str
    model: str | dict[str, Any]
    events: tuple[event_pb2.Event, ...]
    order: event_pb2.Event
    earned: Sequence[tuple[str, str, int, int]]
    verdicts: dict[str, str]
    tier: str = ""
    excluded: str = ""
    settings: settings_pb2.TenantSettings | None = field(default=None)

    @property
    def name(self) -> str:
        return self.model if isinstance(self.model, str) else "tried"


def journey(
    because: str,
    model: str | dict[str, Any],
    *events: event_pb2.Event,
    earned: Sequence[tuple[str, str, int, int]] = (),
    verdicts: dict[str, str] | None = None,
    bought: event_pb2.Event | None = None,
    **more: Any,
) -> Journey:
    """Unless told otherwise 100 EUR are paid, and whoever earns is told in the verdicts."""
    told = {**{touch: "CREDITED" for touch, *_ in earned}, **(verdicts or {})}
    tier = "" if not earned else more.pop("tier", "SESSION")
    return Journey(
        because=because, model=model, events=events, order=bought or order("1", ME), earned=earned, verdicts=told,
        tier=tier, **more,
    )  # fmt: skip


def ago(hours: float, seconds: float = 0):
    return NOON - timedelta(hours=hours, seconds=seconds)


def tried(**told: Any) -> dict[str, Any]:
    """A model over all channels and a day, the last touch of which takes all."""
    return {"name": "tried", "active": True, "window": timedelta(hours=24), "rule": "LAST_TOUCH", **told}


def touch(name: str, hours: float, by: dict[str, str] = SESSION, **told: Any) -> event_pb2.Event:
    return interaction(name, ago(hours, told.pop("seconds", 0)), by, **told)


def recommended(name: str, hours: float, *products: str, **told: Any) -> event_pb2.Event:
    said = {"channel": "RECOMMENDATION", "action": "VIEW", "answer": 0, "product_ids": products, **told}
    return touch(name, hours, **said)


def browsed(hours: float, product: str, by: dict[str, str] = SESSION, **told: Any) -> tuple[event_pb2.Event, ...]:
    """A product is looked at, and a minute later put in the cart."""
    when = ago(hours)
    return (
        seen(f"view-{product}-{hours}", when, "PRODUCT_VIEWED", product, by, **told),
        seen(f"cart-{product}-{hours}", when + timedelta(minutes=1), "ADDED_TO_CART", product, by, **told),
    )


ALL_OF_IT = 100_00


def whole(touch_: str) -> list[tuple[str, str, int, int]]:
    return [(touch_, "", ALL_OF_IT, ALL_OF_IT)]


def talk(first: float, last: float, *more: event_pb2.Event, by: dict[str, str] = SESSION, seconds: float = 0):
    """A conversation that an agent closes; it begins and ends so many hours before the order."""
    return (
        step("start", ago(first), "STARTED", by, touchpoint="website", actor="VISITOR"),
        step("agent", ago(first - 0.1), "ASSIGNED", agent_id="ann"),
        *more,
        step("close", ago(last, seconds), "CLOSED", actor="AGENT"),
    )


CONVERSATIONS = (
    journey("48 hours after its end exactly, a conversation still earns",
            "contact", *talk(60, 48), earned=whole("start")),
    journey("a second less belongs to it",
            "contact", *talk(60, 48, seconds=-1), earned=whole("start")),
    journey("a second more does not",
            "contact", *talk(60, 48, seconds=1), verdicts={"start": "OUTSIDE_WINDOW"}),
    journey("an order during the conversation",
            "contact", *talk(1, -3), earned=whole("start")),
    journey("the first message's own moment belongs to it",
            "contact", *talk(0, -3), earned=whole("start")),
    journey("an order a second before the first message",
            "contact",
            step("start", NOON + timedelta(seconds=1), "STARTED", SESSION, agent_id="ann"),
            verdicts={"start": "AFTER_ORDER"}),
    journey("weeks long, and closed yesterday",
            "contact", *talk(24 * 30, 24), earned=whole("start")),
    journey("without a closing its last message is its end",
            "contact",
            step("m1", ago(60), "MESSAGE", SESSION, agent_id="ann"), step("m2", ago(47), "MESSAGE"),
            earned=whole("m1")),
    journey("never closed, and silent for too long",
            "contact",
            step("m1", ago(60), "MESSAGE", SESSION, agent_id="ann"), step("m2", ago(48, 1), "MESSAGE"),
            verdicts={"m1": "OUTSIDE_WINDOW"}),
    journey("whoever writes again opens it again",
            "contact", *talk(90, 80, step("again", ago(47), "MESSAGE")), earned=whole("start")),
    journey("a conversation that only a bot had",
            "contact", step("m", ago(2), "MESSAGE", SESSION, actor="BOT", bot_name="Bo"),
            verdicts={"m": "FILTERED"}),
    journey("an agent who wrote took part, named or not",
            "contact", step("m", ago(2), "MESSAGE", SESSION, actor="AGENT"), earned=whole("m")),
    journey("of two conversations the last takes all",
            "contact",
            *talk(5, 4),
            step("later", ago(3), "MESSAGE", SESSION, conversation_id="k2", agent_id="bob"),
            earned=whole("later"), verdicts={"start": "NOT_LAST"}),
    journey("an address told in the middle ties all of it",
            "contact",
            step("m1", ago(3), "MESSAGE", {"visitor_id": "elsewhere"}, agent_id="ann"),
            step("m2", ago(2), "MESSAGE", EMAIL),
            earned=whole("m1"), tier="EMAIL"),
    journey("an address told after the order ties it too",
            "contact",
            step("m1", ago(3), "MESSAGE", {"visitor_id": "elsewhere"}, agent_id="ann"),
            step("m2", ago(-2), "MESSAGE", EMAIL),
            earned=whole("m1"), tier="EMAIL"),
    journey("messages told as interactions make a conversation too",
            "contact",
            touch("m1", 60, conversation_id="k"), touch("m2", 40, {}, conversation_id="k", agent_id="ann"),
            earned=whole("m1")),
    journey("no message, no conversation",
            "contact", step("agent", ago(2), "ASSIGNED", SESSION, agent_id="ann")),
    journey("only answers of handled conversations, each by itself",
            tried(filter={"handled_only": True}, rule="LINEAR"),
            touch("a", 3, conversation_id="k"), touch("b", 2, conversation_id="k2"), touch("c", 1, agent_id="bob"),
            step("agent", ago(2.5), "ASSIGNED", agent_id="ann"),
            earned=[("a", "", 50_00, 50_00), ("c", "", 50_00, 50_00)], verdicts={"b": "FILTERED"}),
)  # fmt: skip

DAYS_7 = 24 * 7
TWO_LINES = order(
    "1", ME, total_micros=130 * EUR, tax_micros=20 * EUR, shipping_micros=10 * EUR,
    lines=[line("l1", 60 * EUR, 12 * EUR, product_id="shoe", variant_id="shoe-42", sku="SH42"),
           line("l2", 40 * EUR, 8 * EUR, product_id="sock")],
)  # fmt: skip


def returned(*refunds: Any) -> event_pb2.Event:
    changed = event_pb2.Event.FromString(TWO_LINES.SerializeToString())
    changed.order.refunds.extend(refunds)
    return changed


BY_LINE = (
    journey("recommended, looked at, put in the cart and bought: the line, no more",
            "recommendation_direct", recommended("r", 5, "shoe"), *browsed(4, "shoe"),
            bought=TWO_LINES, earned=[("r", "l1", 60_00, 60_00)]),
    journey("by its variation",
            "recommendation_direct", recommended("r", 5, "shoe-42"), *browsed(4, "shoe"),
            bought=TWO_LINES, earned=[("r", "l1", 60_00, 60_00)]),
    journey("by its stock-keeping unit",
            "recommendation_direct", recommended("r", 5, "SH42"), *browsed(4, "shoe-42"),
            bought=TWO_LINES, earned=[("r", "l1", 60_00, 60_00)]),
    journey("another product was bought",
            "recommendation_direct", recommended("r", 5, "hat"), *browsed(4, "shoe"),
            bought=TWO_LINES, verdicts={"r": "PRODUCT_NOT_BOUGHT"}),
    journey("bought, but never put in the cart",
            "recommendation_direct", recommended("r", 5, "shoe"), browsed(4, "shoe")[0],
            bought=TWO_LINES, verdicts={"r": "FILTERED"}),
    journey("put in the cart without a look",
            "recommendation_direct", recommended("r", 5, "shoe"), browsed(4, "shoe")[1],
            bought=TWO_LINES, verdicts={"r": "FILTERED"}),
    journey("looked at before it was recommended",
            "recommendation_direct", recommended("r", 3, "shoe"), *browsed(4, "shoe"),
            bought=TWO_LINES, verdicts={"r": "FILTERED"}),
    journey("put in the cart after the order",
            "recommendation_direct", recommended("r", 5, "shoe"), *browsed(-1, "shoe"),
            bought=TWO_LINES, verdicts={"r": "FILTERED"}),
    journey("somebody else's cart",
            "recommendation_direct", recommended("r", 5, "shoe"), *browsed(4, "shoe", {"session_id": "theirs"}),
            bought=TWO_LINES, verdicts={"r": "FILTERED"}),
    journey("a crawler's look is none",
            "recommendation_direct", recommended("r", 5, "shoe"), *browsed(4, "shoe", user_agent=GOOGLEBOT),
            bought=TWO_LINES, verdicts={"r": "FILTERED"}),
    journey("both lines, each to its own last recommendation",
            "recommendation_direct",
            recommended("r1", 6, "shoe", "sock"), recommended("r2", 5, "shoe"),
            *browsed(4, "shoe"), *browsed(3, "sock"),
            bought=TWO_LINES, earned=[("r1", "l2", 40_00, 40_00), ("r2", "l1", 60_00, 60_00)]),
    journey("passed over on the only line that it names",
            "recommendation_direct",
            recommended("r1", 6, "shoe"), recommended("r2", 5, "shoe"), *browsed(4, "shoe"),
            bought=TWO_LINES, earned=[("r2", "l1", 60_00, 60_00)], verdicts={"r1": "NOT_LAST"}),
    journey("one line decided by the visit, the other by the browser",
            "recommendation_direct",
            recommended("r1", 6, "shoe"), recommended("r2", 5, "sock", by=VISITOR),
            *browsed(4, "shoe"), *browsed(3, "sock"),
            bought=TWO_LINES, earned=[("r1", "l1", 60_00, 60_00), ("r2", "l2", 40_00, 40_00)]),
    journey("a line that came back takes its credit with it",
            "recommendation_direct", recommended("r", 5, "shoe"), *browsed(4, "shoe"),
            bought=returned(refund("x", 72 * EUR, ("l1", 60 * EUR, 12 * EUR))), earned=[("r", "l1", 60_00, 0)]),
    journey("the other line came back",
            "recommendation_direct", recommended("r", 5, "shoe"), *browsed(4, "shoe"),
            bought=returned(refund("x", 48 * EUR, ("l2", 40 * EUR, 8 * EUR))), earned=[("r", "l1", 60_00, 60_00)]),
    journey("an amount without lines is spread over them, tax taken out",
            "recommendation_direct", recommended("r", 5, "shoe"), *browsed(4, "shoe"),
            bought=returned(refund("x", 12 * EUR)), earned=[("r", "l1", 60_00, 54_00)]),
    journey("seven days exactly",
            "recommendation_direct", recommended("r", DAYS_7, "shoe"), *browsed(4, "shoe"),
            bought=TWO_LINES, earned=[("r", "l1", 60_00, 60_00)]),
    journey("seven days and a second",
            "recommendation_direct", recommended("r", DAYS_7, "shoe", seconds=1), *browsed(4, "shoe"),
            bought=TWO_LINES, verdicts={"r": "OUTSIDE_WINDOW"}),
    journey("a line is shared by every touch that names it",
            tried(by_line=True, rule="LINEAR", basis="WITHOUT_TAX"),
            recommended("r1", 3, "shoe"), recommended("r2", 2, "SH42"), recommended("r3", 1, "hat"),
            bought=TWO_LINES, earned=[("r1", "l1", 30_00, 30_00), ("r2", "l1", 30_00, 30_00)],
            verdicts={"r3": "PRODUCT_NOT_BOUGHT"}),
    journey("a line with its tax",
            tried(by_line=True, basis="TOTAL"), recommended("r", 3, "shoe"),
            bought=returned(refund("x", 36 * EUR, ("l1", 30 * EUR, 6 * EUR))), earned=[("r", "l1", 72_00, 36_00)]),
    journey("a line of nothing is credited with nothing",
            tried(by_line=True), recommended("r", 3, "gift"),
            bought=order("1", ME, lines=[line("l1", 0, product_id="gift"), line("l2", EUR)]),
            earned=[("r", "l1", 0, 0)]),
)  # fmt: skip

CLICKED = {"action": "CLICK"}
CLICKS_AND_SESSIONS = (
    journey("clicked, and something else bought",
            "recommendation_assisted", recommended("r", 5, "hat", **CLICKED), earned=whole("r")),
    journey("shown only",
            "recommendation_assisted", recommended("r", 5, "shoe"), verdicts={"r": "FILTERED"}),
    journey("the last click takes all, seven days on",
            "recommendation_assisted",
            recommended("r1", DAYS_7, "hat", **CLICKED), recommended("r2", 9, "shoe", **CLICKED),
            earned=whole("r2"), verdicts={"r1": "NOT_LAST"}),
    journey("seven days and a second after the click",
            "recommendation_assisted", recommended("r1", DAYS_7, "hat", seconds=1, **CLICKED),
            verdicts={"r1": "OUTSIDE_WINDOW"}),
    journey("everything personalised in the order's visit, in equal parts",
            "personalization",
            touch("p1", 2, channel="PERSONALIZATION", action="VIEW", experience_id="summer"),
            touch("p2", 1, channel="PERSONALIZATION", action="VIEW"),
            earned=[("p1", "", 50_00, 50_00), ("p2", "", 50_00, 50_00)]),
    journey("an earlier visit of the same browser",
            "personalization",
            touch("p", 2, {**OTHER_VISIT, **VISITOR}, channel="PERSONALIZATION", action="VIEW"),
            verdicts={"p": "OTHER_SESSION"}),
    journey("a visit has no length",
            "personalization", touch("p", 24 * 20, channel="PERSONALIZATION", action="VIEW"), earned=whole("p")),
    journey("after the order, in the same visit",
            "personalization", touch("p", 0, seconds=-1, channel="PERSONALIZATION"), verdicts={"p": "AFTER_ORDER"}),
)  # fmt: skip


def refused(because: str, filter_: dict[str, Any], other: dict[str, Any], fitting: dict[str, Any]) -> Journey:
    """Of two touches the one that doesn't fit is later, and would take all."""
    return journey(
        because, tried(filter=filter_), touch("fits", 2, **fitting), touch("other", 1, **other),
        earned=whole("fits"), verdicts={"other": "FILTERED"},
    )  # fmt: skip


FILTERS = (
    refused("clicks alone", {"actions": ["CLICK"]}, {}, {"action": "CLICK"}),
    refused("one place", {"touchpoints": ["whatsapp", "sms"]}, {"touchpoint": "website"}, {"touchpoint": "whatsapp"}),
    refused("one bot", {"bot_names": ["Bo"]}, {"bot_name": "Al"}, {"bot_name": "Bo"}),
    refused("one agent", {"agent_ids": ["ann"]}, {"agent_id": "bob"}, {"agent_id": "ann"}),
    refused("one campaign", {"campaigns": ["may"]}, {}, {"campaign": "may"}),
    refused("one experience", {"experience_ids": ["x"]}, {"experience_id": "y"}, {"experience_id": "x"}),
    refused("all that is set must hold", {"bot_names": ["Bo"], "campaigns": ["may"]}, {"bot_name": "Bo"},
            {"bot_name": "Bo", "campaign": "may"}),
    journey("a channel without weight earns nothing beside one that has",
            tried(rule="DATA_DRIVEN", weights=[{"channel": "CHAT", "weight": 3}, {"channel": "NUDGE", "weight": 1}]),
            touch("chat", 3), touch("faq", 2, channel="FAQ"), touch("nudge", 1, channel="NUDGE"),
            earned=[("chat", "", 75_00, 75_00), ("nudge", "", 25_00, 25_00)], verdicts={"faq": "FILTERED"}),
    journey("without any weight all earn the same",
            tried(rule="DATA_DRIVEN", weights=[{"channel": "CHAT", "weight": 3}]),
            touch("f1", 2, channel="FAQ"), touch("f2", 1, channel="FAQ"),
            earned=[("f1", "", 50_00, 50_00), ("f2", "", 50_00, 50_00)]),
    journey("a half-life later half as much",
            tried(rule="TIME_DECAY", half_life=timedelta(hours=2)), touch("a", 2), touch("b", 0),
            earned=[("a", "", 33_33, 33_33), ("b", "", 66_67, 66_67)]),
)  # fmt: skip


def basis(name: str, gross: int, net: int, **told: Any) -> Journey:
    """131 EUR: 100 of products, 10 of shipping with 2 of tax, 0 of fees, and 19 of tax on the products."""
    paid = order(
        "1", ME, total_micros=131 * EUR, tax_micros=21 * EUR, shipping_micros=10 * EUR,
        lines=[line("l1", 100 * EUR, 19 * EUR)], **told,
    )  # fmt: skip
    because = f"{name} of an order of which {len(told.get('refunds', []))} refunds took something"
    return journey(because, tried(basis=name), touch("t", 1), bought=paid, earned=[("t", "", gross, net)])


HALF = {"refunds": [refund("x", 65_500_000)]}
BASES = (
    basis("TOTAL", 131_00, 131_00),
    basis("WITHOUT_TAX", 110_00, 110_00),
    basis("WITHOUT_SHIPPING", 119_00, 119_00),
    basis("WITHOUT_TAX_AND_SHIPPING", 100_00, 100_00),
    basis("TOTAL", 131_00, 65_50, **HALF),
    basis("WITHOUT_TAX", 110_00, 55_00, **HALF),
    basis("WITHOUT_SHIPPING", 119_00, 59_50, **HALF),
    basis("WITHOUT_TAX_AND_SHIPPING", 100_00, 50_00, **HALF),
    journey("everything given back leaves nothing of any basis",
            tried(basis="WITHOUT_TAX"), touch("t", 1),
            bought=order("1", ME, status="refunded", tax_micros=20 * EUR), earned=[("t", "", 80_00, 0)]),
    journey("the tax on shipping is told apart from that on fees by amount",
            tried(basis="WITHOUT_SHIPPING"), touch("t", 1),
            bought=order("1", ME, tax_micros=4 * EUR, shipping_micros=30 * EUR, fee_micros=10 * EUR),
            earned=[("t", "", 67_00, 67_00)]),
)  # fmt: skip


def status(because: str, statuses: dict[str, list[str]], excluded: str = "", **told: Any) -> Journey:
    """A model's own statuses: each platform that it doesn't name keeps the tenant's."""
    named = [{"platform": platform, "statuses": words} for platform, words in statuses.items()]
    return journey(
        because, tried(counted_statuses=named), touch("t", 1), bought=order("1", ME, **told), excluded=excluded,
        earned=() if excluded else whole("t"), verdicts={"t": "ORDER_NOT_COUNTED"} if excluded else None,
    )  # fmt: skip


SHOPIFY = {"platform": "SHOPIFY"}
STATUSES = (
    status("a model that counts orders on hold", {"woocommerce": ["on-hold"]}, status="on-hold"),
    status("and no others", {"woocommerce": ["on-hold"]}, "UNPAID", status="completed"),
    status("another platform keeps its own", {"woocommerce": ["on-hold"]}, status="paid", **SHOPIFY),
    status("a model that counts what was only authorised", {"shopify": ["authorized"]}, status="authorized", **SHOPIFY),
    status("a trial is one under every model", {"woocommerce": ["on-hold"]}, "TEST", status="on-hold", test=True),
    status("a shop of one's own", {"custom": ["shipped"]}, status="shipped", platform="CUSTOM"),
)

POLICIES = (
    journey("a trial counts where the tenant says so",
            tried(), touch("t", 1), bought=order("1", ME, test=True), earned=whole("t"),
            settings=settings_pb2.TenantSettings(count_test_orders=True)),
    journey("a crawler earns where the tenant says so",
            tried(), touch("t", 1, user_agent=GOOGLEBOT), earned=whole("t"),
            settings=settings_pb2.TenantSettings(count_crawlers=True)),
    journey("and else does not",
            tried(), touch("t", 1, user_agent=GOOGLEBOT), verdicts={"t": "CRAWLER"}),
    journey("a crawler's look counts where the tenant says so",
            "recommendation_direct", recommended("r", 5, "shoe"), *browsed(4, "shoe", user_agent=GOOGLEBOT),
            bought=TWO_LINES, earned=[("r", "l1", 60_00, 60_00)],
            settings=settings_pb2.TenantSettings(count_crawlers=True)),
)  # fmt: skip

TIES = (
    journey("two conversations at the same moment: the event's name decides",
            "contact",
            step("a", ago(3), "MESSAGE", SESSION, conversation_id="k1", agent_id="ann"),
            step("b", ago(3), "MESSAGE", SESSION, conversation_id="k0", agent_id="ann"),
            earned=whole("b"), verdicts={"a": "NOT_LAST"}),
    journey("two recommendations of a product at the same moment",
            "recommendation_direct", recommended("a", 5, "shoe"), recommended("b", 5, "shoe"), *browsed(4, "shoe"),
            bought=TWO_LINES, earned=[("b", "l1", 60_00, 60_00)], verdicts={"a": "NOT_LAST"}),
    journey("seen at the very moment of the recommendation",
            "recommendation_direct", recommended("r", 4, "shoe"), *browsed(4, "shoe"),
            bought=TWO_LINES, earned=[("r", "l1", 60_00, 60_00)]),
)  # fmt: skip

ALL = (*CONVERSATIONS, *BY_LINE, *CLICKS_AND_SESSIONS, *FILTERS, *BASES, *STATUSES, *POLICIES, *TIES)
