"""Weights learned from paths: by hand, by their axioms, and beside independent libraries."""

import csv
import gzip
import json
from collections import Counter
from fractions import Fraction
from itertools import permutations
from math import factorial, sqrt
from pathlib import Path
from statistics import mean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.attribution.simulation.markov import removal_effects
from services.attribution.simulation.shapley import shapley_values
from services.attribution.simulation.walked import Walked

RECORDED = Path(__file__).parent.parent / "recorded"
DATASET = Path(__file__).parents[3] / "shared" / "datasets" / "mta_eeghor" / "data.csv.gz"

PATHS = st.dictionaries(
    st.lists(st.sampled_from("ABCD"), min_size=1, max_size=5).map(tuple),
    st.tuples(st.integers(0, 5), st.integers(0, 5)).map(lambda both: Walked(sum(both), both[0])),
    max_size=6,
)


def walked(**paths: tuple[int, int]) -> dict[tuple[str, ...], Walked]:
    """Paths named by their channels' letters, with how often each was walked and converted."""
    return {tuple(path): Walked(*counts) for path, counts in paths.items()}


def test_three_paths_by_hand() -> None:
    # C1>C2>C3 converts, C1 and C2>C3 don't: one in three converts. Nobody comes past C2 or C3 without it; without C1,
    # those that begin with C2 still do, half as many.
    found = removal_effects(walked(ABC=(1, 1), A=(1, 0), BC=(1, 0)))
    assert {channel: one.removal_effect for channel, one in found.items()} == {"A": Fraction(1, 2), "B": 1, "C": 1}
    assert {channel: one.credit for channel, one in found.items()} == {
        "A": Fraction(1, 5),
        "B": Fraction(2, 5),
        "C": Fraction(2, 5),
    }


def test_a_channel_after_itself_is_no_step() -> None:
    assert removal_effects(walked(AAAB=(2, 1), BBA=(1, 0))) == removal_effects(walked(AB=(2, 1), BA=(1, 0)))


def test_people_who_go_in_circles() -> None:
    # From A half go on to B, a quarter convert, a quarter don't; all who are at B come back to A. So of those at A,
    # half convert in the end, and none without A; without B, a quarter.
    found = removal_effects(walked(A=(2, 1), ABA=(2, 1)))
    assert {channel: one.removal_effect for channel, one in found.items()} == {"A": 1, "B": Fraction(1, 3)}


def test_what_leads_nowhere_loses_nothing() -> None:
    found = removal_effects(walked(A=(2, 1), B=(5, 0)))
    assert (found["A"].credit, found["B"].credit, found["B"].removal_effect) == (1, 0, 0)


@pytest.mark.parametrize("paths", [{}, walked(A=(3, 0), AB=(1, 0))])
def test_without_a_conversion_there_is_nothing_to_learn(paths: dict) -> None:
    assert removal_effects(paths) == {}
    assert sum(shapley_values(paths).values()) == 0


@given(PATHS)
def test_markov_credits_are_parts_of_a_whole(paths: dict) -> None:
    found = removal_effects(paths)
    if any(one.converted for one in paths.values()):
        assert sum(one.credit for one in found.values()) == 1
        assert all(0 <= one.removal_effect <= 1 for one in found.values())
    else:
        assert not found


def test_shapley_by_hand() -> None:
    # Five come by A alone, three need A and B, six all three.
    found = shapley_values(walked(A=(9, 5), AB=(4, 2), BA=(1, 1), CBAC=(6, 6)))
    assert found == {"A": 5 + Fraction(3, 2) + 2, "B": Fraction(3, 2) + 2, "C": 2}


@given(PATHS)
def test_shapley_is_the_average_over_all_sequences(paths: dict) -> None:
    channels = sorted({channel for path in paths for channel in path})
    added = Counter()
    for sequence in permutations(channels):
        for place, channel in enumerate(sequence):
            added[channel] += worth(paths, sequence[: place + 1]) - worth(paths, sequence[:place])
    expected = {channel: Fraction(added[channel], factorial(len(channels))) for channel in channels}
    assert shapley_values(paths) == expected
    assert sum(expected.values()) == sum(one.converted for one in paths.values())


def worth(paths: dict, channels: tuple[str, ...]) -> int:
    return sum(one.converted for path, one in paths.items() if set(path) <= set(channels))


@pytest.fixture(scope="module")
def real_paths() -> dict[tuple[str, ...], Walked]:
    if not DATASET.exists():
        pytest.skip(f"needs the paths of mta 0.0.9 at {DATASET}")
    counts: dict[tuple[str, ...], tuple[int, int]] = {}
    with gzip.open(DATASET, "rt") as file:
        for row in csv.DictReader(file):
            path, converted = tuple(row["path"].split(" > ")), int(row["total_conversions"])
            every, before = counts.get(path, (0, 0))
            counts[path] = (every + converted + int(row["total_null"]), before + converted)
    return {path: Walked(*both) for path, both in counts.items()}


def test_removal_effects_are_those_that_another_library_simulates(real_paths: dict) -> None:
    recorded = json.loads((RECORDED / "channel_attribution.json").read_text())
    found = removal_effects(real_paths)
    assert found.keys() == recorded.keys()
    for channel, runs in recorded.items():
        # Four standard errors of the mean of its runs: one in many thousand right answers is further away.
        error = stdev(runs) / sqrt(len(runs))
        assert abs(float(found[channel].removal_effect) - mean(runs)) < 4 * error, channel


def test_shapley_values_are_those_of_another_library(real_paths: dict) -> None:
    recorded = json.loads((RECORDED / "mta.json").read_text())
    found = shapley_values(real_paths)
    together = sum(found.values())
    assert together == 19_785
    assert {channel: float(value / together) for channel, value in found.items()} == pytest.approx(recorded, abs=1e-6)
