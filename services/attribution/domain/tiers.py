"""What ties a touch to an order: the cascade's tiers, and who is who."""

from collections.abc import Iterable, Mapping
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
    """Who placed an order: what names them, whom that makes them, and what of the order names nobody."""

    named: Mapping[Kind, str]
    persons: AbstractSet[int]
    nobody: AbstractSet[Identifier]


_DIRECT = (
    (Kind.SESSION, Tier.SESSION),
    (Kind.EMAIL, Tier.EMAIL),
    (Kind.PHONE, Tier.PHONE),
    (Kind.CUSTOMER, Tier.CUSTOMER),
    (Kind.VISITOR, Tier.VISITOR),
)
_CONTACTS = frozenset({Kind.EMAIL, Kind.PHONE, Kind.CUSTOMER})


def buyer(order: Snapshot, people: People) -> Buyer:
    """Who placed the order."""
    named = [one for one in order.identifiers if one not in people.nobody]
    return Buyer(
        named=dict(named),
        persons={people.persons[one] for one in named if one in people.persons},
        nobody=frozenset(order.identifiers).difference(named),
    )


def tie(buyer: Buyer, identifiers: Iterable[Identifier], people: People) -> Tier | None:
    """The strongest tier that ties an event of these identifiers; None where nothing that names somebody does."""
    own = set(identifiers)
    for kind, tier in _DIRECT:
        value = buyer.named.get(kind)
        if value is not None and (kind, value) in own:
            return tier
    named = own - people.nobody
    if any(one in named for one in buyer.named.items()):
        return Tier.PERSON
    return Tier.PERSON if any(people.persons.get(one) in buyer.persons for one in named) else None


def contradicts(buyer: Buyer, identifiers: Iterable[Identifier], people: People) -> bool:
    """True when an event names another contact than the order's. What names nobody contradicts nobody."""
    return any(
        kind in _CONTACTS and buyer.named.get(kind, value) != value and (kind, value) not in people.nobody
        for kind, value in identifiers
    )
