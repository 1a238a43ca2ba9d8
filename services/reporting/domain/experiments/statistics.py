"""The statistics of a comparison: intervals, probabilities, the sample ratio, and what may be read at any time."""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from scipy import special

CONFIDENCE: Final = 0.95
ALPHA: Final = 1 - CONFIDENCE
BROKEN_SPLIT: Final = 0.001
"""A sample-ratio p-value below this is a broken split."""

_TIGHTEST_AT: Final = 5_000.0
"""The size at which confidence sequences are tightest: n·m / (n + m) of two groups, so two of 10,000 people."""

FEWEST_FOR_SEQUENCE: Final = 100
"""People that each group needs before a confidence sequence is told: it rests on the central limit theorem."""

_NOTHING: Final = 1e-13
"""A probability that is left out of integrals."""

_Z: Final = float(special.ndtri(1 - ALPHA / 2))
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)


class Interval(NamedTuple):
    """A figure and its 95% interval; without one both ends are None."""

    value: float
    low: float | None = None
    high: float | None = None


class Share(NamedTuple):
    """So many of so many people; `people` above 0."""

    hits: int
    people: int

    @property
    def rate(self) -> float:
        """Hits per person."""
        return self.hits / self.people


class Mean(NamedTuple):
    """A mean and the variance of single values (n - 1 below the line; 0 of a single one), of so many people."""

    value: float
    variance: float
    people: int

    @property
    def squared_error(self) -> float:
        """The variance of the mean."""
        return self.variance / self.people


class Sequential(NamedTuple):
    """A difference with its confidence sequence, and the always-valid p-value."""

    difference: Interval
    p_value: float


class ChiSquare(NamedTuple):
    """Pearson's statistic, its degrees of freedom and the probability of one as large or larger."""

    statistic: float
    degrees_of_freedom: int
    p_value: float


def rate(share: Share) -> Interval:
    """A rate with Wilson's score interval (Wilson 1927)."""
    n, p = share.people, share.rate
    centre = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z * math.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2)) / (1 + _Z**2 / n)
    return Interval(p, max(0.0, centre - half), min(1.0, centre + half))


def rate_difference(treated: Share, control: Share) -> Interval:
    """A difference of two rates with Newcombe's interval from Wilson's (Newcombe 1998, method 10)."""
    (p, low, high), (q, control_low, control_high) = _ends(rate(treated)), _ends(rate(control))
    return Interval(
        p - q,
        p - q - math.hypot(p - low, control_high - q),
        p - q + math.hypot(high - p, q - control_low),
    )


def _ends(interval: Interval) -> tuple[float, float, float]:
    value, low, high = interval
    return value, value if low is None else low, value if high is None else high


def rate_lift(treated: Share, control: Share) -> Interval | None:
    """A relative difference with the interval of the ratio's logarithm (Katz 1978); None where either has no hits."""
    if not treated.hits or not control.hits:
        return None
    error = math.sqrt(1 / treated.hits - 1 / treated.people + 1 / control.hits - 1 / control.people)
    return _lift(treated.rate / control.rate, error)


def _lift(ratio: float, error: float) -> Interval:
    return Interval(ratio - 1, ratio * math.exp(-_Z * error) - 1, ratio * math.exp(_Z * error) - 1)


def beats_by_rate(treated: Share, control: Share) -> float:
    """Probability that one rate is above another: both Beta(1, 1) before the data, which are binomial.

    The integral of one density times the other's distribution, by Gauss and Legendre where the density is above nothing.
    """
    a, b = treated.hits + 1, treated.people - treated.hits + 1
    c, d = control.hits + 1, control.people - control.hits + 1
    low, high = float(special.betaincinv(a, b, _NOTHING)), 1 - float(special.betaincinv(b, a, _NOTHING))
    x = (high - low) / 2 * _NODES + (high + low) / 2
    density = np.exp((a - 1) * np.log(x) + (b - 1) * np.log1p(-x) - special.betaln(a, b))
    found = float(np.sum(_WEIGHTS * density * special.betainc(c, d, x)) * (high - low) / 2)
    return min(max(found, 0.0), 1.0)


