"""What may be said of how well a product sells, and in which words."""

from itertools import permutations

import pytest
from babel import Locale
from hypothesis import given, settings
from hypothesis import strategies as st
from touchstone.ingest.v1.event_pb2 import Event, LoggedEvent
from touchstone.ingest.v1.storefront_pb2 import Product

from services.kernel.failures import InvalidArgumentError
from services.reporting.domain.popularity import By, Popularity, Ranking, Sold, best_seller, read_ranked_by
from services.reporting.domain.sentences import LANGUAGES, locale_of, read_locale, said, sold
from services.reporting.kinds.product import PRODUCT, PRODUCT_NAME

NARROW, NO_BREAK = "\u202f", "\u00a0"


def ranking(sold=100, *, days=30, rank=1, ranked=20, below=None):
    by = By.UNITS if days else By.TOTAL_SALES
    return Ranking(by, days, sold, rank, ranked, ranked - rank if below is None else below)


def told(*rankings):
    return Popularity(Sold("s", "", "", None, (0, 0, 0)), rankings)


def test_the_percentile_counts_other_products_that_sold_less():
    assert ranking(rank=1, ranked=5, below=4).percentile == 100
    assert ranking(rank=1, ranked=5, below=3).percentile == 75
    assert ranking(rank=5, ranked=5, below=0).percentile == 0
    assert ranking(rank=1, ranked=1, below=0).percentile is None


@pytest.mark.parametrize(
    ("one", "makes"),
    [
        (ranking(sold=10, rank=2, ranked=20), True),
        (ranking(sold=10, rank=2, ranked=19), False),
        (ranking(sold=9, rank=1, ranked=20), False),
        (ranking(sold=10, rank=1, ranked=10), True),
        (ranking(sold=1000, rank=1, ranked=9), False),
        (ranking(sold=10, days=0, rank=1, ranked=10), True),
        (ranking(sold=10, days=7, rank=1, ranked=10), False),
        (ranking(sold=10, days=90, rank=1, ranked=10), False),
    ],
)
def test_a_best_seller_is_in_the_first_tenth_of_ten_or_more_and_sold_ten(one, makes):
    assert one.makes_best_seller is makes
    assert (best_seller([one]) is one) is makes


def test_what_was_sold_lately_counts_before_what_ever_was():
    ever, lately = ranking(500, days=0), ranking(50)
    assert best_seller([ever, lately]) is lately
    assert best_seller([ever, ranking(9)]) is ever


def test_the_least_that_can_be_said():
    weak = {"rank": 15, "ranked": 20}
    en = locale_of("")
    assert said(told(ranking(0, days=7, **weak), ranking(4, days=30, **weak)), en) == ""
    assert (
        said(told(ranking(), ranking(5, days=7, **weak)), en)
        == "One of our best sellers: 100 units sold in the last 30 days."
    )
    spans = (ranking(500, days=0, **weak), ranking(4, days=7, **weak), ranking(6, days=30, **weak))
    assert said(told(*spans), en) == "6 units sold in the last 30 days."
    assert said(told(ranking(500, days=0, **weak), ranking(4, days=7, **weak)), en) == "500 units sold so far."


