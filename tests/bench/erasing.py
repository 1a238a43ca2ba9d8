"""Erasing many people at once: how long until nobody finds them any more, and that no figure has changed."""

import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from tests.bench.figures import Figure
from tests.mesh.people import DAY, STORIES, Person, left_of, story
from tests.mesh.running import RunningSystem, until
from tests.mesh.shop import Event, Shop, without_positions

PEOPLE = 100_000
ERASED = 1_000
MICROS = 10_010_000
PATIENCE_SECONDS = 3_600.0
_EVENTS_AT_ONCE = 1_000
_FIRST_NUMBER = 10_000_000
_BY = ("sessionId", "email", "phone", "customerId", "visitorId", "clickId")


def erasing(system: RunningSystem) -> Figure:
    """Seconds from the first request until the last is done."""
    return erase_some(system, people=PEOPLE, erased=ERASED)


def erase_some(system: RunningSystem, *, people: int, erased: int) -> Figure:
    """Erases some of so many people. Each has had a conversation and bought something."""
    shop = Shop(system)
    shop.patience = PATIENCE_SECONDS
    everybody = [Person(tag="", number=_FIRST_NUMBER + 7 * i) for i in range(people)]
    gone = everybody[:: people // erased][:erased]
    began = time.monotonic()
    _append(shop, _stories(everybody))
    shop.settle(PATIENCE_SECONDS)
    told_seconds = time.monotonic() - began
    statement = without_positions(shop.statement(DAY, DAY))
    evidence = _evidence(shop, gone[:20])
    before = len(left_of(shop, gone))

    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda pair: _erase(shop, *pair), enumerate(gone)))
    asked_seconds = time.monotonic() - began
    changed = 0

    def look() -> bool:
        nonlocal changed
        changed += without_positions(shop.statement(DAY, DAY)) != statement
        return all(one["state"] == "DONE" for one in _requests(shop))

    until("everybody is erased", look, PATIENCE_SECONDS, pause=1.0)
    seconds = time.monotonic() - began
    left = left_of(shop, gone)
    requests = _requests(shop)
    run = {
        "people": people,
        "erased": erased,
        "events": sum(len(part) for part in _stories(everybody)),
        "told_seconds": told_seconds,
        "asked_seconds": asked_seconds,
        "values_before": before,
        "values_left": len(left),
        "such_as": ", ".join(sorted(left)[:3]),
        "rewritten_events": sum(int(one["rewrittenEvents"]) for one in requests),
        "statements_changed": changed,
        "credits_changed": sum(old != new for old, new in zip(evidence, _evidence(shop, gone[:20]), strict=True)),
    }
    met = not left and not changed and not run["credits_changed"] and before > 6 * erased
    return Figure(value=seconds, unit="s", target="nothing left, no figure changed", met=met, runs=[run])


def _stories(people: Sequence[Person]) -> Iterator[list[Event]]:
    for i, person in enumerate(people):
        yield story(person, STORIES[i % len(STORIES)], MICROS)


def _append(shop: Shop, stories: Iterator[list[Event]]) -> None:
    events = (event for told in stories for event in told)
    with ThreadPoolExecutor(4) as pool:
        parts = iter(lambda: list(islice(events, _EVENTS_AT_ONCE)), [])
        for statuses in pool.map(shop.append, parts):
            assert {one["status"] for one in statuses} == {"ACCEPTED"}


def _erase(shop: Shop, index: int, person: Person) -> None:
    name = _BY[index % len(_BY)]
    shop.client.post("/v1/people:erase", json={name: person.ids[name]}, timeout=120).raise_for_status()


def _requests(shop: Shop) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    token = ""
    while True:
        answer = shop.client.get("/v1/privacyRequests", params={"pageSize": 1_000, "pageToken": token}).json()
        found += answer["privacyRequests"]
        token = answer.get("nextPageToken", "")
        if not token:
            return found


def _evidence(shop: Shop, people: Sequence[Person]) -> list[Any]:
    told = [shop.evidence(person.order_id) for person in people]
    return [
        (
            one.get("matchedBy"),
            json.dumps([credit["amount"] for credit in one.get("credits", [])]),
            one["agreesWithStored"],
        )
        for one in told
    ]
