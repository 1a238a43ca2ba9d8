"""Batches join while they wait, and nothing is lost or turned round on the way."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import pytest
from touchstone.mesh.v1 import log_pb2

from services.chassis.groups import MOST_ENTRIES, in_groups


def batch(after: int, count: int, log_id: str = "a") -> log_pb2.LogBatch:
    entries = [str(after + index + 1).encode() for index in range(count)]
    return log_pb2.LogBatch(
        log_id=log_id,
        after_position=after,
        through_position=after + count,
        head_position=after + count,
        entries=entries,
    )


class StoppedError(Exception):
    pass


async def stream(batches: Sequence[log_pb2.LogBatch], *, fails: bool = False) -> AsyncIterator[log_pb2.LogBatch]:
    for one in batches:
        yield one
    if fails:
        raise StoppedError


async def taken(batches: Sequence[log_pb2.LogBatch], pause: float, *, fails: bool = False) -> list[log_pb2.LogBatch]:
    found = []
    async with aclosing(in_groups(stream(batches, fails=fails))) as groups:
        async for one in groups:
            found.append(one)
            await asyncio.sleep(pause)
    return found


async def test_what_comes_meanwhile_is_joined_in_sequence() -> None:
    found = await taken([batch(3 * index, 3) for index in range(50)], 0.01)
    assert len(found) <= 3
    assert [int(entry) for one in found for entry in one.entries] == list(range(1, 151))
    assert [one.after_position for one in found[1:]] == [one.through_position for one in found[:-1]]
    assert found[-1].head_position == 150


async def test_a_group_has_an_end_and_holds_the_stream_back() -> None:
    found = await taken([batch(300 * index, 300) for index in range(20)], 0.001)
    assert max(len(one.entries) for one in found) <= MOST_ENTRIES
    assert [int(entry) for one in found for entry in one.entries] == list(range(1, 6001))


async def test_another_log_or_a_gap_begins_a_new_group() -> None:
    found = await taken([batch(0, 2), batch(2, 1), batch(0, 1, "b"), batch(5, 1, "b")], 0.01)
    assert [(one.log_id, one.after_position) for one in found][-2:] == [("b", 0), ("b", 5)]


async def test_a_failure_comes_after_what_came_before_it() -> None:
    groups = in_groups(stream([batch(0, 1), batch(1, 1)], fails=True))
    assert (await anext(groups)).entries == [b"1", b"2"]
    with pytest.raises(StoppedError):
        await anext(groups)


async def test_leaving_early_ends_the_reading() -> None:
    async def endless() -> AsyncIterator[log_pb2.LogBatch]:
        position = 0
        while True:
            yield batch(position, 1)
            position += 1
            await asyncio.sleep(0)

    before = asyncio.all_tasks()
    async with aclosing(in_groups(endless())) as groups:
        await anext(groups)
    assert asyncio.all_tasks() == before


async def test_each_batch_is_heard_of_as_it_comes_though_nobody_asks_for_the_next_group() -> None:
    heard: list[int] = []
    coming = stream([batch(0, 1), batch(1, 1), batch(2, 1)])
    async with aclosing(in_groups(coming, lambda one: heard.append(one.after_position))) as groups:
        await anext(groups)
        await asyncio.sleep(0.01)
    assert heard == [0, 1, 2]


async def test_a_group_that_waits_is_told_of_once_nothing_more_can_join_it() -> None:
    filled: list[int] = []
    coming = stream([batch(600 * index, 600) for index in range(3)])
    async with aclosing(in_groups(coming, filled=lambda one: filled.append(one.through_position))) as groups:
        first = await anext(groups)
        await asyncio.sleep(0.01)
        assert (first.through_position, filled) == (600, [600, 1200])
        assert (await anext(groups)).through_position == 1200
