"""Made-up shops: people, their devices and conversations, a kiosk, and orders of both platforms through their states."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import orjson
from hypothesis import strategies as st
from touchstone.ingest.v1 import (
    conversation_pb2,
    event_pb2,
    interaction_pb2,
    model_pb2,
    order_pb2,
    settings_pb2,
    storefront_pb2,
)
from touchstone.ingest.v1.source_service_pb2 import Source
from touchstone.type.v1 import identifier_pb2

from gateway.web.webhooks.platforms import PLATFORMS
from gateway.web.webhooks.translation import Reader
from tests.attribution.lives import NOON, Life
from tests.attribution.lives_shopify import SHOPIFY
from tests.attribution.lives_woocommerce import WOOCOMMERCE
from tests.attribution.telling import at, interaction, logged, named

SOURCES = {"shopify": Source.SHOPIFY, "woocommerce": Source.WOOCOMMERCE}
READER = Reader(id_prefix="_touchstone_")
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1)"
KIOSK = "kiosk"
DAY = 24 * 60
FIELDS = ("session_id", "visitor_id", "email", "phone", "customer_id")

Events = tuple[event_pb2.LoggedEvent, ...]


def _told(life: Life) -> list[bytes]:
    """What a life's deliveries say of its order."""
    said = [
        event_pb2.Event(**fields)
        for topic, body in life.told(1)
        for fields in PLATFORMS[SOURCES[life.platform]].read(topic, orjson.dumps(body), READER).events
    ]
    return [event.SerializeToString() for event in said if event.HasField("order")]


TOLD = [(life.platform, _told(life)) for life in (*SHOPIFY, *WOOCOMMERCE)]
"""Read once: the readers have tests of their own."""

persons = st.integers(0, 1)
minutes = st.one_of(st.integers(1, 6 * 60), st.sampled_from([-60, -1, 0, DAY, DAY + 1, 2 * DAY, 2 * DAY + 1]))
"""Before noon, when all orders are placed."""

products = st.lists(st.sampled_from(["71", "TEA", "POT", "other"]), max_size=2, unique=True)


@st.composite
def names(draw: st.DrawFn) -> dict[str, str]:
    """What an event knows of somebody: some of a person's names, or a device of the family's or everybody's."""
    number = draw(persons)
    own = {
        "session_id": f"s{number}",
        "visitor_id": draw(st.sampled_from([f"v{number}", f"v{number}", "family", KIOSK])),
        "email": f"e{number}{draw(st.sampled_from('aab'))}",
        "phone": f"p{number}",
        "customer_id": f"c{number}",
    }
    known = draw(st.lists(st.sampled_from(FIELDS), min_size=1, max_size=3, unique=True))
    return {field: own[field] for field in known}


conversations = st.sampled_from(["k0", "k1", "k2"])


@st.composite
def touches(draw: st.DrawFn) -> event_pb2.Event:
    """A touch of any kind; some in a conversation that names nobody."""
    channel = draw(st.sampled_from(["CHAT", "CHAT", "MESSAGING", *interaction_pb2.Interaction.Channel.keys()[1:]]))
    said: dict[str, Any] = {
        "channel": channel,
        "action": draw(st.sampled_from(["MESSAGE", "MESSAGE", "VIEW", "CLICK", "LINK_CLICK"])),
        "answer": draw(st.sampled_from(["HELPFUL", "HELPFUL", "NOT_ANSWERED", "ANSWER_UNSPECIFIED"])),
        "product_ids": draw(products) if channel == "RECOMMENDATION" else [],
        "user_agent": draw(st.sampled_from(["", "", "", "", "", GOOGLEBOT])),
    }
    if channel in ("CHAT", "MESSAGING"):
        said["conversation_id"] = draw(st.one_of(st.just(""), conversations))
    known = {} if said.get("conversation_id") and draw(st.booleans()) else draw(names())
    return interaction("", _moment(draw(minutes)), known, **said)


@st.composite
def visits(draw: st.DrawFn) -> event_pb2.Event:
    """Somebody is seen in the shop: it may be that they look at a product, or put it into the cart."""
    action = draw(st.sampled_from(["SESSION_STARTED", "PRODUCT_VIEWED", "ADDED_TO_CART"]))
    return _event(
        draw(minutes),
        draw(names()),
        storefront=storefront_pb2.Storefront(
            action=action, product_ids=[] if action == "SESSION_STARTED" else draw(products)
        ),
    )


@st.composite
def conversation_steps(draw: st.DrawFn) -> event_pb2.Event:
    """A step of a conversation, with or without a name."""
    told = conversation_pb2.Conversation(
        conversation_id=draw(conversations),
        step=draw(st.sampled_from(["STARTED", "MESSAGE", "ASSIGNED", "CLOSED"])),
        actor=draw(st.sampled_from(["VISITOR", "BOT", "AGENT"])),
        touchpoint=draw(st.sampled_from(["", "whatsapp"])),
        agent_id=draw(st.sampled_from(["", "ada"])),
    )
    return _event(draw(minutes), draw(st.one_of(st.just({}), names())), conversation=told)


@st.composite
def clicks(draw: st.DrawFn) -> event_pb2.Event:
    """A conversation's link is followed."""
    click = interaction_pb2.LinkClick(
        conversation_id=draw(conversations), link_id="l", user_agent=draw(st.sampled_from(["", GOOGLEBOT]))
    )
    return _event(draw(minutes), {"visitor_id": f"v{draw(persons)}"}, link_click=click)


