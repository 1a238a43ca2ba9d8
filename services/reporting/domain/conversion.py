"""Conversion: an order as it counts in the reporting currency, by one rate, rounded once, its parts adding up."""

import json
from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from services.kernel.money import LARGEST_AMOUNT, minor_unit
from services.reporting.domain.facts import Attribution, OrderFact
from services.reporting.domain.tenants import Tenant

UNCONVERTED = ""
"""In the place of a rate: there is none."""

HELD_DAYS = 7
"""For so many days after its own a rate holds where no newer one is told: banks publish none at weekends."""

_EPOCH = date(1970, 1, 1)
_DAY_SECONDS = 86_400


class Wanted(NamedTuple):
    """What a rate is looked up by."""

    tenant_id: str
    base_currency_code: str
    currency_code: str
    day: date


class Rate(NamedTuple):
    """A rate, and the day that it was told for, which may be some days before the order's: None where there is none."""

    rate: str
    day: date | None


class ToldRate(NamedTuple):
    """A rate, the position of the event that told of it, and when that was received, in microseconds since 1970."""

    tenant_id: str
    base_currency_code: str
    currency_code: str
    day: date
    rate: str
    position: int
    receive_micros: int


NO_RATE = Rate(UNCONVERTED, None)


class _Factor(NamedTuple):
    """What amounts are multiplied by: micros of the one currency to the smallest amounts of the other."""

    numerator: int
    denominator: int


def is_foreign(fact: OrderFact, tenant: Tenant) -> bool:
    """True when an order has to be converted to count with the tenant's others."""
    return fact.currency_code not in ("", tenant.currency_code) and fact.order_seconds is not None


def seconds_held(first_day: date, last_day: date) -> tuple[int, int]:
    """A span in seconds of Unix time that holds, in every zone, all moments whose orders may take rates of some days."""
    return _seconds(first_day) - _DAY_SECONDS, _seconds(last_day) + (HELD_DAYS + 2) * _DAY_SECONDS


def _seconds(day: date) -> int:
    return (day.toordinal() - _EPOCH.toordinal()) * _DAY_SECONDS


def converted(fact: OrderFact, rate: str, currency_code: str) -> OrderFact:
    """The order in the reporting currency; `rate` is what one unit of that is worth in the order's own.

    Gross and net are converted once each, to the smallest amount of the currency, halves to even. What models credit,
    what they leave, and the lines are parts of the converted sum, by largest remainder. Without a rate, or where the
    amount would be larger than any order, it stays as it is.
    """
    if rate == UNCONVERTED:
        return fact
    unit = minor_unit(currency_code)
    factor = _factor(rate, unit)
    gross, net = _rounded(fact.gross_micros, factor), _rounded(fact.net_micros, factor)
    if max(abs(gross), abs(net)) * unit > LARGEST_AMOUNT:
        return fact

    def parts(amounts: Sequence[int], whole: int, units: int) -> list[int]:
        return [part * unit for part in _parts(amounts, whole, units, factor)]

    def credited(said: Attribution) -> Attribution:
        if not said.credits:
            return said
        grosses = parts([credit.gross_micros for credit in said.credits], fact.gross_micros, gross)
        nets = parts([credit.net_micros for credit in said.credits], fact.net_micros, net)
        shares = zip(said.credits, grosses, nets, strict=True)
        return said._replace(
            credits=tuple([credit._replace(gross_micros=own, net_micros=left) for credit, own, left in shares])
        )

    grosses = parts([line.gross_micros for line in fact.lines], fact.gross_micros, gross)
    nets = parts([line.net_micros for line in fact.lines], fact.net_micros, net)
    return fact._replace(
        currency_code=currency_code,
        gross_micros=gross * unit,
        net_micros=net * unit,
        lines=tuple(
            [
                line._replace(gross_micros=own, net_micros=left)
                for line, own, left in zip(fact.lines, grosses, nets, strict=True)
            ]
        ),
        attributions=tuple([credited(said) for said in fact.attributions]),
    )


def counted_amounts(converted_fact: OrderFact) -> str:
    """What a converted order, what models credit of it, and each credit come to, in millionths, as JSON.

    {"g": gross, "n": net, "m": {model: {"g": gross, "n": net, "c": [[gross, net], …]}}}, models without credits left out.
    """
    models = {
        said.model: {
            "g": sum(credit.gross_micros for credit in said.credits),
            "n": sum(credit.net_micros for credit in said.credits),
            "c": [(credit.gross_micros, credit.net_micros) for credit in said.credits],
        }
        for said in converted_fact.attributions
        if said.credits
    }
    amounts = {"g": converted_fact.gross_micros, "n": converted_fact.net_micros, "m": models}
    return json.dumps(amounts, ensure_ascii=False, separators=(",", ":"))


@lru_cache(maxsize=4_096)
def _factor(rate: str, unit: int) -> _Factor:
    whole, _, fraction = rate.partition(".")
    return _Factor(10 ** len(fraction), int(whole + fraction) * unit)


def _rounded(micros: int, factor: _Factor) -> int:
    whole, rest = divmod(micros * factor.numerator, factor.denominator)
    half = 2 * rest - factor.denominator
    return whole + (half > 0 or (half == 0 and whole % 2))


def _parts(amounts: Sequence[int], whole: int, units: int, factor: _Factor) -> list[int]:
    """The parts of a sum that was converted to so many smallest amounts; what they leave of it is a part as well.

    Each part is cut off below, and those that lost most get one more: the earlier one of equals, and none that lost
    nothing, so that a whole sum stays whole.
    """
    every = [*amounts, whole - sum(amounts)]
    cut = [divmod(amount * factor.numerator, factor.denominator) for amount in every]
    parts = [part for part, _ in cut]
    by_loss = sorted(range(len(cut)), key=lambda i: (-cut[i][1], i))
    for i in by_loss[: units - sum(parts)]:
        parts[i] += 1
    return parts[:-1]
