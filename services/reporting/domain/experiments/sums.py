"""What people come to in each variant: whole numbers, so that nothing depends on the sequence they are added in."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, NamedTuple

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


Part = tuple[str, str, str]
"""What a number is of: its name, the variant where it is one's, and what else it is cut by: model, currency, shares."""

_OUTSIDE: Final = ("outside", "", "")
_CONTAMINATED: Final = ("contaminated", "", "")
UNIDENTIFIED: Final = ("unidentified", "", "")
"""Exposures by who can't be told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Everybody, counted.

    `strata` are the people of each variant by what share of visitors each variant had at the time of their exposure.
    `unconverted` are orders and their gross amount by currency: those in windows that no figure holds.
    """

    variants: dict[str, Sums]
    contaminated: int
    outside: int
    unidentified: int
    strata: dict[Shares, dict[str, int]]
    unconverted: dict[str, tuple[int, int]]


def contribution(experiment: Experiment, told: History, person: Person, currency_code: str) -> dict[Part, int]:
    """What one person adds to an experiment's numbers; `told` is what the experiment's shares were.

    People count by the variant of their first exposure. All numbers are whole: they can be added and taken off in any
    sequence.
    """
    at, variant = person.exposed_at, person.variant
    if experiment.state(at) is not State.RUNNING:
        return {_OUTSIDE: 1}
    parts: dict[Part, int] = {("stratum", variant, str(told.place(at))): 1}
    if person.contaminated:
        parts[_CONTAMINATED] = 1
    within: list[Purchase] = []
    before: list[Purchase] = []
    earliest, latest = at - experiment.pre_period, at + experiment.window
    for one in person.purchases:
        if not earliest <= one.order_time <= latest:
            continue
        if one.currency_code == currency_code:
            (within if one.order_time >= at else before).append(one)
        else:
            _add(parts, ("unconverted_orders", "", one.currency_code), 1)
            _add(parts, ("unconverted_gross", "", one.currency_code), one.gross_micros)
    for one in within:
        for model, micros in one.attributed:
            _add(parts, ("attributed", variant, model), micros)
    for name, number in zip(Sums._fields, _of_one(within, before), strict=False):
        _add(parts, (name, variant, ""), number)
    return {part: number for part, number in parts.items() if number}


def _add(parts: dict[Part, int], part: Part, number: int) -> None:
    parts[part] = parts.get(part, 0) + number


def counted(parts: Mapping[Part, int], told: History, model: str) -> Counted:
    """The numbers of people, added up; what is attributed is what a model credits."""
    variants: dict[str, dict[str, int]] = {}
    strata: dict[Shares, dict[str, int]] = {}
    unconverted: dict[str, dict[str, int]] = {}
    for (name, variant, cut), number in sorted((part, number) for part, number in parts.items() if number):
        if name == "stratum":
            stratum = strata.setdefault(told.shares[int(cut)], {})
            stratum[variant] = stratum.get(variant, 0) + number
        elif name.startswith("unconverted"):
            unconverted.setdefault(cut, {})[name] = number
        elif variant and cut in ("", model):
            variants.setdefault(variant, {})[name] = number
    return Counted(
        variants={variant: Sums(**numbers) for variant, numbers in variants.items()},
        contaminated=parts.get(_CONTAMINATED, 0),
        outside=parts.get(_OUTSIDE, 0),
        unidentified=parts.get(UNIDENTIFIED, 0),
        strata={shares: people for shares, people in strata.items() if any(people.values())},
        unconverted={
            currency: (numbers.get("unconverted_orders", 0), numbers.get("unconverted_gross", 0))
            for currency, numbers in unconverted.items()
        },
    )


def count(
    experiment: Experiment, people: Iterable[Person], currency_code: str, told: History, model: str = ""
) -> Counted:
    """Counts people."""
    parts: dict[Part, int] = {}
    for person in people:
        for part, number in contribution(experiment, told, person, currency_code).items():
            _add(parts, part, number)
    return counted(parts, told, model)


def _of_one(within: Sequence[Purchase], before: Sequence[Purchase]) -> Sequence[int]:
    """A single person's numbers, as `Sums` has them; what models credit is not among them."""
    if not within and not before:
        return (1,)
    revenue, earlier = sum(one.gross_micros for one in within), sum(one.gross_micros for one in before)
    return (
        1,
        1 if within else 0,
        len(within),
        revenue,
        sum(one.net_micros for one in within),
        0,
        earlier,
        revenue * revenue,
        earlier * earlier,
        revenue * earlier,
    )
