"""Followers rest so that groups grow where much comes, and nothing waits longer where little does."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from touchstone.mesh.v1 import log_pb2

from services.chassis.groups import MOST_ENTRIES
from services.chassis.niceness import seconds_without_processor
from services.chassis.resting import Growth, rest_after

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


@given(st.integers(0, 2 * MOST_ENTRIES), some_seconds, some_seconds, st.floats(0, 1_000))
def test_what_is_promised_to_be_followed_closely_is_however_short_processors_are(
    entries: int, worked: float, waited: float, growth: float
) -> None:
    assert rest_after(entries, worked, waited=waited, growth=growth) == rest_after(entries, worked)


@given(st.integers(0, 2 * MOST_ENTRIES), some_seconds)
def test_a_rush_changes_nothing_where_there_are_processors_enough(entries: int, worked: float) -> None:
    assert rest_after(entries, worked, waited=0.04 * worked, growth=5_000) == rest_after(entries, worked)


def test_in_a_rush_acceptance_goes_first_and_figures_come_all_the_same() -> None:
    assert rest_after(MOST_ENTRIES, 0.3, waited=0.1, growth=2_000) == 1.5
    assert rest_after(150, 0.1, waited=0.1, growth=2_000) == pytest.approx(0.4)
    assert rest_after(20, 0.2, waited=0.1, growth=2_000) == 0


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
