"""Watchers of figures: one computation for all of them, nothing missed, nothing piled up, nothing done for nobody."""

import asyncio
from collections import Counter
from contextlib import aclosing, asynccontextmanager

import pytest
from touchstone.reporting.v1 import live_service_pb2 as pb

from services.chassis.follow import Entry
from services.kernel.failures import FailedPreconditionError, InvalidArgumentError
from services.reporting import live as live_module
from services.reporting.live import Live, Seen

KEY = ("acme", b"")


class Wakeups:
    """Wakes nobody; keeps what is to be told to other processes."""

    def __init__(self):
        self.published = Counter()
        self.callbacks = {}

    def publish(self, topic):
        self.published[topic] += 1

    def subscribe(self, topic, callback):
        self.callbacks[topic] = callback


class Figures:
    """A number that can be watched, and how often it was computed."""

    def __init__(self, number=0):
        self.number = number
        self.position = 1
        self.computed = 0
        self.failure = None
        self.until = float("inf")

    async def compute(self):
        self.computed += 1
        if self.failure is not None:
            raise self.failure
        name = f"{self.position}-0-{self.number}"
        response = pb.WatchFiguresResponse(event_id=name, figures={"total_size": self.number})
        return Seen(response, str(self.number), 5, (self.position, 0), self.until)

    async def positions_of(self, partitions):
        return dict.fromkeys(partitions, (self.position, 0))


@pytest.fixture
def figures():
    return Figures()


@pytest.fixture
def wakeups():
    return Wakeups()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    for name, seconds in (("APART", 0.05), ("HEARTBEAT", 0.2), ("POLL", 0.05)):
        monkeypatch.setattr(live_module, name, seconds)


@pytest.fixture
async def live(wakeups, figures):
    live = Live(wakeups, figures.positions_of, lambda: 0.0)
    yield live
    await live.close()


@asynccontextmanager
async def watching(live, figures, after="", key=KEY):
    async with aclosing(live.watch(key, figures.compute, after)) as told:

        async def following():
            return await asyncio.wait_for(anext(told), 2)

        yield following


async def commit(live, *tenants, partition=5):
    async def apply(*_):
        return ()

    await live.noting(apply)(None, partition, [Entry(1, pb_of(tenant)) for tenant in tenants])
    live.committed(partition)


def pb_of(tenant_id):
    class Message:
        pass

    message = Message()
    message.tenant_id = tenant_id
    return message


async def test_all_at_once_then_every_change(live, figures):
    async with watching(live, figures) as following:
        assert (await following()).figures.total_size == 0
        for number in (1, 2):
            figures.number = number
            await commit(live, "acme")
            assert (await following()).figures.total_size == number


async def test_what_changes_nothing_is_no_news_but_a_sign_of_life(live, figures):
    async with watching(live, figures) as following:
        await following()
        figures.position = 2
        await commit(live, "acme")
        alive = await following()
        assert (alive.event_id, alive.HasField("figures")) == ("2-0-0", False)
        assert figures.computed == 2


async def test_all_watchers_share_a_computation(live, figures):
    async with watching(live, figures) as one, watching(live, figures) as other:
        await one()
        await other()
        figures.number = 1
        await commit(live, "acme")
        assert (await one()).figures.total_size == (await other()).figures.total_size == 1
    assert figures.computed == 2


async def test_who_takes_his_time_gets_the_newest(live, figures):
    async with watching(live, figures) as following:
        await following()
        for number in range(1, 5):
            figures.number = number
            await commit(live, "acme")
            await asyncio.sleep(0.08)
        assert (await following()).figures.total_size == 4
        assert not (await following()).HasField("figures")


async def test_many_commits_are_few_computations(live, figures):
    async with watching(live, figures) as following:
        await following()
        for _ in range(100):
            await commit(live, "acme")
        await asyncio.sleep(0.12)
        assert figures.computed <= 4


async def test_other_tenants_wake_nobody(live, figures):
    async with watching(live, figures) as following:
        await following()
        await commit(live, "basalt")
        await commit(live, "acme", partition=6)
        await asyncio.sleep(0.1)
        assert figures.computed == 1


@pytest.mark.parametrize(("after", "told"), [("1-0-7", False), ("99-0-7", False), ("1-0-6", True), ("", True)])
async def test_who_comes_again_is_told_what_changed_since(live, figures, after, told):
    figures.number = 7
    async with watching(live, figures, after) as following:
        assert (await following()).HasField("figures") is told


async def test_without_a_wake_up_the_positions_tell(live, figures):
    async with watching(live, figures) as following:
        await following()
        figures.number, figures.position = 3, 2
        assert (await following()).figures.total_size == 3


async def test_another_process_wakes(live, figures, wakeups):
    async with watching(live, figures) as following:
        await following()
        await asyncio.sleep(0.1)
        figures.number = 3
        wakeups.callbacks["live:5"]()
        assert (await following()).figures.total_size == 3


async def test_a_day_that_ends_is_computed_anew(wakeups, figures):
    now = 0.0
    figures.until = 10.0
    live = Live(wakeups, figures.positions_of, lambda: now)
    async with watching(live, figures) as following:
        await following()
        await asyncio.sleep(0.12)
        assert figures.computed == 1
        now, figures.number = 10.0, 4
        assert (await following()).figures.total_size == 4
    await live.close()


async def test_nobody_watches_and_nothing_is_done(live, figures, wakeups):
    async with watching(live, figures) as following:
        await following()
    before = (figures.computed, dict(wakeups.published))
    await commit(live, "acme")
    await asyncio.sleep(0.15)
    assert (figures.computed, dict(wakeups.published)) == before


async def test_other_processes_are_told_while_one_says_that_somebody_watches(live, wakeups):
    await commit(live, "acme")
    assert not wakeups.published["live:5"]
    wakeups.callbacks["live:watched"]()
    await commit(live, "acme")
    assert wakeups.published["live:5"] == 1


async def test_a_failure_reaches_all_and_the_next_begins_anew(live, figures):
    figures.failure = InvalidArgumentError.of("model", "there is none")
    with pytest.raises(InvalidArgumentError):
        async with watching(live, figures) as following:
            await following()
    figures.failure = None
    async with watching(live, figures) as following:
        assert (await following()).HasField("figures")


async def test_a_database_that_is_away_is_waited_for(live, figures):
    async with watching(live, figures) as following:
        await following()
        figures.failure, figures.number = ConnectionError(), 1
        await commit(live, "acme")
        await asyncio.sleep(0.1)
        figures.failure = None
        assert (await following()).figures.total_size == 1


async def test_too_many_streams_are_refused(live, figures, monkeypatch):
    monkeypatch.setattr(live_module, "MOST_WATCHERS", 1)
    async with watching(live, figures) as following:
        await following()
        with pytest.raises(FailedPreconditionError):
            async with watching(live, figures) as other:
                await other()
    async with watching(live, figures) as following:
        await following()
