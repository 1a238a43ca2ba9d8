"""Journeys through messaging apps: nobody is known there until the link that an agent sent is followed."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from touchstone.ingest.v1 import event_pb2, interaction_pb2, storefront_pb2

from tests.attribution.telling import NOON, at, interaction, order

IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Mobile Safari"
ME = {"visitor_id": "v"}


def message(name: str, hours: float, conversation: str, touchpoint: str, /, **told: Any) -> event_pb2.Event:
    """A helpful answer in a messaging app, so many hours before the order. The app tells nobody's name."""
    by = told.pop("by", {})
    said = {"channel": "MESSAGING", "conversation_id": conversation, "touchpoint": touchpoint, **told}
    return interaction(name, NOON - timedelta(hours=hours), by, **said)


def link(conversation: str, touchpoint: str, hours: float) -> event_pb2.Event:
    """A link is sent in the conversation; nobody has followed it yet."""
    return event_pb2.Event(
        event_id=f"link-{conversation}",
        occur_time=at(NOON - timedelta(hours=hours)),
        tracked_link=interaction_pb2.TrackedLink(
            link_id=f"l{conversation}",
            conversation_id=conversation,
            destination="https://shop.example/",
            touchpoint=touchpoint,
            expire_time=at(NOON + timedelta(days=90)),
        ),
    )


def click(hours: float, conversation: str, by: dict[str, str], user_agent: str = IPHONE) -> event_pb2.Event:
    """The conversation's link is followed, so many hours before the order; after it when negative."""
    return event_pb2.Event(
        event_id=f"click-{hours}-{conversation}",
        occur_time=at(NOON - timedelta(hours=hours)),
        identifiers=event_pb2.Identifiers(**by),
        link_click=interaction_pb2.LinkClick(
            conversation_id=conversation, link_id=f"l{conversation}", user_agent=user_agent
        ),
    )


def visit(hours: float, by: dict[str, str]) -> event_pb2.Event:
    """Somebody is seen in the shop."""
    return event_pb2.Event(
        event_id=f"visit-{hours}-{sorted(by.items())}",
        occur_time=Timestamp(seconds=int((NOON - timedelta(hours=hours)).timestamp())),
        identifiers=event_pb2.Identifiers(**by),
        storefront=storefront_pb2.Storefront(action="SESSION_STARTED"),
    )


@dataclass(frozen=True, kw_only=True)
class Journey:
    """Events around one order of 100 EUR at noon. `credited` is the touch that earns it all, `touchpoint` its place."""

    because: str
    events: tuple[event_pb2.Event, ...]
    order: event_pb2.Event = field(default_factory=lambda: order("1", ME))
    tier: str = ""
    credited: str = ""
    touchpoint: str = ""
    verdicts: dict[str, str] = field(default_factory=dict)


def earned(because: str, *events: event_pb2.Event, touch: str, touchpoint: str, **more: Any) -> Journey:
    """The order is earned by this touch, through people."""
    others = more.pop("others", {})
    return Journey(
        because=because,
        events=events,
        tier=more.pop("tier", "PERSON"),
        credited=touch,
        touchpoint=touchpoint,
        verdicts={touch: "CREDITED", **others},
        **more,
    )


KIOSK = tuple(visit(20 + number, {"visitor_id": "v", "email": f"k{number}"}) for number in range(4))

