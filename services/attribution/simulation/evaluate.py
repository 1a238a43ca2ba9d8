"""What a model says of many orders at once: the same credits that `domain.attribute` gives them one by one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.attribution.domain import models
from services.attribution.domain.models import Anchor, Basis, Model, Rule
from services.attribution.domain.orders import Platform
from services.attribution.domain.shares import WHOLE
from services.attribution.domain.touches import Action, Answer, Channel, Touch, is_helpful
from services.attribution.simulation import splits
from services.attribution.simulation.cases import Cases, Flags, Floats, Numbers, Touches
from services.attribution.store import facts
from services.kernel.money import minor_unit

STEPS: Final = np.array([0, 1, 2, 2, 2, 3, 4], np.int8)
"""The cascade's step of each tier."""

_SESSION_TIER: Final = 1
_PERSON_TIER: Final = 6
_NO_TIER: Final = 127


_AMOUNTS: Final = {
    Basis.TOTAL: ("gross_micros", "net_micros"),
    Basis.WITHOUT_TAX: ("gross_without_tax", "net_without_tax"),
    Basis.WITHOUT_SHIPPING: ("gross_without_shipping", "net_without_shipping"),
    Basis.WITHOUT_TAX_AND_SHIPPING: ("gross_without_both", "net_without_both"),
}


def by_columns(model: Model) -> bool:
    """True for models that only look at an order, its touches, and who belongs together."""
    return not model.by_line and not model.conversational


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


def counted_orders(cases: Cases, counted: Mapping[Platform, frozenset[str]], *, count_tests: bool = False) -> Flags:
    """Which orders count as sold, where these statuses do."""
    orders = cases.orders
    sold = np.zeros(len(orders), np.bool_)
    platform = orders.marks & facts.PLATFORM_BITS
    for one, statuses in counted.items():
        numbers = np.array([facts.number("status", status) for status in statuses], np.int64)
        sold |= (platform == one) & np.isin(orders.status, numbers)
    refused = facts.DELETED_BIT | facts.TRASHED_BIT | facts.CANCELLED_BIT | (0 if count_tests else facts.TEST_BIT)
    found: Flags = sold & ((orders.marks & refused) == 0)
    return found


def eligible_touches(
    touches: Touches, chosen: NDArray[np.signedinteger[Any]], model: Model, *, count_crawlers: bool = False
) -> Flags:
    """For each of some touches, whether the model lets such a one earn credit."""
    marks = touches.marks[chosen]
    allowed = _eligible_marks(model)
    eligible = allowed[marks & ~facts.CRAWLER_BIT] & (count_crawlers | ((marks & facts.CRAWLER_BIT) == 0))
    for column, values in filtered_values(model).items():
        eligible &= np.isin(touches.values[column][chosen], values)
    found: Flags = eligible
    return found


def filtered_values(model: Model) -> dict[str, Numbers]:
    """The numbers that a model's filter lets pass, by the touches' column."""
    spaces = (
        ("touchpoint", "touchpoint", model.filter.touchpoints),
        ("bot_name", "bot", model.filter.bot_names),
        ("agent_id", "agent", model.filter.agent_ids),
        ("campaign", "campaign", model.filter.campaigns),
        ("experience_id", "experience", model.filter.experience_ids),
    )
    return {
        column: np.array([facts.number(space, value) for value in sorted(values)], np.int64)
        for column, space, values in spaces
        if values
    }


def amount_columns(model: Model) -> tuple[str, str]:
    """The columns of what the model credits of orders, gross and net."""
    return _AMOUNTS[model.basis]


def _eligible_marks(model: Model) -> Flags:
    allowed = np.zeros(facts.MARKS, np.bool_)
    actions = frozenset({Action.CLICK}) if model.anchor is Anchor.CLICK else frozenset(Action) - {Action.LINK_CLICK}
    for channel in filter(model.looks_at, Channel):
        for action in actions & (model.filter.actions or actions):
            for answer in Answer:
                touch = _touch(0, channel, action, answer)
                allowed[facts.touch_marks(touch)] = is_helpful(touch) or not model.helpful_only
    return allowed


def eligible_pairs(cases: Cases, model: Model, counted: Flags, *, count_crawlers: bool = False) -> Numbers:
    """The pairs whose touch may earn credit, whatever the order's other touches are."""
    pairs = cases.pairs
    if model.anchor is Anchor.SESSION:
        eligible = pairs.tier == _SESSION_TIER
    else:
        eligible = pairs.age <= model.window
        eligible &= (pairs.tier != _PERSON_TIER) | ~pairs.conflict
    chosen = np.flatnonzero(eligible & counted[pairs.order])
    return chosen[eligible_touches(cases.touches, pairs.touch[chosen], model, count_crawlers=count_crawlers)]


def evaluate(cases: Cases, model: Model, counted: Flags, *, count_crawlers: bool = False) -> Outcome:
    """What the model says of the period's orders."""
    pairs = cases.pairs
    chosen = eligible_pairs(cases, model, counted, count_crawlers=count_crawlers)
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
            chosen = chosen[_since_last(cases, chosen, grouped) < _weightless(model, cases.reach)]
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


def _since_last(cases: Cases, chosen: Numbers, grouped: splits.Groups) -> Numbers:
    """How long before the last touch of its order each is."""
    age = cases.pairs.age[chosen]
    return age - np.minimum.reduceat(age, grouped.start)[grouped.of_row] if len(age) else age


def _weightless(model: Model, reach: int) -> int:
    """How long before the last a touch has decayed to nothing; one more than the reach where none in it has."""
    light, heavy = reach + 1, -1
    while light - heavy > 1:
        middle = (light + heavy) // 2
        pair = [_touch(-age, Channel.CHAT, Action.MESSAGE, Answer.UNSPECIFIED) for age in (middle, 0)]
        if all(models.weights(model, pair)):
            heavy = middle
        else:
            light = middle
    return light


def _parts(cases: Cases, model: Model, chosen: Numbers, grouped: splits.Groups) -> dict[str, Numbers]:
    orders = cases.orders
    order = cases.pairs.order[chosen][grouped.start]
    gross, net = (orders.amounts[column] for column in amount_columns(model))
    totals = {
        "millionths": (np.full(len(order), WHOLE), np.ones(len(order), np.int64)),
        "gross_micros": (gross[order], _units(orders.currency[order])),
        "net_micros": (net[order], _units(orders.currency[order])),
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
            floating = np.exp2(-_since_last(cases, chosen, grouped) / model.half_life)
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
        return models.weights(model, touches)

    return splits.Weights(None, floating, exact)


def _touch(occur_time: int, channel: Channel, action: Action, answer: Answer) -> Touch:
    """A touch of which nothing else matters."""
    return Touch("", "", occur_time, channel, action, answer, "", "", "", "", "", False, ())
