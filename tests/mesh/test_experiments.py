"""An experiment through the public doors: told, assigned, exposed, bought, reported."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.mesh.running import until
from tests.mesh.shop import TAKEN, Event, Shop

VISITORS = 40
NOW = datetime.now(UTC)
BANNER = {
    "id": "banner",
    "arms": [{"variant": "plain", "weight": 1}, {"variant": "bright", "weight": 1}, {"variant": "loud"}],
    "startTime": f"{NOW - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}",
    "metricWindow": "604800s",
}


def assignment(shop: Shop, visitor: str, experiment: str = "banner") -> httpx.Response:
    return shop.client.get(f"/v1/experiments/{experiment}/assignment", params={"visitorId": visitor})


def event(name: str, hours_ago: int, visitor: str, **payload: dict[str, Any]) -> Event:
    occurred = f"{NOW - timedelta(hours=hours_ago):%Y-%m-%dT%H:%M:%SZ}"
    return {"eventId": name, "occurTime": occurred, "identifiers": {"visitorId": visitor}, **payload}


def test_an_experiment_from_its_definition_to_its_report(shop: Shop) -> None:
    assert assignment(shop, "v0").status_code == 404
    put = shop.client.put("/v1/experiments", json={"experiments": [BANNER]})
    assert put.raise_for_status().json()["experiments"][0]["id"] == "banner"
    assert shop.client.get("/v1/experiments").json() == put.json()
    wrong = shop.client.put("/v1/experiments", json={"experiments": [{**BANNER, "arms": []}]})
    assert wrong.status_code == 400
    assert "experiments[0].arms" in wrong.text

    visitors = [f"v{number}" for number in range(VISITORS)]
    assigned = {visitor: assignment(shop, visitor).raise_for_status().json() for visitor in visitors}
    assert all(one["state"] == "RUNNING" for one in assigned.values())
    assert assignment(shop, "v7").json() == assigned["v7"]
    counts = Counter(one["variant"] for one in assigned.values())
    assert set(counts) == {"plain", "bright"}

    events = [
        event(f"e-{visitor}", 3, visitor, exposure={"experimentId": "banner", "variant": assigned[visitor]["variant"]})
        for visitor in visitors
    ]
    for number, visitor in enumerate(visitors[::4]):
        sold = {"orderId": f"{number}", "platform": "CUSTOM", "status": "completed", "currencyCode": "EUR"}
        events.append(event(f"o-{visitor}", 2, visitor, order={**sold, "totalMicros": "10000000"}))
    assert {result["status"] for result in shop.append(events)} <= TAKEN
    shop.settle()

    def reported() -> dict[str, Any] | None:
        answer = shop.client.get("/v1/reports/experiments", params={"experimentId": "banner"})
        told: dict[str, Any] = answer.raise_for_status().json()
        return told if told["people"] == str(VISITORS) else None

    told = until("everybody is in the report", reported)
    assert {one["variant"]: int(one["people"]) for one in told["variants"]} == {**counts, "loud": 0}
    buyers = Counter(assigned[visitor]["variant"] for visitor in visitors[::4])
    assert {one["variant"]: int(one["converters"]) for one in told["variants"]} == {
        **dict.fromkeys(counts, 0),
        **buyers,
        "loud": 0,
    }
    assert sum(int(one["revenue"]["micros"]) for one in told["variants"]) == 10 * 10_000_000
    assert told["sampleRatio"]["degreesOfFreedom"] == 1
    assert told["control"] == "plain"
    assert shop.client.get("/v1/reports/experiments", params={"experimentId": "other"}).status_code == 404
    assert shop.client.get("/v1/reports/experiments").status_code == 400
