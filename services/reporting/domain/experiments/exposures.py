"""What is known of a visitor's exposures to one experiment: a small state that more exposures are folded into."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

import orjson

from services.kernel.identifiers import Identifier, Kind, identifier_key, kind_of_key

MOST_KEYS: Final = 16
"""Keys of one kind that are kept of a visitor: more than any limit beyond which a value names nobody."""

CONTACTS: Final = (Kind.CUSTOMER, Kind.EMAIL, Kind.PHONE)

NAMING: Final = frozenset({Kind.VISITOR, *CONTACTS})
"""What names somebody for longer than a visit."""

_UNITS: Final = (Kind.VISITOR, *CONTACTS, Kind.SESSION, Kind.CONVERSATION, Kind.CLICK)
"""What exposures are gathered by: the first that an event names."""


class First(NamedTuple):
    """The first exposure to a variant: in nanoseconds since 1970, and, where two are at once, by source and event id."""

    occur_time: int
    source: str
    event_id: str


class Exposed(NamedTuple):
    """A visitor's exposures to an experiment: the first to each variant, and the keys that name the visitor, ascending."""

    firsts: tuple[tuple[str, First], ...]
    keys: tuple[int, ...]

    @property
    def first(self) -> tuple[First, str]:
        """The first exposure of all, and its variant."""
        return min((first, variant) for variant, first in self.firsts)

    @property
    def variants(self) -> frozenset[str]:
        """Every variant that the visitor was exposed to."""
        return frozenset(variant for variant, _ in self.firsts)


class Exposure(NamedTuple):
    """One exposure, as an event tells it."""

    variant: str
    first: First
    identifiers: tuple[Identifier, ...]


def fact_key(experiment_id: str, identifiers: Sequence[Identifier]) -> str | None:
    """The name of the fact that an exposure belongs to; None where nothing names anybody."""
    named = {identifier.kind: identifier for identifier in identifiers}
    unit = next((named[kind] for kind in _UNITS if kind in named), None)
    return None if unit is None else f"{key_prefix(experiment_id)}{identifier_key(unit):016x}"


def unit_of(identifiers: Sequence[Identifier]) -> int | None:
    """Names those whom an exposure tells of: by all that names somebody for good, else by whatever there is.

    Exposures of one unit are of the same people whatever is decided of its identifiers. None where nothing names anybody.
    """
    naming = [one for one in identifiers if one.kind in NAMING] or [one for one in identifiers if one.kind in _UNITS]
    keys = sorted({identifier_key(one) for one in naming})
    if not keys:
        return None
    digest = blake2b(",".join(map(str, keys)).encode(), digest_size=8, person=b"exposed").digest()
    return int.from_bytes(digest, "big", signed=True)


def key_prefix(experiment_id: str) -> str:
    """What the names of all facts of an experiment begin with, and no other's; it ends with ":"."""
    return f"{len(experiment_id)}:{experiment_id}:"


def experiment_of(key: str) -> str:
    """The experiment that a fact's name tells."""
    length, _, rest = key.partition(":")
    return rest[: int(length)]


def fold(state: bytes, told: Iterable[Exposure]) -> bytes:
    """The state with more exposures, whatever the sequence they are told in."""
    before = read(state) if state else Exposed((), ())
    firsts = dict(before.firsts)
    keys = set(before.keys)
    for exposure in told:
        known = firsts.get(exposure.variant)
        if known is None or exposure.first < known:
            firsts[exposure.variant] = exposure.first
        keys.update(identifier_key(identifier) for identifier in exposure.identifiers if identifier.kind in NAMING)
    return _write(Exposed(tuple(sorted(firsts.items())), _kept(keys)))


def _kept(keys: Iterable[int]) -> tuple[int, ...]:
    """The least of each kind: the least of what is left are the least of all, so nothing depends on the sequence."""
    of_kind: dict[Kind, list[int]] = {}
    for key in sorted(keys):
        of_kind.setdefault(kind_of_key(key), []).append(key)
    return tuple(sorted(key for found in of_kind.values() for key in found[:MOST_KEYS]))


def read(state: bytes) -> Exposed:
    """A state that `fold` made."""
    firsts, keys = orjson.loads(state)
    return Exposed(tuple((variant, First(*first)) for variant, first in firsts), tuple(keys))


def _write(exposed: Exposed) -> bytes:
    return orjson.dumps([[[variant, list(first)] for variant, first in exposed.firsts], list(exposed.keys)])
