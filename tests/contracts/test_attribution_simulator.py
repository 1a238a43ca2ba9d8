"""Trials on a real Postgres: figures that stored credits have, and never another service's patience."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest
from google.protobuf.duration_pb2 import Duration
from sqlalchemy import text
from touchstone.attribution.v1 import credit_pb2
from touchstone.attribution.v1 import model_service_pb2 as pb
from touchstone.ingest.v1 import event_pb2, interaction_pb2, model_pb2, settings_pb2

from services.attribution import simulator as simulator_module
from services.attribution.simulation.datasets import Datasets
from services.attribution.simulator import Simulator
from services.attribution.store import blocks
from services.chassis.callers import Caller, set_caller
from services.kernel.failures import FailedPreconditionError, InvalidArgumentError
from tests.attribution.keeping import Keeper
from tests.attribution.telling import EUR, before_noon, interaction, line, logged, order, people, refund, seen, step

DAYS = {"start_date": "2026-11-10", "end_date": "2026-11-20"}
SAVED = ("contact", "conversations", "personalization", "recommendation_assisted", "recommendation_direct")


@pytest.fixture(scope="module")
async def database(new_database: Callable[[], str]) -> AsyncIterator[Keeper]:
    kept = await Keeper.on(new_database())
    yield kept
    await kept.engine.dispose()


@pytest.fixture
async def keeper(database: Keeper) -> Keeper:
    """A state in which nothing was told yet."""
    async with database.engine.begin() as connection:
        found = await connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"))
        told = [name for (name,) in found if name not in ("alembic_version", "log_identity")]
        await connection.execute(text(f"TRUNCATE {', '.join(told)}"))
    return Keeper(database.engine)


async def messages(simulator: Simulator, **asked) -> list[pb.SimulateModelResponse]:
    set_caller(Caller(subject="test", tenant_id="acme", scopes=frozenset({"reports:read"})))
    request = pb.SimulateModelRequest(**{**DAYS, **asked})
    return [message async for message in simulator.simulate(request, None)]


async def simulated(keeper: Keeper, simulator: Simulator | None = None, **asked) -> pb.Simulation:
    *_, last = await messages(simulator or Simulator(lambda: keeper.engine), **asked)
    assert last.HasField("simulation")
    return last.simulation


def busy_week(seed: int) -> list[event_pb2.LoggedEvent]:
    """Touches on all channels and orders in all states of a few people, in no sequence."""
    random = Random(seed)

    def by(*kinds: str) -> dict[str, str]:
        return {kind: f"{kind}-{random.randint(1, 4)}" for kind in random.sample(kinds, random.randint(1, 2))}

    told = [
        logged(
            interaction(
                f"t{number}",
                before_noon(hours=random.choice([1, 2, 24, random.randint(0, 200)])),
                by("session_id", "visitor_id", "email", "phone"),
                channel=random.choice(interaction_pb2.Interaction.Channel.keys()[1:]),
                action=random.choice(["MESSAGE", "CLICK", "VIEW"]),
                answer=random.choice(["HELPFUL", "HELPFUL", "NOT_ANSWERED"]),
                conversation_id=random.choice(["", "", f"c{number % 5}"]),
                agent_id=random.choice(["", "", "agent"]),
                product_ids=random.choice([[], ["p"]]),
            ),
            source=random.choice(["api", "shop"]),
        )
        for number in range(70)
    ]
    told += [
        logged(
            step(
                f"s{number}",
                before_noon(hours=random.randint(0, 100)),
                random.choice(["STARTED", "MESSAGE", "CLOSED"]),
                by("session_id", "visitor_id", "email"),
                conversation_id=f"c{number % 5}",
                actor=random.choice(["AGENT", "VISITOR"]),
            )
        )
        for number in range(20)
    ]
    told += [
        logged(
            seen(f"v{number}", before_noon(hours=random.randint(0, 30)), action, "p", by("session_id", "visitor_id"))
        )
        for number, action in enumerate(["PRODUCT_VIEWED", "ADDED_TO_CART"] * 20)
    ]
    told += [
        logged(
            order(
                str(number),
                by("session_id", "visitor_id", "email", "phone"),
                status=random.choice(["processing", "completed", "completed", "failed", "refunded"]),
                total_micros=random.randint(1, 300) * EUR + 10_000 * number,
                tax_micros=random.choice([0, EUR // 5]),
                currency_code=random.choice(["EUR", "EUR", "JPY"]),
                refunds=random.choice([[], [refund("r", EUR)]]),
                lines=random.sample([line("1", EUR, product_id="p"), line("2", 2 * EUR, product_id="q")], 2),
            )
        )
        for number in range(30)
    ]
    random.shuffle(told)
    return told


async def tell_busy_week(keeper: Keeper, seed: int = 1) -> None:
    told = busy_week(seed)
    for start in range(0, len(told), 3):
        await keeper.tell(*told[start : start + 3])
    together = {("VISITOR", f"visitor_id-{number}"): number % 3 + 1 for number in range(1, 4)}
    await keeper.tell_people(people(persons=together | {("EMAIL", "email-1"): 1, ("SESSION", "session_id-2"): 2}))
    await keeper.tell_people(people(persons={("EMAIL", "email-1"): 2}, hubs={("PHONE", "phone-1"): True}))


async def statement(keeper: Keeper, model: str) -> dict[tuple[str, str], list[int]]:
    """What stored credits say by currency and channel: orders, gross, net."""
    found: dict[tuple[str, str], list[int]] = {}
    for stored in (await keeper.stored("acme")).values():
        entry = credit_pb2.OrderCredits.FromString(stored)
        [attribution] = [one for one in entry.attributions if one.model == model]
        for channel in {credit.touch.channel for credit in attribution.credits}:
            name = interaction_pb2.Interaction.Channel.Name(channel)
            sums = found.setdefault((entry.order.currency_code, name), [0, 0, 0])
            mine = [credit for credit in attribution.credits if credit.touch.channel == channel]
            sums[0] += 1
            sums[1] += sum(credit.gross_micros for credit in mine)
            sums[2] += sum(credit.net_micros for credit in mine)
    return found


def by_channel(simulation: pb.Simulation, side: str = "simulated") -> dict[tuple[str, str], list[int]]:
    return {
        (currency.currency_code, channel.channel): [channel.orders, channel.amount.micros, channel.net.micros]
        for currency in simulation.currencies
        for channel in getattr(currency, side).by_channel
    }


@pytest.mark.parametrize("model", SAVED)
async def test_a_saved_model_moves_nothing_and_meets_the_statement(keeper: Keeper, model: str) -> None:
    await tell_busy_week(keeper)
    credits_before = await keeper.stored("acme")
    found = await simulated(keeper, saved_model=model, compare_with=model)
    assert (found.moved, list(found.moved_orders)) == (0, [])
    assert by_channel(found) == by_channel(found, "compared") == await statement(keeper, model)
    assert (found.compared_model, found.compared_model_version) == (model, 1)
    counted = [credit_pb2.OrderCredits.FromString(one).order for one in credits_before.values()]
    assert found.orders == sum(not one.excluded_reason for one in counted)
    assert await keeper.stored("acme") == credits_before


def tried(**told) -> model_pb2.Model:
    return model_pb2.Model(**{"window": Duration(seconds=7 * 86_400), **told})


TRIED = (
    tried(rule="LINEAR"),
    tried(rule="POSITION_BASED", basis="WITHOUT_TAX"),
    tried(rule="TIME_DECAY", half_life=Duration(seconds=3_600), channels=["CHAT", "FAQ"]),
    tried(rule="DATA_DRIVEN", weights=[{"channel": "CHAT", "weight": 0.3}, {"channel": "NUDGE", "weight": 0.1}]),
    tried(rule="LAST_TOUCH", anchor="CLICK", helpful_only=True),
    model_pb2.Model(rule="LINEAR", anchor="SESSION", filter={"agent_ids": ["agent"]}),
    tried(counted_statuses=[{"platform": "woocommerce", "statuses": ["failed"]}]),
    tried(rule="LINEAR", anchor="CONVERSATION", basis="WITHOUT_TAX"),
    tried(rule="LAST_TOUCH", anchor="CONVERSATION", filter={"handled_only": True}),
    tried(rule="FIRST_TOUCH", filter={"handled_only": True}),
    tried(rule="TIME_DECAY", half_life=Duration(seconds=3_600), by_line=True),
    tried(rule="LAST_TOUCH", by_line=True, filter={"through_cart": True}, basis="WITHOUT_TAX_AND_SHIPPING"),
)


@pytest.mark.parametrize("model", TRIED, ids=str)
async def test_by_columns_as_order_by_order(
    keeper: Keeper, model: model_pb2.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tell_busy_week(keeper, seed=2)
    columns = await simulated(keeper, model=model, moved_order_count=7)
    monkeypatch.setattr(simulator_module, "by_columns", lambda *_, **__: False)
    one_by_one = await simulated(keeper, model=model, moved_order_count=7)
    assert columns == one_by_one
    assert columns.moved
    assert len(columns.moved_orders) == min(columns.moved, 7)


async def test_progress_ends_with_all_orders(keeper: Keeper) -> None:
    await tell_busy_week(keeper)
    for model in ("conversations", "contact"):
        told = await messages(Simulator(lambda: keeper.engine), saved_model=model)
        assert (told[0].done, told[0].total) == (0, 0)
        assert [one.done for one in told] == sorted(one.done for one in told)
        assert (told[-1].done, told[-1].total) == (30, 30)
        assert [one.HasField("simulation") for one in told] == [False] * (len(told) - 1) + [True]


async def test_moved_orders_say_why(keeper: Keeper) -> None:
    me = {"session_id": "s"}
    await keeper.tell(
        logged(order("1", me, total_micros=20 * EUR)),
        logged(order("2", {"email": "other"}, total_micros=30 * EUR)),
        logged(interaction("first", before_noon(hours=5), me)),
        logged(interaction("last", before_noon(hours=1), me, channel="FAQ")),
        logged(interaction("old", before_noon(hours=100), {"email": "other"})),
    )
    found = await simulated(keeper, model=tried(rule="LINEAR"))
    assert [(one.order_id, one.amount.micros, pb.MovedOrder.Reason.Name(one.reason)) for one in found.moved_orders] == [
        ("2", 30 * EUR, "GAINED"),
        ("1", 20 * EUR, "OTHER_TOUCHES"),
    ]
    assert list(found.moved_orders[1].simulated_event_ids) == ["first", "last"]
    assert list(found.moved_orders[1].compared_event_ids) == ["first"]
    assert by_channel(found)["EUR", "FAQ"] == [1, 10 * EUR, 10 * EUR]


async def test_answers_know_what_was_told_last(keeper: Keeper) -> None:
    simulator = Simulator(lambda: keeper.engine)
    await keeper.tell(logged(order("1", {"email": "me"})))
    assert by_channel(await simulated(keeper, simulator, saved_model="conversations")) == {}
    await keeper.tell(logged(interaction("t", before_noon(hours=1), {"visitor_id": "v"})))
    assert by_channel(await simulated(keeper, simulator, saved_model="conversations")) == {}
    await keeper.tell_people(people(persons={("EMAIL", "me"): 1, ("VISITOR", "v"): 1}))
    found = await simulated(keeper, simulator, saved_model="conversations")
    assert by_channel(found) == {("EUR", "CHAT"): [1, 100 * EUR, 100 * EUR]}
    await keeper.tell(logged(order("1", {"email": "me"}, total_micros=50 * EUR, updated=before_noon(hours=-1))))
    found = await simulated(keeper, simulator, saved_model="conversations")
    assert by_channel(found) == {("EUR", "CHAT"): [1, 50 * EUR, 50 * EUR]}
    blocked = settings_pb2.TenantSettings(blocked_identifiers=[{"kind": "VISITOR", "value": "v"}])
    await keeper.tell(logged(event_pb2.Event(event_id="settings", settings=blocked)))
    assert by_channel(await simulated(keeper, simulator, saved_model="conversations")) == {}


async def test_a_day_is_the_tenants(keeper: Keeper) -> None:
    settings = settings_pb2.TenantSettings(time_zone="Pacific/Auckland")
    await keeper.tell(
        logged(event_pb2.Event(event_id="settings", settings=settings)),
        logged(order("1", {"email": "me"}, order_time=None, when=before_noon(hours=1, seconds=1))),
        logged(order("2", {"email": "me"}, order_time=None, when=before_noon(hours=1))),
    )
    for day, orders in (("2026-11-20", 1), ("2026-11-21", 1), ("2026-11-19", 0)):
        found = await simulated(keeper, saved_model="conversations", start_date=day, end_date=day)
        assert (day, found.orders) == (day, orders)


@pytest.mark.parametrize("learning", ["MARKOV", "SHAPLEY"])
async def test_weights_are_learned(keeper: Keeper, learning: str) -> None:
    for number in range(4):
        me = {"visitor_id": f"v{number}"}
        await keeper.tell(
            *[logged(order(str(number), me))] * (number != 3),
            logged(interaction(f"chat-{number}", before_noon(hours=5), me)),
            *[logged(interaction(f"faq-{number}", before_noon(hours=2), me, channel="FAQ"))] * (number == 1),
        )
    found = await simulated(keeper, model=tried(rule="DATA_DRIVEN"), learning=learning)
    weights = {one.channel: one.weight for one in found.learned_weights}
    assert sum(weights.values()) == pytest.approx(1)
    # Two orders came by chat alone and one by chat and FAQ; somebody who chatted bought nothing.
    expected = {"CHAT": 5 / 6, "FAQ": 1 / 6} if learning == "SHAPLEY" else {"CHAT": 3 / 4, "FAQ": 1 / 4}
    assert weights == pytest.approx(expected)
    saved = tried(rule="DATA_DRIVEN", weights=[{"channel": name, "weight": one} for name, one in weights.items()])
    again = await simulated(keeper, model=saved)
    assert by_channel(again) == by_channel(found)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({}, "model"),
        ({"saved_model": "conversations", "model": tried()}, "model"),
        ({"saved_model": "nothing"}, "savedModel"),
        ({"saved_model": "conversations", "compare_with": "nothing"}, "compareWith"),
        ({"saved_model": "conversations", "start_date": "20261101"}, "startDate"),
        ({"saved_model": "conversations", "end_date": "yesterday"}, "endDate"),
        ({"saved_model": "conversations", "start_date": "2026-11-21"}, "endDate"),
        ({"saved_model": "conversations", "start_date": "2025-10-01"}, "endDate"),
        ({"saved_model": "conversations", "moved_order_count": 1001}, "movedOrderCount"),
        ({"saved_model": "conversations", "moved_order_count": -1}, "movedOrderCount"),
        ({"saved_model": "conversations", "learning": "MARKOV"}, "learning"),
        ({"model": tried(), "learning": "MARKOV"}, "learning"),
        ({"model": model_pb2.Model()}, "model.window"),
        ({"model": tried(rule="TIME_DECAY")}, "model.halfLife"),
        ({"model": tried(weights=[{"channel": "CHAT", "weight": -1}])}, "model.weights[0].weight"),
        ({"model": tried(weights=[{"channel": "CHAT", "weight": float("nan")}])}, "model.weights[0].weight"),
    ],
)
async def test_what_cannot_be_tried_is_named(keeper: Keeper, asked: dict, field: str) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        await messages(Simulator(lambda: keeper.engine), **asked)
    assert [violation.field for violation in refused.value.violations] == [field]


async def test_nothing_to_learn_from(keeper: Keeper) -> None:
    await keeper.tell(logged(order("1", {"email": "me"})))
    with pytest.raises(FailedPreconditionError) as refused:
        await simulated(keeper, model=tried(rule="DATA_DRIVEN"), learning="SHAPLEY")
    assert refused.value.reason == "NOTHING_TO_LEARN"


class Endless(Datasets):
    """Loads for ever, or until it is to stop."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.ended = asyncio.Event(), asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def get(self, *asked):
        *_, stop = asked
        self._loop.call_soon_threadsafe(self.began.set)
        try:
            while True:
                stop.look()
                time.sleep(0.01)
        finally:
            self._loop.call_soon_threadsafe(self.ended.set)


