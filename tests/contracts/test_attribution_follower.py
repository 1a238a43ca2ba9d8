"""Attribution on a real Postgres: whatever comes when, in whatever batches, the same credits are kept and published."""

import itertools
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from touchstone.attribution.v1 import credit_pb2
from touchstone.identity.v1 import people_pb2
from touchstone.ingest.v1 import event_pb2, model_pb2, settings_pb2

from tests.attribution import journeys
from tests.attribution.keeping import Keeper
from tests.attribution.oracle import entries
from tests.attribution.telling import EUR, NOON, before_noon, interaction, logged, named, notice, order, people, refund

Kind = credit_pb2.Cause.Kind
_tenants = (f"tenant-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
async def keeper(new_database: Callable[[], str]) -> AsyncIterator[Keeper]:
    kept = await Keeper.on(new_database())
    yield kept
    await kept.engine.dispose()


@pytest.fixture
def tenant() -> str:
    return next(_tenants)


def earners(entry: credit_pb2.OrderCredits) -> list[str]:
    """Whom `conversations` credits, or else the first model."""
    said = {one.model: one for one in entry.attributions}
    attribution = said["conversations"] if "conversations" in said else entry.attributions[0]
    return [credit.touch.event_id for credit in attribution.credits]


async def test_the_golden_journeys_are_kept_as_they_are_decided(keeper: Keeper) -> None:
    for journey in journeys.ALL:
        if journey.model is None:
            tenant, changes = next(_tenants), [journey.people] if journey.people else []
            for change in changes:
                change.tenant_id = tenant
                await keeper.tell_people(change)
            events = [logged(event, tenant) for event in journey.events()]
            await keeper.tell(*reversed(events))
            assert await keeper.stored(tenant) == entries(events, changes, tenant), journey.because


async def test_an_unchanged_order_is_published_once(keeper: Keeper, tenant: str) -> None:
    paid = logged(order("1", {"email": "me"}), tenant)
    [entry] = await keeper.tell(paid, paid)
    assert (entry.tenant_id, entry.order.source, entry.order.order_id) == (tenant, "shop", "1")
    assert entry.cause.kind == Kind.ORDER
    assert await keeper.tell(paid) == []
    assert await keeper.tell(logged(interaction("t", NOON, {"email": "you"}), tenant)) == []


async def test_a_late_touch_reopens_its_order_and_is_named_as_the_cause(keeper: Keeper, tenant: str) -> None:
    await keeper.tell(logged(order("1", {"email": "me"}), tenant), logged(order("2", {"email": "you"}), tenant))
    touch = logged(interaction("t", before_noon(hours=24), {"email": "me"}), tenant, "api")
    [entry] = await keeper.tell(logged(interaction("early", before_noon(hours=25), {"email": "me"}), tenant), touch)
    assert (entry.order.order_id, earners(entry), entry.cause.kind) == ("1", ["t"], Kind.TOUCH)
    assert await keeper.tell(touch) == []


async def test_people_reopen_what_nothing_stronger_decided(keeper: Keeper, tenant: str) -> None:
    await keeper.tell(
        logged(order("1", {"email": "me"}), tenant),
        logged(order("2", {"email": "me", "session_id": "s"}), tenant),
        logged(interaction("visit", before_noon(hours=1), {"session_id": "s"}), tenant),
        logged(interaction("chat", before_noon(hours=2), {"visitor_id": "v"}), tenant),
    )
    together = {("EMAIL", "me"): 2**63 + 5, ("VISITOR", "v"): 2**63 + 5}
    [entry] = await keeper.tell_people(people(tenant, together))
    assert (entry.order.order_id, earners(entry), entry.cause.kind) == ("1", ["chat"], Kind.PEOPLE)
    tiers = {one.model: one.matched_by for one in entry.attributions}
    assert tiers["conversations"] == credit_pb2.MatchBasis.Tier.PERSON
    # The touch's side alone changes: nothing is told of the order's own identifier.
    [entry] = await keeper.tell_people(people(tenant, {("VISITOR", "v"): 6}))
    assert earners(entry) == []
    assert await keeper.tell_people(people(tenant, {("VISITOR", "v"): 6})) == []
    [entry] = await keeper.tell_people(people(tenant, {("EMAIL", "me"): 6}))
    assert earners(entry) == ["chat"]


async def test_a_value_that_comes_to_name_nobody_takes_its_credit_back(keeper: Keeper, tenant: str) -> None:
    await keeper.tell(
        logged(order("1", {"visitor_id": "v"}), tenant),
        logged(interaction("chat", before_noon(hours=2), {"visitor_id": "v"}), tenant),
    )
    [entry] = await keeper.tell_people(people(tenant, hubs={("VISITOR", "v"): True}))
    assert earners(entry) == []
    assert await keeper.tell(logged(interaction("more", before_noon(hours=1), {"visitor_id": "v"}), tenant)) == []
    [entry] = await keeper.tell_people(people(tenant, hubs={("VISITOR", "v"): False}))
    assert earners(entry) == ["chat"]


async def test_an_order_is_found_by_its_newest_identifiers_only(keeper: Keeper, tenant: str) -> None:
    changed = order("1", {"email": "new"}, updated=NOON + timedelta(hours=1))
    await keeper.tell(logged(changed, tenant), logged(order("1", {"email": "old"}), tenant))
    assert await keeper.tell(logged(interaction("a", NOON, {"email": "old"}), tenant)) == []
    [entry] = await keeper.tell(logged(interaction("b", NOON, {"email": "new"}), tenant))
    assert earners(entry) == ["b"]


async def test_notices_are_kept_for_an_order_to_come(keeper: Keeper, tenant: str) -> None:
    assert await keeper.tell(logged(notice("1", "TRASHED"), tenant)) == []
    assert await keeper.stored(tenant) == {}
    [entry] = await keeper.tell(logged(order("1"), tenant))
    assert entry.order.excluded_reason == credit_pb2.Exclusion.Reason.TRASHED


async def test_settings_and_models_reopen_every_order_that_they_concern(keeper: Keeper, tenant: str) -> None:
    touch = interaction("t", before_noon(hours=30), {"email": "me"})
    await keeper.tell(logged(order("1", {"email": "me"}, status="on-hold"), tenant), logged(touch, tenant))
    counted = settings_pb2.TenantSettings(counted_statuses=[{"platform": "woocommerce", "statuses": ["on-hold"]}])
    [entry, complete] = await changed(keeper, setting(tenant, settings=counted))
    assert (entry.order.excluded_reason, entry.cause.kind) == (0, Kind.SETTINGS)
    assert (complete.complete, complete.edition) == (True, entry.edition)
    counted.time_zone = "Europe/Madrid"
    assert await changed(keeper, setting(tenant, settings=counted)) == []
    longer = model_pb2.Model(name="wide", version=3, active=True, window=timedelta(hours=30), helpful_only=True)
    [entry, complete] = await changed(keeper, setting(tenant, models=model_pb2.ModelSet(models=[longer])))
    assert (earners(entry), entry.attributions[0].model, entry.attributions[0].model_version) == (["t"], "wide", 3)
    assert [(one.model, one.model_version) for one in complete.attributions] == [("wide", 3)]
    counted.blocked_identifiers.append(named("EMAIL", "me"))
    [entry, _] = await changed(keeper, setting(tenant, settings=counted))
    assert earners(entry) == []


async def changed(keeper: Keeper, told: event_pb2.LoggedEvent) -> list[credit_pb2.OrderCredits]:
    """What is published of a change of the rules, all of it in the background."""
    assert await keeper.tell(told) == []
    return await keeper.settle()


def setting(tenant: str, **payload: object) -> event_pb2.LoggedEvent:
    return logged(event_pb2.Event(event_id="set", **payload), tenant, "touchstone")


async def test_values_that_arrays_must_escape_are_found_again(keeper: Keeper, tenant: str) -> None:
    odd = 'a"b\\c,{d} NULL'
    await keeper.tell(logged(order(odd, {"session_id": odd, "visitor_id": "NULL"}), tenant, "null"))
    [entry] = await keeper.tell(logged(interaction(odd, NOON, {"session_id": odd}), tenant))
    assert (entry.order.order_id, entry.order.source, earners(entry)) == (odd, "null", [odd])


class World:
    """A small world, in which most touches have to do with some order in one way or another."""

    NAMED = (
        ("EMAIL", "a"),
        ("EMAIL", "b"),
        ("VISITOR", "a"),
        ("VISITOR", "b"),
        ("SESSION", "b"),
        ("CONVERSATION", "k"),
    )
    REACHED = (
        {"visitor_id": "a"},
        {"visitor_id": "b"},
        {"visitor_id": "b", "email": "b"},
        {"session_id": "b"},
        {"email": "a"},
        {},
    )
    BUYERS = ({"email": "a"}, {"email": "b"}, {"email": "a", "visitor_id": "a"}, {"email": "b", "click_id": "a"})

    def __init__(self, random: Random, tenant: str) -> None:
        self.random = random
        told = [*self.touches(), *self.orders()]
        blocked = [named("VISITOR", "a")] if random.random() < 0.1 else []
        self.events = [
            *(logged(event, tenant) for event in told),
            setting(tenant, settings=settings_pb2.TenantSettings(blocked_identifiers=blocked)),
        ]
        self.changes = [people(tenant, self.persons(), self.hubs()) for _ in range(random.randint(0, 4))]

    def touches(self) -> list[event_pb2.Event]:
        return [
            interaction(
                f"t{number}",
                before_noon(hours=self.random.randint(-1, 26)),
                self.random.choice(self.REACHED),
                conversation_id=self.random.choice(["", "k"]),
            )
            for number in range(self.random.randint(1, 4))
        ]

    def orders(self) -> list[event_pb2.Event]:
        states = [
            order(
                self.random.choice("12"),
                self.random.choice(self.BUYERS),
                updated=NOON + timedelta(hours=self.random.randint(0, 2)),
                status=self.random.choice(["completed", "completed", "completed", "pending"]),
                when=self.random.choice([NOON, NOON, before_noon(hours=3)]),
                refunds=self.random.choice([[], [refund("r", EUR)]]),
            )
            for _ in range(self.random.randint(1, 3))
        ]
        notices = [notice("1", kind) for kind in ("TRASHED", "RESTORED") if self.random.random() < 0.1]
        return [*states, *notices]

    def persons(self) -> dict[tuple[str, str], int]:
        some = self.random.sample(self.NAMED, self.random.randint(1, 4))
        return {identifier: self.random.choice([1, 1, 2]) for identifier in some}

    def hubs(self) -> dict[tuple[str, str], bool]:
        return {self.random.choice(self.NAMED): self.random.random() < 0.5} if self.random.random() < 0.4 else {}

    def arriving(self) -> list[event_pb2.LoggedEvent]:
        """All events in any order, some of them again."""
        again = [*self.events, *self.random.choices(self.events, k=self.random.randint(0, 3))]
        return self.random.sample(again, len(again))


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
async def test_arrival_duplicates_batches_and_interleaving_do_not_matter(keeper: Keeper, seed: int) -> None:
    random, tenant = Random(seed), next(_tenants)
    world = World(random, tenant)

    await tell_in_batches(keeper, world.arriving(), world.changes, random)
    await keeper.settle()

    expected = entries(world.events, world.changes, tenant)
    assert await keeper.stored(tenant) == expected
    assert keeper.last_published(tenant) == expected


async def tell_in_batches(
    keeper: Keeper,
    events: list[event_pb2.LoggedEvent],
    changes: list[people_pb2.PeopleChange],
    random: Random,
) -> None:
    """Both logs to their ends, in batches of any size, one log or the other first."""
    while events or changes:
        size = random.randint(1, 4)
        if random.random() < 0.1:
            await keeper.decide_coming()
        if changes and (not events or random.random() < 0.4):
            await keeper.tell_people(*changes[:size])
            changes = changes[size:]
        else:
            await keeper.tell(*events[:size])
            events = events[size:]
