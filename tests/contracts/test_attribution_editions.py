"""Rules that change while orders come in: the old figures until all of the new ones are there, then these at once."""

import itertools
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from touchstone.attribution.v1 import credit_pb2
from touchstone.ingest.v1 import event_pb2, model_pb2

from services.attribution import background
from services.attribution.domain.editions import versions
from services.attribution.domain.models import CONVERSATIONS, Model
from services.attribution.store import reopening
from tests.attribution.keeping import Keeper
from tests.attribution.oracle import entries
from tests.attribution.telling import before_noon, interaction, logged, order, people

_tenants = (f"tenant-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
async def keeper(new_database: Callable[[], str]) -> AsyncIterator[Keeper]:
    kept = await Keeper.on(new_database())
    yield kept
    await kept.engine.dispose()


@pytest.fixture
def tenant() -> str:
    return next(_tenants)


def models(tenant: str, *names: str, **more: object) -> event_pb2.LoggedEvent:
    """A set of models by the rules FIRST_TOUCH, LAST_TOUCH or LINEAR of those names."""
    told = [
        model_pb2.Model(name=name.lower(), rule=name, version=1, active=True, window=timedelta(days=1))
        for name in names
    ]
    for model in told:
        model.MergeFrom(model_pb2.Model(**more))
    return logged(event_pb2.Event(event_id=str(names), models=model_pb2.ModelSet(models=told)), tenant, "touchstone")


def shopper(tenant: str, number: int) -> list[event_pb2.LoggedEvent]:
    """Somebody who chats twice and buys."""
    by = {"email": f"shopper-{number}"}
    return [
        logged(interaction(f"first-{number}", before_noon(hours=3), by), tenant),
        logged(interaction(f"last-{number}", before_noon(hours=2), by), tenant),
        logged(order(f"{number:04}", by), tenant),
    ]


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "PAGE", 3)


def said(published: list[credit_pb2.OrderCredits]) -> set[tuple[int, str, str]]:
    """Edition, order and the models' names of what was published."""
    return {(one.edition, one.order.order_id, " ".join(a.model for a in one.attributions)) for one in published}


@pytest.mark.usefixtures("small_pages")
async def test_old_credits_are_kept_until_all_new_ones_are_there(keeper: Keeper, tenant: str) -> None:
    told = [event for number in range(7) for event in shopper(tenant, number)]
    await keeper.tell(*told)
    old = await keeper.stored(tenant)
    change = models(tenant, "LAST_TOUCH")
    assert await keeper.tell(change) == []

    pages = [await keeper.decide_coming() for _ in range(2)]
    assert [len(page) for page in pages] == [3, 3]
    assert not any(one.complete for page in pages for one in page)
    assert await keeper.stored(tenant) == old == keeper.last_published(tenant)

    last, complete = await keeper.decide_coming()
    assert (last.order.order_id, complete.complete, complete.HasField("order")) == ("0006", True, False)
    assert {one.edition for page in (*pages, [last, complete]) for one in page} == {complete.edition}
    new = entries([*told, change], [], tenant)
    assert new != old
    assert await keeper.stored(tenant) == new == keeper.last_published(tenant)
    assert await keeper.decide_coming() == []


@pytest.mark.usefixtures("small_pages")
async def test_what_comes_meanwhile_is_told_in_both_editions(keeper: Keeper, tenant: str) -> None:
    told = [event for number in range(4) for event in shopper(tenant, number)]
    await keeper.tell(*told)
    change = models(tenant, "LINEAR")
    await keeper.tell(change)
    await keeper.decide_coming()
    # Before and behind the place that the background has reached.
    more = [*shopper(tenant, 9), *shopper(tenant, 0)[:1]]
    late = [logged(interaction(f"late-{n}", before_noon(hours=1), {"email": f"shopper-{n}"}), tenant) for n in (0, 3)]
    published = await keeper.tell(*more, *late)
    in_force = {one.order.order_id for one in published if not one.edition}
    coming = {one.order.order_id for one in published if one.edition}
    assert (in_force, coming) == ({"0009"}, {"0000", "0003", "0009"})

    await keeper.settle()
    expected = entries([*told, change, *more, *late], [], tenant)
    assert await keeper.stored(tenant) == expected == keeper.last_published(tenant)


@pytest.mark.usefixtures("small_pages")
async def test_a_newer_change_takes_the_place_of_one_that_is_coming(keeper: Keeper, tenant: str) -> None:
    told = [event for number in range(7) for event in shopper(tenant, number)]
    await keeper.tell(*told)
    old = await keeper.stored(tenant)
    first, second = models(tenant, "LINEAR"), models(tenant, "LAST_TOUCH", "LINEAR")
    await keeper.tell(first)
    await keeper.decide_coming()
    await keeper.tell(second)
    assert await keeper.stored(tenant) == old
    rest = await keeper.settle()

    assert len([one for one in rest if one.complete]) == 1
    assert len([one for one in rest if not one.complete]) == 7
    assert await keeper.stored(tenant) == entries([*told, second], [], tenant) == keeper.last_published(tenant)


class KilledError(Exception):
    """The process ends here."""


