"""What ties a touch to an order: the cascade's tiers, and who is who."""

from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from enum import IntEnum
from typing import NamedTuple

from services.attribution.domain.snapshot import Snapshot
from services.kernel.identifiers import Identifier, Kind


class Tier(IntEnum):
    """What tied an order to touches; numbered as in `touchstone.attribution.v1.MatchBasis.Tier`."""

    SESSION = 1
    EMAIL = 2
    PHONE = 3
    CUSTOMER = 4
    VISITOR = 5
    PERSON = 6


STEP: Mapping[Tier, int] = {
    Tier.SESSION: 1,
    Tier.EMAIL: 2,
    Tier.PHONE: 2,
    Tier.CUSTOMER: 2,
    Tier.VISITOR: 3,
    Tier.PERSON: 4,
}
"""The cascade's steps: known contact is one, whatever the contact."""


class People(NamedTuple):
    """Who is who: the person of each identifier that has one, and the identifiers that name nobody."""

    persons: Mapping[Identifier, int]
    nobody: AbstractSet[Identifier]


class Buyer(NamedTuple):
    """Who placed an order: what names them, whom that makes them, and what of the order names nobody.

    `ties` are the tiers by which what names them ties an event that has it too.
    """

    named: Mapping[Kind, str]
    ties: Mapping[Identifier, Tier]
    persons: AbstractSet[int]
    nobody: AbstractSet[Identifier]


_DIRECT = {
    Kind.SESSION: Tier.SESSION,
    Kind.EMAIL: Tier.EMAIL,
    Kind.PHONE: Tier.PHONE,
    Kind.CUSTOMER: Tier.CUSTOMER,
    Kind.VISITOR: Tier.VISITOR,
}
_CONTACTS = frozenset({Kind.EMAIL, Kind.PHONE, Kind.CUSTOMER})
_NONE = frozenset[Identifier]()


def buyer(order: Snapshot, people: People) -> Buyer:
    """Who placed the order."""
    persons, nobody = people
    named = [one for one in order.identifiers if one not in nobody]
    return Buyer(
        named=dict(named),
        ties={one: _DIRECT.get(one.kind, Tier.PERSON) for one in named},
        persons={persons[one] for one in named if one in persons},
        nobody=_NONE if len(named) == len(order.identifiers) else frozenset(order.identifiers).difference(named),
    )


def tie(buyer: Buyer, identifiers: Collection[Identifier], people: People) -> Tier | None:
    """The strongest tier that ties an event of these identifiers; None where nothing that names somebody does."""
    direct = [buyer.ties[one] for one in identifiers if one in buyer.ties]
    if direct:
        return min(direct)
    persons, nobody = people
    for one in identifiers:
        if persons.get(one) in buyer.persons and one not in nobody:
            return Tier.PERSON
    return None


def contradicts(buyer: Buyer, identifiers: Iterable[Identifier], people: People) -> bool:
    """True when an event names another contact than the order's. What names nobody contradicts nobody."""
    return any(
        kind in _CONTACTS and buyer.named.get(kind, value) != value and (kind, value) not in people.nobody
        for kind, value in identifiers
    )
