"""The statistics of experiments, beside what scipy and statsmodels find: imported where needed, for that takes long."""

import math

import numpy as np
import pytest

from services.reporting.domain.experiments import statistics
from services.reporting.domain.experiments.definition import Arm, Experiment, history
from services.reporting.domain.experiments.people import Person, Purchase
from services.reporting.domain.experiments.results import Results, results
from services.reporting.domain.experiments.statistics import Mean, Share
from services.reporting.domain.experiments.sums import count

SHARES = [(Share(30, 200), Share(20, 210)), (Share(1, 40), Share(0, 35)), (Share(900, 1_000), Share(1_000, 1_000))]
DAY = 86_400 * 10**9


def mean_of(values: np.ndarray) -> Mean:
    return Mean(float(values.mean()), float(values.var(ddof=1)), len(values))


@pytest.fixture(scope="module")
def samples() -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(7)
    return (
        np.round(chance.gamma(0.4, 60, 180), 2),
        np.round(chance.gamma(0.4, 50, 240), 2),
    )


@pytest.mark.parametrize("share", [one for pair in SHARES for one in pair])
def test_a_rates_interval_is_wilsons(share):
    from statsmodels.stats import proportion

    expected = proportion.proportion_confint(share.hits, share.people, method="wilson")
    found = statistics.rate(share)
    assert found == pytest.approx((share.rate, *expected), abs=1e-12)


@pytest.mark.parametrize(("treated", "control"), SHARES)
def test_a_difference_of_rates_has_newcombes_interval(treated, control):
    from statsmodels.stats import proportion

    expected = proportion.confint_proportions_2indep(*treated, *control, method="newcomb", compare="diff")
    assert statistics.rate_difference(treated, control)[1:] == pytest.approx(expected, abs=1e-12)


def test_a_lift_of_rates_has_the_interval_of_the_ratios_logarithm():
    from statsmodels.stats import proportion

    treated, control = SHARES[0]
    low, high = proportion.confint_proportions_2indep(*treated, *control, method="log", compare="ratio")
    expected = (treated.rate / control.rate - 1, low - 1, high - 1)
    assert statistics.rate_lift(treated, control) == pytest.approx(expected, abs=1e-12)
    assert statistics.rate_lift(Share(3, 10), Share(0, 10)) is None


@pytest.mark.parametrize(
    ("treated", "control"),
    [*SHARES, (Share(0, 5), Share(0, 5)), (Share(5_100, 100_000), Share(5_000, 100_000)), (Share(2, 2), Share(0, 9))],
)
def test_a_rate_beats_another_as_often_as_draws_do(treated, control):
    chance = np.random.default_rng(3)
    draws = 400_000
    left = chance.beta(treated.hits + 1, treated.people - treated.hits + 1, draws)
    right = chance.beta(control.hits + 1, control.people - control.hits + 1, draws)
    assert statistics.beats_by_rate(treated, control) == pytest.approx(float((left > right).mean()), abs=0.004)
    both = statistics.beats_by_rate(treated, control) + statistics.beats_by_rate(control, treated)
    assert both == pytest.approx(1, abs=1e-7)


def test_one_of_two_beats_none_of_one_with_the_probability_that_integration_by_hand_gives():
    # Beta(2, 2) above Beta(1, 2): the integral of 6x(1 - x)(1 - (1 - x)^2) is 0.7.
    assert statistics.beats_by_rate(Share(1, 2), Share(0, 1)) == pytest.approx(0.7, abs=1e-9)


def test_means_have_students_and_welchs_intervals(samples):
    from scipy import stats
    from statsmodels.stats import weightstats

    treated, control = samples
    expected = stats.t.interval(0.95, len(treated) - 1, loc=treated.mean(), scale=stats.sem(treated))
    assert statistics.mean(mean_of(treated))[1:] == pytest.approx(expected)
    compared = weightstats.CompareMeans(weightstats.DescrStatsW(treated), weightstats.DescrStatsW(control))
    expected = compared.tconfint_diff(usevar="unequal")
    assert statistics.mean_difference(mean_of(treated), mean_of(control))[1:] == pytest.approx(expected)


def test_what_has_no_spread_has_no_probability():
    same = Mean(5.0, 0.0, 10)
    assert statistics.mean_difference(same, same) == (0, 0, 0)
    assert statistics.beats_by_mean(same, same) is None
    assert statistics.sequential(same, same) is None
    assert statistics.mean(Mean(5.0, 0.0, 1)) == (5, None, None)
    assert statistics.mean_difference(Mean(5.0, 0.0, 1), Mean(3.0, 1.0, 9)) == (2, None, None)


def test_a_mean_beats_another_by_the_normal_distribution(samples):
    from scipy import stats

    treated, control = map(mean_of, samples)
    z = (treated.value - control.value) / math.sqrt(treated.squared_error + control.squared_error)
    assert statistics.beats_by_mean(treated, control) == pytest.approx(stats.norm.cdf(z))


def test_a_lift_of_means_covers_the_truth_as_often_as_it_says():
    chance = np.random.default_rng(11)
    covered = 0
    for _ in range(400):
        treated, control = chance.gamma(2, 11, 300), chance.gamma(2, 10, 300)
        _, low, high = statistics.mean_lift(mean_of(treated), mean_of(control))
        covered += low <= 0.1 <= high
    assert 0.92 <= covered / 400 <= 0.98
    assert statistics.mean_lift(Mean(0.0, 1.0, 9), Mean(1.0, 1.0, 9)) is None


