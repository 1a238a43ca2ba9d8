"""What is remembered of sources, and for how long."""

import asyncio

import grpc
import pytest
from touchstone.ingest.v1.source_service_pb2 import ResolveSourceResponse

from gateway.web.errors import HttpError
from gateway.web.sources import Sources


class Ingest:
    def __init__(self):
        self.asked = 0
        self.secrets = ["old"]
        self.failing = None

    async def resolve(self, _tenant_id, source):
        self.asked += 1
        await asyncio.sleep(0)
        if self.failing is not None:
            raise grpc.aio.AioRpcError(self.failing, grpc.aio.Metadata(), grpc.aio.Metadata())
        return ResolveSourceResponse(source={"source": source, "kind": 2}, secrets=self.secrets)


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ingest():
    return Ingest()


@pytest.fixture
def sources(ingest, clock):
    return Sources(ingest.resolve, clock)


async def test_many_ask_at_once_and_ingest_is_asked_once(sources, ingest):
    found = await asyncio.gather(*(sources.get("acme", "shop") for _ in range(20)))
    assert {tuple(one.keys) for one in found} == {(b"old",)}
    assert ingest.asked == 1


async def test_it_is_asked_again_after_ten_seconds(sources, ingest, clock):
    await sources.get("acme", "shop")
    clock.now += 9
    await sources.get("acme", "shop")
    assert ingest.asked == 1
    clock.now += 2
    await sources.get("acme", "shop")
    assert ingest.asked == 2


async def test_false_signatures_ask_once_and_all_get_the_answer(sources, ingest, clock):
    known = await sources.get("acme", "shop")
    clock.now += 2
    ingest.secrets = ["new", "old"]
    found = await asyncio.gather(*(sources.renewed(known) for _ in range(20)))
    assert {tuple(one.keys) for one in found} == {(b"new", b"old")}
    assert ingest.asked == 2


async def test_that_a_source_is_unknown_is_not_remembered(sources, ingest):
    ingest.failing = grpc.StatusCode.NOT_FOUND
    with pytest.raises(HttpError):
        await sources.get("acme", "shop")
    ingest.failing = None
    assert (await sources.get("acme", "shop")).source == "shop"


async def test_while_ingest_is_away_what_was_known_still_verifies(sources, ingest, clock):
    await sources.get("acme", "shop")
    clock.now += 60
    ingest.failing = grpc.StatusCode.UNAVAILABLE
    assert (await sources.get("acme", "shop")).keys == [b"old"]
    with pytest.raises(grpc.aio.AioRpcError):
        await sources.get("acme", "other")
    ingest.failing = grpc.StatusCode.NOT_FOUND
    for _ in range(2):
        with pytest.raises(HttpError):
            await sources.get("acme", "shop")