def mean(of: Mean) -> Interval:
    """A mean with Student's interval; without one of a single person."""
    if of.people < 2:
        return Interval(of.value)
    half = float(special.stdtrit(of.people - 1, 1 - ALPHA / 2)) * math.sqrt(of.squared_error)
    return Interval(of.value, of.value - half, of.value + half)


def mean_difference(treated: Mean, control: Mean) -> Interval:
    """A difference of two means with Welch's interval; without one where either is a single person's."""
    difference = treated.value - control.value
    if treated.people < 2 or control.people < 2:
        return Interval(difference)
    squared = treated.squared_error + control.squared_error
    if not squared:
        return Interval(difference, difference, difference)
    freedom = squared**2 / (
        treated.squared_error**2 / (treated.people - 1) + control.squared_error**2 / (control.people - 1)
    )
    half = float(special.stdtrit(freedom, 1 - ALPHA / 2)) * math.sqrt(squared)
    return Interval(difference, difference - half, difference + half)


def mean_lift(treated: Mean, control: Mean) -> Interval | None:
    """A relative difference, its interval by the delta method for the ratio's logarithm; None unless both are above 0."""
    if treated.value <= 0 or control.value <= 0:
        return None
    ratio = treated.value / control.value
    if treated.people < 2 or control.people < 2:
        return Interval(ratio - 1)
    return _lift(ratio, math.sqrt(treated.squared_error / treated.value**2 + control.squared_error / control.value**2))


def beats_by_mean(treated: Mean, control: Mean) -> float | None:
    """Probability that one mean is above another: normal, flat before the data. None where nothing varies."""
    squared = treated.squared_error + control.squared_error
    if not squared or treated.people < 2 or control.people < 2:
        return None
    return float(special.ndtr((treated.value - control.value) / math.sqrt(squared)))


def sequential(treated: Mean, control: Mean) -> Sequential | None:
    """A difference that may be looked at again and again; None while either has too few people, or nothing varies.

    The Gaussian mixture boundary of asymptotic confidence sequences (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas,
    "Time-uniform central limit theory and asymptotic confidence sequences", arXiv 2103.06476), for a difference of two
    means: with V its variance and t = n·m / (n + m) the size, the half-width is
    sqrt(V · (t·r² + 1) / (t·r²) · (2·ln(1 / alpha) + ln(t·r² + 1))). r² = (2·ln(1 / alpha) + ln(2·ln(1 / alpha) + 1)) / t* makes
    it tightest about t*. The p-value is the alpha at which the sequence would just touch 0: one over the mixture
    likelihood ratio of the mSPRT (Johari, Koomen, Pekelis and Walsh, "Always valid inference", 2022).
    """
    squared = treated.squared_error + control.squared_error
    if min(treated.people, control.people) < FEWEST_FOR_SEQUENCE or not squared:
        return None
    difference = treated.value - control.value
    size = treated.people * control.people / (treated.people + control.people)
    spread = 2 * math.log(1 / ALPHA)
    mixed = size * (spread + math.log(spread + 1)) / _TIGHTEST_AT
    half = math.sqrt(squared * (mixed + 1) / mixed * (spread + math.log(mixed + 1)))
    exponent = math.log(mixed + 1) / 2 - difference**2 / squared / 2 * mixed / (mixed + 1)
    return Sequential(Interval(difference, difference - half, difference + half), math.exp(min(exponent, 0.0)))


def chi_square(observed: Sequence[int], expected: Sequence[float]) -> ChiSquare | None:
    """Pearson's test of counts against what is expected, each above 0; None for fewer than two, or without anybody."""
    if len(observed) < 2 or not sum(observed):
        return None
    statistic = sum((seen - due) ** 2 / due for seen, due in zip(observed, expected, strict=True))
    freedom = len(observed) - 1
    return ChiSquare(statistic, freedom, float(special.chdtrc(freedom, statistic)))