def test_the_sample_ratio_is_pearsons():
    from scipy import stats

    expected = stats.chisquare([510, 480, 1_010], [500, 500, 1_000])
    found = statistics.chi_square([510, 480, 1_010], [500.0, 500.0, 1_000.0])
    assert (found.statistic, found.p_value) == pytest.approx((expected.statistic, expected.pvalue))
    assert found.degrees_of_freedom == 2
    assert statistics.chi_square([5], [5.0]) is None
    assert statistics.chi_square([0, 0], [0.5, 0.5]) is None


def test_a_confidence_sequence_is_wider_than_an_interval_and_leaves_0_when_the_p_value_says_so(samples):
    treated, control = map(mean_of, samples)
    difference, p_value = statistics.sequential(treated, control)
    fixed = statistics.mean_difference(treated, control)
    assert difference.low < fixed.low < fixed.high < difference.high
    assert (p_value <= statistics.ALPHA) == (difference.low > 0 or difference.high < 0)
    # Where the sequence just touches 0, the p-value is alpha.
    touching = Mean(control.value + difference.value - difference.low, treated.variance, treated.people)
    assert statistics.sequential(touching, control).p_value == pytest.approx(statistics.ALPHA)
    assert statistics.sequential(Mean(1.0, 1.0, 99), control) is None


@pytest.mark.parametrize("kind", ["conversion", "revenue"])
def test_who_looks_again_and_again_at_two_equal_variants_is_misled_in_fewer_than_one_of_twenty(kind):
    chance, trials, steps = np.random.default_rng(2026), 600, range(100, 5_001, 100)
    misled = naively = 0
    for _ in range(trials):
        bought = chance.random((2, steps[-1])) < 0.05
        values = bought * (1.0 if kind == "conversion" else chance.lognormal(3, 1, bought.shape))
        sums, squares = values.cumsum(axis=1), (values**2).cumsum(axis=1)
        always = fixed = False
        for people in steps:
            treated, control = (
                Mean(total / people, float(square - total**2 / people) / (people - 1), people)
                for total, square in zip(sums[:, people - 1].tolist(), squares[:, people - 1].tolist(), strict=True)
            )
            found = statistics.sequential(treated, control)
            if found is None:
                continue
            always |= found.p_value <= statistics.ALPHA
            error = math.sqrt(treated.squared_error + control.squared_error)
            fixed |= abs(treated.value - control.value) > 1.96 * error
        misled += always
        naively += fixed
    assert misled / trials < statistics.ALPHA
    # The test can tell: intervals of a single look do mislead.
    assert naively / trials > 0.2


def experiment() -> Experiment:
    return Experiment(
        experiment_id="exp",
        display_name="",
        arms=(Arm(variant="a", weight=1), Arm(variant="b", weight=1), Arm(variant="c", weight=1)),
        holdout_basis_points=0,
        salt="exp",
        control="a",
        start=0,
        end=None,
        window=7 * DAY,
        pre_period=7 * DAY,
    )


def counted(rows: list[tuple[str, int, int]]) -> Results:
    def bought(micros: int, time: int) -> tuple[Purchase, ...]:
        return (Purchase("shop", f"{time}", time, "EUR", micros, micros, (), ()),) if micros else ()

    people = [
        Person(
            variant=variant,
            exposed_at=10 * DAY,
            contaminated=False,
            purchases=bought(before, 5 * DAY) + bought(after, 11 * DAY),
        )
        for variant, before, after in rows
    ]
    asked = experiment()
    return results(asked, count(asked, people, "EUR", history([(0, asked)])))


def test_cuped_is_the_regression_on_the_pre_period():
    from statsmodels.regression.linear_model import OLS

    chance = np.random.default_rng(5)
    rows = []
    for variant, effect in (("a", 0), ("b", 3), ("c", 0)) * 120:
        before = int(chance.gamma(1, 20) * 100) * 10_000
        rows.append((variant, before, before // 2 + int((chance.gamma(1, 10) + effect) * 100) * 10_000))
    found = counted(rows)
    before, after = (np.array([row[place] for row in rows]) / 1e6 for place in (1, 2))
    arms = np.array([[row[0] == variant for variant in "abc"] for row in rows], dtype=float)
    fitted = OLS(after, np.column_stack([arms, before])).fit()
    assert found.theta == pytest.approx(fitted.params[3])
    plain, better, _ = found.variants
    differs = fitted.params[1] - fitted.params[0]
    assert better.comparison.adjusted_difference.value == pytest.approx(differs)
    assert better.adjusted_per_person.value - plain.adjusted_per_person.value == pytest.approx(differs)
    # The regression takes one spread for all variants; ours are their own, and near it.
    low, high = fitted.t_test(np.array([-1, 1, 0, 0])).conf_int()[0]
    adjusted = better.comparison.adjusted_difference
    assert adjusted.high - adjusted.low == pytest.approx(high - low, rel=0.1)
    plainly = better.comparison.revenue_difference
    assert adjusted.high - adjusted.low < 0.8 * (plainly.high - plainly.low)


def test_sums_of_whole_numbers_give_the_mean_and_the_spread_of_single_values():
    from scipy import stats

    values = [0, 0, 12_340_000, 99_990_000, 5_000_000]
    found = counted([("a", 0, value) for value in values] + [("b", 0, 0)] * 5)
    units = np.array(values) / 1e6
    expected = stats.t.interval(0.95, len(units) - 1, loc=units.mean(), scale=stats.sem(units))
    assert found.variants[0].revenue_per_person == pytest.approx((units.mean(), *expected))
    assert found.theta is None
