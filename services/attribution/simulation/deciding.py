"""Who of the touches that may earn credit does, and by which weights, for many orders or lines at once."""

from fractions import Fraction
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.attribution.domain import models
from services.attribution.domain.models import Model, Rule
from services.attribution.domain.spans import EVER
from services.attribution.domain.touches import Action, Answer, Channel
from services.attribution.simulation import splits
from services.attribution.simulation.cases import Cases, Flags, Floats, Numbers
from services.attribution.simulation.eligible import plain_touch
from services.attribution.store import facts
from services.kernel.money import minor_unit

STEPS: Final = np.array([0, 1, 2, 2, 2, 3, 4], np.int8)
"""The cascade's step of each tier."""

_NO_TIER: Final = 127


class Rows(NamedTuple):
    """Pairs, and what each is decided for: an order or a line, ascending. Pairs stand in total order within one."""

    pair: Numbers
    sale: Numbers

    def where(self, chosen: Flags | Numbers) -> "Rows":
        """Some of the rows."""
        return Rows(self.pair[chosen], self.sale[chosen])


class Decided(NamedTuple):
    """The rows of each sale's deciding step, and of each sale that has any the strongest tier among them."""

    rows: Rows
    sale: Numbers
    tier: NDArray[np.int8]


def decide(cases: Cases, eligible: Rows) -> Decided:
    """The first step of the cascade that has an eligible touch."""
    tier = cases.pairs.tier[eligible.pair]
    step = STEPS[tier]
    grouped = splits.groups(eligible.sale)
    if not len(eligible.pair):
        return Decided(eligible, eligible.sale, tier)
    winning = step == np.minimum.reduceat(step, grouped.start)[grouped.of_row]
    strongest = np.minimum.reduceat(np.where(winning, tier, np.int8(_NO_TIER)), grouped.start)
    return Decided(eligible.where(winning), eligible.sale[grouped.start], strongest)


def earners(cases: Cases, model: Model, rows: Rows) -> Rows:
    """Those to which the model's rule gives anything."""
    grouped = splits.groups(rows.sale)
    match model.rule:
        case Rule.FIRST_TOUCH:
            return rows.where(grouped.start)
        case Rule.LAST_TOUCH:
            return rows.where(grouped.start + grouped.size - 1)
        case Rule.DATA_DRIVEN:
            return rows.where(_weighed(cases, model, rows, grouped))
        case Rule.TIME_DECAY if model.half_life > 0:
            return rows.where(_since_last(cases, rows, grouped) < _weightless(model))
        case _:
            return rows


def weights(cases: Cases, model: Model, rows: Rows, grouped: splits.Groups) -> splits.Weights:
    """The weights of earners, as `domain.models.weights` finds them."""
    even = np.ones(len(rows.pair), np.int64)
    match model.rule:
        case Rule.POSITION_BASED:
            between = (grouped.size - 2)[grouped.of_row]
            ends = np.zeros(len(even), np.bool_)
            ends[grouped.start] = ends[grouped.start + grouped.size - 1] = True
            return splits.Weights(np.where(ends & (between > 0), 2 * between, even))
        case Rule.TIME_DECAY if model.half_life > 0:
            floating = np.exp2(-_since_last(cases, rows, grouped) / model.half_life)
        case Rule.DATA_DRIVEN:
            floating = _channel_weights(cases, model, rows)
            floating = np.where(floating > 0, floating, 1.0)
        case _:
            return splits.Weights(even)

    def exact(group: int) -> list[Fraction]:
        start, count = int(grouped.start[group]), int(grouped.size[group])
        mine = rows.pair[start : start + count]
        touches = [
            plain_touch(-int(age), Channel(int(marks) & facts.CHANNEL_BITS), Action.MESSAGE, Answer.UNSPECIFIED)
            for age, marks in zip(cases.pairs.age[mine], cases.touches.marks[cases.pairs.touch[mine]], strict=True)
        ]
        return models.weights(model, touches)

    return splits.Weights(None, floating, exact)


def parts(cases: Cases, model: Model, rows: Rows, totals: dict[str, tuple[Numbers, Numbers]]) -> dict[str, Numbers]:
    """What earners are given of each sale's totals, each with its smallest unit."""
    grouped = splits.groups(rows.sale)
    several = grouped.size > 1
    chosen = several[grouped.of_row]
    inner = splits.groups(grouped.of_row[chosen])
    by_weight = weights(cases, model, rows.where(chosen), inner) if chosen.any() else None
    found = {}
    for name, (total, unit) in totals.items():
        mine = total[grouped.of_row]
        if by_weight is not None:
            mine[chosen] = splits.split(total[several], unit[several], inner, by_weight)
        found[name] = mine
    return found


def units(currency: Numbers) -> Numbers:
    """Each currency's smallest real amount, in micros."""
    known, places = np.unique(currency, return_inverse=True)
    return np.array([minor_unit(facts.currency_code(one)) for one in known.tolist()], np.int64)[places]


def _channel_weights(cases: Cases, model: Model, rows: Rows) -> Floats:
    by_channel = np.zeros(facts.CHANNEL_BITS + 1, np.float64)
    for channel, weight in model.weights.items():
        by_channel[channel] = float(weight)
    found: Floats = by_channel[cases.touches.marks[cases.pairs.touch[rows.pair]] & facts.CHANNEL_BITS]
    return found


def _weighed(cases: Cases, model: Model, rows: Rows, grouped: splits.Groups) -> Flags:
    """Rows with a weight, and all of a sale that has none with one."""
    if not len(rows.pair):
        return np.zeros(0, np.bool_)
    weighs = _channel_weights(cases, model, rows) > 0
    return weighs | ~np.logical_or.reduceat(weighs, grouped.start)[grouped.of_row]


def _since_last(cases: Cases, rows: Rows, grouped: splits.Groups) -> Numbers:
    """How long before the last touch of its sale each is."""
    age = cases.pairs.age[rows.pair]
    return age - np.minimum.reduceat(age, grouped.start)[grouped.of_row] if len(age) else age


def _weightless(model: Model) -> int:
    """How long before the last a touch has decayed to nothing."""
    light, heavy = EVER, -1
    while light - heavy > 1:
        middle = (light + heavy) // 2
        pair = [plain_touch(-age, Channel.CHAT, Action.MESSAGE, Answer.UNSPECIFIED) for age in (middle, 0)]
        if all(models.weights(model, pair)):
            heavy = middle
        else:
            light = middle
    return light
