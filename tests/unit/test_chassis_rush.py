"""In a rush acceptance goes first, and figures come all the same."""

import pytest
from touchstone.mesh.v1 import log_pb2

from services.chassis.groups import MOST_ENTRIES
from services.chassis.rush import Rush


class Processors:
    """Which part of them has nothing to do, look by look; the last for ever."""

    def __init__(self, *idle: float) -> None:
        self._idle = list(idle)
        self.rush = Rush(self._idle_share)
        self.rested = 0.0

    async def _idle_share(self, seconds: float) -> float:
        self.rested += seconds
        return self._idle.pop(0) if len(self._idle) > 1 else self._idle[0]


@pytest.mark.parametrize(("entries", "seconds"), [(MOST_ENTRIES, MOST_ENTRIES / 100), (50, 0.5), (0, 0)])
async def test_a_rest_is_as_long_as_its_group_is_large(entries: int, seconds: float) -> None:
    processors = Processors(0.02)
    grow(processors.rush)
    await processors.rush.give_way(entries)
    assert processors.rested == pytest.approx(seconds)


async def test_partitions_that_grow_share_what_is_followed() -> None:
    processors = Processors(0.02)
    for partition in range(3):
        grow(processors.rush, partition)
    processors.rush.look(told("a", 7, 100.0, 3))
    await processors.rush.give_way(50)
    assert processors.rested == pytest.approx(3 * 0.5)


async def test_following_goes_on_as_soon_as_processors_have_nothing_to_do() -> None:
    processors = Processors(0.02, 0.02, 0.6)
    grow(processors.rush)
    await processors.rush.give_way(MOST_ENTRIES)
    assert processors.rested == pytest.approx(0.6)


def told(log_id: str, head: int, seconds: float, partition: int = 0) -> log_pb2.LogBatch:
    batch = log_pb2.LogBatch(log_id=log_id, partition=partition, head_position=head)
    batch.head_time.FromNanoseconds(int(seconds * 1e9))
    return batch


def grow(rush: Rush, partition: int = 0) -> None:
    for tick in range(3):
        rush.look(told("a", tick * 600, 100.0 + tick, partition))


def rates(*batches: log_pb2.LogBatch) -> list[float]:
    rush = Rush()
    seen = []
    for batch in batches:
        rush.look(batch)
        seen.append(rush.rate)
    return seen


def test_how_fast_a_log_grows_is_told_by_its_head_and_not_by_how_fast_it_is_read() -> None:
    grown = told("a", 5_000, 100.0), told("a", 7_000, 101.0), told("a", 10_000, 102.0), told("a", 10_000, 104.0)
    assert rates(*grown) == [0, 0, 2_000, 0]


def test_many_shops_with_little_each_are_a_rush_too() -> None:
    rush = Rush()
    for partition in range(8):
        for tick in range(3):
            rush.look(told("a", 200 * tick, 100.0 + tick, partition))
    assert rush.rate == pytest.approx(8 * 200)
    assert rush.is_on


def test_a_quiet_partition_does_not_hide_one_whose_batches_wait() -> None:
    rush = Rush()
    grow(rush, 0)
    grow(rush, 1)
    for tick in range(1, 20):
        rush.look(told("a", 7, 100.0 + tick, 2))
        assert rush.is_on


def test_what_is_written_all_at_once_is_no_rush_however_much_it_is() -> None:
    assert rates(told("a", 0, 100.0), told("a", 90_000, 101.0), told("a", 90_000, 102.0)) == [0, 0, 0]


def test_a_burst_after_a_stall_is_no_rush() -> None:
    rush = Rush()
    # 700 a second; nothing for a while, and then what had waited as fast as it is taken.
    for head, seconds in ((0, 100.0), (175, 100.25), (175, 100.6), (525, 100.85), (700, 101.1), (875, 101.35)):
        rush.look(told("a", head, seconds))
        assert not rush.is_on


def test_another_log_is_measured_anew_and_a_clock_set_back_does_no_harm() -> None:
    replaced = told("a", 0, 200.0), told("b", 9_000, 202.0)
    set_back = told("b", 9_500, 50.0), told("b", 9_600, 51.0), told("b", 9_700, 52.0)
    assert rates(*replaced, *set_back) == [0, 0, 0, 0, 100]
