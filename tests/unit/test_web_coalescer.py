"""Many deliveries, few calls; nobody is told of a success that wasn't."""

import asyncio

import grpc
import pytest
from touchstone.ingest.v1.event_service_pb2 import AppendDeliveriesRequest, Delivery

from gateway.web import coalescer
from gateway.web.coalescer import Coalescer, NotStoredError


def delivery(name, body=b""):
    return Delivery(tenant_id="acme", source=name, unusable=[{"body": body}]).SerializeToString()


class Ingest:
    """Remembers what it was sent; answers when its gate is open."""

    def __init__(self):
        self.calls = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.poison = None
        self.away = False

    async def append(self, request):
        names = [one.source for one in AppendDeliveriesRequest.FromString(request).deliveries]
        self.calls.append(names)
        await self.gate.wait()
        if self.away:
            raise failure(grpc.StatusCode.UNAVAILABLE)
        if self.poison in names:
            raise failure(grpc.StatusCode.INTERNAL)


def failure(code):
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata())


async def settled(*futures):
    return await asyncio.gather(*futures, return_exceptions=True)


async def test_what_waits_goes_together_and_in_order():
    ingest = Ingest()
    ingest.gate.clear()
    async with Coalescer(ingest.append, in_flight=1) as door:
        first = door.store(delivery("0"))
        await asyncio.sleep(0)
        rest = [door.store(delivery(str(i))) for i in range(1, 700)]
        await asyncio.sleep(0)
        assert not first.done()
        ingest.gate.set()
        assert await settled(first, *rest) == [None] * 700
    assert [len(call) for call in ingest.calls] == [1, 500, 199]
    assert [name for call in ingest.calls for name in call] == [str(i) for i in range(700)]


async def test_few_wait_for_company_and_enough_go_at_once(monkeypatch):
    monkeypatch.setattr(coalescer, "APART_SECONDS", 60.0)
    ingest = Ingest()
    async with Coalescer(ingest.append) as door:
        futures = [door.store(delivery("first"))]
        futures += [door.store(delivery(str(i))) for i in range(coalescer.ENOUGH - 1)]
        await asyncio.sleep(0)
        assert [len(call) for call in ingest.calls] == [1]
        futures.append(door.store(delivery("enough")))
        await asyncio.sleep(0)
        assert [len(call) for call in ingest.calls] == [1, coalescer.ENOUGH]
    assert await settled(*futures) == [None] * (coalescer.ENOUGH + 1)


async def test_whoever_hangs_up_takes_nobody_along():
    ingest = Ingest()
    ingest.gate.clear()
    async with Coalescer(ingest.append) as door:
        futures = [door.store(delivery(str(i))) for i in range(3)]
        await asyncio.sleep(0)
        futures[1].cancel()
        ingest.gate.set()
        assert (await settled(futures[0], futures[2])) == [None, None]
        await door.store(delivery("later"))


async def test_an_outage_is_told_and_passes():
    ingest = Ingest()
    async with Coalescer(ingest.append) as door:
        ingest.away = True
        told = await settled(*(door.store(delivery(str(i))) for i in range(5)))
        assert all(isinstance(error, NotStoredError) for error in told)
        ingest.away = False
        await door.store(delivery("again"))


async def test_one_that_fails_all_is_found():
    ingest = Ingest()
    ingest.poison = "13"
    async with Coalescer(ingest.append, in_flight=1) as door:
        told = await settled(*(door.store(delivery(str(i))) for i in range(40)))
    assert [i for i, outcome in enumerate(told) if outcome is not None] == [13]


async def test_leaving_sends_what_still_waits_and_takes_no_more():
    ingest = Ingest()
    async with Coalescer(ingest.append) as door:
        futures = [door.store(delivery(str(i))) for i in range(10)]
    assert await settled(*futures) == [None] * 10
    with pytest.raises(NotStoredError):
        await door.store(delivery("late"))


async def test_too_much_waiting_is_refused_at_once(monkeypatch):
    monkeypatch.setattr(coalescer, "MOST_WAITING", 3)
    ingest = Ingest()
    ingest.gate.clear()
    async with Coalescer(ingest.append, in_flight=1) as door:
        first = door.store(delivery("first"))
        await asyncio.sleep(0)
        waiting = [door.store(delivery(str(i))) for i in range(3)]
        with pytest.raises(NotStoredError):
            await door.store(delivery("one too many"))
        ingest.gate.set()
        await settled(first, *waiting)


async def test_large_bodies_are_spread_over_calls(monkeypatch):
    monkeypatch.setattr(coalescer, "MOST_BYTES_IN_A_CALL", 1_000)
    ingest = Ingest()
    ingest.gate.clear()
    async with Coalescer(ingest.append, in_flight=1) as door:
        futures = [door.store(delivery(str(i), b"x" * 700)) for i in range(3)]
        await asyncio.sleep(0)
        ingest.gate.set()
        await settled(*futures)
    assert [len(call) for call in ingest.calls] == [1, 1, 1]
