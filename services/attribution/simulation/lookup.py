"""Finds keys among very many, all at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from services.attribution.simulation.cases import Flags, Numbers

Places: TypeAlias = NDArray[np.int32]

_THREADS: Final = 2
_PART: Final = 1 << 18
"""Rows that are worked on at once: what is made of so many stays near the processor."""

_SPREADING: Final = 0x9E3779B97F4A7C15
"""Multiplied by a power of it, numbers that lie close together have first bits that don't."""

_T = TypeVar("_T")


class _Level(NamedTuple):
    """Slots, and the place of the key that holds each; 0 where none does."""

    factor: np.uint64
    shift: np.uint64
    holder: Places

    @classmethod
    def of(cls, number: int, key_count: int) -> "_Level":
        """The level of a number, from 0 on, with twice as many slots as there are keys, at least."""
        bits = max(key_count.bit_length() + 1, 2)
        factor = pow(_SPREADING, number + 1, 1 << 64)
        return cls(np.uint64(factor), np.uint64(64 - bits), np.zeros(1 << bits, np.int32))

    def slots(self, keys: Numbers) -> Numbers:
        found: Numbers = (keys.view(np.uint64) * self.factor >> self.shift).view(np.int64)
        return found


class Lookup:
    """Where each of some keys stands; of one that comes several times, the last place.

    Each key has a slot. Those that lose theirs to another have one each on the next level, which is as much smaller.
    """

    def __init__(self, keys: Numbers) -> None:
        self._keys = keys
        self._levels: list[_Level] = []
        places, left = np.arange(len(keys), dtype=np.int32), keys
        while len(places):
            level = _Level.of(len(self._levels), len(places))
            slots = level.slots(left)
            # Whoever is assigned to a slot last stays there, so an equal key that stays is a later one.
            level.holder[slots] = places
            self._levels.append(level)
            lost = np.flatnonzero(keys[level.holder[slots]] != left)
            places, left = places[lost], left[lost]

    def places(self, values: Numbers) -> Places:
        """The place of each value, -1 for one that is no key."""
        found = in_parts(len(values), lambda rows: self.places_of_few(values[rows]))
        return np.concatenate([np.zeros(0, np.int32), *found])

    def places_of_few(self, values: Numbers) -> Places:
        """As `places`, in this thread alone."""
        found = np.full(len(values), -1, np.int32)
        missing = np.arange(len(values))
        for level in self._levels:
            wanted = values[missing]
            places = level.holder[level.slots(wanted)]
            found[missing] = places
            # A slot that nobody holds says 0, and is no hit: what equals that key was found before, or has a slot here.
            missing = missing[self._keys[places] != wanted]
            if not len(missing):
                break
        found[missing] = -1
        return found


def last_of_each(keys: Numbers) -> Flags:
    """Which keys don't come again."""
    found = np.zeros(len(keys), np.bool_)
    found[Lookup(keys).places(keys)] = True
    return found


def in_parts(count: int, work: Callable[[slice], _T]) -> list[_T]:
    """What is found of each part of so many rows, several parts at a time."""
    parts = [slice(start, min(start + _PART, count)) for start in range(0, count, _PART)]
    if len(parts) < 2:
        return [work(part) for part in parts]
    with ThreadPoolExecutor(_THREADS) as threads:
        return list(threads.map(work, parts))


def ranges(start: Numbers, size: Numbers) -> Numbers:
    """The numbers of each range, one range after the other."""
    ends = np.cumsum(size)
    found: Numbers = np.repeat(start - ends + size, size) + np.arange(int(ends[-1]) if len(ends) else 0)
    return found
