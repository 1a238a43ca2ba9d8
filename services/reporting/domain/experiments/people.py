"""Exposed visitors and their orders, as the people that an experiment's result speaks of."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from services.kernel.identifiers import Kind, kind_of_key
from services.reporting.domain.experiments.exposures import Exposed, First


class Purchase(NamedTuple):
    """An order that counts as sold, in millionths of its currency; `order_time` in nanoseconds since 1970.

    `keys` are those of the identifiers that it names; `attributed_micros` is what the model credits of it.
    """

    source: str
    order_id: str
    order_time: int
    currency_code: str
    gross_micros: int
    net_micros: int
    attributed_micros: int
    keys: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who was exposed: in which variant they count, since when, and what they bought, by time."""

    variant: str
    exposed_at: int
    contaminated: bool
    purchases: tuple[Purchase, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Everybody who was exposed, by their first exposure, and exposures by who can't be told apart."""

    people: tuple[Person, ...]
    unidentified: int


def population(
    exposed: Iterable[Exposed], purchases: Iterable[Purchase], most_emails: Mapping[Kind, int]
) -> Population:
    """The people of some visitors' exposures and of the orders that name any of their identifiers.

    What shares an identifier is one person's. A visitor, phone or customer id that stands beside more e-mail addresses
    than `most_emails` says names nobody. An order joins only those who were exposed.
    """
    units, orders = sorted(exposed), sorted(set(purchases))
    shared = _naming_too_many([unit.keys for unit in units] + [order.keys for order in orders], most_emails)
    named = [(unit, [key for key in unit.keys if key not in shared]) for unit in units]
    known = {key for _, keys in named for key in keys}
    groups = _Groups()
    for _, keys in named:
        groups.join(keys)
    placed = [(order, [key for key in order.keys if key in known]) for order in orders]
    for _, keys in placed:
        groups.join(keys)
    units_of: dict[int, list[Exposed]] = defaultdict(list)
    orders_of: dict[int, list[Purchase]] = defaultdict(list)
    for unit, keys in named:
        if keys:
            units_of[groups.of(keys[0])].append(unit)
    for order, keys in placed:
        if keys:
            orders_of[groups.of(keys[0])].append(order)
    people = sorted((_person(units_of[group], orders_of.get(group, ())) for group in units_of), key=lambda one: one[0])
    return Population(
        people=tuple(person for _, person in people), unidentified=sum(1 for _, keys in named if not keys)
    )


def _person(units: Sequence[Exposed], purchases: Sequence[Purchase]) -> tuple[First, Person]:
    first, variant = min(unit.first for unit in units)
    variants = frozenset[str]().union(*(unit.variants for unit in units))
    return first, Person(
        variant=variant,
        exposed_at=first.occur_time,
        contaminated=len(variants) > 1,
        purchases=tuple(sorted(purchases, key=lambda one: (one.order_time, one))),
    )


def _naming_too_many(seen: Iterable[Sequence[int]], most_emails: Mapping[Kind, int]) -> frozenset[int]:
    beside: set[tuple[int, int]] = set()
    for keys in seen:
        emails = [key for key in keys if kind_of_key(key) is Kind.EMAIL]
        beside.update((key, email) for key in keys if kind_of_key(key) in most_emails for email in emails)
    counts = Counter(key for key, _ in beside)
    return frozenset(key for key, emails in counts.items() if emails > most_emails[kind_of_key(key)])


class _Groups:
    """Keys joined to groups; a group goes by one of its keys."""

    def __init__(self) -> None:
        self._parents: dict[int, int] = {}

    def of(self, key: int) -> int:
        parents = self._parents
        while (parent := parents.setdefault(key, key)) != key:
            parents[key] = parents[parent]
            key = parent
        return key

    def join(self, keys: Sequence[int]) -> None:
        for other in keys[1:]:
            self._parents[self.of(other)] = self.of(keys[0])
