"""Columns as they are laid out in memory for trying models."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.attribution.simulation.lookup import last_of_each

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
