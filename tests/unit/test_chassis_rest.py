"""Followers rest so that groups grow where much comes, and nothing waits longer where little does."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from touchstone.mesh.v1 import log_pb2

from services.chassis.groups import MOST_ENTRIES
from services.chassis.processors import idle_share
from services.chassis.resting import Growth, give_way, rest_after

some_entries = st.integers(0, MOST_ENTRIES - 1)
some_seconds = st.floats(0, 10)


@given(st.integers(0, 20), some_seconds)
def test_where_little_comes_the_rest_is_as_long_as_the_work(entries: int, worked: float) -> None:
    assert rest_after(entries, worked) == min(worked, 0.2)


@given(some_entries, some_entries, some_seconds)
def test_more_entries_never_shorten_the_rest_and_none_is_long(one: int, other: int, worked: float) -> None:
    fewer, more = sorted((one, other))
    assert 0 <= rest_after(fewer, worked) <= rest_after(more, worked) <= 0.2


def test_a_full_group_is_followed_at_once() -> None:
    assert rest_after(MOST_ENTRIES, 1.0) == 0
    assert rest_after(MOST_ENTRIES + 1, 1.0) == 0


class Processors:
    """Which part of them has nothing to do, look by look; the last for ever."""

    def __init__(self, *idle: float) -> None:
        self._idle = list(idle)
        self.looked: list[float] = []

    async def idle_share(self, seconds: float) -> float:
        self.looked.append(seconds)
        return self._idle.pop(0) if len(self._idle) > 1 else self._idle[0]

    async def rested(self, entries: int, worked: float) -> float:
        await give_way(entries, worked, self.idle_share)
        return sum(self.looked)


async def test_in_a_rush_acceptance_goes_first_and_figures_come_all_the_same() -> None:
    assert await Processors(0.02).rested(MOST_ENTRIES, 0.3) == pytest.approx(MOST_ENTRIES / 300 - 0.3)
    assert await Processors(0.02).rested(150, 0.1) == pytest.approx(0.4)
    assert await Processors(0.02).rested(20, 0.2) == 0


async def test_following_goes_on_as_soon_as_processors_have_nothing_to_do() -> None:
    assert await Processors(0.02, 0.02, 0.6).rested(MOST_ENTRIES, 0.3) == pytest.approx(0.6)


async def test_idle_processors_are_read_from_what_the_kernel_tells(tmp_path: Path) -> None:
    told = tmp_path / "stat"

    async def share_between(before: str, after: str) -> float:
        told.write_text(before)
        looking = asyncio.create_task(idle_share(0.01, told))
        await asyncio.sleep(0)
        told.write_text(after)
        return await looking

    # user, nice, system, idle, waiting for the disk, interrupts, soft interrupts, stolen, guests (counted before)
    assert await share_between("cpu  10 0 5 100 3 0 0 2 7 0\ncpu0 1", "cpu  60 5 10 120 8 3 2 12 57 0\ncpu0 9") == 0.25
    assert await share_between("cpu  1 1 1 1 1 1 1 1 0 0\n", "cpu  1 1 1 1 1 1 1 1 0 0\n") == 1
    assert await idle_share(0, tmp_path / "absent") == 1


def told(log_id: str, head: int, seconds: float) -> log_pb2.LogBatch:
    batch = log_pb2.LogBatch(log_id=log_id, head_position=head)
    batch.head_time.FromNanoseconds(int(seconds * 1e9))
    return batch


def rates(*batches: log_pb2.LogBatch) -> list[float]:
    growth = Growth()
    seen = []
    for batch in batches:
        growth.look(batch)
        seen.append(growth.rate)
    return seen


def test_how_fast_a_log_grows_is_told_by_its_head_and_not_by_how_fast_it_is_read() -> None:
    grown = told("a", 5_000, 100.0), told("a", 7_000, 101.0), told("a", 10_000, 102.0), told("a", 10_000, 104.0)
    assert rates(*grown) == [0, 0, 2_000, 0]


def test_what_is_written_all_at_once_is_no_rush_however_much_it_is() -> None:
    assert rates(told("a", 0, 100.0), told("a", 90_000, 101.0), told("a", 90_000, 102.0)) == [0, 0, 0]


def test_a_burst_after_a_stall_is_no_rush() -> None:
    burst = told("a", 0, 100.0), told("a", 300, 100.3), told("a", 700, 101.0), told("a", 1_400, 102.0)
    assert rates(*burst) == [0, 0, 0, 700]


def test_another_log_is_measured_anew_and_a_clock_set_back_does_no_harm() -> None:
    replaced = told("a", 0, 100.0), told("b", 9_000, 102.0)
    set_back = told("b", 9_500, 50.0), told("b", 9_600, 51.0), told("b", 9_700, 52.0)
    assert rates(*replaced, *set_back) == [0, 0, 0, 0, 100]


def test_groups_grow_at_a_high_rate_until_the_rest_is_the_longest() -> None:
    entries, rate, at_first, each = 60.0, 1_500, 0.008, 0.00013
    for _ in range(10):
        worked = at_first + each * entries
        entries = rate * (worked + rest_after(int(entries), worked))
    assert entries == pytest.approx(rate * (at_first + 0.2) / (1 - rate * each), rel=0.05)
