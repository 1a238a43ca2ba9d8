"""Live figures over the edge: at once, after every change, and again after the connection broke."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from tests.mesh.shop import Event, Shop

PARAMETERS = {"metrics": ["store_orders", "store_revenue"], "preset": "LAST_7_DAYS"}


def told(number: int) -> Event:
    """An order of ten euros."""
    order = {
        "orderId": f"live-{number}",
        "platform": "CUSTOM",
        "status": "completed",
        "currencyCode": "EUR",
        "totalMicros": "10000000",
    }
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"eventId": f"live-{number}", "occurTime": at, "identifiers": {}, "order": order}


@contextmanager
def live(shop: Shop, last: str = "") -> Iterator[Iterator[tuple[str, int, dict[str, Any]]]]:
    """The events of a stream: each one's id, how many orders it tells of, and all of it."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
    with shop.client.stream("GET", "/v1/live", params=PARAMETERS, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-accel-buffering"] == "no"
        yield _events(answer.iter_lines())


def _events(lines: Iterator[str]) -> Iterator[tuple[str, int, dict[str, Any]]]:
    name = ""
    for line in lines:
        if line.startswith("id: "):
            name = line.removeprefix("id: ")
        elif line.startswith("data: "):
            figures = json.loads(line.removeprefix("data: "))
            yield name, int(figures["figures"]["totals"]["metrics"]["store_orders"]["count"]), figures


def test_figures_are_pushed_and_a_reconnected_client_misses_nothing(shop: Shop):
    with live(shop) as events:
        name, orders, _ = next(events)
        assert orders == 0
        for number in (1, 2):
            shop.append([told(number)])
            while orders < number:
                name, orders, figures = next(events)
        assert figures["figures"]["totals"]["metrics"]["store_revenue"]["money"]["micros"] == "20000000"
        assert figures["figures"]["metadata"]["asOf"]["creditPosition"] == name.split("-")[1]

    shop.append([told(3)])
    with live(shop, name) as events:
        while orders < 3:
            name, orders, _ = next(events)
    with live(shop, name) as events:
        shop.append([told(4)])
        assert next(events)[1] == 4