async def test_who_goes_stops_the_work_and_leaves_the_turn_to_the_next(keeper: Keeper) -> None:
    await keeper.tell(logged(order("1", {"email": "me"})))
    endless = Endless()
    simulator = Simulator(lambda: keeper.engine, endless)
    asking = asyncio.create_task(messages(simulator, saved_model="conversations"))
    await asyncio.wait_for(endless.began.wait(), 10)
    asking.cancel()
    await asyncio.wait_for(endless.ended.wait(), 1)
    simulator._datasets = Datasets()
    assert (await asyncio.wait_for(simulated(keeper, simulator, saved_model="conversations"), 10)).orders == 1


async def test_a_statement_is_interrupted(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    await keeper.tell(logged(order("1", {"email": "me"})))
    began = asyncio.Event()
    loop = asyncio.get_running_loop()

    def get(_datasets, reader, *_):
        loop.call_soon_threadsafe(began.set)
        reader._connection.execute("SELECT pg_sleep(30)")

    monkeypatch.setattr(Datasets, "get", get)
    simulator = Simulator(lambda: keeper.engine)
    asking = asyncio.create_task(messages(simulator, saved_model="conversations"))
    await asyncio.wait_for(began.wait(), 10)
    await asyncio.sleep(0.5)
    asking.cancel()
    [working] = simulator._working
    await asyncio.wait({working}, timeout=2)
    assert working.done()


async def test_small_blocks_become_large_ones_without_losing_a_row(keeper: Keeper) -> None:
    for number in range(300):
        at, shown = before_noon(hours=1) + timedelta(seconds=number), ["q", "p"] if number % 3 == 1 else []
        told = interaction(f"t{number}", at, {"visitor_id": "v"}, touchpoint="website", product_ids=shown)
        await keeper.tell(logged(told))
    async with keeper.engine.connect() as connection:
        rows = await connection.execute(
            text(
                "SELECT first_row, row_count, level, octet_length(visitor) AS bytes FROM touch_block ORDER BY first_row"
            )
        )
        found = rows.all()
    assert len(found) < 300 // blocks._MERGED + 3 * blocks._MERGED
    assert [one.level for one in found] == sorted((one.level for one in found), reverse=True)
    assert sum(one.row_count for one in found) == 300
    for before, after in pairwise(found):
        assert before.first_row + before.row_count == after.first_row
    assert all(one.bytes == 8 * one.row_count for one in found)
    await keeper.tell(logged(order("1", {"visitor_id": "v"})))
    simulation = await simulated(keeper, model=tried(rule="LINEAR", filter={"touchpoints": ["website"]}))
    [moved] = simulation.moved_orders
    assert list(moved.simulated_event_ids) == [f"t{number}" for number in range(300)]
    for number in range(20):
        lines = [line("1", EUR, product_id="p")] * (number % 2)
        await keeper.tell(logged(order(f"later-{number}", {"visitor_id": "v"}, lines=lines)))
    simulation = await simulated(keeper, model=tried(rule="LINEAR", by_line=True, channels=["CHAT"]))
    credited = {one.order_id: list(one.simulated_event_ids) for one in simulation.moved_orders}
    of_three = [f"t{number}" for number in range(1, 300, 3)]
    assert credited == {f"later-{number}": of_three if number % 2 else [] for number in range(20)} | {"1": []}


async def test_what_columns_lack_is_answered_order_by_order(keeper: Keeper) -> None:
    await tell_busy_week(keeper)
    expected = {name: await simulated(keeper, saved_model=name) for name in SAVED}
    async with keeper.engine.begin() as connection:
        await connection.execute(text("INSERT INTO column_gap VALUES (true)"))
        for layout in (blocks.STEPS, blocks.SEEN):
            await connection.execute(text(f"DELETE FROM {layout.table}"))
        await connection.execute(text("UPDATE order_block SET line_count = '', line_product = ''"))
    simulator = Simulator(lambda: keeper.engine)
    assert {name: await simulated(keeper, simulator, saved_model=name) for name in SAVED} == expected
