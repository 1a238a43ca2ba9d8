"""Sentences for shoppers: how well a product sells, in the shop's language, and only what the numbers hold."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from babel import Locale, UnknownLocaleError
from babel.numbers import format_decimal

from services.kernel.failures import InvalidArgumentError
from services.reporting.domain.popularity import By, Popularity, Ranking, best_seller

LEAST_SAID: Final = 5
"""Units below which nothing is said: true, but no reason to buy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """A language's words, by CLDR's plural categories; `{number}` and `{days}` stand for theirs."""

    lately: Mapping[str, str]
    ever: Mapping[str, str]
    best: str
    """`{sold}` is one of the above."""


_WORDINGS: Final[Mapping[str, Wording]] = {
    "ca": Wording(
        lately={
            "one": "{number} unitat venuda en els últims {days} dies.",
            "many": "{number} d\u2019unitats venudes en els últims {days} dies.",
            "other": "{number} unitats venudes en els últims {days} dies.",
        },
        ever={
            "one": "{number} unitat venuda fins ara.",
            "many": "{number} d\u2019unitats venudes fins ara.",
            "other": "{number} unitats venudes fins ara.",
        },
        best="Un dels nostres productes més venuts: {sold}",
    ),
    "de": Wording(
        lately={"other": "{number} Stück in den letzten {days} Tagen verkauft."},
        ever={"other": "{number} Stück bisher verkauft."},
        best="Einer unserer Bestseller: {sold}",
    ),
    "en": Wording(
        lately={
            "one": "{number} unit sold in the last {days} days.",
            "other": "{number} units sold in the last {days} days.",
        },
        ever={"one": "{number} unit sold so far.", "other": "{number} units sold so far."},
        best="One of our best sellers: {sold}",
    ),
    "es": Wording(
        lately={
            "one": "{number} unidad vendida en los últimos {days} días.",
            "many": "{number} de unidades vendidas en los últimos {days} días.",
            "other": "{number} unidades vendidas en los últimos {days} días.",
        },
        ever={
            "one": "{number} unidad vendida hasta ahora.",
            "many": "{number} de unidades vendidas hasta ahora.",
            "other": "{number} unidades vendidas hasta ahora.",
        },
        best="Uno de nuestros productos más vendidos: {sold}",
    ),
    "fr": Wording(
        lately={
            "one": "{number} unité vendue au cours des {days} derniers jours.",
            "many": "{number} d\u2019unités vendues au cours des {days} derniers jours.",
            "other": "{number} unités vendues au cours des {days} derniers jours.",
        },
        ever={
            "one": "{number} unité vendue à ce jour.",
            "many": "{number} d\u2019unités vendues à ce jour.",
            "other": "{number} unités vendues à ce jour.",
        },
        best="L\u2019un de nos produits les plus vendus\u00a0: {sold}",
    ),
    "it": Wording(
        lately={
            "one": "{number} unità venduta negli ultimi {days} giorni.",
            "many": "{number} di unità vendute negli ultimi {days} giorni.",
            "other": "{number} unità vendute negli ultimi {days} giorni.",
        },
        ever={
            "one": "{number} unità venduta finora.",
            "many": "{number} di unità vendute finora.",
            "other": "{number} unità vendute finora.",
        },
        best="Uno dei nostri prodotti più venduti: {sold}",
    ),
    "nl": Wording(
        lately={
            "one": "{number} stuk verkocht in de afgelopen {days} dagen.",
            "other": "{number} stuks verkocht in de afgelopen {days} dagen.",
        },
        ever={"one": "{number} stuk verkocht tot nu toe.", "other": "{number} stuks verkocht tot nu toe."},
        best="Een van onze bestsellers: {sold}",
    ),
    "pl": Wording(
        lately={
            "one": "{number} sztuka sprzedana w ciągu ostatnich {days} dni.",
            "few": "{number} sztuki sprzedane w ciągu ostatnich {days} dni.",
            "other": "{number} sztuk sprzedanych w ciągu ostatnich {days} dni.",
        },
        ever={
            "one": "{number} sztuka sprzedana do tej pory.",
            "few": "{number} sztuki sprzedane do tej pory.",
            "other": "{number} sztuk sprzedanych do tej pory.",
        },
        best="Jeden z naszych bestsellerów: {sold}",
    ),
    "pt": Wording(
        lately={
            "one": "{number} unidade vendida nos últimos {days} dias.",
            "many": "{number} de unidades vendidas nos últimos {days} dias.",
            "other": "{number} unidades vendidas nos últimos {days} dias.",
        },
        ever={
            "one": "{number} unidade vendida até agora.",
            "many": "{number} de unidades vendidas até agora.",
            "other": "{number} unidades vendidas até agora.",
        },
        best="Um dos nossos produtos mais vendidos: {sold}",
    ),
}

LANGUAGES: Final = tuple(_WORDINGS)
"""The languages that sentences are written in."""

_FALLBACK: Final = Locale("en")
_TAG: Final = re.compile("[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")


def read_locale(tag: str) -> Locale:
    """The locale that a request asks for; raises `InvalidArgumentError` naming `languageCode` for what is no tag."""
    if not _TAG.fullmatch(tag):
        raise InvalidArgumentError.of("languageCode", "is not a language tag such as es or pt-BR")
    return locale_of(tag)


def locale_of(tag: str) -> Locale:
    """The locale to speak in: English for none and for languages without words here, numbers as its region has them."""
    language = tag.partition("-")[0].lower()
    if language not in _WORDINGS:
        return _FALLBACK
    try:
        return Locale.parse(tag, sep="-")
    except (UnknownLocaleError, ValueError):
        # A region that this language isn't known in; its words are the same.
        return Locale(language)


def said(popularity: Popularity, locale: Locale) -> str:
    """The most that the numbers hold, in one sentence; empty when that is nothing worth saying.

    A best seller is called one, with what made it so; of anything else the units of the shortest span are told that
    are enough to tell, then all sales.
    """
    best = best_seller(popularity.rankings)
    if best is not None:
        return _WORDINGS[locale.language].best.format(sold=sold(best, locale))
    lately_first = sorted(popularity.rankings, key=lambda one: (one.by is By.TOTAL_SALES, one.days))
    enough = next((one for one in lately_first if one.sold >= LEAST_SAID), None)
    return sold(enough, locale) if enough is not None else ""


def sold(ranking: Ranking, locale: Locale) -> str:
    """How much was sold, in a sentence."""
    wording = _WORDINGS[locale.language]
    forms = wording.ever if ranking.by is By.TOTAL_SALES else wording.lately
    form = forms.get(locale.plural_form(ranking.sold), forms["other"])
    return form.format(number=format_decimal(ranking.sold, locale=locale), days=ranking.days)
