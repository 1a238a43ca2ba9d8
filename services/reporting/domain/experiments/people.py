"""Exposures and orders, as the people that an experiment's result speaks of."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final, NamedTuple

from services.kernel.identifiers import Kind, kind_of_key
from services.reporting.domain.experiments.exposures import Exposed

_BUYERS: Final = {kind: place for place, kind in enumerate((Kind.EMAIL, Kind.PHONE, Kind.CUSTOMER, Kind.VISITOR))}
"""By what an order finds a person: known contact before the device, as credit does."""

_SHOWN: Final = {kind: place for place, kind in enumerate((Kind.VISITOR, Kind.CUSTOMER, Kind.EMAIL, Kind.PHONE))}
"""By what an exposure finds one: variants are shown to visitors."""


class Purchase(NamedTuple):
    """An order that counts as sold, in millionths of its currency; `order_time` in nanoseconds since 1970.

    `keys` are those of the identifiers that it names; `attributed` is what each model credits of it.
    """

    source: str
    order_id: str
    order_time: int
    currency_code: str
    gross_micros: int
    net_micros: int
    attributed: tuple[tuple[str, int], ...]
    keys: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who was exposed: in which variant they count, since when, and what they bought, by time."""

    variant: str
    exposed_at: int
    contaminated: bool
    purchases: tuple[Purchase, ...]


class Who(NamedTuple):
    """Who is who: the person of each identifier's key that has one, and the keys that name nobody."""

    persons: Mapping[int, int]
    nobody: AbstractSet[int]


class Unit(NamedTuple):
    """What one set of identifiers was exposed to, and whose it is; `is_named` is false where nothing names anybody."""

    person: int
    is_named: bool
    exposed: Exposed


def buyers(keys: Iterable[int], who: Who) -> tuple[int, ...]:
    """The persons whom an order names, each once, in the sequence in which it looks for one who was exposed.

    They are one person but for what was unlinked. Identifiers of whom no person was told were never seen but together:
    they are one person, who goes by the first of them.
    """
    clear = _clear(keys, who, _BUYERS)
    return tuple(dict.fromkeys(who.persons.get(key, clear[0]) for key in clear))


def shown(keys: Iterable[int], who: Who) -> int | None:
    """The person to whom an exposure is shown; None where all that it names names nobody."""
    clear = _clear(keys, who, _SHOWN)
    return who.persons.get(clear[0], _clear(keys, who, _BUYERS)[0]) if clear else None


def _clear(keys: Iterable[int], who: Who, places: Mapping[Kind, int]) -> list[int]:
    found = [(places.get(kind_of_key(key)), key) for key in keys if key not in who.nobody]
    return [key for _, key in sorted([(place, key) for place, key in found if place is not None])]


def people(
    units: Iterable[Unit], bought: Iterable[tuple[Purchase, Sequence[int]]], among: Collection[int]
) -> dict[int, Person | None]:
    """Those of some persons who were exposed, by name; None for who can't be told apart.

    `units` are all of one experiment's that are of these persons or of any whom their orders name; `bought` all orders
    that name these persons, each with its `buyers`. An order is that of the first person it names who was exposed.
    """
    units_of: dict[int, list[Unit]] = defaultdict(list)
    for unit in units:
        units_of[unit.person].append(unit)
    orders_of: dict[int, list[Purchase]] = defaultdict(list)
    for order, named in bought:
        for person in named:
            if person in units_of:
                orders_of[person].append(order)
                break
    return {name: _person(units_of[name], orders_of.get(name, ())) for name in among if name in units_of}


def _person(units: Sequence[Unit], purchases: Iterable[Purchase]) -> Person | None:
    if not all(unit.is_named for unit in units):
        return None
    first, variant = min(unit.exposed.first for unit in units)
    variants = frozenset[str]().union(*(unit.exposed.variants for unit in units))
    return Person(
        variant=variant,
        exposed_at=first.occur_time,
        contaminated=len(variants) > 1,
        purchases=tuple(sorted(purchases, key=lambda one: (one.order_time, one))),
    )
