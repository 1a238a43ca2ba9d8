"""What an experiment came to: each variant by itself, and beside the control."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from services.reporting.domain.experiments import statistics
from services.reporting.domain.experiments.definition import Experiment
from services.reporting.domain.experiments.statistics import ChiSquare, Interval, Mean, Sequential, Share
from services.reporting.domain.experiments.sums import MICROS, Counted, Sums


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A variant beside the control; money of the incremental revenue in millionths, other amounts in units."""

    conversion_difference: Interval
    conversion_lift: Interval | None
    conversion_beats: float
    revenue_difference: Interval
    revenue_lift: Interval | None
    revenue_beats: float | None
    adjusted_difference: Interval | None
    conversion_sequential: Sequential | None
    revenue_sequential: Sequential | None
    incremental: tuple[int, int | None, int | None]
    incremental_over_attributed: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantResult:
    """A variant; rates and means are None without people, what is adjusted without a coefficient."""

    variant: str
    expected_share: float
    sums: Sums
    conversion: Interval | None
    revenue_per_person: Interval | None
    adjusted_per_person: Interval | None
    comparison: Comparison | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRatio:
    """Whether people are shared out as the weights were; `test` is None where there is nothing to test."""

    passed: bool
    test: ChiSquare | None
    weighted: int
    without_weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """All of an experiment's variants, the control first."""

    variants: tuple[VariantResult, ...]
    sample_ratio: SampleRatio
    theta: float | None


def results(experiment: Experiment, counted: Counted) -> Results:
    """What the people of an experiment come to; nothing is compared where the split is broken."""
    ratio = sample_ratio(experiment, counted)
    sums = counted.variants
    theta = _theta(list(sums.values())) if experiment.pre_period else None
    everybody = Sums()
    for of_variant in sums.values():
        everybody = everybody.plus(of_variant)
    shares = experiment.shares()
    control = sums.get(experiment.control, Sums())
    names = [experiment.control, *(name for name in shares if name != experiment.control)]
    names += sorted(name for name in sums if name not in names)
    found = []
    for name in names:
        of_variant = sums.get(name, Sums())
        compare = ratio.passed and name != experiment.control and of_variant.people and control.people
        adjusted = _adjusted(of_variant, theta, everybody)
        found.append(
            VariantResult(
                variant=name,
                expected_share=float(shares.get(name, 0)),
                sums=of_variant,
                conversion=statistics.rate(_share(of_variant)) if of_variant.people else None,
                revenue_per_person=statistics.mean(_mean(of_variant)) if of_variant.people else None,
                adjusted_per_person=statistics.mean(adjusted) if adjusted else None,
                comparison=_compared(of_variant, control, theta, everybody) if compare else None,
            )
        )
    return Results(variants=tuple(found), sample_ratio=ratio, theta=None if theta is None else float(theta))


def sample_ratio(experiment: Experiment, counted: Counted) -> SampleRatio:
    """Compares people with the shares that variants had when each of them was exposed.

    Variants that had none are in no test, and count no degree of freedom: somebody in them fails the check as it is.
    """
    weighted: dict[str, Fraction] = {name: Fraction(0) for name, share in experiment.shares().items() if share}
    observed: dict[str, int] = {}
    without_weight = 0
    for shares, people in counted.strata.items():
        known = {name: share for name, share in shares if share}
        placed = {name: number for name, number in people.items() if name in known}
        without_weight += sum(people.values()) - sum(placed.values())
        for name, share in known.items():
            weighted[name] = weighted.get(name, Fraction(0)) + share * sum(placed.values())
            observed[name] = observed.get(name, 0) + placed.get(name, 0)
    tested = sorted(name for name, due in weighted.items() if due)
    test = statistics.chi_square([observed.get(name, 0) for name in tested], [float(weighted[name]) for name in tested])
    broken = test is not None and test.p_value < statistics.BROKEN_SPLIT
    return SampleRatio(
        passed=not broken and not without_weight, test=test, weighted=len(weighted), without_weight=without_weight
    )


def _theta(variants: Sequence[Sums]) -> Fraction | None:
    """The slope of revenue on that of the pre-period within the variants (Deng, Xu, Kohavi and Walker 2013).

    Least squares with an intercept a variant finds the same; None where nothing varies before.
    """
    squares = [sums.squares for sums in variants]
    before = sum((one[1] for one in squares), Fraction(0))
    return sum((one[2] for one in squares), Fraction(0)) / before if before else None


def _share(sums: Sums) -> Share:
    return Share(sums.converters, sums.people)


def _mean(sums: Sums) -> Mean:
    """Revenue per person in units of the currency."""
    return _in_units(sums.mean, sums.squares[0], sums.people)


def _adjusted(sums: Sums, theta: Fraction | None, everybody: Sums) -> Mean | None:
    if theta is None or not sums.people:
        return None
    revenue, before, both = sums.squares
    value = sums.mean - theta * (sums.mean_before - everybody.mean_before)
    return _in_units(value, revenue - 2 * theta * both + theta**2 * before, sums.people)


def _in_units(value: Fraction, squares: Fraction, people: int) -> Mean:
    return Mean(float(value / MICROS), float(squares / MICROS**2 / (people - 1)) if people > 1 else 0.0, people)


def _compared(treated: Sums, control: Sums, theta: Fraction | None, everybody: Sums) -> Comparison:
    shares, means = (_share(treated), _share(control)), (_mean(treated), _mean(control))
    adjusted_treated, adjusted_control = _adjusted(treated, theta, everybody), _adjusted(control, theta, everybody)
    adjusted = (adjusted_treated, adjusted_control) if adjusted_treated and adjusted_control else None
    revenue = statistics.mean_difference(*means)
    incremental = round(treated.revenue - control.mean * treated.people)
    return Comparison(
        conversion_difference=statistics.rate_difference(*shares),
        conversion_lift=statistics.rate_lift(*shares),
        conversion_beats=statistics.beats_by_rate(*shares),
        revenue_difference=revenue,
        revenue_lift=statistics.mean_lift(*means),
        revenue_beats=statistics.beats_by_mean(*means),
        adjusted_difference=statistics.mean_difference(*adjusted) if adjusted else None,
        conversion_sequential=statistics.sequential(_rate_mean(shares[0]), _rate_mean(shares[1])),
        revenue_sequential=statistics.sequential(*(adjusted or means)),
        incremental=(incremental, _times(revenue.low, treated.people), _times(revenue.high, treated.people)),
        incremental_over_attributed=incremental / treated.attributed if treated.attributed else None,
    )


def _rate_mean(share: Share) -> Mean:
    """A rate as a mean of noughts and ones."""
    spread = share.rate * (1 - share.rate) * share.people
    return Mean(share.rate, spread / (share.people - 1) if share.people > 1 else 0.0, share.people)


def _times(units: float | None, people: int) -> int | None:
    """An amount a person, in units, times the people, in millionths."""
    return None if units is None else round(units * people * MICROS)
