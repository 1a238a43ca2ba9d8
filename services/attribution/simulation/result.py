"""What a trial found."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from services.attribution.domain.touches import Channel
from services.attribution.simulation.moves import Reason
from services.attribution.simulation.totals import ModelSums


class MovedOrder(NamedTuple):
    """An order that two models credit otherwise, and the touches' event ids under each, by time."""

    source: str
    order_id: str
    currency_code: str
    gross_micros: int
    reason: Reason
    simulated: tuple[str, ...]
    compared: tuple[str, ...]


class Weight(NamedTuple):
    """A channel's learned weight, and what would be lost without it where that was asked."""

    weight: Fraction
    removal_effect: Fraction | None


class Result(NamedTuple):
    """Sums of both models by currency, orders that count under the one tried, those that moved, and what was learned."""

    simulated: Mapping[str, ModelSums]
    compared: Mapping[str, ModelSums]
    orders: int
    moved: int
    moved_orders: Sequence[MovedOrder]
    learned: Mapping[Channel, Weight]
