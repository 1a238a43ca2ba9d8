"""Which orders two models credit otherwise, and why."""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.attribution.domain.attribute import Attribution, Tier
from services.attribution.simulation import splits
from services.attribution.simulation.cases import Flags, Numbers
from services.attribution.simulation.deciding import STEPS
from services.attribution.simulation.evaluate import Outcome


class Reason(IntEnum):
    """Why an order moved; numbered as in `touchstone.attribution.v1.MovedOrder.Reason`."""

    GAINED = 1
    LOST = 2
    OTHER_TIER = 3
    OTHER_TOUCHES = 4
    OTHER_PARTS = 5


def reason(simulated: Attribution, compared: Attribution) -> Reason | None:
    """Why an order moved, of the two models' word on it; None when they credit it alike.

    Known contact is one tier, whatever the contact. A tier under which no touch is credited is none.
    """
    if not simulated.credits or not compared.credits:
        return Reason.GAINED if simulated.credits else Reason.LOST if compared.credits else None
    now = [(one.touch.source, one.touch.event_id) for one in simulated.credits]
    then = [(one.touch.source, one.touch.event_id) for one in compared.credits]
    if _step(simulated.matched_by) != _step(compared.matched_by):
        return Reason.OTHER_TIER
    if now != then:
        return Reason.OTHER_TOUCHES
    parts = [
        [(one.fraction_millionths, one.gross_micros, one.net_micros) for one in credited]
        for credited in (simulated.credits, compared.credits)
    ]
    return Reason.OTHER_PARTS if parts[0] != parts[1] else None


def _step(tier: Tier | None) -> int:
    return int(STEPS[tier or 0])


class Moves(NamedTuple):
    """Orders that moved, as rows of the cases' orders, and each one's reason."""

    order: Numbers
    reason: NDArray[np.int8]


def moves(simulated: Outcome, compared: Outcome) -> Moves:
    """The orders that two outcomes of the same cases credit otherwise: `reason`, for all of them at once."""
    found = np.zeros(len(simulated.tier), np.int8)
    now, then = (np.bincount(one.order, minlength=len(found)) for one in (simulated, compared))
    both = (now > 0) & (then > 0)
    found[(now > 0) & (then == 0)] = Reason.GAINED
    found[(now == 0) & (then > 0)] = Reason.LOST
    other_tier = both & (STEPS[simulated.tier] != STEPS[compared.tier])
    found[other_tier] = Reason.OTHER_TIER
    same_tier = both & ~other_tier
    found[same_tier & (now != then)] = Reason.OTHER_TOUCHES
    _compare(simulated, compared, same_tier & (now == then), found)
    moved = np.flatnonzero(found)
    return Moves(moved, found[moved])


def _compare(simulated: Outcome, compared: Outcome, alike: Flags, found: NDArray[np.int8]) -> None:
    """Orders with as many credits under both models: their rows stand side by side."""
    now, then = np.flatnonzero(alike[simulated.order]), np.flatnonzero(alike[compared.order])
    if not len(now):
        return
    other_touch = simulated.touch[now] != compared.touch[then]
    other_part = simulated.millionths[now] != compared.millionths[then]
    other_part |= simulated.gross_micros[now] != compared.gross_micros[then]
    other_part |= simulated.net_micros[now] != compared.net_micros[then]
    grouped = splits.groups(simulated.order[now])
    order = simulated.order[now][grouped.start]
    touches, parts = (np.logical_or.reduceat(one, grouped.start) for one in (other_touch, other_part))
    found[order[parts]] = Reason.OTHER_PARTS
    found[order[touches]] = Reason.OTHER_TOUCHES