@st.composite
def judgements(draw: st.DrawFn) -> event_pb2.Event:
    """Somebody judges whether two names belong together."""
    pair = [("VISITOR", "family"), ("EMAIL", f"e{draw(persons)}a")]
    if draw(st.booleans()):
        pair = [("VISITOR", f"v{draw(persons)}"), ("PHONE", f"p{draw(persons)}")]
    left, right = (named(*one) for one in pair)
    decision = settings_pb2.LinkDecision(
        decision=draw(st.sampled_from(["UNLINK", "UNLINK", "RELINK"])), left=left, right=right
    )
    return _event(draw(st.integers(-3, 0)), {}, link_decision=decision)


@st.composite
def orders(draw: st.DrawFn) -> list[tuple[str, event_pb2.Event]]:
    """All that a shop tells of one order, each with its source; the buyer is named as in any event."""
    platform, states = draw(st.sampled_from(TOLD))
    buyer = event_pb2.Identifiers(**draw(names()))
    told = []
    for state in states:
        event = event_pb2.Event.FromString(state)
        event.ClearField("identifiers")
        if event.order.notice == order_pb2.Order.STATE:
            event.identifiers.CopyFrom(buyer)
        told.append((platform, event))
    return told


def kiosk() -> list[event_pb2.Event]:
    """A device in the shop that names more people than one can be."""
    return [
        _event(DAY, {"visitor_id": KIOSK, "email": f"kiosk{number}"}, storefront=storefront_pb2.Storefront(action=1))
        for number in range(4)
    ]


MODELS = (
    {"name": "linear", "rule": "LINEAR", "window": timedelta(days=2)},
    {"name": "position", "rule": "POSITION_BASED", "window": timedelta(days=2), "basis": "WITHOUT_SHIPPING"},
    {"name": "decay", "rule": "TIME_DECAY", "window": timedelta(days=2), "half_life": timedelta(hours=5),
     "basis": "WITHOUT_TAX"},
    {"name": "last_click", "rule": "LAST_TOUCH", "window": timedelta(days=2), "anchor": "CLICK"},
    {"name": "conversation", "rule": "LAST_TOUCH", "window": timedelta(days=1), "anchor": "CONVERSATION"},
    {"name": "session", "rule": "LINEAR", "anchor": "SESSION", "basis": "WITHOUT_TAX_AND_SHIPPING"},
    {"name": "bought", "rule": "LINEAR", "window": timedelta(days=2), "by_line": True},
)  # fmt: skip
"""Models of every rule and anchor; the default ones are tried by shops that set none."""


def models() -> event_pb2.LoggedEvent:
    told = [model_pb2.Model(version=1, active=True, **one) for one in MODELS]
    event = event_pb2.Event(event_id="models", occur_time=at(NOON), models=model_pb2.ModelSet(models=told))
    return logged(event, source="touchstone")


@st.composite
def shops(draw: st.DrawFn, *, most: int = 14, own_models: bool = True) -> Events:
    """All events of a shop, each once, with half of `most` to `most` beside those of orders.

    With `own_models` it may have set some, and otherwise has the default ones.
    """
    beside = st.one_of(touches(), touches(), touches(), visits(), conversation_steps(), clicks(), judgements())
    events = draw(st.lists(beside, min_size=most // 2, max_size=most))
    if draw(st.booleans()):
        events += kiosk()
    told = []
    for number, event in enumerate(events):
        event.event_id = f"{number:02}"
        told.append(logged(event, source="touchstone" if event.HasField("link_decision") else "api"))
    for number, order in enumerate(draw(st.lists(orders(), min_size=1, max_size=3))):
        for source, event in order:
            event.event_id = f"{number}/{event.event_id}"
            event.order.order_id = str(number)
            told.append(logged(event, source=source))
    if own_models and draw(st.booleans()):
        told.append(models())
    return tuple(told)


def erased(events: Sequence[event_pb2.LoggedEvent], gone: set[tuple[str, str]]) -> Events:
    """The events with each of these identifiers, given as (field, value), replaced by a token of its own."""
    again = []
    for told in events:
        copy = event_pb2.LoggedEvent()
        copy.CopyFrom(told)
        for field in FIELDS:
            value = getattr(copy.event.identifiers, field)
            if (field, value) in gone:
                setattr(copy.event.identifiers, field, f"erased {field} {value}")
        for holder in (copy.event.interaction, copy.event.conversation, copy.event.link_click):
            if ("conversation_id", holder.conversation_id) in gone:
                holder.conversation_id = f"erased {holder.conversation_id}"
        for side in (copy.event.link_decision.left, copy.event.link_decision.right):
            _erase_side(side, gone)
        again.append(copy)
    return tuple(again)


def _erase_side(side: identifier_pb2.Identifier, gone: set[tuple[str, str]]) -> None:
    field = {1: "session_id", 2: "visitor_id", 3: "email", 4: "phone", 5: "customer_id"}.get(side.kind, "")
    if (field, side.value) in gone:
        side.value = f"erased {field} {side.value}"


def _moment(before: int):
    return NOON - timedelta(minutes=before)


def _event(before: int, known: dict[str, str], **payload: Any) -> event_pb2.Event:
    return event_pb2.Event(occur_time=at(_moment(before)), identifiers=event_pb2.Identifiers(**known), **payload)
