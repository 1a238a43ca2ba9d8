"""Many sums split at once are split as each by itself."""

from fractions import Fraction

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from services.attribution.simulation.splits import Weights, groups, split
from services.kernel.money import minor_unit
from services.kernel.money import split as split_one

TOTALS = st.one_of(st.integers(-1000, 100_000).map(lambda cents: cents * 10_000), st.integers(-(10**18), 10**18))
CURRENCIES = st.sampled_from(["EUR", "JPY", "KWD"])
FLOATS = st.one_of(
    st.sampled_from([0.1, 0.2, 0.3, 0.6, 0.7, 0.25, 0.5, 1.0, 1 / 3]),
    st.floats(1e-6, 1e6),
    st.integers(0, 60).map(lambda halvings: 2.0**-halvings),
)


def sums_of(weights):
    return st.lists(st.tuples(TOTALS, CURRENCIES, st.lists(weights, min_size=1, max_size=6)), max_size=8)


def columns(sums):
    keys = np.array([number for number, (*_, weights) in enumerate(sums) for _ in weights], np.int64)
    totals = np.array([total for total, _, _ in sums], np.int64)
    units = np.array([minor_unit(currency) for _, currency, _ in sums], np.int64)
    return totals, units, groups(keys)


def one_by_one(sums):
    return [
        part
        for total, currency, weights in sums
        for part in split_one(total, [Fraction(one) for one in weights], currency)
    ]


@given(sums_of(st.integers(1, 50)).filter(bool))
def test_whole_weights(sums):
    totals, units, grouped = columns(sums)
    weights = np.array([weight for *_, weights in sums for weight in weights], np.int64)
    assert split(totals, units, grouped, Weights(weights)).tolist() == one_by_one(sums)


@given(sums_of(FLOATS).filter(bool))
@example([(68_719_470_000, "EUR", [0.1, 0.5, 999_999.9999999999, 1e6, 1e6])])
def test_floating_weights(sums):
    totals, units, grouped = columns(sums)
    weights = np.array([weight for *_, weights in sums for weight in weights], np.float64)
    shares = [[Fraction(one) for one in weights] for *_, weights in sums]
    assert split(totals, units, grouped, Weights(None, weights, shares.__getitem__)).tolist() == one_by_one(sums)


def test_few_sums_are_doubted():
    random = np.random.default_rng(7)
    sizes = random.integers(2, 6, 5_000)
    grouped = groups(np.repeat(np.arange(len(sizes)), sizes))
    weights = random.random(sizes.sum())
    doubted = []

    def exact(group):
        doubted.append(group)
        start = grouped.start[group]
        return [Fraction(one) for one in weights[start : start + grouped.size[group]].tolist()]

    totals = random.integers(1, 10**6, len(sizes)) * 10_000
    parts = split(totals, np.full(len(sizes), 10_000), grouped, Weights(None, weights, exact))
    assert np.add.reduceat(parts, grouped.start).tolist() == totals.tolist()
    assert len(doubted) < 5
