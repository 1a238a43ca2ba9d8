"""Attribution on a real Postgres: whatever comes when, in whatever batches, the same credits are kept and published."""

import itertools
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

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
    return [credit.touch.event_id for credit in entry.attributions[0].credits]


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
    assert entry.attributions[0].matched_by == credit_pb2.MatchBasis.Tier.PERSON
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
    [entry] = await keeper.tell(setting(tenant, settings=counted))
    assert (entry.order.excluded_reason, entry.cause.kind) == (0, Kind.SETTINGS)
    counted.time_zone = "Europe/Madrid"
    assert await keeper.tell(setting(tenant, settings=counted)) == []
    longer = model_pb2.Model(name="wide", version=3, active=True, window=timedelta(hours=30), helpful_only=True)
    [entry] = await keeper.tell(setting(tenant, models=model_pb2.ModelSet(models=[longer])))
    assert (earners(entry), entry.attributions[0].model, entry.attributions[0].model_version) == (["t"], "wide", 3)
    counted.blocked_identifiers.append(named("EMAIL", "me"))
    [entry] = await keeper.tell(setting(tenant, settings=counted))
    assert earners(entry) == []


def setting(tenant: str, **payload: object) -> event_pb2.LoggedEvent:
    return logged(event_pb2.Event(event_id="set", **payload), tenant, "touchstone")


async def test_values_that_arrays_must_escape_are_found_again(keeper: Keeper, tenant: str) -> None:
    odd = 'a"b\\c,{d} NULL'
    await keeper.tell(logged(order(odd, {"session_id": odd, "visitor_id": "NULL"}), tenant, "null"))
    [entry] = await keeper.tell(logged(interaction(odd, NOON, {"session_id": odd}), tenant))
    assert (entry.order.order_id, entry.order.source, earners(entry)) == (odd, "null", [odd])


MOMENTS = st.integers(0, 30).map(lambda hours: before_noon(hours=hours))
IDENTIFIERS = st.fixed_dictionaries(
    {},
    optional={
        "session_id": st.sampled_from("ab"),
        "visitor_id": st.sampled_from("ab"),
        "email": st.sampled_from("ab"),
        "customer_id": st.sampled_from("ab"),
        "click_id": st.just("a"),
    },
)
TOUCHES = st.lists(
    st.builds(
        lambda when, by, conversation: (when, by, conversation), MOMENTS, IDENTIFIERS, st.sampled_from(["", "k", "l"])
    ),
    max_size=5,
).map(
    lambda told: [
        interaction(f"t{number}", when, by, conversation_id=conversation)
        for number, (when, by, conversation) in enumerate(told)
    ]
)
ORDERS = st.lists(
    st.builds(
        lambda order_id, by, updated, status, placed, refunds: order(
            order_id, by, updated=updated, status=status, when=placed, refunds=refunds
        ),
        st.sampled_from("12"),
        IDENTIFIERS,
        MOMENTS,
        st.sampled_from(["pending", "completed", "completed"]),
        MOMENTS,
        st.sampled_from([[], [refund("r", EUR)]]),
    ),
    min_size=1,
    max_size=4,
)
NOTICES = st.lists(st.builds(notice, st.sampled_from("12"), st.sampled_from(["TRASHED", "RESTORED"])), max_size=1)
NAMED = st.tuples(
    st.sampled_from(["SESSION", "VISITOR", "EMAIL", "CUSTOMER", "CONVERSATION"]), st.sampled_from(["a", "b", "k", "l"])
)
PEOPLE = st.lists(
    st.tuples(st.dictionaries(NAMED, st.integers(1, 2), max_size=4), st.dictionaries(NAMED, st.booleans(), max_size=1)),
    max_size=4,
)
BLOCKED = st.sampled_from([[], [], [named("VISITOR", "a")]])
SIZES = st.lists(st.integers(1, 4), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_arrival_duplicates_batches_and_interleaving_do_not_matter(keeper: Keeper, data: st.DataObject) -> None:
    tenant = next(_tenants)
    told = [*data.draw(TOUCHES), *data.draw(ORDERS), *data.draw(NOTICES)]
    blocked = settings_pb2.TenantSettings(blocked_identifiers=data.draw(BLOCKED))
    events = [*(logged(event, tenant) for event in told), setting(tenant, settings=blocked)]
    changes = [people(tenant, persons, hubs) for persons, hubs in data.draw(PEOPLE)]
    arriving = data.draw(st.permutations([*events, *data.draw(st.lists(st.sampled_from(events), max_size=3))]))
    sizes = data.draw(SIZES)

    await tell_in_batches(keeper, arriving, changes, sizes, data.draw(st.lists(st.booleans(), max_size=12)))

    expected = entries(events, changes, tenant)
    assert await keeper.stored(tenant) == expected
    assert keeper.last_published(tenant) == expected


async def tell_in_batches(
    keeper: Keeper,
    events: list[event_pb2.LoggedEvent],
    changes: list[people_pb2.PeopleChange],
    sizes: list[int],
    people_first: list[bool],
) -> None:
    """Both logs to their ends, in batches of these sizes; which log is next is as `people_first` says."""
    size, first = itertools.cycle(sizes), itertools.cycle(people_first or [False])
    while events or changes:
        count = next(size)
        if changes and (next(first) or not events):
            await keeper.tell_people(*changes[:count])
            changes = changes[count:]
        else:
            await keeper.tell(*events[:count])
            events = events[count:]
