"""Which rates held when: what an order counted as at any moment follows from the rates received by then."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from services.reporting.domain.conversion import HELD_DAYS, NO_RATE, Rate, ToldRate

Day = tuple[date, int, int]
"""A day, and the seconds of Unix time at which it begins and at which the next one does."""


class RateChange(NamedTuple):
    """A day's orders in a currency are counted by another rate since a moment; `day_index` is the day's place in its period.

    `position` is that of the event that told of it, in the event log.
    """

    currency_code: str
    day_index: int
    receive_micros: int
    position: int
    before: Rate
    after: Rate


class RateHistory:
    """The rates ever told of a reporting currency."""

    def __init__(self, told: Iterable[ToldRate]) -> None:
        self._told: dict[str, dict[date, list[ToldRate]]] = defaultdict(lambda: defaultdict(list))
        for rate in told:
            self._told[rate.currency_code][rate.day].append(rate)

    def at(self, currency_code: str, day: date, micros: int) -> Rate:
        """By which rate orders of a day were counted at a moment, in microseconds since 1970."""
        of_currency = self._told.get(currency_code, {})
        for back in range(HELD_DAYS + 1):
            rated = day - timedelta(days=back)
            known = [rate for rate in of_currency.get(rated, ()) if rate.receive_micros <= micros]
            if known:
                return Rate(max(known, key=lambda rate: rate.position).rate, rated)
        return NO_RATE

    def changes(self, days: Sequence[Day], since_micros: int) -> list[RateChange]:
        """What changed of days that were over, by time; rates received at the same moment changed it together."""
        period = {day: (index, end) for index, (day, _, end) in enumerate(days)}
        found: list[RateChange] = []
        for currency, of_currency in self._told.items():
            moments: dict[tuple[date, int], int] = {}
            for rate in (rate for of_day in of_currency.values() for rate in of_day):
                for ahead in range(HELD_DAYS + 1):
                    key = (rate.day + timedelta(days=ahead), rate.receive_micros)
                    moments[key] = max(rate.position, moments.get(key, 0))
            for (day, micros), position in moments.items():
                if day not in period or micros < since_micros:
                    continue
                index, end = period[day]
                before, after = self.at(currency, day, micros - 1), self.at(currency, day, micros)
                if micros >= end * 1_000_000 and before.rate != after.rate:
                    found.append(RateChange(currency, index, micros, position, before, after))
        return sorted(found, key=lambda change: (change.receive_micros, change.currency_code, change.day_index))
