"""Models are replaced through the doors while orders come in: old figures until the new ones are there, then these."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event as Flag
from typing import Any

import httpx

from tests.mesh.running import until
from tests.mesh.shop import TAKEN, Event, Shop

DAY = "2026-11-10"
SHOPPERS_BEFORE = 1_200
CLOSING = {"name": "closing", "active": True, "window": "86400s", "rule": "LAST_TOUCH", "helpfulOnly": True}


def shopper(number: int) -> list[Event]:
    """Somebody who asks a bot, then is nudged, and buys; every fifth talks to nobody."""
    by = {"email": f"shopper-{number}@example.com"}
    order = {
        "orderId": f"{number:06}",
        "platform": "CUSTOM",
        "status": "completed",
        "currencyCode": "EUR",
        "totalMicros": str((number + 1) * 10_000),
    }
    bought = event(f"order-{number}", "12:00", by, order=order)
    if number % 5 == 0:
        return [bought]
    asked = {"channel": "CHAT", "action": "MESSAGE", "answer": "HELPFUL"}
    nudged = {"channel": "NUDGE", "action": "CLICK"}
    return [
        event(f"asked-{number}", "09:00", by, interaction=asked),
        event(f"nudged-{number}", "10:00", by, interaction=nudged),
        bought,
    ]


def event(name: str, at: str, by: dict[str, str], **payload: dict[str, str]) -> Event:
    return {"eventId": name, "occurTime": f"{DAY}T{at}:00Z", "identifiers": by, **payload}


def tell(shop: Shop, events: list[Event]) -> None:
    for start in range(0, len(events), 1_000):
        results = shop.append(events[start : start + 1_000])
        assert {result["status"] for result in results} <= TAKEN, results


def statement(shop: Shop, model: str) -> httpx.Response:
    return shop.client.get("/v1/statement", params={"startDate": DAY, "endDate": DAY, "model": model})


def parts(answer: httpx.Response) -> dict[str, int]:
    """How many orders each part of a statement has."""
    told: dict[str, Any] = answer.raise_for_status().json()
    assert int(told["difference"]["orders"]) == 0, told
    assert int(told["difference"]["amount"]["micros"]) == 0, told
    return {part: int(told[part]["orders"]) for part in ("store", "attributed", "unattributed")}


def by_channel(answer: httpx.Response) -> dict[str, int]:
    return {one["channel"]: int(one["orders"]) for one in answer.json()["attributed"].get("byChannel", [])}


def test_models_are_replaced_while_orders_come_in(shop: Shop) -> None:
    tell(shop, [one for number in range(SHOPPERS_BEFORE) for one in shopper(number)])
    shop.settle()
    attributed = SHOPPERS_BEFORE - SHOPPERS_BEFORE // 5
    assert by_channel(statement(shop, "conversations")) == {"CHAT": attributed}
    listed = shop.client.get("/v1/models").json()
    conversations = next(model for model in listed["models"] if model["name"] == "conversations")
    done = Flag()

    def keep_telling() -> int:
        number = SHOPPERS_BEFORE
        while not done.is_set():
            tell(shop, shopper(number))
            number += 1
        return number

    with ThreadPoolExecutor(1) as pool:
        telling = pool.submit(keep_telling)
        try:
            asked = {"models": [CLOSING, {**conversations, "rule": "LAST_TOUCH"}]}
            answer = shop.client.put("/v1/models", json=asked)
            versions = {model["name"]: model["version"] for model in answer.raise_for_status().json()["models"]}
            assert versions == {"closing": 1, "conversations": conversations["version"] + 1}

            def complete() -> bool:
                """Looks at the figures: whatever they show is whole."""
                old, new = statement(shop, "conversations"), statement(shop, "closing")
                if new.status_code == httpx.codes.BAD_REQUEST:
                    assert set(by_channel(old)) == {"CHAT"}
                    return False
                assert parts(new)["store"] >= SHOPPERS_BEFORE
                assert set(by_channel(new)) == {"NUDGE"}
                return "recomputation" not in shop.client.get("/v1/models").json()

            until("the new models' figures are there", complete, seconds=60)
        finally:
            done.set()
        told = telling.result()
    shop.settle()

    for model in ("closing", "conversations"):
        whole = statement(shop, model)
        assert parts(whole) == {
            "store": told,
            "attributed": told - len(range(0, told, 5)),
            "unattributed": len(range(0, told, 5)),
        }
        assert set(by_channel(whole)) == {"NUDGE"}
    evidence = shop.evidence("000001", model="closing")
    assert [credit["touch"]["eventId"] for credit in evidence["credits"]] == ["nudged-1"]
    assert (evidence["modelVersion"], evidence["agreesWithStored"]) == (1, True)
    assert statement(shop, "contact").status_code == httpx.codes.BAD_REQUEST
    assert "0 differ" in shop.running.touchstone("verify", shop.tenant).stdout


def test_models_that_cannot_hold_are_refused_by_field(shop: Shop) -> None:
    answer = shop.client.put("/v1/models", json={"models": [{**CLOSING, "window": "0s"}]})
    assert answer.status_code == httpx.codes.BAD_REQUEST
    assert "window" in answer.text
    assert [model["version"] for model in shop.client.get("/v1/models").json()["models"]] == [1] * 5
