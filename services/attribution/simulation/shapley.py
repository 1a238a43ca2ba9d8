"""Shapley values of channels, exactly."""

from collections import Counter
from collections.abc import Hashable, Mapping
from fractions import Fraction
from itertools import combinations
from math import factorial
from typing import TypeVar

from services.attribution.simulation.walked import Walked

K = TypeVar("K", bound=Hashable)


def shapley_values(paths: Mapping[tuple[K, ...], Walked]) -> dict[K, Fraction]:
    """Each channel's fair part of the conversions; the parts add up to all conversions of paths with a channel.

    A set of channels is worth the conversions of the paths that go through no others. A channel's value is what it
    adds to a set, averaged over all sequences in which the channels may come together.
    """
    converted = Counter[frozenset[K]]()
    for path, walked in paths.items():
        converted[frozenset(path)] += walked.converted
    channels = sorted({channel for path in converted for channel in path}, key=repr)
    worth = {
        frozenset(together): sum(count for visited, count in converted.items() if visited and visited <= set(together))
        for size in range(len(channels) + 1)
        for together in combinations(channels, size)
    }
    orders = factorial(len(channels))
    return {
        channel: sum(
            (
                Fraction(factorial(len(others)) * factorial(len(channels) - len(others) - 1), orders)
                * (worth[others | {channel}] - value)
                for others, value in worth.items()
                if channel not in others
            ),
            Fraction(0),
        )
        for channel in channels
    }
