"""Services are killed while figures are counted anew: old ones until all is counted, and then those of no kill."""

from collections import Counter
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from tests.faults.killing import kill
from tests.mesh.running import RunningSystem, until
from tests.mesh.shop import TAKEN, Event, Shop

PATIENCE_SECONDS = 60
SHOPPERS = 700
"""Several pages of what is counted, and of what is attributed, in a transaction."""
FIRST = datetime(2026, 11, 9, 0, 5, tzinfo=ZoneInfo("UTC"))
APART = timedelta(minutes=10)
DAYS = {"startDate": "2026-11-08", "endDate": "2026-11-15"}
COUNTED = {"metrics": ["store_orders", "conversations_started"], "dimensions": ["day"], **DAYS}
CREDITED = {"metrics": ["attributed_orders"], "dimensions": ["channel"], **DAYS}
Rows = dict[str, tuple[int, ...]]


def shopper(number: int) -> list[Event]:
    """Somebody who asks a bot, is nudged, and buys, all in one minute."""
    at = FIRST + number * APART
    order = {"orderId": f"{number:06}", "platform": "CUSTOM", "status": "completed", "currencyCode": "EUR"}
    asked = {"channel": "CHAT", "action": "MESSAGE", "answer": "HELPFUL", "conversationId": f"c-{number}"}
    told = [
        {"interaction": asked},
        {"interaction": {"channel": "NUDGE", "action": "CLICK"}},
        {"order": {**order, "totalMicros": "1000000"}},
    ]
    return [
        {
            "eventId": f"{number}-{place}",
            "occurTime": (at + place * timedelta(seconds=10)).isoformat(),
            "identifiers": {"sessionId": f"s-{number}"},
            **payload,
        }
        for place, payload in enumerate(told)
    ]


def by_days(zone: str) -> Rows:
    """What all shoppers come to on the days of a zone, counted here."""
    moments = (FIRST + number * APART for number in range(SHOPPERS))
    counted = Counter(at.astimezone(ZoneInfo(zone)).date().isoformat() for at in moments)
    return {day: (count, count) for day, count in counted.items()}


def answer(shop: Shop, method: str, path: str, **asked: Any) -> dict[str, Any] | None:
    """What is answered, None where nobody answers."""
    try:
        told = shop.client.request(method, path, **asked)
    except httpx.TransportError:
        return None
    return told.json() if told.is_success else None


def run(shop: Shop, asked: dict[str, Any]) -> tuple[dict[str, Any], Rows] | None:
    """A report's metadata, and its rows by their dimension; None where nobody answers."""
    if (told := answer(shop, "POST", "/v1/reports:run", json=asked)) is None:
        return None
    [dimension] = asked["dimensions"]
    rows = {
        row["dimensions"][dimension]: tuple(int(row["metrics"][name]["count"]) for name in asked["metrics"])
        for row in told["rows"]
    }
    return told["metadata"], rows


def in_the_middle(told: dict[str, Any] | None) -> int | None:
    """How far something is, while it is neither at its beginning nor done."""
    done, total = (int(told[part]) for part in ("done", "total")) if told else (0, 0)
    return done if 0 < done < total else None


def test_killed_while_figures_are_counted_anew(victim: RunningSystem) -> None:
    with closing(Shop(victim)) as shop:
        shop.patience = PATIENCE_SECONDS
        events = [event for number in range(SHOPPERS) for event in shopper(number)]
        for start in range(0, len(events), 1_000):
            assert {result["status"] for result in shop.append(events[start : start + 1_000])} <= TAKEN
        shop.settle()
        counted_by_another_zone(victim, shop)
        attributed_by_another_model(victim, shop)
        assert "0 differ" in victim.touchstone("verify", shop.tenant).stdout


def counted_by_another_zone(victim: RunningSystem, shop: Shop) -> None:
    """Reporting dies while it counts orders and conversations by the days of another zone."""
    expected = {zone: by_days(zone) for zone in ("Europe/Madrid", "Pacific/Apia")}
    assert expected["Europe/Madrid"] != expected["Pacific/Apia"]

    def look() -> dict[str, Any] | None:
        """What figures stand for; whatever is answered is whole, and of one zone."""
        if (told := run(shop, COUNTED)) is None:
            return None
        metadata, rows = told
        assert rows == expected[metadata["timeZone"]]
        return metadata

    assert (look() or {})["timeZone"] == "Europe/Madrid"
    shop.patch_settings({"timeZone": "Pacific/Apia"})
    reached = until("it is counted anew", lambda: in_the_middle((look() or {}).get("recount")), pause=0.005)
    kill(victim, "reporting")
    again = until("reporting answers", look)
    # It goes on from where it was, and may be done by the time that somebody answers.
    assert again["timeZone"] == "Pacific/Apia" or int(again["recount"]["done"]) >= reached
    until("all is counted", lambda: (look() or {}).get("timeZone") == "Pacific/Apia")


def attributed_by_another_model(victim: RunningSystem, shop: Shop) -> None:
    """Attribution, and reporting that follows it, die while orders are decided by another rule."""

    def look() -> int | None:
        """The version of the model that figures are of; whatever is answered is whole, and of one version."""
        if (told := run(shop, CREDITED)) is None:
            return None
        metadata, rows = told
        assert rows == expected[metadata["modelVersion"]]
        return int(metadata["modelVersion"])

    def recomputation() -> dict[str, Any] | None:
        found: dict[str, Any] | None = (answer(shop, "GET", "/v1/models") or {}).get("recomputation")
        return found

    models = shop.client.get("/v1/models").raise_for_status().json()["models"]
    [conversations] = [model for model in models if model["name"] == "conversations"]
    version = conversations["version"]
    expected = {version: {"CHAT": (SHOPPERS,)}, version + 1: {"NUDGE": (SHOPPERS,)}}
    assert look() == version
    shop.client.put("/v1/models", json={"models": [{**conversations, "rule": "LAST_TOUCH"}]}).raise_for_status()
    reached = until("orders are decided anew", lambda: in_the_middle(recomputation()), pause=0.005)
    kill(victim, "attribution", "reporting")
    again = until("attribution answers", lambda: answer(shop, "GET", "/v1/models"))
    assert "recomputation" not in again or int(again["recomputation"]["done"]) >= reached
    until("all is decided", lambda: look() == version + 1)
