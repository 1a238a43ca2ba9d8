"""Followers rest so that groups grow where much comes, and nothing waits longer where little does."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chassis.groups import MOST_ENTRIES, rest_after
from services.chassis.niceness import seconds_without_processor

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


@given(st.integers(0, 2 * MOST_ENTRIES), some_seconds, some_seconds)
def test_who_waits_for_processors_leaves_them_to_others_for_longer(entries: int, worked: float, waited: float) -> None:
    rest = rest_after(entries, worked, waited)
    assert rest_after(entries, worked) <= rest <= max(0.6, rest_after(entries, worked))
    if entries >= MOST_ENTRIES:
        assert rest == min(3 * waited, 0.6)


def test_a_full_group_is_not_followed_at_once_where_processors_are_short() -> None:
    assert rest_after(MOST_ENTRIES, 1.0, 0.1) == pytest.approx(0.3)


def test_where_little_comes_nothing_waits_longer_however_short_processors_are() -> None:
    assert rest_after(20, 0.05, 10.0) == rest_after(20, 0.05)


def test_waiting_for_a_processor_is_read_from_what_the_kernel_tells(tmp_path: Path) -> None:
    told = tmp_path / "schedstat"
    told.write_text("5000000000 1500000000 420\n")
    assert seconds_without_processor(told) == 1.5
    assert seconds_without_processor(tmp_path / "absent") == 0


def test_groups_grow_at_a_high_rate_until_the_rest_is_the_longest() -> None:
    entries, rate, at_first, each = 60.0, 1_500, 0.008, 0.00013
    for _ in range(10):
        worked = at_first + each * entries
        entries = rate * (worked + rest_after(int(entries), worked))
    assert entries == pytest.approx(rate * (at_first + 0.2) / (1 - rate * each), rel=0.05)
