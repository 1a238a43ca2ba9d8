"""What becomes of a touch: why it may earn nothing, whatever the others are."""

from enum import IntEnum
from typing import NamedTuple

from services.attribution.domain.models import Anchor, Model, Rule
from services.attribution.domain.tiers import Tier
from services.attribution.domain.touches import Action, Touch, is_helpful


class Verdict(IntEnum):
    """What became of a touch; numbered as in `touchstone.attribution.v1.ConsideredTouch.Verdict`."""

    CREDITED = 1
    OUTSIDE_WINDOW = 2
    AFTER_ORDER = 3
    NOT_HELPFUL = 4
    CHANNEL_NOT_IN_MODEL = 5
    LOWER_TIER = 6
    NOT_FIRST = 7
    NOT_LAST = 8
    CONTACT_CONFLICT = 9
    HUB = 10
    CRAWLER = 11
    LINK_CLICK = 12
    ORDER_NOT_COUNTED = 13
    FILTERED = 14
    PRODUCT_NOT_BOUGHT = 15
    OTHER_SESSION = 16


class Tied(NamedTuple):
    """A touch and what ties it to the order; no tier when only an identifier that names nobody does.

    `conflict`: its events name another contact than the order. `handled`: a human agent took part in its conversation.
    """

    touch: Touch
    tier: Tier | None
    conflict: bool
    handled: bool


class Sale(NamedTuple):
    """What of an order matters to every touch alike: its time, and whether it and crawlers' touches count."""

    order_time: int
    counts: bool
    count_crawlers: bool


PASSED_OVER = {Rule.FIRST_TOUCH: Verdict.NOT_FIRST, Rule.LAST_TOUCH: Verdict.NOT_LAST}
"""What becomes of a touch of the deciding tier to which the rule gives nothing; FILTERED where its weight is 0."""


def refusal(tied: Tied, sale: Sale, model: Model) -> Verdict | None:
    """Why the touch may earn nothing whatever the others are; None for an eligible one. The first reason counts."""
    touch, tier = tied.touch, tied.tier
    if tier is None:
        return Verdict.HUB
    if touch.crawler and not sale.count_crawlers:
        return Verdict.CRAWLER
    if touch.action is Action.LINK_CLICK:
        return Verdict.LINK_CLICK
    if not model.looks_at(touch.channel):
        return Verdict.CHANNEL_NOT_IN_MODEL
    return (
        _outside(tied, sale.order_time, model)
        or _unfit(tied, model)
        or (Verdict.CONTACT_CONFLICT if tied.conflict else None)
        or (None if sale.counts else Verdict.ORDER_NOT_COUNTED)
    )


def _outside(tied: Tied, order_time: int, model: Model) -> Verdict | None:
    """Both ends of a window belong to it."""
    touch = tied.touch
    if touch.occur_time > order_time:
        return Verdict.AFTER_ORDER
    if model.anchor is Anchor.SESSION:
        return None if tied.tier is Tier.SESSION else Verdict.OTHER_SESSION
    since = touch.occur_time if touch.end_time is None else touch.end_time
    return Verdict.OUTSIDE_WINDOW if order_time - since > model.window else None


def _unfit(tied: Tied, model: Model) -> Verdict | None:
    if model.helpful_only and not is_helpful(tied.touch):
        return Verdict.NOT_HELPFUL
    if model.anchor is Anchor.CLICK and tied.touch.action is not Action.CLICK:
        return Verdict.FILTERED
    if (model.filter.handled_only and not tied.handled) or not model.filter.passes(tied.touch):
        return Verdict.FILTERED
    return None