@pytest.mark.usefixtures("small_pages")
async def test_a_page_that_is_not_committed_is_done_again(
    keeper: Keeper, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [event for number in range(5) for event in shopper(tenant, number)]
    await keeper.tell(*told)
    change = models(tenant, "LAST_TOUCH")
    await keeper.tell(change)

    async def killed(*_: object) -> None:
        raise KilledError

    for name in ("advance", "come_into_force"):
        with monkeypatch.context() as killing:
            killing.setattr(background.rules_store, name, killed)
            with pytest.raises(KilledError):
                await keeper.decide_coming()
        assert len(await keeper.decide_coming()) == 3
    assert await keeper.stored(tenant) == entries([*told, change], [], tenant) == keeper.last_published(tenant)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
async def test_whenever_rules_change_the_last_ones_hold_in_the_end(keeper: Keeper, seed: int) -> None:
    random, tenant = Random(seed), next(_tenants)
    changes = [models(tenant, *random.sample(["LINEAR", "LAST_TOUCH", "FIRST_TOUCH"], 2)) for _ in range(3)]
    told = [event for number in range(4) for event in shopper(tenant, number)]
    arriving = random.sample(told, len(told))
    for change in changes:
        arriving.insert(random.randint(0, len(arriving)), change)
    last = [one for one in arriving if one.event.HasField("models")][-1]
    in_log_order = list(arriving)
    before = background.PAGE
    background.PAGE = random.randint(1, 3)
    try:
        while arriving:
            size = random.randint(1, 4)
            await keeper.tell(*arriving[:size])
            arriving = arriving[size:]
            if random.random() < 0.5:
                await keeper.decide_coming()
        await keeper.settle()
    finally:
        background.PAGE = before
    stored = await keeper.stored(tenant)
    assert stored == keeper.last_published(tenant)
    assert {key: without_versions(one) for key, one in stored.items()} == {
        key: without_versions(one) for key, one in entries([*told, last], [], tenant).items()
    }
    # A rebuild takes the same log in other batches: it ends in the same credits, the models' versions among them.
    again = next(_tenants)
    await keeper.tell(*(for_tenant(again, event) for event in in_log_order))
    await keeper.settle()
    rebuilt = await keeper.stored(again)
    assert {key: for_nobody(one) for key, one in rebuilt.items()} == {k: for_nobody(one) for k, one in stored.items()}


def for_tenant(tenant: str, event: event_pb2.LoggedEvent) -> event_pb2.LoggedEvent:
    copy = event_pb2.LoggedEvent()
    copy.CopyFrom(event)
    copy.tenant_id = tenant
    return copy


def for_nobody(entry: bytes) -> bytes:
    told = credit_pb2.OrderCredits.FromString(entry)
    told.tenant_id = ""
    return told.SerializeToString(deterministic=True)


def without_versions(entry: bytes) -> bytes:
    told = credit_pb2.OrderCredits.FromString(entry)
    for attribution in told.attributions:
        attribution.model_version = 0
    return told.SerializeToString(deterministic=True)


async def test_a_hub_of_very_many_orders_is_reopened_in_pages(keeper: Keeper, tenant: str) -> None:
    kiosk = 2_100
    told = [logged(interaction("t", before_noon(hours=1), {"visitor_id": "kiosk"}), tenant)]
    told += [logged(order(f"{n:05}", {"visitor_id": "kiosk", "email": f"guest-{n}"}), tenant) for n in range(kiosk)]
    for start in range(0, len(told), 700):
        await keeper.tell(*told[start : start + 700])
    # Nor is a touch that very many orders could be credited to a single transaction.
    earlier = logged(interaction("earlier", before_noon(hours=2), {"visitor_id": "kiosk"}), tenant)
    assert await keeper.tell(earlier) == []
    assert {one.cause.kind for one in await keeper.settle()} == {credit_pb2.Cause.Kind.TOUCH}
    told.append(earlier)
    assert await keeper.stored(tenant) == entries(told, [], tenant)

    hub = people(tenant, hubs={("VISITOR", "kiosk"): True})
    assert kiosk > reopening.MOST_AT_ONCE
    assert await keeper.tell_people(hub) == []
    # A disagreement that will end by itself is no alarm.
    await background.check_some(keeper.engine)
    pages = 0
    while page := await keeper.decide_waiting():
        assert len(page) <= background.PAGE
        assert {one.cause.kind for one in page} == {credit_pb2.Cause.Kind.PEOPLE}
        pages += 1
    assert pages == 5
    assert await keeper.stored(tenant) == entries(told, [hub], tenant) == keeper.last_published(tenant)


def test_versions_are_never_used_again() -> None:
    def model(name: str, version: int, window: int = 1) -> Model:
        return Model(name=name, version=version, window=window)

    held = [model("a", 2), model("b", 1)]
    assert versions([model("a", 0), model("b", 0, window=2)], held, []) == {"a": 2, "b": 2}
    # Two changes that were made of the same set: the one that comes second in the log changes the first.
    assert versions([model("b", 2, window=3)], [model("b", 2, window=2)], held) == {"b": 3}
    assert versions([model("gone", 0)], held, [model("gone", 4)]) == {"gone": 5}
    assert versions([CONVERSATIONS], [CONVERSATIONS], []) == {"conversations": 1}
