"""From order to credit: the cascade of tiers, and the verdict on every touch considered."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import IntEnum
from fractions import Fraction
from typing import NamedTuple

from services.attribution.domain.models import Model, Rule, weights
from services.attribution.domain.snapshot import Snapshot
from services.attribution.domain.touches import Action, Touch, is_helpful, touch_order
from services.kernel.identifiers import Identifier, Kind
from services.kernel.money import split

WHOLE = 1_000_000
"""Millionths in a whole order."""


class Tier(IntEnum):
    """What tied an order to touches; numbered as in `touchstone.attribution.v1.MatchBasis.Tier`."""

    SESSION = 1
    EMAIL = 2
    PHONE = 3
    CUSTOMER = 4
    VISITOR = 5
    PERSON = 6


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


class People(NamedTuple):
    """Who is who: the person of each identifier that has one, and the identifiers that name nobody."""

    persons: Mapping[Identifier, int]
    nobody: AbstractSet[Identifier]


class Credit(NamedTuple):
    """A part of an order, given to a touch."""

    touch: Touch
    fraction_millionths: int
    gross_micros: int
    net_micros: int


class Considered(NamedTuple):
    """A touch and what became of it; no tier when only an identifier that names nobody ties it to the order."""

    touch: Touch
    verdict: Verdict
    matched_by: Tier | None


class Attribution(NamedTuple):
    """What one model says of one order. `credits` and `considered` stand in the touches' total order."""

    model: str
    model_version: int
    matched_by: Tier | None
    credits: tuple[Credit, ...]
    considered: tuple[Considered, ...]


_DIRECT = (
    (Kind.SESSION, Tier.SESSION),
    (Kind.EMAIL, Tier.EMAIL),
    (Kind.PHONE, Tier.PHONE),
    (Kind.CUSTOMER, Tier.CUSTOMER),
    (Kind.VISITOR, Tier.VISITOR),
)
_CONTACTS = frozenset({Kind.EMAIL, Kind.PHONE, Kind.CUSTOMER})
_STEP = {Tier.SESSION: 1, Tier.EMAIL: 2, Tier.PHONE: 2, Tier.CUSTOMER: 2, Tier.VISITOR: 3, Tier.PERSON: 4}
"""The cascade's steps: known contact is one, whatever the contact."""

_PASSED_OVER = {Rule.FIRST_TOUCH: Verdict.NOT_FIRST, Rule.LAST_TOUCH: Verdict.NOT_LAST}


def attribute(order: Snapshot, touches: Sequence[Touch], model: Model, people: People) -> Attribution:
    """Which of the touches earn which part of the order under the model, and why the others don't.

    `touches` may hold any touches of anybody, each once: those that nothing ties to the order are left out of what is
    considered. The first step of the cascade that has an eligible touch decides. `matched_by` names the strongest
    identifier by which an eligible touch of that step is tied; within known contact that is e-mail before phone
    before customer number, also where the touch credited is tied by a weaker one, since the step was open to all.
    """
    if not touches:
        return Attribution(model.name, model.version, None, (), ())
    buyer = _buyer(order, people)
    tied = [(touch, _tie(buyer, touch, people)) for touch in sorted(touches, key=touch_order)]
    refused = [
        (touch, tier, _refusal(buyer, touch, tier, model, people))
        for touch, tier in tied
        if tier is not None or not buyer.nobody.isdisjoint(touch.identifiers)
    ]
    eligible = [(touch, tier) for touch, tier, refusal in refused if refusal is None and tier is not None]
    deciding = min((_STEP[tier] for _, tier in eligible), default=0)
    winners = [(touch, tier) for touch, tier in eligible if _STEP[tier] == deciding]
    shares = weights(model, [touch for touch, _ in winners], order.order_time) if winners else []
    earned = {touch_order(touch): share for (touch, _), share in zip(winners, shares, strict=True)}
    return Attribution(
        model=model.name,
        model_version=model.version,
        matched_by=min((tier for _, tier in winners), default=None),
        credits=_credits(order, [(touch, share) for (touch, _), share in zip(winners, shares, strict=True) if share]),
        considered=tuple(
            Considered(touch, _verdict(refusal, earned.get(touch_order(touch)), model), tier)
            for touch, tier, refusal in refused
        ),
    )


