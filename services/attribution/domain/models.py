"""Models: which touches may earn credit, and how it is split among them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal
from enum import IntEnum
from fractions import Fraction

from services.attribution.domain.orders import Platform
from services.attribution.domain.touches import Action, Channel, Touch

HOUR = 3_600_000_000_000
"""An hour in nanoseconds."""

DAY = 24 * HOUR
"""A day in nanoseconds: always 24 hours."""


class Anchor(IntEnum):
    """What a window is measured from; numbered as in `touchstone.ingest.v1.Model.Anchor`."""

    TOUCH = 1
    CONVERSATION = 2
    CLICK = 3
    SESSION = 4


class Rule(IntEnum):
    """How credit is split; numbered as in `touchstone.ingest.v1.Model.Rule`."""

    FIRST_TOUCH = 1
    LAST_TOUCH = 2
    LINEAR = 3
    POSITION_BASED = 4
    TIME_DECAY = 5
    DATA_DRIVEN = 6


class Basis(IntEnum):
    """Which part of an order's amount is credited; numbered as in `touchstone.ingest.v1.Model.Basis`."""

    TOTAL = 1
    WITHOUT_TAX = 2
    WITHOUT_SHIPPING = 3
    WITHOUT_TAX_AND_SHIPPING = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class TouchFilter:
    """Which touches may earn credit: any one value of each set, where it is not empty, and all that are set.

    `handled_only`: a human agent took part in the touch's conversation. `through_cart`: the line's product was viewed
    and added to the cart after the touch, in either sequence, and no later than the order.
    """

    actions: frozenset[Action] = frozenset()
    touchpoints: frozenset[str] = frozenset()
    bot_names: frozenset[str] = frozenset()
    agent_ids: frozenset[str] = frozenset()
    campaigns: frozenset[str] = frozenset()
    experience_ids: frozenset[str] = frozenset()
    handled_only: bool = False
    through_cart: bool = False

    def passes(self, touch: Touch) -> bool:
        """True when the touch's own values pass; the two that depend on other events are not asked."""
        return (
            (not self.actions or touch.action in self.actions)
            and (not self.touchpoints or touch.touchpoint in self.touchpoints)
            and (not self.bot_names or touch.bot_name in self.bot_names)
            and (not self.agent_ids or touch.agent_id in self.agent_ids)
            and (not self.campaigns or touch.campaign in self.campaigns)
            and (not self.experience_ids or touch.experience_id in self.experience_ids)
        )


ALL_TOUCHES = TouchFilter()
"""The filter that every touch passes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Which touches may earn credit for an order, and how it is split. Durations in nanoseconds.

    No channels means all. `half_life` is TIME_DECAY's, `weights` are DATA_DRIVEN's. A session needs no `window`. A
    platform that `counted` doesn't name keeps the tenant's statuses.
    """

    name: str
    version: int
    display_name: str = ""
    channels: frozenset[Channel] = frozenset()
    window: int = 0
    anchor: Anchor = Anchor.TOUCH
    rule: Rule = Rule.FIRST_TOUCH
    helpful_only: bool = False
    half_life: int = 0
    active: bool = True
    by_line: bool = False
    weights: Mapping[Channel, Fraction] = field(default_factory=dict)
    basis: Basis = Basis.TOTAL
    filter: TouchFilter = ALL_TOUCHES
    counted: Mapping[Platform, frozenset[str]] = field(default_factory=dict)

    @property
    def applied(self) -> bool:
        """True when orders are attributed by it."""
        return self.active

    @property
    def through_cart(self) -> bool:
        """True when what was viewed and added to the cart decides."""
        return self.by_line and self.filter.through_cart

    @property
    def conversational(self) -> bool:
        """True when conversations as a whole decide."""
        return self.anchor is Anchor.CONVERSATION or self.filter.handled_only

    def looks_at(self, channel: Channel) -> bool:
        """True when touches on the channel may earn credit."""
        return not self.channels or channel in self.channels


