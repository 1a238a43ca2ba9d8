"""The reports of bots, of their flow and of the overview through the public doors: events in, figures out."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.mesh.shop import TAKEN, Event, Shop

DAYS = {"startDate": "2026-11-18", "endDate": "2026-11-20"}


def said(number: int, conversation: str, step: str, actor: str = "", **more: str) -> Event:
    """A step of a conversation on the 18th of November, at ten and so many minutes."""
    told = {"conversationId": conversation, "step": step, "touchpoint": "website", "botName": "ada", **more}
    if actor:
        told["actor"] = actor
    return {"eventId": f"said-{number}", "occurTime": f"2026-11-18T10:{number:02}:00Z", "conversation": told}


def happened(number: int, session: str, **payload: dict[str, Any]) -> Event:
    """Something on the 19th of November, at ten and so many minutes, in a session or none."""
    occurred = f"2026-11-19T10:{number:02}:00Z"
    who = {"sessionId": session} if session else {"visitorId": "v1"}
    return {"eventId": f"happened-{number}", "occurTime": occurred, "identifiers": who, **payload}


CONVERSATIONS = [
    # Sold by an agent.
    said(1, "c1", "MESSAGE", "VISITOR"),
    said(2, "c1", "OPTION_CHOSEN", "VISITOR", label="Sizes", flowStep="menu"),
    said(3, "c1", "MESSAGE", "BOT"),
    said(4, "c1", "ASSIGNED", agentId="ana"),
    said(5, "c1", "CLASSIFIED", "AGENT", label="bought"),
    # Answered, tagged and closed by the bot.
    said(6, "c2", "MESSAGE", "VISITOR"),
    said(7, "c2", "TAGGED", "BOT", label="vip"),
    said(8, "c2", "CLOSED", "BOT"),
    # Nobody said anything more: abandoned a day later.
    said(9, "c3", "MESSAGE", "VISITOR"),
]
VISITS = [
    happened(1, "s1", storefront={"action": "SESSION_STARTED"}),
    happened(2, "s1", interaction={"channel": "RECOMMENDATION", "action": "VIEW", "productIds": ["p1"]}),
    happened(3, "s1", storefront={"action": "PRODUCT_VIEWED", "productIds": ["p1"]}),
    happened(4, "s2", interaction={"channel": "PERSONALIZATION", "action": "VIEW", "experienceId": "hero"}),
    happened(5, "s3", storefront={"action": "SESSION_STARTED"}),
    happened(6, "", journey={"journeyId": "welcome", "runId": "r1", "step": "STARTED"}),
    happened(
        7, "", journey={"journeyId": "welcome", "runId": "r1", "step": "NOTIFIED", "notificationChannel": "email"}
    ),
    happened(8, "", journey={"journeyId": "welcome", "runId": "r1", "step": "COMPLETED"}),
]


@pytest.fixture(scope="module")
def talked(open_shop: Callable[[], Shop]) -> Shop:
    """A shop with three conversations, three visits and a journey; in it "bought" is a classification of sales."""
    shop = open_shop()
    shop.patch_settings({"classifications": [{"name": "bought", "type": "Sale"}]})
    assert [one for one in shop.append([*CONVERSATIONS, *VISITS]) if one["status"] not in TAKEN] == []
    shop.settle()
    return shop


def report(shop: Shop, name: str) -> dict[str, Any]:
    answer = shop.client.get(f"/v1/reports/{name}", params=DAYS)
    told: dict[str, Any] = answer.raise_for_status().json()
    return told


def counts(told: dict[str, Any]) -> dict[str, int]:
    """Those of the totals that are counts, and above 0."""
    values = {name: int(value["count"]) for name, value in told["totals"]["metrics"].items() if "count" in value}
    return {name: value for name, value in values.items() if value}


def test_what_bots_did_and_how_conversations_went(talked: Shop) -> None:
    bots = counts(report(talked, "bots"))
    assert bots == {
        "conversations_started": 3,
        "assigned_to_agent": 1,
        "classified_sales": 1,
        "classified_conversations": 1,
        "completed_automatically": 1,
        "abandoned_conversations": 1,
    }
    flow = counts(report(talked, "bot-flow"))
    expected = {
        "conversations_started": 3,
        "conversation_completions": 3,
        "completed_automatically": 1,
        "abandoned_conversations": 1,
        "options_chosen": 1,
        "tagged_conversations": 1,
    }
    assert {name: flow.get(name) for name in expected} == expected


def test_the_overview_tells_of_visits_recommendations_and_journeys(talked: Shop) -> None:
    told = report(talked, "overview")
    expected = {
        "sessions": 3,
        "personalized_sessions": 1,
        "recommendation_sessions": 1,
        "journeys_started": 1,
        "journeys_completed": 1,
        "journey_notifications": 1,
    }
    found = counts(told)
    assert {name: found.get(name) for name in expected} == expected
    assert told["totals"]["metrics"]["recommendation_click_through_rate"]["ratio"] == 1
    assert [row["dimensions"]["day"] for row in told["daily"]["rows"]] == ["2026-11-18", "2026-11-19", "2026-11-20"]
