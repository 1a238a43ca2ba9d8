"""Who is assigned to which variant: exact shares, and the same answer for ever."""

from collections import Counter
from fractions import Fraction

import pytest

from services.reporting.domain.experiments.definition import HOLDOUT, Arm, Experiment, State, assigned

VISITORS = [f"visitor-{number}" for number in range(20_000)]


def experiment(*weights: int, holdout: int = 0, salt: str = "exp-1") -> Experiment:
    return Experiment(
        experiment_id="exp-1",
        display_name="",
        arms=tuple(Arm(variant=f"arm{place}", weight=weight) for place, weight in enumerate(weights)),
        holdout_basis_points=holdout,
        salt=salt,
        control="arm0",
        start=1_000,
        end=2_000,
        window=10,
        pre_period=0,
    )


def test_a_visitor_is_assigned_as_written_down_once_for_ever():
    asked = experiment(1, 1, 2, holdout=2_000)
    found = [assigned(asked, visitor) for visitor in ("v-1", "v-2", "v-3", "v-4", "v-5", "v-6", "v-7", "Ü €")]
    assert found == ["arm1", "arm2", "arm2", "arm2", "arm2", "arm1", "arm2", HOLDOUT]


@pytest.mark.parametrize(
    ("weights", "holdout", "shares"),
    [
        ((1, 1), 0, {"arm0": 0.5, "arm1": 0.5}),
        ((70, 0, 30), 0, {"arm0": 0.7, "arm2": 0.3}),
        ((1, 2), 1_000, {HOLDOUT: 0.1, "arm0": 0.3, "arm1": 0.6}),
        ((0, 5), 0, {"arm1": 1.0}),
        ((1,), 10_000, {HOLDOUT: 1.0}),
    ],
)
def test_visitors_are_shared_out_by_the_weights(weights, holdout, shares):
    asked = experiment(*weights, holdout=holdout)
    counts = Counter(assigned(asked, visitor) for visitor in VISITORS)
    assert set(counts) == set(shares)
    for variant, share in shares.items():
        # Four standard deviations.
        assert abs(counts[variant] - share * len(VISITORS)) <= 4 * (len(VISITORS) * share * (1 - share)) ** 0.5
    told = {variant: share for variant, share in asked.shares().items() if share}
    assert {variant: float(share) for variant, share in told.items()} == pytest.approx(shares)
    assert sum(asked.shares().values()) == Fraction(1)


def test_another_weight_moves_only_those_whose_place_comes_to_be_another_arms():
    before, after = experiment(50, 50), experiment(60, 40)
    moved = Counter(
        (assigned(before, visitor), assigned(after, visitor))
        for visitor in VISITORS
        if assigned(before, visitor) != assigned(after, visitor)
    )
    assert set(moved) == {("arm1", "arm0")}
    assert abs(moved["arm1", "arm0"] - 0.1 * len(VISITORS)) < 200


def test_another_holdout_moves_nobody_from_arm_to_arm():
    before, after = experiment(1, 1, holdout=500), experiment(1, 1, holdout=1_500)
    moved = {
        (assigned(before, visitor), assigned(after, visitor))
        for visitor in VISITORS
        if assigned(before, visitor) != assigned(after, visitor)
    }
    assert moved == {("arm0", HOLDOUT), ("arm1", HOLDOUT)}


def test_experiments_with_other_salts_are_independent():
    left, right = experiment(1, 1, salt="left"), experiment(1, 1, salt="right")
    both = sum(assigned(left, visitor) == assigned(right, visitor) for visitor in VISITORS)
    assert abs(both - len(VISITORS) / 2) <= 4 * (len(VISITORS) / 4) ** 0.5


def test_the_start_belongs_to_an_experiment_and_the_end_does_not():
    states = [experiment(1).state(now) for now in (999, 1_000, 1_999, 2_000)]
    assert states == [State.NOT_STARTED, State.RUNNING, State.RUNNING, State.ENDED]
