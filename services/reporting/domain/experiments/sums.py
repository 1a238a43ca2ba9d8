"""What people come to in each variant: whole numbers, so that nothing depends on the sequence they are added in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from services.reporting.domain.experiments.definition import Experiment, History, Shares, State
from services.reporting.domain.experiments.people import Person, Purchase

MICROS = 1_000_000


class Sums(NamedTuple):
    """A variant's people added up; amounts are in millionths, products of two amounts in their squares.

    `revenue` is that of each person's window, `before` that of the pre-period.
    """

    people: int = 0
    converters: int = 0
    orders: int = 0
    revenue: int = 0
    net: int = 0
    attributed: int = 0
    before: int = 0
    revenue_squared: int = 0
    before_squared: int = 0
    revenue_before: int = 0

    def plus(self, other: "Sums") -> "Sums":
        """Both together."""
        return Sums(*map(int.__add__, self, other))

    @property
    def mean(self) -> Fraction:
        """Revenue per person in millionths; of somebody at least."""
        return Fraction(self.revenue, self.people)

    @property
    def mean_before(self) -> Fraction:
        """Revenue of the pre-period per person in millionths; of somebody at least."""
        return Fraction(self.before, self.people)

    @property
    def squares(self) -> tuple[Fraction, Fraction, Fraction]:
        """Squared distances from the means, added up: of revenue, of the pre-period's, and the products of both."""
        if not self.people:
            return Fraction(0), Fraction(0), Fraction(0)
        return (
            self.revenue_squared - self.mean * self.revenue,
            self.before_squared - self.mean_before * self.before,
            self.revenue_before - self.mean * self.before,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Everybody, counted.

    `strata` are the people of each variant by what share of visitors each variant had at the time of their exposure.
    `unconverted` are orders and their gross amount by currency: those in windows that no figure holds.
    """

    variants: dict[str, Sums]
    contaminated: int
    outside: int
    strata: dict[Shares, dict[str, int]]
    unconverted: dict[str, tuple[int, int]]


def count(experiment: Experiment, people: Iterable[Person], currency_code: str, told: History) -> Counted:
    """Counts people by the variant of their first exposure; `told` is what the experiment's shares were."""
    variants: dict[str, list[int]] = {}
    strata: dict[Shares, dict[str, int]] = {}
    unconverted: dict[str, tuple[int, int]] = {}
    contaminated = outside = 0
    for person in people:
        at = person.exposed_at
        if experiment.state(at) is not State.RUNNING:
            outside += 1
            continue
        contaminated += person.contaminated
        stratum = strata.setdefault(told.at(at), {})
        stratum[person.variant] = stratum.get(person.variant, 0) + 1
        within: list[Purchase] = []
        before: list[Purchase] = []
        for one in person.purchases:
            period = within if one.order_time >= at else before
            earliest, latest = at - experiment.pre_period, at + experiment.window
            if not earliest <= one.order_time <= latest:
                continue
            if one.currency_code == currency_code:
                period.append(one)
            else:
                orders, gross = unconverted.get(one.currency_code, (0, 0))
                unconverted[one.currency_code] = (orders + 1, gross + one.gross_micros)
        sums = variants.setdefault(person.variant, [0] * len(Sums._fields))
        for place, number in enumerate(_of_one(within, before)):
            sums[place] += number
    return Counted(
        variants={name: Sums(*sums) for name, sums in variants.items()},
        contaminated=contaminated,
        outside=outside,
        strata=strata,
        unconverted=dict(sorted(unconverted.items())),
    )


def _of_one(within: Sequence[Purchase], before: Sequence[Purchase]) -> Sequence[int]:
    """A single person's numbers, as `Sums` has them."""
    if not within and not before:
        return (1,)
    revenue, earlier = sum(one.gross_micros for one in within), sum(one.gross_micros for one in before)
    return (
        1,
        1 if within else 0,
        len(within),
        revenue,
        sum(one.net_micros for one in within),
        sum(one.attributed_micros for one in within),
        earlier,
        revenue * revenue,
        earlier * earlier,
        revenue * earlier,
    )
