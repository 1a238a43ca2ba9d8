"""Shapley values of channels, exactly."""

from collections import Counter
from collections.abc import Hashable, Mapping
from fractions import Fraction
from typing import TypeVar

from services.attribution.simulation.walked import Walked

K = TypeVar("K", bound=Hashable)


def shapley_values(paths: Mapping[tuple[K, ...], Walked]) -> dict[K, Fraction]:
    """Each channel's fair part of the conversions; the parts add up to all conversions of paths with a channel.

    A set of channels is worth the conversions of the paths that go through no others. A channel's value is what it adds
    to a set, averaged over all sequences in which the channels may come together. Such a game is the sum of one for
    each set that paths go through, in which that set's conversions need all of its channels, and none matters more than
    another: there, each has the same part. Values of a sum of games are the sums of values.
    """
    converted: Counter[frozenset[K]] = Counter()
    for path, walked in paths.items():
        converted[frozenset(path)] += walked.converted
    values: dict[K, Fraction] = {channel: Fraction(0) for visited in converted for channel in visited}
    for visited, count in converted.items():
        for channel in visited:
            values[channel] += Fraction(count, len(visited))
    return values
