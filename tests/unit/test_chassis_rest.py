"""Followers rest so that groups grow where much comes, and nothing waits longer where little does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chassis.groups import MOST_ENTRIES, rest_after

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


def test_groups_grow_at_a_high_rate_until_the_rest_is_the_longest() -> None:
    entries, rate, at_first, each = 60.0, 1_500, 0.008, 0.00013
    for _ in range(10):
        worked = at_first + each * entries
        entries = rate * (worked + rest_after(int(entries), worked))
    assert entries == pytest.approx(rate * (at_first + 0.2) / (1 - rate * each), rel=0.05)
