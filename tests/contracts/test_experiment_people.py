"""Experiments follow people: merges, splits and hubs, and what people decide, whatever comes first."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text
from touchstone.ingest.v1 import event_pb2, settings_pb2
from touchstone.reporting.v1 import experiment_pb2 as reported

from services.kernel.identifiers import Kind, kind_of_key
from services.reporting import answers
from services.reporting.experiment_servicer import ExperimentServicer
from services.reporting.experiments.asking import differing
from services.reporting.store import experiments
from tests.contracts.experimenting import (
    EUR,
    FIELDS,
    START,
    Ingest,
    engines,
    experiment,
    exposure,
    ingest,
    new_ingest,
    order,
    replace,
    report,
    servicer,
    without_positions,
)

__all__ = ["engines", "ingest", "servicer"]


def seen(event_id: str, **named: str) -> event_pb2.Event:
    """An interaction that names somebody."""
    told = event_pb2.Event(event_id=event_id)
    told.occur_time.FromDatetime(START)
    for name, value in named.items():
        setattr(told.identifiers, FIELDS[name], value)
    told.interaction.conversation_id = ""
    return told


def decided(event_id: str, seconds: int, *pair: tuple[str, str], linked: bool = False) -> event_pb2.Event:
    told = event_pb2.Event(event_id=event_id)
    told.occur_time.FromDatetime(START)
    told.occur_time.seconds += seconds
    decision = told.link_decision
    decision.decision = settings_pb2.LinkDecision.RELINK if linked else settings_pb2.LinkDecision.UNLINK
    for side, (name, value) in zip((decision.left, decision.right), pair, strict=True):
        kinds = {"visitor": 2, "email": 3, "phone": 4, "customer": 5}
        side.kind, side.value = kinds[name], value
    return told


def in_arms(found: reported.ExperimentReport) -> list[tuple[str, int, int]]:
    return [(one.variant, one.people, one.revenue.micros // EUR) for one in found.variants]


async def test_people_who_were_seen_elsewhere_as_one_are_one_and_are_two_again_when_unlinked(servicer, ingest):
    await replace(servicer, experiment())
    await ingest.work()
    await ingest.tell(exposure("1", "plain", 1, visitor="v1"), exposure("2", "bright", 2, visitor="v2"))
    await ingest.tell_orders(order("o1", 10, 3, visitor="v1"), order("o2", 20, 3, visitor="v2"))
    apart = await report(servicer)
    assert in_arms(apart) == [("plain", 1, 10), ("bright", 1, 20)]
    await ingest.observe(seen("chat 1", visitor="v1", email="a@x.example"))
    await ingest.observe(seen("chat 2", visitor="v2", email="a@x.example"))
    found = await report(servicer)
    assert in_arms(found) == [("plain", 1, 30), ("bright", 0, 0)]
    assert found.contaminated_people == 1
    # An order by the address alone is theirs too.
    await ingest.tell_orders(order("o3", 5, 4, email="a@x.example"))
    assert in_arms(await report(servicer)) == [("plain", 1, 35), ("bright", 0, 0)]
    await ingest.observe(decided("d1", 10, ("visitor", "v2"), ("email", "a@x.example")))
    assert in_arms(await report(servicer)) == [("plain", 1, 15), ("bright", 1, 20)]
    await ingest.observe(decided("d2", 11, ("visitor", "v2"), ("email", "a@x.example"), linked=True))
    assert in_arms(await report(servicer)) == [("plain", 1, 35), ("bright", 0, 0)]
    await ingest.work()
    await ingest.check_sums()


async def test_an_order_of_two_who_were_unlinked_is_that_ones_who_was_exposed_the_contact_first(servicer, ingest):
    await replace(servicer, experiment())
    await ingest.work()
    await ingest.observe(decided("d1", 10, ("visitor", "v1"), ("email", "a@x.example")))
    await ingest.tell(exposure("1", "plain", 1, visitor="v1"))
    await ingest.tell_orders(order("o1", 10, 3, visitor="v1", email="a@x.example"))
    assert in_arms(await report(servicer)) == [("plain", 1, 10), ("bright", 0, 0)]
    await ingest.tell(exposure("2", "bright", 1, email="a@x.example"))
    assert in_arms(await report(servicer)) == [("plain", 1, 0), ("bright", 1, 10)]
    await ingest.check_sums()


async def test_what_comes_to_name_nobody_takes_its_orders_along_and_is_looked_up_no_more(servicer, ingest, monkeypatch):
    await replace(servicer, experiment())
    await ingest.work()
    emails = [f"{number}@x.example" for number in range(4)]
    await ingest.tell(exposure("1", "plain", 1, visitor="kiosk", email=emails[0]))
    await ingest.tell_orders(order("o1", 10, 2, visitor="kiosk"))
    assert in_arms(await report(servicer)) == [("plain", 1, 10), ("bright", 0, 0)]
    for number, email in enumerate(emails[1:]):
        await ingest.observe(seen(f"chat {number}", visitor="kiosk", email=email))
    assert in_arms(await report(servicer)) == [("plain", 1, 0), ("bright", 0, 0)]

    asked: set[int] = set()
    read_orders = experiments.read_orders

    async def spy(connection, tenant_id, edition, keys):
        asked.update(keys)
        return await read_orders(connection, tenant_id, edition, keys)

    monkeypatch.setattr(experiments, "read_orders", spy)
    told = order("o2", 20, 2, visitor="kiosk", email=emails[0])
    await ingest.tell_orders(told)
    kiosk = {key for key in told.order.identifier_keys if kind_of_key(key) is Kind.VISITOR}
    assert asked >= set(told.order.identifier_keys) - kiosk
    assert not asked & kiosk
    assert in_arms(await report(servicer)) == [("plain", 1, 20), ("bright", 0, 0)]
    # Of who was not exposed no order is read.
    asked.clear()
    await ingest.tell_orders(order("o3", 5, 2, email="nobody@x.example"))
    assert not asked
    await ingest.check_sums()


async def test_a_number_that_is_wrong_is_found(engines, servicer, ingest):
    await replace(servicer, experiment())
    await ingest.work()
    await ingest.tell(exposure("1", "plain", 1, visitor="v1"))
    wrong = "UPDATE experiment_cell SET amount = amount + 1 WHERE name = 'people' AND day {} 'infinity'"
    for expected, of in enumerate(("<", "=", "=")):
        async with answers.moment(engines[0]) as connection:
            assert await differing(connection, await answers.read_tenant(connection, "acme")) == expected
        async with engines[0].begin() as connection:
            await connection.execute(text(wrong.format(of)))


VISITORS = [f"v{number}" for number in range(6)]
EMAILS = [f"{letter}@x.example" for letter in "abcd"]


def life(chance: random.Random) -> dict[str, list[Any]]:
    """What some shop's shoppers do: events, orders, and what is seen of them elsewhere."""

    def named() -> dict[str, str]:
        who = {"visitor": chance.choice(VISITORS), "email": chance.choice(EMAILS), "customer": chance.choice("xyz")}
        return {name: value for name, value in who.items() if chance.random() < (0.8 if name == "visitor" else 0.3)}

    variants = ("plain", "bright")
    return {
        "exposures": [
            exposure(f"e{number}", chance.choice(variants), chance.randrange(-1, 60), **(named() or {"session": "s"}))
            for number in range(9)
        ],
        "orders": [
            order(f"o{number % 7}", chance.randrange(90), chance.randrange(-80, 240), attributed=number, **named())
            for number in range(9)
        ],
        "seen": [seen(f"s{number}", **(named() or {"visitor": "v0"})) for number in range(5)],
        "decided": [
            decided(
                f"d{number}",
                number,
                ("visitor", chance.choice(VISITORS)),
                ("email", chance.choice(EMAILS)),
                linked=chance.random() < 0.4,
            )
            for number in range(4)
        ],
    }


