"""What a model says of many orders at once: the same credits that `domain.attribute` gives them one by one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.attribution.domain import models
from services.attribution.domain.attribute import WHOLE
from services.attribution.domain.models import Model, Rule
from services.attribution.domain.orders import Platform
from services.attribution.domain.touches import Action, Answer, Channel, Touch, is_helpful
from services.attribution.simulation import splits
from services.attribution.simulation.cases import Cases, Flags, Floats, Numbers
from services.attribution.store import facts
from services.kernel.money import minor_unit

STEPS: Final = np.array([0, 1, 2, 2, 2, 3, 4], np.int8)
"""The cascade's step of each tier."""

_PERSON_TIER: Final = 6
_NO_TIER: Final = 127


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a model says of a period: `tier` of each order (0 where nothing decided), and credits, one a row.

    Credits stand by order and in the touches' total order; `order` and `touch` count rows of the cases.
    """

    tier: NDArray[np.int8]
    order: Numbers
    touch: Numbers
    millionths: Numbers
    gross_micros: Numbers
    net_micros: Numbers

    @classmethod
    def joined(cls, outcomes: Sequence["Outcome"]) -> "Outcome":
        """Outcomes of some of the orders each, in their sequence."""
        names = ("order", "touch", "millionths", "gross_micros", "net_micros")
        return cls(
            tier=np.maximum.reduce([outcome.tier for outcome in outcomes]),
            **{name: np.concatenate([getattr(outcome, name) for outcome in outcomes]) for name in names},
        )


def counted_orders(cases: Cases, counted: Mapping[Platform, frozenset[str]]) -> Flags:
    """Which orders count as sold."""
    orders = cases.orders
    sold = np.zeros(len(orders), np.bool_)
    platform = orders.marks & facts.PLATFORM_BITS
    for one, statuses in counted.items():
        numbers = np.array([facts.number("status", status) for status in statuses], np.int64)
        sold |= (platform == one) & np.isin(orders.status, numbers)
    refused = facts.TEST_BIT | facts.DELETED_BIT | facts.TRASHED_BIT | facts.CANCELLED_BIT
    found: Flags = sold & ((orders.marks & refused) == 0)
    return found


def eligible_marks(model: Model) -> Flags:
    """For each of the marks that a touch can have, whether the model lets such touches earn anything."""
    allowed = np.zeros(facts.MARKS, np.bool_)
    for channel in model.channels or frozenset(Channel):
        for action in frozenset(Action) - {Action.LINK_CLICK}:
            for answer in Answer:
                touch = _touch(0, channel, action, answer)
                allowed[facts.touch_marks(touch)] = is_helpful(touch) or not model.helpful_only
    return allowed


def eligible_pairs(cases: Cases, model: Model, counted: Flags) -> Numbers:
    """The pairs whose touch may earn credit, whatever the order's other touches are."""
    pairs = cases.pairs
    eligible = eligible_marks(model)[cases.touches.marks[pairs.touch]]
    eligible &= pairs.age <= model.window
    eligible &= counted[pairs.order]
    eligible &= (pairs.tier != _PERSON_TIER) | ~pairs.conflict
    return np.flatnonzero(eligible)


def evaluate(cases: Cases, model: Model, counted: Flags) -> Outcome:
    """What the model says of the period's orders."""
    pairs = cases.pairs
    chosen = eligible_pairs(cases, model, counted)
    chosen, tier = _winners(cases, chosen)
    grouped = splits.groups(pairs.order[chosen].astype(np.int64))
    match model.rule:
        case Rule.FIRST_TOUCH:
            chosen = chosen[grouped.start]
        case Rule.LAST_TOUCH:
            chosen = chosen[grouped.start + grouped.size - 1]
        case Rule.DATA_DRIVEN:
            chosen = chosen[_weighed(cases, model, chosen, grouped)]
        case Rule.TIME_DECAY if model.half_life > 0:
            chosen = chosen[cases.pairs.age[chosen] < _weightless(model)]
    order = pairs.order[chosen].astype(np.int64)
    return Outcome(
        tier=tier,
        order=order,
        touch=pairs.touch[chosen].astype(np.int64),
        **_parts(cases, model, chosen, splits.groups(order)),
    )


def _winners(cases: Cases, eligible: Numbers) -> tuple[Numbers, NDArray[np.int8]]:
    """The pairs of each order's deciding step, and the strongest tier among them."""
    tier = cases.pairs.tier[eligible]
    step = STEPS[tier]
    grouped = splits.groups(cases.pairs.order[eligible].astype(np.int64))
    decided = np.zeros(len(cases.orders), np.int8)
    if not len(eligible):
        return eligible, decided
    winning = step == np.minimum.reduceat(step, grouped.start)[grouped.of_row]
    strongest = np.minimum.reduceat(np.where(winning, tier, np.int8(_NO_TIER)), grouped.start)
    decided[cases.pairs.order[eligible][grouped.start]] = strongest
    return eligible[winning], decided