ALL = (
    *(
        earned(
            f"a conversation on {touchpoint}, its link, the order",
            message("m", 3, "k", touchpoint),
            link("k", touchpoint, 3),
            click(2, "k", ME),
            touch="m",
            touchpoint=touchpoint,
        )
        for touchpoint in ("whatsapp", "messenger", "sms", "instagram", "telegram")
    ),
    earned(
        "the visit of the click is enough",
        message("m", 3, "k", "whatsapp"),
        click(2, "k", {"visitor_id": "v", "session_id": "s"}),
        touch="m",
        touchpoint="whatsapp",
        order=order("1", {"session_id": "s"}),
    ),
    earned(
        "the browser that clicked is known by its address later",
        message("m", 3, "k", "sms"),
        click(2, "k", {"visitor_id": "v"}),
        visit(1, {"visitor_id": "v", "email": "me"}),
        touch="m",
        touchpoint="sms",
        order=order("1", {"email": "me"}),
    ),
    Journey(
        because="without a click nobody is known",
        events=(message("m", 3, "k", "whatsapp"), link("k", "whatsapp", 3)),
    ),
    Journey(
        because="an expired link leads nowhere, and is no click",
        events=(message("m", 3, "k", "whatsapp"), link("k", "whatsapp", 91 * 24), visit(1, ME)),
    ),
    Journey(
        because="the preview that the app makes of a link is no click",
        events=(
            message("m", 3, "k", "whatsapp"),
            link("k", "whatsapp", 3),
            click(2.9, "k", {}, "WhatsApp/2.23.20.0"),
            # Sent by somebody who takes previews for visitors.
            click(2.8, "k", ME, "facebookexternalhit/1.1"),
        ),
    ),
    earned(
        "after the preview, the person",
        message("m", 3, "k", "whatsapp"),
        click(2.9, "k", {"visitor_id": "other"}, "WhatsApp/2.23.20.0"),
        click(2, "k", ME),
        touch="m",
        touchpoint="whatsapp",
    ),
    earned(
        "two conversations, both links followed: the first one earns",
        message("w", 5, "k1", "whatsapp"),
        message("i", 3, "k2", "instagram"),
        click(4, "k1", ME),
        click(2, "k2", ME),
        touch="w",
        touchpoint="whatsapp",
        others={"i": "NOT_FIRST"},
    ),
    earned(
        "of two conversations only the one whose link was followed",
        message("w", 5, "k1", "whatsapp"),
        message("i", 3, "k2", "instagram"),
        click(2, "k2", ME),
        touch="i",
        touchpoint="instagram",
    ),
    earned(
        "a click after the order tells who it was all the same",
        message("m", 3, "k", "messenger"),
        click(-2, "k", ME),
        touch="m",
        touchpoint="messenger",
    ),
    Journey(
        because="what is said after the order earns nothing",
        events=(message("m", -1, "k", "whatsapp"), click(-2, "k", ME)),
        verdicts={"m": "AFTER_ORDER"},
    ),
    Journey(
        because="a day and a second before the order is too long ago, however late the click",
        events=(message("m", 24 + 1 / 3600, "k", "whatsapp"), click(1, "k", ME)),
        verdicts={"m": "OUTSIDE_WINDOW"},
    ),
    Journey(
        because="a kiosk's browser follows a link, and names nobody",
        events=(message("m", 3, "k", "whatsapp"), click(2, "k", ME), *KIOSK),
    ),
    earned(
        "at a kiosk the visit still is somebody's",
        message("m", 3, "k", "whatsapp"),
        click(2, "k", {"visitor_id": "v", "session_id": "s"}),
        *KIOSK,
        touch="m",
        touchpoint="whatsapp",
        order=order("1", {"visitor_id": "v", "session_id": "s"}),
    ),
    earned(
        "a telephone that the app tells is the stronger tie",
        message("m", 3, "k", "whatsapp", by={"phone": "p"}),
        click(2, "k", ME),
        touch="m",
        touchpoint="whatsapp",
        tier="PHONE",
        order=order("1", {"visitor_id": "v", "phone": "p"}),
    ),
    Journey(
        because="a link that was passed on: the buyer is another than who wrote",
        events=(message("m", 3, "k", "whatsapp", by={"phone": "p"}), click(2, "k", ME)),
        order=order("1", {"visitor_id": "v", "phone": "another"}),
        verdicts={"m": "CONTACT_CONFLICT"},
    ),
    Journey(
        because="a conversation that did not help",
        events=(message("m", 3, "k", "whatsapp", answer="NOT_ANSWERED"), click(2, "k", ME)),
        verdicts={"m": "NOT_HELPFUL"},
    ),
    earned(
        "a visit's own chat is the stronger tie",
        message("m", 3, "k", "whatsapp"),
        click(2, "k", {"visitor_id": "v", "session_id": "s"}),
        interaction("chat", NOON - timedelta(hours=1), {"session_id": "s"}, touchpoint="website"),
        touch="chat",
        touchpoint="website",
        tier="SESSION",
        order=order("1", {"visitor_id": "v", "session_id": "s"}),
        others={"m": "LOWER_TIER"},
    ),
)
"""Decided by identity and attribution together; a touch without a verdict was not even considered."""
