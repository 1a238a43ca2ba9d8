"""Sums and moves of orders that are decided one by one."""

import heapq
from collections.abc import Mapping
from typing import NamedTuple

from services.attribution.domain.attribute import Attribution
from services.attribution.domain.snapshot import Snapshot
from services.attribution.domain.touches import Channel
from services.attribution.simulation.moves import reason
from services.attribution.simulation.result import MovedOrder, Result, Weight
from services.attribution.simulation.totals import ModelSums, Sums


class _Sum:
    """Orders and amounts that grow."""

    __slots__ = ("gross_micros", "net_micros", "orders")

    def __init__(self) -> None:
        self.orders = self.gross_micros = self.net_micros = 0

    def add(self, gross_micros: int, net_micros: int) -> None:
        self.orders += 1
        self.gross_micros += gross_micros
        self.net_micros += net_micros

    def sums(self) -> Sums:
        return Sums(self.orders, self.gross_micros, self.net_micros)


class _Model:
    """What one model credits, by currency and channel."""

    def __init__(self) -> None:
        self._all: dict[str, _Sum] = {}
        self._channels: dict[str, dict[Channel, _Sum]] = {}

    def add(self, currency: str, attribution: Attribution) -> None:
        if not attribution.credits:
            return
        by_channel: dict[Channel, list[int]] = {}
        for credit in attribution.credits:
            amounts = by_channel.setdefault(credit.touch.channel, [0, 0])
            amounts[0] += credit.gross_micros
            amounts[1] += credit.net_micros
        channels = self._channels.setdefault(currency, {})
        for channel, (gross, net) in by_channel.items():
            channels.setdefault(channel, _Sum()).add(gross, net)
        gross, net = (sum(amounts[i] for amounts in by_channel.values()) for i in (0, 1))
        self._all.setdefault(currency, _Sum()).add(gross, net)

    def sums(self) -> dict[str, ModelSums]:
        return {
            currency: ModelSums(
                every.sums(), {channel: one.sums() for channel, one in self._channels[currency].items()}
            )
            for currency, every in self._all.items()
        }


class _Place(NamedTuple):
    """Where a moved order stands in the list: the last of all is the least."""

    amount: int
    reversed_name: tuple[tuple[int, ...], tuple[int, ...]]


class Tally:
    """Takes in what two models say of each order."""

    def __init__(self, listed: int) -> None:
        self._models = (_Model(), _Model())
        self._listed = listed
        self._moved_orders: list[tuple[_Place, MovedOrder]] = []
        self._orders = self._moved = 0

    def add(self, order: Snapshot, simulated: Attribution, compared: Attribution) -> None:
        """Takes in an order."""
        for model, attribution in zip(self._models, (simulated, compared), strict=True):
            model.add(order.currency_code, attribution)
        self._orders += simulated.excluded is None
        why = reason(simulated, compared)
        if why is None:
            return
        self._moved += 1
        moved = MovedOrder(
            source=order.source,
            order_id=order.order_id,
            currency_code=order.currency_code,
            gross_micros=order.gross_micros,
            reason=why,
            simulated=_events(simulated),
            compared=_events(compared),
        )
        place = _Place(order.gross_micros, (_reversed(order.source), _reversed(order.order_id)))
        heapq.heappush(self._moved_orders, (place, moved))
        if len(self._moved_orders) > self._listed:
            heapq.heappop(self._moved_orders)

    def result(self, learned: Mapping[Channel, Weight]) -> Result:
        """What all of the orders make."""
        simulated, compared = (model.sums() for model in self._models)
        listed = [moved for _, moved in sorted(self._moved_orders, reverse=True)]
        return Result(simulated, compared, self._orders, self._moved, listed, learned)


def _events(attribution: Attribution) -> tuple[str, ...]:
    """The credited touches' event ids, each once though it may be credited for several lines."""
    named = dict.fromkeys((credit.touch.source, credit.touch.event_id) for credit in attribution.credits)
    return tuple(event_id for _, event_id in named)


def _reversed(text: str) -> tuple[int, ...]:
    """Sorts texts the other way round; of two that begin alike, the longer comes first."""
    return (*(-ord(character) for character in text), 1)
