"""Followers rest so that groups grow where much comes, and nothing waits longer where little does."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chassis.groups import MOST_ENTRIES
from services.chassis.processors import idle_share
from services.chassis.resting import rest_after

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


def test_groups_grow_at_a_high_rate_until_the_rest_is_the_longest() -> None:
    entries, rate, at_first, each = 60.0, 1_500, 0.008, 0.00013
    for _ in range(10):
        worked = at_first + each * entries
        entries = rate * (worked + rest_after(int(entries), worked))
    assert entries == pytest.approx(rate * (at_first + 0.2) / (1 - rate * each), rel=0.05)
