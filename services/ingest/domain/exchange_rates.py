"""Exchange rates: what is taken as one, and what becomes of those that were told before."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from services.ingest.domain.tenants import is_currency
from services.kernel.failures import AlreadyExistsError, FieldViolation, InvalidArgumentError

MOST_RATES = 1_000
"""Rates in a request, at most."""

_CURRENCY = re.compile(r"[A-Z]{3}")
_RATE = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12})?")
_TOKEN = re.compile(r"(\d{4}-\d{2}-\d{2})-([a-z]{3})-([a-z]{3})")
_MOST_NAMED = 10


class Key(NamedTuple):
    """What a rate is stored under; the sequence of its fields is that of lists."""

    day: date
    currency_code: str
    base_currency_code: str


class Rate(NamedTuple):
    """A rate: so many units of a currency are worth one of the base's. Equal rates are equal texts."""

    key: Key
    rate: str


class Told(NamedTuple):
    """A rate as it was sent."""

    day: str
    currency_code: str
    rate: str
    base_currency_code: str


class Decision(NamedTuple):
    """The rates to store, and how many are there already."""

    stored: list[Rate]
    unchanged: int


def check_rates(told: Sequence[Told], reporting_currency: str) -> list[Rate]:
    """The rates sent; raises `InvalidArgumentError` naming the field of the first that can't be used."""
    if len(told) > MOST_RATES:
        raise InvalidArgumentError.of("exchangeRates", f"more than {MOST_RATES}")
    rates: dict[Key, Rate] = {}
    for i, one in enumerate(told):
        rate = _check_rate(f"exchangeRates[{i}]", one, reporting_currency)
        if rate.key in rates:
            raise InvalidArgumentError.of(f"exchangeRates[{i}]", "is there twice: one for each date and currency")
        rates[rate.key] = rate
    return list(rates.values())


def _check_rate(field: str, told: Told, reporting_currency: str) -> Rate:
    day = check_day(f"{field}.date", told.day)
    if not _CURRENCY.fullmatch(told.currency_code):
        raise InvalidArgumentError.of(f"{field}.currencyCode", "is not an ISO 4217 code in upper case")
    base = told.base_currency_code or reporting_currency
    if not is_currency(base):
        raise InvalidArgumentError.of(f"{field}.baseCurrencyCode", "is not an ISO 4217 code such as EUR")
    if told.currency_code == base:
        raise InvalidArgumentError.of(f"{field}.currencyCode", "is the base currency itself")
    if not _RATE.fullmatch(told.rate) or not told.rate.strip("0."):
        raise InvalidArgumentError.of(f"{field}.rate", "is not a decimal greater than 0 such as 1.1589")
    return Rate(Key(day, told.currency_code, base), _shortest(told.rate))


def _shortest(rate: str) -> str:
    whole, _, fraction = rate.partition(".")
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole


def check_day(field: str, text: str) -> date:
    """An ISO date; raises `InvalidArgumentError` naming the field."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        raise InvalidArgumentError.of(field, "is not a date such as 2026-11-01")
    return day


def decide(rates: Sequence[Rate], known: Mapping[Key, str], *, replace: bool) -> Decision:
    """Which rates to store. What was told stays, unless it is to be replaced: else `AlreadyExistsError` names it."""
    stored = [rate for rate in rates if known.get(rate.key) != rate.rate]
    other = [] if replace else [rate.key for rate in stored if rate.key in known]
    if other:
        places = {rate.key: i for i, rate in enumerate(rates)}
        raise AlreadyExistsError(
            "EXCHANGE_RATE_FROZEN",
            f"{len(other)} of the rates were told before with other values, {_named(other)}: set replace to convert "
            "the orders of those days anew",
            [
                FieldViolation(field=f"exchangeRates[{places[key]}].rate", description="was told before as another one")
                for key in other[:_MOST_NAMED]
            ],
        )
    return Decision(stored, len(rates) - len(stored))


def _named(keys: Iterable[Key]) -> str:
    first = min(keys)
    return f"first {first.currency_code} of {first.day}"


def page_token(key: Key) -> str:
    """The token of the page behind a rate."""
    return f"{key.day}-{key.currency_code}-{key.base_currency_code}".lower()


def page_start(token: str) -> Key | None:
    """The rate that a page begins behind, None for the first page; raises `InvalidArgumentError` for no token."""
    if not token:
        return None
    read = _TOKEN.fullmatch(token)
    if read is None:
        raise InvalidArgumentError.of("pageToken", "is not one that a page ended with")
    return Key(check_day("pageToken", read[1]), read[2].upper(), read[3].upper())