async def live(ingest: Ingest, servicer: ExperimentServicer, of: dict[str, list[Any]], chance: random.Random) -> bytes:
    """Tells a life in some sequence, orders of one id in theirs; answers what is reported in the end."""
    others: list[Callable[[], Any]] = [
        *(lambda one=one: ingest.tell(one) for one in of["exposures"]),
        *(lambda one=one: ingest.observe(one) for one in (*of["seen"], *of["decided"])),
        *[ingest.tell_people, ingest.work] * 4,
        lambda: replace(servicer, experiment()),
    ]
    chance.shuffle(others)
    places = sorted(chance.randrange(len(others) + 1) for _ in of["orders"])
    for place, one in reversed(list(zip(places, of["orders"], strict=True))):
        others.insert(place, lambda one=one: ingest.tell_orders(one))
    ingest.at_once = False
    for tell in others:
        await tell()
    await ingest.tell_people()
    found = without_positions(await report(servicer))
    await ingest.work()
    await ingest.check_sums()
    assert without_positions(await report(servicer)) == found
    return found.SerializeToString(deterministic=True)


@pytest.mark.parametrize("seed", range(2))
async def test_lives_end_in_the_same_report_whatever_comes_first(engines, servicer, ingest, seed):
    told = life(random.Random(seed))
    ends = {await live(ingest, servicer, told, random.Random(100 * seed))}
    other = await new_ingest(engines)
    ends.add(await live(other, ExperimentServicer(lambda: engines[0], other), told, random.Random(100 * seed + 1)))
    assert len(ends) == 1


@pytest.mark.parametrize("seed", range(2))
async def test_unlinked_after_it_was_linked_is_as_never_linked(engines, servicer, ingest, seed):
    chance = random.Random(seed)
    told = {**life(chance), "seen": [], "decided": []}
    for name in ("exposures", "orders"):
        told[name] = [one for one in told[name] if name == "orders" or one.identifiers.visitor_id != "v0"]
    told["exposures"].append(exposure("first", "bright", 0, visitor="v9"))
    linking = {"seen": [seen("link", visitor="v9", email="b@x.example")]}
    parting = {"decided": [decided("part", 5, ("visitor", "v9"), ("email", "b@x.example"))]}
    never = await live(ingest, servicer, told, chance)
    other = await new_ingest(engines)
    assert never == await live(other, ExperimentServicer(lambda: engines[0], other), told | linking | parting, chance)
