"""Paths of channels: how often people went each of them, and how many of them ended in an order."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from services.attribution.domain.models import Model
from services.attribution.domain.touches import Channel
from services.attribution.simulation import splits
from services.attribution.simulation.cases import Cases, Flags, Numbers
from services.attribution.simulation.eligible import eligible_pairs, eligible_touches
from services.attribution.simulation.walked import Walked
from services.attribution.store import facts

Path: TypeAlias = tuple[Channel, ...]


Paths: TypeAlias = Mapping[Path, Walked]
Names: TypeAlias = Callable[[Numbers], Mapping[int, tuple[str, ...]]]
"""Source and event id of touches, by where the store keeps them."""


def paths(cases: Cases, model: Model, counted: Flags, names: Names, *, count_crawlers: bool = False) -> Paths:
    """The period's paths under a model.

    A counted order's path are the touches that may earn credit for it. Who was reached and has no counted order after
    that in the period walked a path to nothing: all touches since the last order that the model would look at. The
    same channel several times in succession is once in a path.
    """
    eligible = eligible_pairs(cases, model, counted, count_crawlers=count_crawlers)
    converting = _counts(*_converting(cases, eligible))
    reached = np.flatnonzero((cases.touches.time >= cases.from_time) & (cases.touches.node != 0))
    reached = reached[eligible_touches(cases.touches, reached, model, count_crawlers=count_crawlers)]
    lost = _counts(*_lost(cases, reached, counted, names))
    return {
        path: Walked(converting[path] + lost[path], converting[path])
        for path in sorted(converting.keys() | lost.keys())
    }


def _converting(cases: Cases, eligible: Numbers) -> tuple[Numbers, Numbers]:
    """Order and channel of each eligible pair."""
    channel = cases.touches.marks[cases.pairs.touch[eligible]] & facts.CHANNEL_BITS
    return cases.pairs.order[eligible].astype(np.int64), channel


def _lost(cases: Cases, chosen: Numbers, counted: Flags, names: Names) -> tuple[Numbers, Numbers]:
    """Person and channel of each of the touches that no counted order of the person follows."""
    touches, pairs = cases.touches, cases.pairs
    followed = np.zeros(len(touches), np.bool_)
    followed[pairs.touch[counted[pairs.order]]] = True
    chosen = chosen[~followed[chosen]]
    chosen = chosen[np.lexsort((touches.time[chosen], touches.node[chosen]))]
    chosen = chosen[touches.time[chosen] >= _last_orders(cases, counted, touches.node[chosen])]
    chosen = _in_total_order(cases, chosen, names)
    return touches.node[chosen], touches.marks[chosen] & facts.CHANNEL_BITS


def _last_orders(cases: Cases, counted: Flags, node: Numbers) -> Numbers:
    """When each person, in ascending sequence, last placed a counted order; the beginning of time for none."""
    orders = cases.orders
    mine = np.flatnonzero(counted & (orders.node != 0))
    mine = mine[np.lexsort((orders.time[mine], orders.node[mine]))]
    buyers, times = orders.node[mine], orders.time[mine]
    place = np.searchsorted(buyers, node, side="right") - 1
    found = np.full(len(node), np.iinfo(np.int64).min)
    bought = np.flatnonzero(place >= 0)
    bought = bought[buyers[place[bought]] == node[bought]]
    # A touch at the order's own moment is before it.
    found[bought] = times[place[bought]] + 1
    return found


def _in_total_order(cases: Cases, chosen: Numbers, names: Names) -> Numbers:
    """Touches by person and time, those of one moment by source and event id."""
    node, time = cases.touches.node[chosen], cases.touches.time[chosen]
    same = (node[1:] == node[:-1]) & (time[1:] == time[:-1])
    if not same.any():
        return chosen
    places = np.flatnonzero(np.append(same, False) | np.append(False, same))
    rows = cases.touches.row[chosen[places]]
    known = names(rows)
    rank = {row: number for number, row in enumerate(sorted(known, key=known.__getitem__))}
    ranks = np.array([rank[row] for row in rows.tolist()], np.int64)
    ordered = chosen.copy()
    ordered[places] = chosen[places[np.lexsort((ranks, time[places], node[places]))]]
    return ordered


def _counts(walker: Numbers, channel: Numbers) -> Counter[Path]:
    """How often each path was walked; rows stand by walker and time."""
    if not len(walker):
        return Counter()
    changed = np.append(True, (walker[1:] != walker[:-1]) | (channel[1:] != channel[:-1]))
    grouped, steps = splits.groups(walker[changed]), channel[changed].astype(np.uint8).tobytes()
    starts, ends = grouped.start.tolist(), (grouped.start + grouped.size).tolist()
    packed = Counter(steps[start:end] for start, end in zip(starts, ends, strict=True))
    return Counter({tuple(map(Channel, path)): count for path, count in packed.items()})