CONVERSATIONS = Model(
    name="conversations",
    version=1,
    display_name="Conversations",
    channels=frozenset({Channel.CHAT, Channel.FAQ, Channel.NUDGE, Channel.MESSAGING}),
    window=DAY,
    rule=Rule.FIRST_TOUCH,
    helpful_only=True,
)

CONTACT = Model(
    name="contact",
    version=1,
    display_name="Handled conversations",
    channels=frozenset({Channel.CHAT, Channel.MESSAGING}),
    window=2 * DAY,
    anchor=Anchor.CONVERSATION,
    rule=Rule.LAST_TOUCH,
    filter=TouchFilter(handled_only=True),
)

RECOMMENDATION_DIRECT = Model(
    name="recommendation_direct",
    version=1,
    display_name="Recommended products bought",
    channels=frozenset({Channel.RECOMMENDATION}),
    window=7 * DAY,
    rule=Rule.LAST_TOUCH,
    by_line=True,
    basis=Basis.WITHOUT_TAX_AND_SHIPPING,
    filter=TouchFilter(through_cart=True),
)

RECOMMENDATION_ASSISTED = Model(
    name="recommendation_assisted",
    version=1,
    display_name="Orders after a clicked recommendation",
    channels=frozenset({Channel.RECOMMENDATION}),
    window=7 * DAY,
    anchor=Anchor.CLICK,
    rule=Rule.LAST_TOUCH,
)

PERSONALIZATION = Model(
    name="personalization",
    version=1,
    display_name="Personalised sessions",
    channels=frozenset({Channel.PERSONALIZATION}),
    anchor=Anchor.SESSION,
    rule=Rule.LINEAR,
)

DEFAULT_MODELS = (CONTACT, CONVERSATIONS, PERSONALIZATION, RECOMMENDATION_ASSISTED, RECOMMENDATION_DIRECT)
"""What holds for a tenant that has set no models, by name."""

_ALL, _NONE = Fraction(1), Fraction(0)
_EXACT = Context(prec=40)
_MOST_HALF_LIVES = 200
"""What is older has decayed to nothing: 2^-200 of the largest amount is far below any unit of money."""


def longest_window(models: Iterable[Model]) -> int:
    """The longest window of those applied that have one; 0 where none has."""
    return max((model.window for model in models if model.applied and model.anchor is not Anchor.SESSION), default=0)


def weights(model: Model, touches: Sequence[Touch]) -> list[Fraction]:
    """Each touch's weight under the model's rule; touches in their total order, at least one. 0 earns nothing."""
    count = len(touches)
    match model.rule:
        case Rule.FIRST_TOUCH:
            return [_ALL, *[_NONE] * (count - 1)]
        case Rule.LAST_TOUCH:
            return [*[_NONE] * (count - 1), _ALL]
        case Rule.LINEAR:
            return [_ALL] * count
        case Rule.POSITION_BASED:
            return _position_based(count)
        case Rule.TIME_DECAY:
            # Before the last of them, not before the order: the same parts, and never so small that all of them vanish.
            return [_decayed(touches[-1].occur_time - touch.occur_time, model.half_life) for touch in touches]
        case Rule.DATA_DRIVEN:
            given = [model.weights.get(touch.channel, Fraction(0)) for touch in touches]
            return given if any(given) else [Fraction(1)] * count


def _position_based(count: int) -> list[Fraction]:
    """40% to the first, 40% to the last, 20% to those between; two share evenly."""
    if count <= 2:
        return [Fraction(1)] * count
    between = Fraction(20, count - 2)
    return [Fraction(40), *[between] * (count - 2), Fraction(40)]


def _decayed(age: int, half_life: int) -> Fraction:
    """2^(-age/half-life). Decimal arithmetic, so that every machine finds the same; without a half-life, no decay."""
    if half_life <= 0:
        return Fraction(1)
    if age > _MOST_HALF_LIVES * half_life:
        return Fraction(0)
    exponent = _EXACT.divide(Decimal(-age), Decimal(half_life))
    return Fraction(_EXACT.power(Decimal(2), exponent))
