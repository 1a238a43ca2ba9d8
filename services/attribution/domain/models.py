"""Models: which touches may earn credit, and how it is split among them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal
from enum import IntEnum
from fractions import Fraction

from services.attribution.domain.touches import Channel, Touch

HOUR = 3_600_000_000_000
"""An hour in nanoseconds."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Which touches may earn credit for an order, and how it is split. Durations in nanoseconds.

    No channels means all. `half_life` is TIME_DECAY's, `weights` are DATA_DRIVEN's.
    """

    name: str
    version: int
    display_name: str = ""
    channels: frozenset[Channel] = frozenset()
    window: int
    anchor: Anchor = Anchor.TOUCH
    rule: Rule = Rule.FIRST_TOUCH
    helpful_only: bool = False
    half_life: int = 0
    active: bool = True
    by_line: bool = False
    weights: Mapping[Channel, Fraction] = field(default_factory=dict)

    @property
    def applied(self) -> bool:
        """True when orders are attributed by it: it is active, whole-order, and its window begins at the touch."""
        return self.active and self.anchor is Anchor.TOUCH and not self.by_line


CONVERSATIONS = Model(
    name="conversations",
    version=1,
    display_name="Conversations",
    channels=frozenset({Channel.CHAT, Channel.FAQ, Channel.NUDGE, Channel.MESSAGING}),
    window=24 * HOUR,
    rule=Rule.FIRST_TOUCH,
    helpful_only=True,
)

DEFAULT_MODELS = (CONVERSATIONS,)
"""What holds for a tenant that has set no models."""

_EXACT = Context(prec=40)


def longest_window(models: Sequence[Model]) -> int:
    """The longest window of those applied; 0 where none is."""
    return max((model.window for model in models if model.applied), default=0)


def weights(model: Model, touches: Sequence[Touch], order_time: int) -> list[Fraction]:
    """Each touch's weight under the model's rule; touches in their total order, at least one. 0 earns nothing."""
    count = len(touches)
    match model.rule:
        case Rule.FIRST_TOUCH:
            return [Fraction(index == 0) for index in range(count)]
        case Rule.LAST_TOUCH:
            return [Fraction(index == count - 1) for index in range(count)]
        case Rule.LINEAR:
            return [Fraction(1)] * count
        case Rule.POSITION_BASED:
            return _position_based(count)
        case Rule.TIME_DECAY:
            return [_decayed(order_time - touch.occur_time, model.half_life) for touch in touches]
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
    exponent = _EXACT.divide(Decimal(-age), Decimal(half_life))
    return Fraction(_EXACT.power(Decimal(2), exponent))
