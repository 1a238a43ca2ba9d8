"""Which orders count, and which of the touches tied to them may earn credit, many at once."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.attribution.domain.models import Anchor, Model
from services.attribution.domain.orders import Platform
from services.attribution.domain.touches import Action, Answer, Channel, Touch, is_helpful
from services.attribution.simulation.cases import HANDLED, Cases, Flags, Numbers, Touches
from services.attribution.store import facts

_SESSION_TIER: Final = 1
_PERSON_TIER: Final = 6


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
    found = {
        column: np.array([facts.number(space, value) for value in sorted(values)], np.int64)
        for column, space, values in spaces
        if values
    }
    return {**found, HANDLED: np.ones(1, np.int64)} if model.filter.handled_only else found


def _eligible_marks(model: Model) -> Flags:
    allowed = np.zeros(facts.MARKS, np.bool_)
    actions = frozenset({Action.CLICK}) if model.anchor is Anchor.CLICK else frozenset(Action) - {Action.LINK_CLICK}
    for channel in filter(model.looks_at, Channel):
        for action in actions & (model.filter.actions or actions):
            for answer in Answer:
                touch = plain_touch(0, channel, action, answer)
                allowed[facts.touch_marks(touch)] = is_helpful(touch) or not model.helpful_only
    return allowed


def looked_at(cases: Cases, model: Model) -> Cases:
    """The cases with what the model looks at as their touches: conversations as a whole, or single ones."""
    if model.anchor is not Anchor.CONVERSATION:
        return cases
    if cases.conversations is None or cases.conversation_pairs is None:
        raise ValueError("conversations were not loaded")
    return replace(cases, touches=cases.conversations, pairs=cases.conversation_pairs, products=None)


def eligible_pairs(cases: Cases, model: Model, counted: Flags, *, count_crawlers: bool = False) -> Numbers:
    """The pairs whose touch may earn credit, whatever the order's other touches are."""
    pairs = cases.pairs
    if model.anchor is Anchor.SESSION:
        eligible = pairs.tier == _SESSION_TIER
    else:
        eligible = pairs.since <= model.window
        eligible &= (pairs.tier != _PERSON_TIER) | ~pairs.conflict
    chosen = np.flatnonzero(eligible & counted[pairs.order])
    return chosen[eligible_touches(cases.touches, pairs.touch[chosen], model, count_crawlers=count_crawlers)]


def plain_touch(occur_time: int, channel: Channel, action: Action, answer: Answer) -> Touch:
    """A touch of which nothing else matters."""
    return Touch("", "", occur_time, channel, action, answer, "", "", "", "", "", False, ())
