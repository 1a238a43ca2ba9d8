"""Sums of credits by currency and channel, exactly."""

from typing import NamedTuple

import numpy as np

from services.attribution.domain.touches import Channel
from services.attribution.simulation.cases import Cases, Numbers
from services.attribution.simulation.evaluate import Outcome
from services.attribution.store import facts

_HALF_BITS = 31


class Sums(NamedTuple):
    """Orders with credit, and how much of gross and net they earned; micros."""

    orders: int
    gross_micros: int
    net_micros: int


class ModelSums(NamedTuple):
    """What a model credits in a currency: in all, and by channel. An order may count in several channels."""

    all: Sums
    by_channel: dict[Channel, Sums]


def sums(cases: Cases, outcome: Outcome) -> dict[str, ModelSums]:
    """What is credited, by currency."""
    currency = cases.orders.currency[outcome.order]
    channel = outcome.channel
    found: dict[str, ModelSums] = {}
    for packed in np.unique(currency).tolist():
        mine = np.flatnonzero(currency == packed)
        channels = {
            Channel(one): _sums(outcome, mine[channel[mine] == one]) for one in np.unique(channel[mine]).tolist()
        }
        found[facts.currency_code(packed)] = ModelSums(_sums(outcome, mine), channels)
    return found


def _sums(outcome: Outcome, rows: Numbers) -> Sums:
    order = outcome.order[rows]
    orders = int(np.count_nonzero(order[1:] != order[:-1])) + 1 if len(order) else 0
    return Sums(orders, _total(outcome.gross_micros[rows]), _total(outcome.net_micros[rows]))


def _total(amounts: Numbers) -> int:
    """A sum that may be larger than 64 bits."""
    high, low = amounts >> _HALF_BITS, amounts & ((1 << _HALF_BITS) - 1)
    return (int(high.sum()) << _HALF_BITS) + int(low.sum())