class _Buyer(NamedTuple):
    """Who placed the order: what names them, whom that makes them, and what of the order names nobody."""

    order: Snapshot
    named: Mapping[Kind, str]
    persons: AbstractSet[int]
    nobody: AbstractSet[Identifier]


def _buyer(order: Snapshot, people: People) -> _Buyer:
    named = [one for one in order.identifiers if one not in people.nobody]
    return _Buyer(
        order=order,
        named=dict(named),
        persons={people.persons[one] for one in named if one in people.persons},
        nobody=frozenset(order.identifiers).difference(named),
    )


def _tie(buyer: _Buyer, touch: Touch, people: People) -> Tier | None:
    """The strongest tier that ties the touch to the order; None where nothing that names somebody does."""
    own = set(touch.identifiers)
    for kind, tier in _DIRECT:
        value = buyer.named.get(kind)
        if value is not None and (kind, value) in own:
            return tier
    named = own - people.nobody
    if any(one in named for one in buyer.named.items()):
        return Tier.PERSON
    return Tier.PERSON if any(people.persons.get(one) in buyer.persons for one in named) else None


def _refusal(buyer: _Buyer, touch: Touch, tier: Tier | None, model: Model, people: People) -> Verdict | None:
    """Why the touch may earn nothing whatever the others are; None for an eligible one. The first reason counts."""
    age = buyer.order.order_time - touch.occur_time
    reasons = (
        (tier is None, Verdict.HUB),
        (touch.crawler, Verdict.CRAWLER),
        (touch.action is Action.LINK_CLICK, Verdict.LINK_CLICK),
        (bool(model.channels) and touch.channel not in model.channels, Verdict.CHANNEL_NOT_IN_MODEL),
        (age < 0, Verdict.AFTER_ORDER),
        (age > model.window, Verdict.OUTSIDE_WINDOW),
        (model.helpful_only and not is_helpful(touch), Verdict.NOT_HELPFUL),
        (tier is Tier.PERSON and _contradicts(buyer, touch, people), Verdict.CONTACT_CONFLICT),
        (buyer.order.excluded is not None, Verdict.ORDER_NOT_COUNTED),
    )
    return next((verdict for holds, verdict in reasons if holds), None)


def _contradicts(buyer: _Buyer, touch: Touch, people: People) -> bool:
    """True when the touch's own event names another contact than the order's. What names nobody contradicts nobody."""
    return any(
        kind in _CONTACTS and buyer.named.get(kind, value) != value and (kind, value) not in people.nobody
        for kind, value in touch.identifiers
    )


def _verdict(refusal: Verdict | None, share: Fraction | None, model: Model) -> Verdict:
    if refusal is not None:
        return refusal
    if share is None:
        return Verdict.LOWER_TIER
    return Verdict.CREDITED if share else _PASSED_OVER.get(model.rule, Verdict.FILTERED)


def _credits(order: Snapshot, paid: Sequence[tuple[Touch, Fraction]]) -> tuple[Credit, ...]:
    shares = [share for _, share in paid]
    if not shares:
        return ()
    gross = split(order.gross_micros, shares, order.currency_code)
    net = split(order.net_micros, shares, order.currency_code)
    return tuple(
        Credit(touch, millionths, gross_part, net_part)
        for (touch, _), millionths, gross_part, net_part in zip(paid, _millionths(shares), gross, net, strict=True)
    )


def _millionths(shares: Sequence[Fraction]) -> list[int]:
    """The shares in whole millionths that add up to a million: largest remainder, ties to the earlier."""
    whole = sum(shares)
    exact = [WHOLE * share / whole for share in shares]
    parts = [int(part) for part in exact]
    by_remainder = sorted(range(len(parts)), key=lambda index: (parts[index] - exact[index], index))
    for index in by_remainder[: WHOLE - sum(parts)]:
        parts[index] += 1
    return parts