@pytest.mark.parametrize(
    ("tag", "number", "lately", "ever"),
    [
        ("en", 1, "1 unit sold in the last 7 days.", "1 unit sold so far."),
        ("en", 1234, "1,234 units sold in the last 7 days.", "1,234 units sold so far."),
        ("es", 1, "1 unidad vendida en los últimos 7 días.", "1 unidad vendida hasta ahora."),
        ("es", 12345, "12.345 unidades vendidas en los últimos 7 días.", "12.345 unidades vendidas hasta ahora."),
        (
            "es",
            2_000_000,
            "2.000.000 de unidades vendidas en los últimos 7 días.",
            "2.000.000 de unidades vendidas hasta ahora.",
        ),
        ("es-MX", 12345, "12,345 unidades vendidas en los últimos 7 días.", "12,345 unidades vendidas hasta ahora."),
        ("de", 1, "1 Stück in den letzten 7 Tagen verkauft.", "1 Stück bisher verkauft."),
        ("de", 1234, "1.234 Stück in den letzten 7 Tagen verkauft.", "1.234 Stück bisher verkauft."),
        ("fr", 1, "1 unité vendue au cours des 7 derniers jours.", "1 unité vendue à ce jour."),
        ("fr", 2, "2 unités vendues au cours des 7 derniers jours.", "2 unités vendues à ce jour."),
        (
            "fr",
            1_000_000,
            f"1{NARROW}000{NARROW}000 d\u2019unités vendues au cours des 7 derniers jours.",
            f"1{NARROW}000{NARROW}000 d\u2019unités vendues à ce jour.",
        ),
        ("it", 1, "1 unità venduta negli ultimi 7 giorni.", "1 unità venduta finora."),
        ("it", 3_000_000, "3.000.000 di unità vendute negli ultimi 7 giorni.", "3.000.000 di unità vendute finora."),
        ("it", 8, "8 unità vendute negli ultimi 7 giorni.", "8 unità vendute finora."),
        ("pt", 1, "1 unidade vendida nos últimos 7 dias.", "1 unidade vendida até agora."),
        ("pt-BR", 1234, "1.234 unidades vendidas nos últimos 7 dias.", "1.234 unidades vendidas até agora."),
        (
            "pt",
            1_000_000,
            "1.000.000 de unidades vendidas nos últimos 7 dias.",
            "1.000.000 de unidades vendidas até agora.",
        ),
        ("nl", 1, "1 stuk verkocht in de afgelopen 7 dagen.", "1 stuk verkocht tot nu toe."),
        ("nl", 1234, "1.234 stuks verkocht in de afgelopen 7 dagen.", "1.234 stuks verkocht tot nu toe."),
        ("ca", 1, "1 unitat venuda en els últims 7 dies.", "1 unitat venuda fins ara."),
        ("ca", 2, "2 unitats venudes en els últims 7 dies.", "2 unitats venudes fins ara."),
        (
            "ca",
            1_000_000,
            "1.000.000 d\u2019unitats venudes en els últims 7 dies.",
            "1.000.000 d\u2019unitats venudes fins ara.",
        ),
        ("pl", 1, "1 sztuka sprzedana w ciągu ostatnich 7 dni.", "1 sztuka sprzedana do tej pory."),
        ("pl", 22, "22 sztuki sprzedane w ciągu ostatnich 7 dni.", "22 sztuki sprzedane do tej pory."),
        ("pl", 12, "12 sztuk sprzedanych w ciągu ostatnich 7 dni.", "12 sztuk sprzedanych do tej pory."),
    ],
)
def test_every_language_has_its_plurals_and_numbers(tag, number, lately, ever):
    assert sold(ranking(number, days=7), read_locale(tag)) == lately
    assert sold(ranking(number, days=0), read_locale(tag)) == ever


def test_every_language_calls_a_best_seller_one():
    begins = {
        "ca": "Un dels nostres productes més venuts: ",
        "de": "Einer unserer Bestseller: ",
        "en": "One of our best sellers: ",
        "es": "Uno de nuestros productos más vendidos: ",
        "fr": f"L\u2019un de nos produits les plus vendus{NO_BREAK}: ",
        "it": "Uno dei nostri prodotti più venduti: ",
        "nl": "Een van onze bestsellers: ",
        "pl": "Jeden z naszych bestsellerów: ",
        "pt": "Um dos nossos produtos mais vendidos: ",
    }
    assert tuple(begins) == LANGUAGES
    for tag, words in begins.items():
        assert said(told(ranking(25)), read_locale(tag)) == words + sold(ranking(25), read_locale(tag))


@given(st.sampled_from(LANGUAGES), st.integers(0, 3_000_000), st.sampled_from([0, 7, 30, 90]))
@settings(max_examples=60)
def test_a_sentence_holds_the_number_and_no_gap(tag, number, days):
    sentence = sold(ranking(number, days=days), read_locale(tag))
    told_digits = "".join(digit for digit in sentence if digit.isdigit())
    assert sorted(told_digits) == sorted(f"{number}{days or ''}")
    assert not set("{}") & set(sentence)


