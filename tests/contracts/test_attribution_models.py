"""Every kind of model on a real Postgres: what credit depends on is found, however late it is told."""

import itertools
from collections.abc import AsyncIterator, Callable
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from touchstone.attribution.v1 import credit_pb2
from touchstone.ingest.v1 import event_pb2, model_pb2

from tests.attribution import model_journeys
from tests.attribution.keeping import Keeper
from tests.attribution.model_journeys import Journey
from tests.attribution.model_world import ModelWorld
from tests.attribution.oracle import entries
from tests.attribution.telling import before_noon, interaction, logged, order, people, seen, step

_tenants = (f"shop-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
async def keeper(new_database: Callable[[], str]) -> AsyncIterator[Keeper]:
    kept = await Keeper.on(new_database())
    yield kept
    await kept.engine.dispose()


@pytest.fixture
def tenant() -> str:
    return next(_tenants)


def told_under(journey: Journey, tenant: str) -> list[event_pb2.LoggedEvent]:
    own = [] if journey.settings is None else [event_pb2.Event(event_id="s", settings=journey.settings)]
    if not isinstance(journey.model, str):
        # The version that the service gives to a name's first model.
        models = model_pb2.ModelSet(models=[model_pb2.Model(**{**journey.model, "version": 1})])
        own.append(event_pb2.Event(event_id="m", models=models))
    told = [logged(event, tenant) for event in (*journey.events, journey.order)]
    return [*(logged(event, tenant, "touchstone") for event in own), *told]


async def test_the_golden_journeys_are_kept_as_they_are_decided(keeper: Keeper) -> None:
    for journey in model_journeys.ALL:
        tenant = next(_tenants)
        events = told_under(journey, tenant)
        for event in reversed(events):
            await keeper.tell(event)
        await keeper.settle()
        assert await keeper.stored(tenant) == entries(events, [], tenant), journey.because


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
async def test_arrival_duplicates_and_batches_do_not_matter(keeper: Keeper, seed: int) -> None:
    tenant = next(_tenants)
    world = ModelWorld(seed, tenant)
    random, events, changes = Random(seed), world.arriving(), list(world.changes)
    while events or changes:
        size = random.randint(1, 5)
        if changes and (not events or random.random() < 0.3):
            await keeper.tell_people(*changes[:size])
            changes = changes[size:]
        else:
            await keeper.tell(*events[:size])
            events = events[size:]
    await keeper.settle()
    assert await keeper.stored(tenant) == entries(world.events, world.changes, tenant)


def credited(entries_: list[credit_pb2.OrderCredits], model: str) -> list[str]:
    [entry] = entries_
    said = next(one for one in entry.attributions if one.model == model)
    return [one.touch.event_id for one in said.credits]


async def test_a_late_closing_reopens_the_order_of_whoever_began_the_conversation(keeper: Keeper, tenant: str) -> None:
    await keeper.tell(
        logged(order("1", {"email": "me"}), tenant),
        logged(step("m", before_noon(hours=60), "MESSAGE", {"email": "me"}, agent_id="ann"), tenant),
    )
    late = logged(step("close", before_noon(hours=1), "CLOSED"), tenant)
    assert credited(await keeper.tell(late), "contact") == ["m"]
    assert await keeper.tell(late) == []


async def test_an_address_told_late_ties_a_conversation_that_is_long_over(keeper: Keeper, tenant: str) -> None:
    await keeper.tell(
        logged(order("1", {"email": "me"}), tenant),
        logged(step("m", before_noon(hours=60), "MESSAGE", {"visitor_id": "x"}, agent_id="ann"), tenant),
        logged(step("close", before_noon(hours=40), "CLOSED"), tenant),
    )
    late = logged(step("mail", before_noon(hours=-900), "ASSIGNED", {"email": "me"}, agent_id="ann"), tenant)
    assert credited(await keeper.tell(late), "contact") == ["m"]


async def test_a_product_seen_is_told_late(keeper: Keeper, tenant: str) -> None:
    shown = {"channel": "RECOMMENDATION", "action": "VIEW", "product_ids": ["shoe"]}
    bought = order("1", {"email": "me"}, lines=[{"line_id": "l", "product_id": "shoe", "net_micros": 50_000_000}])
    await keeper.tell(
        logged(bought, tenant),
        logged(interaction("r", before_noon(hours=9), {"email": "me"}, **shown), tenant),
        logged(seen("view", before_noon(hours=8), "PRODUCT_VIEWED", "shoe", {"visitor_id": "v"}), tenant),
    )
    cart = logged(seen("cart", before_noon(hours=7), "ADDED_TO_CART", "shoe", {"email": "me"}), tenant)
    assert await keeper.tell(cart) == []
    # Whoever looked at it turns out to be the same person, on another device.
    together = people(tenant, {("EMAIL", "me"): 1, ("VISITOR", "v"): 1})
    assert credited(await keeper.tell_people(together), "recommendation_direct") == ["r"]


async def test_a_session_is_as_long_as_it_is(keeper: Keeper, tenant: str) -> None:
    await keeper.tell(logged(order("1", {"session_id": "s", "email": "me"}), tenant))
    shown = {"channel": "PERSONALIZATION", "action": "VIEW"}
    late = interaction("p", before_noon(hours=24 * 90), {"session_id": "s"}, **shown)
    assert credited(await keeper.tell(logged(late, tenant)), "personalization") == ["p"]