def _channel_weights(cases: Cases, model: Model, chosen: Numbers) -> Floats:
    by_channel = np.zeros(facts.CHANNEL_BITS + 1, np.float64)
    for channel, weight in model.weights.items():
        by_channel[channel] = float(weight)
    weights: Floats = by_channel[cases.touches.marks[cases.pairs.touch[chosen]] & facts.CHANNEL_BITS]
    return weights


def _weighed(cases: Cases, model: Model, chosen: Numbers, grouped: splits.Groups) -> Flags:
    """Pairs with a weight, and all of an order that has none with one."""
    if not len(chosen):
        return np.zeros(0, np.bool_)
    weighs = _channel_weights(cases, model, chosen) > 0
    return weighs | ~np.logical_or.reduceat(weighs, grouped.start)[grouped.of_row]


def _weightless(model: Model) -> int:
    """The age from which on a touch has decayed to nothing; one more than the window where none in it has."""
    light, heavy = model.window + 1, -1
    while light - heavy > 1:
        middle = (light + heavy) // 2
        touch = _touch(-middle, Channel.CHAT, Action.MESSAGE, Answer.UNSPECIFIED)
        if any(models.weights(model, [touch], 0)):
            heavy = middle
        else:
            light = middle
    return light


def _parts(cases: Cases, model: Model, chosen: Numbers, grouped: splits.Groups) -> dict[str, Numbers]:
    orders = cases.orders
    order = cases.pairs.order[chosen][grouped.start]
    totals = {
        "millionths": (np.full(len(order), WHOLE), np.ones(len(order), np.int64)),
        "gross_micros": (orders.gross_micros[order], _units(orders.currency[order])),
        "net_micros": (orders.net_micros[order], _units(orders.currency[order])),
    }
    several = grouped.size > 1
    rows = several[grouped.of_row]
    inner = splits.groups(grouped.of_row[rows])
    weights = _weights(cases, model, chosen[rows], inner) if rows.any() else None
    found = {}
    for name, (total, unit) in totals.items():
        parts = total[grouped.of_row]
        if weights is not None:
            parts[rows] = splits.split(total[several], unit[several], inner, weights)
        found[name] = parts
    return found


def _units(currency: Numbers) -> Numbers:
    """Each currency's smallest real amount, in micros."""
    known, places = np.unique(currency, return_inverse=True)
    return np.array([minor_unit(facts.currency_code(one)) for one in known.tolist()], np.int64)[places]


def _weights(cases: Cases, model: Model, chosen: Numbers, grouped: splits.Groups) -> splits.Weights:
    """The weights of pairs of which each order has several, as `domain.models.weights` finds them."""
    even = np.ones(len(chosen), np.int64)
    match model.rule:
        case Rule.POSITION_BASED:
            between = (grouped.size - 2)[grouped.of_row]
            ends = np.zeros(len(chosen), np.bool_)
            ends[grouped.start] = ends[grouped.start + grouped.size - 1] = True
            return splits.Weights(np.where(ends & (between > 0), 2 * between, even))
        case Rule.TIME_DECAY if model.half_life > 0:
            age = cases.pairs.age[chosen]
            since_last = age - np.minimum.reduceat(age, grouped.start)[grouped.of_row]
            floating = np.exp2(-since_last / model.half_life)
        case Rule.DATA_DRIVEN:
            floating = _channel_weights(cases, model, chosen)
            floating = np.where(floating > 0, floating, 1.0)
        case _:
            return splits.Weights(even)

    def exact(group: int) -> list[Fraction]:
        start, count = int(grouped.start[group]), int(grouped.size[group])
        mine = chosen[start : start + count]
        touches = [
            _touch(-int(age), Channel(int(marks) & facts.CHANNEL_BITS), Action.MESSAGE, Answer.UNSPECIFIED)
            for age, marks in zip(cases.pairs.age[mine], cases.touches.marks[cases.pairs.touch[mine]], strict=True)
        ]
        return models.weights(model, touches, 0)

    return splits.Weights(None, floating, exact)


def _touch(occur_time: int, channel: Channel, action: Action, answer: Answer) -> Touch:
    """A touch of which nothing else matters."""
    return Touch("", "", occur_time, channel, action, answer, "", "", "", "", "", False, ())
