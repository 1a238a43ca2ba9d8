"""Markov chains over paths: what is lost without a channel, exactly."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from fractions import Fraction
from itertools import groupby, pairwise
from typing import Final, NamedTuple, TypeVar

from services.attribution.simulation.walked import Walked

K = TypeVar("K", bound=Hashable)

_START: Final = "start"
_CONVERSION: Final = "conversion"
_NULL: Final = "null"


class Learned(NamedTuple):
    """A channel's part of all credit, and the part of the conversions that would be lost without it."""

    credit: Fraction
    removal_effect: Fraction


def removal_effects(paths: Mapping[tuple[K, ...], Walked]) -> dict[K, Learned]:
    """Each channel's removal effect, and its part of the sum of all; empty when nothing converts.

    People walk from the start through channels to a conversion or to nothing. The chance of each next step is how
    often it was taken from there; a channel after itself is no step. Without a channel, all who came to it come to
    nothing. Paths that led to nothing are needed: where all convert, only the channels' number of paths counts.
    """
    steps = _steps(paths)
    channels = sorted({channel for path in paths for channel in path}, key=repr)
    states = [_START, *channels]
    found = _chance(steps, states, None)
    if not found:
        return {}
    effects = {channel: 1 - _chance(steps, states, channel) / found for channel in channels}
    together = sum(effects.values())
    return {channel: Learned(effect / together, effect) for channel, effect in effects.items()}


def _steps(paths: Mapping[tuple[K, ...], Walked]) -> Mapping[Hashable, Counter[Hashable]]:
    """How often each next state followed each."""
    steps: dict[Hashable, Counter[Hashable]] = {}
    for path, walked in paths.items():
        plain = [_START, *(channel for channel, _ in groupby(path))]
        for state, following in pairwise(plain):
            steps.setdefault(state, Counter())[following] += walked.all
        ends = steps.setdefault(plain[-1], Counter())
        ends[_CONVERSION] += walked.converted
        ends[_NULL] += walked.all - walked.converted
    return steps


def _chance(
    steps: Mapping[Hashable, Counter[Hashable]], states: Sequence[Hashable], removed: Hashable | None
) -> Fraction:
    """The chance to convert from the start: (I - Q)⁻¹R, solved by elimination.

    Row i says: the chance from state i is the sum of the chances of the next ones, each times its own.
    """
    rows: list[list[Fraction]] = []
    for state in states:
        following = steps.get(state, Counter()) if state != removed else Counter[Hashable]()
        total = following.total() or 1
        row = [Fraction(state == other) - Fraction(following[other], total) for other in states]
        rows.append([*row, Fraction(following[_CONVERSION], total)])
    for pivot in range(len(rows) - 1, -1, -1):
        row = rows[pivot] = [value / rows[pivot][pivot] for value in rows[pivot]]
        for index, other in enumerate(rows[:pivot]):
            rows[index] = [value - other[pivot] * mine for value, mine in zip(other, row, strict=True)]
    return rows[0][-1]
