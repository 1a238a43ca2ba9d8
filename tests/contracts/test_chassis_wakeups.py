"""Wake-ups, over a real Valkey that comes and goes."""

import asyncio
import time
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.local import engines, programs
from deploy.local.ports import free_ports
from services.chassis.wakeups import Wakeups


@pytest.fixture
def topic() -> str:
    return uuid4().hex


async def _subscribed(wakeups: Wakeups, topic: str) -> asyncio.Event:
    """An event that each wake-up sets, once the subscription holds."""
    woken = asyncio.Event()
    wakeups.subscribe(topic, woken.set)
    await asyncio.wait_for(woken.wait(), 5)
    woken.clear()
    return woken


async def test_a_wake_up_reaches_other_processes(redis_url, topic):
    here, there = Wakeups(redis_url), Wakeups(redis_url)
    woken = await _subscribed(there, topic)
    other = await _subscribed(there, f"{topic}:other")
    here.publish(topic)
    await asyncio.wait_for(woken.wait(), 2)
    assert not other.is_set()
    await asyncio.gather(here.close(), there.close())


async def test_a_process_does_not_wake_itself(redis_url, topic):
    here, there = Wakeups(redis_url), Wakeups(redis_url)
    own, woken = await _subscribed(here, topic), await _subscribed(there, topic)
    here.publish(topic)
    await asyncio.wait_for(woken.wait(), 2)
    await asyncio.sleep(0.1)
    assert not own.is_set()
    await asyncio.gather(here.close(), there.close())


async def test_without_redis_nothing_happens():
    wakeups = Wakeups(None)
    wakeups.subscribe("topic", pytest.fail)
    wakeups.publish("topic")
    await wakeups.close()


async def test_publishing_costs_its_caller_nothing_while_redis_is_away():
    [port] = free_ports(1)
    wakeups = Wakeups(f"redis://127.0.0.1:{port}")
    began = time.perf_counter()
    for _ in range(1000):
        wakeups.publish("topic")
    assert time.perf_counter() - began < 0.5
    await asyncio.sleep(0.3)
    await wakeups.close()


async def test_wake_ups_come_back_with_redis(engine_directory: Path, topic: str):
    [port] = free_ports(1)
    directory = engine_directory / topic
    directory.mkdir()
    engine = engines.valkey(directory, port)
    wakeups, other = Wakeups(engine.url), Wakeups(engine.url)
    woken = asyncio.Event()
    wakeups.subscribe(topic, woken.set)
    for _ in range(2):
        process = programs.start(engine.program, directory / "valkey.log")
        try:
            await asyncio.wait_for(woken.wait(), 10)
            assert await _wakes(other, topic, woken)
        finally:
            await asyncio.to_thread(programs.stop, engine.program, process, patience=10)
        woken.clear()
        other.publish(topic)
    await asyncio.gather(wakeups.close(), other.close())


async def _wakes(wakeups: Wakeups, topic: str, woken: asyncio.Event) -> bool:
    woken.clear()
    wakeups.publish(topic)
    return await asyncio.wait_for(woken.wait(), 10)


async def test_a_callback_that_fails_ends_nothing(redis_url, topic):
    def fail() -> None:
        raise RuntimeError

    wakeups, other = Wakeups(redis_url), Wakeups(redis_url)
    wakeups.subscribe(f"{topic}:broken", fail)
    woken = await _subscribed(wakeups, topic)
    other.publish(f"{topic}:broken")
    await asyncio.sleep(0.1)
    assert await _wakes(other, topic, woken)
    await asyncio.gather(wakeups.close(), other.close())
