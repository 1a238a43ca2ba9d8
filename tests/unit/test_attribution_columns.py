"""Columns as they are laid out in memory for trying models."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.attribution.simulation import joining, lookup
from services.attribution.simulation.joining import Keyed, tied
from services.attribution.simulation.lookup import Lookup, last_of_each
from services.attribution.simulation.stopping import Stop
from services.kernel.failures import FailedPreconditionError

FAR_APART = st.integers(-(2**63), 2**63 - 1)


@given(st.lists(st.one_of(st.integers(-3, 3), FAR_APART), max_size=60), st.data())
def test_of_each_key_the_last_row_stays(keys: list[int], data: st.DataObject) -> None:
    told = data.draw(st.permutations(keys + keys[: len(keys) // 2]))
    found = last_of_each(np.array(told, np.int64))
    assert found.tolist() == [key not in told[number + 1 :] for number, key in enumerate(told)]


def test_keys_that_meet_in_a_slot_are_told_apart() -> None:
    # Hundreds of keys in rows of three: many lose their slot, some of them to keys that come again themselves.
    told = np.random.default_rng(7).permutation(np.repeat(np.arange(5_000) * 2**50, 3))
    found = last_of_each(told)
    assert sorted(told[found].tolist()) == sorted(set(told.tolist()))
    last = {key: number for number, key in enumerate(told.tolist())}
    assert np.flatnonzero(found).tolist() == sorted(last.values())


@given(st.lists(st.integers(-9, 9) | FAR_APART, max_size=40), st.lists(st.integers(-12, 12) | FAR_APART, max_size=40))
def test_keys_are_found_and_nothing_else_is(keys: list[int], others: list[int]) -> None:
    last = {key: place for place, key in enumerate(keys)}
    found = Lookup(np.array(keys, np.int64)).places(np.array(others + keys, np.int64))
    assert found.tolist() == [last.get(value, -1) for value in others + keys]


def test_many_keys_are_found_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "_PART", 999)
    keys = np.random.default_rng(11).permutation(np.arange(20_000) * 2**44)
    found = Lookup(keys).places(np.append(keys, keys + 1))
    assert found.tolist() == [*range(20_000), *[-1] * 20_000]


KEYED = st.lists(st.tuples(st.integers(0, 5), st.integers(-2, 2)), max_size=12)


def keyed(told: list[tuple[int, int]]) -> Keyed:
    return Keyed(*(np.array([one[i] for one in told], np.int64) for i in range(2)))


@given(KEYED, KEYED, st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=6, max_size=6))
def test_what_shares_a_key_is_tied_once(
    left: list[tuple[int, int]], right: list[tuple[int, int]], bounds: list[tuple[int, int]]
) -> None:
    first = np.array([one for one, _ in bounds])
    last = first + np.array([more for _, more in bounds])
    found = tied(keyed(left), keyed(right), (first, last), Stop())
    expected = {
        (mine, theirs)
        for mine, key in left
        for theirs, same in right
        if key == same and first[mine] <= theirs < last[mine]
    }
    assert list(zip(found.left.tolist(), found.right.tolist(), strict=True)) == sorted(expected)


def test_more_than_fits_into_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "_MOST_TIED", 8)
    some, bounds = Keyed(np.arange(3), np.ones(3, np.int64)), (np.zeros(3, np.int64), np.full(3, 3))
    with pytest.raises(FailedPreconditionError, match="fewer days"):
        tied(some, some, bounds, Stop())
    assert len(tied(some, some, (bounds[0], bounds[1] - 1), Stop()).left) == 6