def test_other_languages_are_answered_in_english_and_regions_in_their_language():
    assert read_locale("ja") == read_locale("zh-Hant-TW") == locale_of("") == Locale("en")
    assert read_locale("es-JP").language == "es"
    assert str(read_locale("pt-PT")) == "pt_PT"
    assert locale_of("es-12-nowhere") == Locale("es")
    for tag in ("", "not a tag", "pt_BR"):
        with pytest.raises(InvalidArgumentError) as refused:
            read_locale(tag)
        assert refused.value.violations[0].field == "languageCode"


def test_what_to_rank_by():
    assert read_ranked_by(0, 0) == (By.EITHER, 30)
    assert read_ranked_by(0, 7) == (By.UNITS, 7)
    assert read_ranked_by(2, 0) == (By.UNITS, 30)
    assert read_ranked_by(1, 0)[0] is By.TOTAL_SALES
    for by, days in ((0, 8), (2, -7), (1, 30)):
        with pytest.raises(InvalidArgumentError) as refused:
            read_ranked_by(by, days)
        assert refused.value.violations[0].field == "days"


def logged(event_id, at, **product):
    told = Event(event_id=event_id, product=Product(product_id="7", **product))
    told.occur_time.FromSeconds(at)
    return LoggedEvent(tenant_id="acme", source="shop", event=told)


def folded(events, cuts=()):
    state, start = b"", 0
    for end in (*cuts, len(events)):
        if events[start:end]:
            state = PRODUCT.fold(state, events[start:end])
        start = end
    return state


def held(*events):
    return PRODUCT.fold(b"", events)


NEWS = [
    logged("a", 100, sku="T", display_name="Tea", total_sales=3),
    logged("b", 200, sku="T", display_name="Green tea", total_sales=5),
    logged("c", 200, sku="T", display_name="Green tea", total_sales=4),
    logged("d", 0, deleted=True),
    logged("e", 150, deleted=True),
    logged("f", 190, sku="T", display_name="Tea again", total_sales=3, restored=True),
]


@given(st.permutations([*NEWS, NEWS[0], NEWS[3]]), st.lists(st.integers(0, 8), max_size=3).map(sorted))
@settings(max_examples=60)
def test_a_product_is_the_same_whatever_the_sequence_and_grouping(events, cuts):
    assert folded(events, cuts) == folded(NEWS)


def test_the_newest_state_holds_and_more_sales_at_the_same_moment():
    assert b'"total_sales":5' in held(*NEWS[:3])
    assert b'"display_name":"Green tea"' in held(*NEWS[:3])
    assert b'"total_sales":null' in held(logged("a", 1, sku="T"))
    assert b'"total_sales":0' in held(logged("a", 1, sku="T", total_sales=0))


def test_what_was_deleted_is_gone_until_it_is_told_of_again():
    for events in permutations(NEWS[:1] + NEWS[4:5]):
        assert b'"deleted":true' in held(*events)
    assert b'"deleted":false' in held(*NEWS[1:2], *NEWS[4:5])
    assert b'"deleted":true' in held(*NEWS[1:2], *NEWS[3:4])
    assert b'"deleted":false' in held(*NEWS[1:2], *NEWS[3:4], *NEWS[5:])


def test_keys_are_of_the_source_and_names_of_the_sku_and_the_id():
    assert list(PRODUCT.keys_of(NEWS[0])) == ["shop/7"]
    assert list(PRODUCT_NAME.keys_of(NEWS[0])) == ["T", "7"]
    assert list(PRODUCT_NAME.keys_of(NEWS[3])) == []
    other = LoggedEvent(event=Event(order={"order_id": "1"}))
    assert list(PRODUCT.keys_of(other)) == list(PRODUCT_NAME.keys_of(other)) == []
    names = {PRODUCT_NAME.fold(PRODUCT_NAME.fold(b"", events[:1]), events[1:]) for events in permutations(NEWS[:2])}
    assert names == {b'[200000000000,"b","Green tea"]'}
