"""Ties orders to what happened to their buyers before, by the people whom both name."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.attribution.simulation.cases import Flags, Numbers, Pairs
from services.attribution.simulation.lookup import Lookup, in_parts, ranges
from services.attribution.simulation.people import Named
from services.attribution.simulation.stopping import Stop
from services.kernel.failures import FailedPreconditionError
from services.kernel.identifiers import Kind

_MOST_TIED: Final = 60_000_000
"""Rows of a side, and what is tied to each other, at most: some 100 bytes each while they are put in order."""

TIERS: Final = {Kind.SESSION: 1, Kind.EMAIL: 2, Kind.PHONE: 3, Kind.CUSTOMER: 4, Kind.VISITOR: 5}
CONTACTS: Final = (Kind.EMAIL, Kind.PHONE, Kind.CUSTOMER)
PERSON_TIER: Final = 6
"""The tier of what is tied through people alone."""

_LOW: Final = 0xFFFFFFFF

Names = Callable[[Numbers], Mapping[int, tuple[str, ...]]]
"""Source and event id of events, by where the store keeps them."""


class Timeline(NamedTuple):
    """Rows by time: the times, the row at each rank, and the rank of each row."""

    time: Numbers
    row: Numbers
    rank: Numbers

    def before(self, time: Numbers, reach: int) -> tuple[Numbers, Numbers]:
        """The first rank at most `reach` before each moment, and the first after it."""
        return np.searchsorted(self.time, time - reach), np.searchsorted(self.time, time, side="right")


def timeline(time: Numbers) -> Timeline:
    """Rows of these times. Those of one moment stand in their own sequence."""
    rows = np.arange(len(time))
    if not (time[1:] < time[:-1]).any():
        return Timeline(time, rows, rows)
    sequence = np.argsort(time, kind="stable")
    rank = np.empty_like(rows)
    rank[sequence] = rows
    return Timeline(time[sequence], sequence, rank)


class Keyed(NamedTuple):
    """Numbers below 2^31, and keys of each; a number may have several."""

    number: Numbers
    key: Numbers


class Tied(NamedTuple):
    """Numbers of two sides that share a key, by the left, and then by the right."""

    left: Numbers
    right: Numbers


def tied(left: Keyed, right: Keyed, bounds: tuple[Numbers, Numbers], stop: Stop) -> Tied:
    """Each number of the left with each of the right that shares a key with it, once, from a first to before a last.

    Bounds are those of each number of the left. Raises FailedPreconditionError for more than is laid out in memory.
    """
    check_size(len(right.number))
    known = Lookup(left.key)
    shared = known.places(right.key)
    stop.look()
    chosen = np.flatnonzero(shared >= 0)
    # Two numbers in one: that is sorted several times as fast as two columns.
    theirs = shared[chosen].astype(np.int64) << 32 | right.number[chosen]
    del shared, chosen
    theirs = _each_once(theirs)
    stop.look()
    mine = known.places(left.key).astype(np.int64) << 32
    begin, end = (mine | bound[left.number] for bound in bounds)
    sequence = np.argsort(end)
    start = np.searchsorted(theirs, begin[sequence])
    size = np.searchsorted(theirs, end[sequence]) - start
    check_size(int(size.sum()))
    stop.look()
    found = np.repeat(left.number[sequence] << 32, size)
    found |= theirs[ranges(start, size)] & _LOW
    found = _each_once(found)
    return Tied(found >> 32, found & _LOW)


def _each_once(numbers: Numbers) -> Numbers:
    """The numbers, sorted where they are."""
    numbers.sort()
    again = numbers[1:] == numbers[:-1]
    return numbers[np.append(True, ~again)] if again.any() else numbers


def check_size(count: int) -> None:
    """Raises FailedPreconditionError for more than is laid out in memory."""
    if count > _MOST_TIED:
        raise FailedPreconditionError("PERIOD_TOO_LONG", "There is too much to try at once: ask for fewer days.")


def pairs_between(buyers: Named, reached: Named, reach: int, names: Names, stop: Stop) -> Pairs:
    """Every order with every touch that shares a node with it, at most `reach` before it."""
    line = timeline(reached.time)
    number, node = reached.every_node()
    found = tied(Keyed(*buyers.every_node()), Keyed(line.rank[number], node), line.before(buyers.time, reach), stop)
    stop.look()
    order, touch = found.left, in_total_order(names, found.left, line.row[found.right], reached.time, reached.row)
    age = buyers.time[order] - reached.time[touch]
    tier, conflict = tiers_between(buyers, reached, order, touch)
    return Pairs(
        order=order.astype(np.int32), touch=touch.astype(np.int32), age=age, since=age, tier=tier, conflict=conflict
    )


def tiers_between(left: Named, right: Named, mine: Numbers, theirs: Numbers) -> tuple[NDArray[np.int8], Flags]:
    """Of rows that have a node in common the strongest tier, and whether one names another contact than the other."""
    tier, conflict = np.full(len(mine), PERSON_TIER, np.int8), np.zeros(len(mine), np.bool_)
    kinds = [kind for kind in reversed(TIERS) if kind in left.values and kind in right.values]

    def find(part: slice) -> None:
        for kind in kinds:
            one, other = left.values[kind][mine[part]], right.values[kind][theirs[part]]
            named = (one != 0) & (other != 0)
            same = named & (one == other)
            tier[part][same] = TIERS[kind]
            if kind in CONTACTS:
                conflict[part] |= named & ~same

    in_parts(len(mine), find)
    return tier, conflict


def in_total_order(names: Names, order: Numbers, touch: Numbers, time: Numbers, rows: Numbers) -> Numbers:
    """Touches that stand by order and time, those of one moment by source and event id.

    `time` and `rows` are of all touches.
    """
    same = (order[1:] == order[:-1]) & (time[touch[1:]] == time[touch[:-1]])
    if not same.any():
        return touch
    places = np.flatnonzero(np.append(same, False) | np.append(False, same))
    among = touch[places]
    found = touch.copy()
    found[places] = among[np.lexsort((name_ranks(names, rows[among]), time[among], order[places]))]
    return found


def name_ranks(names: Names, rows: Numbers) -> Numbers:
    """Where each event stands among these by source and event id."""
    known = names(rows)
    rank = {row: number for number, row in enumerate(sorted(known, key=known.__getitem__))}
    return np.array([rank[row] for row in rows.tolist()], np.int64)
