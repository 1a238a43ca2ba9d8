"""Sums split by largest remainder, many at once and as exactly as one by one."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Final, NamedTuple

import numpy as np

from services.attribution.simulation.cases import Flags, Floats, Numbers

_LARGEST_PRODUCT: Final = 1 << 62
_DOUBT: Final = 1e-12
"""How near, relative to a sum's units, two numbers may be before their floating-point forms decide nothing."""


class Groups(NamedTuple):
    """Neighbouring rows that share a sum: where each group starts, how many rows it has, and each row's group."""

    start: Numbers
    size: Numbers
    of_row: Numbers


def groups(keys: Numbers) -> Groups:
    """Runs of equal keys."""
    start = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])) if len(keys) else np.zeros(0, np.int64)
    size = np.diff(np.append(start, len(keys)))
    return Groups(start, size, np.repeat(np.arange(len(start)), size))


Shares = Callable[[int], Sequence[Fraction]]
"""The exact shares of a group's rows."""


class Weights(NamedTuple):
    """Each row's share: whole numbers where they are exact, else floating-point and `exact` for the doubtful.

    Shares are not negative, and of no group all 0. Equal shares are equal in floating-point too. Groups that are
    `unsure` are split by `exact` whatever the others say.
    """

    whole: Numbers | None
    floating: Floats | None = None
    exact: Shares | None = None
    unsure: Flags | None = None


def split(total: Numbers, unit: Numbers, grouped: Groups, weights: Weights) -> Numbers:
    """Each group's total in parts, by its rows' weights, as `services.kernel.money.split` would."""
    sign = np.where(total < 0, -1, 1)
    units, finer = np.divmod(np.abs(total), unit)
    parts, doubtful = (
        _whole(units, grouped, weights.whole) if weights.whole is not None else _floating(units, grouped, weights)
    )
    if weights.unsure is not None:
        doubtful = doubtful | weights.unsure
    for group in np.flatnonzero(doubtful).tolist():
        start, count = int(grouped.start[group]), int(grouped.size[group])
        parts[start : start + count] = largest_remainder(int(units[group]), shares(weights, group, start, count))
    parts *= unit[grouped.of_row]
    parts[grouped.start] += finer
    return parts * sign[grouped.of_row]


def largest_remainder(units: int, shares: Sequence[Fraction]) -> list[int]:
    """Whole units by positive shares, ties to the earlier."""
    whole = sum(shares)
    exact = [units * share / whole for share in shares]
    parts = [int(part) for part in exact]
    by_remainder = sorted(range(len(parts)), key=lambda index: (parts[index] - exact[index], index))
    for index in by_remainder[: units - sum(parts)]:
        parts[index] += 1
    return parts


def shares(weights: Weights, group: int, start: int, count: int) -> Sequence[Fraction]:
    """The exact shares of a group, of so many rows from the start on."""
    if weights.exact is not None:
        return weights.exact(group)
    if weights.whole is None:
        raise ValueError("shares that are not whole numbers need their exact form")
    return [Fraction(weight) for weight in weights.whole[start : start + count].tolist()]


def _whole(units: Numbers, grouped: Groups, weight: Numbers) -> tuple[Numbers, Flags]:
    together = np.add.reduceat(weight, grouped.start)
    heaviest = np.maximum.reduceat(weight, grouped.start)
    doubtful = units > _LARGEST_PRODUCT // heaviest
    product = np.where(doubtful, 0, units)[grouped.of_row] * weight
    parts, rest = np.divmod(product, together[grouped.of_row])
    left = np.where(doubtful, 0, units) - np.add.reduceat(parts, grouped.start)
    rank = _rank(grouped, -rest)
    return parts + (rank < left[grouped.of_row]), doubtful


def _floating(units: Numbers, grouped: Groups, weights: Weights) -> tuple[Numbers, Flags]:
    weight = weights.floating
    if weight is None:
        raise ValueError("there are no weights")
    together = np.add.reduceat(weight, grouped.start)
    exact = units[grouped.of_row] * weight / together[grouped.of_row]
    parts = np.floor(exact)
    rest = exact - parts
    near = np.abs(exact - np.rint(exact)) <= exact * _DOUBT
    near &= exact >= 0.5
    uneven = np.minimum.reduceat(weight, grouped.start) != np.maximum.reduceat(weight, grouped.start)
    doubtful = np.logical_or.reduceat(near, grouped.start) & uneven
    even = ~uneven
    share = units // grouped.size
    parts = np.where(even[grouped.of_row], share[grouped.of_row], parts).astype(np.int64)
    rest = np.where(even[grouped.of_row], 0.0, rest)
    left = units - np.add.reduceat(parts, grouped.start)
    rank = _rank(grouped, -rest)
    # Remainders have what is left of the precision that the whole parts took.
    tolerance = ((units + 1) * _DOUBT).astype(np.float64)
    doubtful |= _undecided(grouped, rest, rank - left[grouped.of_row], weight, tolerance) & uneven
    return parts + (rank < left[grouped.of_row]), doubtful | ((left < 0) | (left > grouped.size))


def _undecided(grouped: Groups, rest: Floats, place: Numbers, weight: Floats, tolerance: Floats) -> Flags:
    """Groups in which it is doubtful who is given a unit more: rows around the last who is are as near as that.

    `place` counts from the first row that isn't given one. Rows that weigh alike stand in their own sequence. Where
    none or all are given one, there is no doubt.
    """
    given, refused = place == -1, place == 0

    def least(values: Floats, chosen: Flags) -> Floats:
        found: Floats = np.minimum.reduceat(np.where(chosen, values, np.inf), grouped.start)
        return found

    def most(values: Floats, chosen: Flags) -> Floats:
        found: Floats = np.maximum.reduceat(np.where(chosen, values, -np.inf), grouped.start)
        return found

    last, first = least(rest, given), most(rest, refused)
    near = (rest <= (last + tolerance)[grouped.of_row]) & (rest >= (first - tolerance)[grouped.of_row])
    alike = least(weight, near) == most(weight, near)
    undecided: Flags = (last - first <= tolerance) & ~alike
    return undecided


def _rank(grouped: Groups, key: Numbers | Floats) -> Numbers:
    """Each row's place in its group by the key, ties to the earlier."""
    sequence = np.lexsort((key, grouped.of_row))
    rank = np.empty(len(key), np.int64)
    rank[sequence] = np.arange(len(key)) - np.repeat(grouped.start, grouped.size)
    return rank
