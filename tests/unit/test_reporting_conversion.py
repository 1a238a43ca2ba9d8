"""Conversion: one rate, one rounding, and parts that add up; and what settings told later make of a tenant."""

from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.kernel.money import MICROS, minor_unit
from services.reporting.domain.conversion import UNCONVERTED, converted, seconds_held
from services.reporting.domain.facts import Attribution, Contact, Credit, Line, OrderFact
from services.reporting.domain.tenants import BEFORE_ALL_ORDERS, EDITIONS, Tenant, counting_of

CHAT = Contact("CHAT", "", "", "", "")


def order(gross: int, net: int, lines=(), credits_=(), currency="USD") -> OrderFact:
    return OrderFact(
        "acme",
        0,
        "shop",
        "1",
        0,
        currency,
        gross,
        net,
        "",
        tuple(Line("a", 1, 0, *amounts) for amounts in lines),
        (Attribution("linear", "SESSION", tuple(Credit(CHAT, *amounts) for amounts in credits_)),),
    )


@pytest.mark.parametrize(
    ("micros", "rate", "currency", "expected"),
    [
        (10_000_000, "1.25", "EUR", 8_000_000),
        (10_000_000, "3", "EUR", 3_330_000),
        (10_000_000, "4000", "EUR", 0),
        (10_000_000, "2000", "EUR", 0),
        (30_000_000, "2000", "EUR", 20_000),
        (56_090_000, "0.0055", "JPY", 10_198_000_000),
        (1_000_000, "3.25", "KWD", 308_000),
        (-10_000_000, "3", "EUR", -3_330_000),
    ],
)
def test_a_total_is_rounded_once_halves_to_even(micros, rate, currency, expected):
    told = converted(order(micros, 0), rate, currency)
    assert (told.currency_code, told.gross_micros, told.net_micros) == (currency, expected, 0)


amounts = st.integers(-(10**13), 10**13)
pairs = st.lists(st.tuples(amounts, amounts), max_size=6)
rates = st.from_regex(r"\A[0-9]{1,6}(\.[0-9]{1,8})?\Z").filter(lambda rate: rate.strip("0."))


@given(
    gross=amounts, net=amounts, lines=pairs, credits_=pairs, rate=rates, currency=st.sampled_from(["EUR", "JPY", "KWD"])
)
@settings(max_examples=200)
def test_parts_add_up_and_each_is_next_to_its_own_share(gross, net, lines, credits_, rate, currency):
    told = order(gross, net, lines, credits_)
    became, unit = converted(told, rate, currency), minor_unit(currency)
    if became is told:
        assert max(abs(gross), abs(net)) / Decimal(rate) > 10**12 * MICROS
        return

    def exact(micros: int) -> Decimal:
        return Decimal(micros) / Decimal(rate) / unit

    for before, after in ((gross, became.gross_micros), (net, became.net_micros)):
        assert after % unit == 0
        assert abs(exact(before) - after // unit) <= Decimal("0.5") + Decimal("1e-9")
    for part in ("gross_micros", "net_micros"):
        for befores, afters in (
            (told.lines, became.lines),
            (told.attributions[0].credits, became.attributions[0].credits),
        ):
            shares = [(getattr(b, part), getattr(a, part)) for b, a in zip(befores, afters, strict=True)]
            rest = (getattr(told, part) - sum(b for b, _ in shares), getattr(became, part) - sum(a for _, a in shares))
            for before, after in (*shares, rest):
                assert after % unit == 0
                assert abs(exact(before) - after // unit) < 1 + Decimal("1e-9")
            if not rest[0]:
                assert not rest[1]


def test_without_a_rate_and_beyond_any_order_it_stays():
    told = order(10**18, 10**18)
    assert converted(told, UNCONVERTED, "EUR") is told
    assert converted(told, "0.5", "EUR") is told
    assert converted(told, "2", "EUR").gross_micros == 5 * 10**17


def test_a_rate_holds_for_a_week_in_every_zone():
    first, last = seconds_held(date(1970, 1, 3), date(1970, 1, 4))
    assert (first, last) == (86_400, (3 + 9) * 86_400)
    seconds_held(date.min, date.max)


ACME = Tenant(tenant_id="acme", partition=0, time_zone="Europe/Madrid", currency_code="EUR", settings=b"1", edition=7)


def test_a_changed_zone_is_counted_beside_what_is_served():
    told = ACME.told(5, "Pacific/Apia", "EUR", b"2")
    assert (told.time_zone, told.book, told.settings) == ("Europe/Madrid", 7, b"1")
    assert [way.time_zone for way in told.ways] == ["Europe/Madrid", "Pacific/Apia"]
    assert told.coming.reached == BEFORE_ALL_ORDERS
    assert told.newest.book == EDITIONS + 7 > told.book_of(EDITIONS - 1)
    assert counting_of(told.newest.book) == told.coming.counting == 1
    assert (told.zone_of(told.book).key, told.zone_of(told.newest.book).key) == ("Europe/Madrid", "Pacific/Apia")
    # What was told at an older position, or says the same, changes nothing of it.
    assert told.told(4, "UTC", "USD", b"0") == told
    assert told.told(6, "Pacific/Apia", "EUR", b"2").coming == told.coming


def test_other_settings_count_no_order_anew():
    told = ACME.told(5, "Europe/Madrid", "EUR", b"2")
    assert told.ways == (told,)
    assert told.newest.book == told.book
    assert told.newest.settings == b"2"
    # While a zone is being counted it goes on where it is; another zone begins a book of its own.
    zone = ACME.told(5, "UTC", "EUR", b"2").told(6, "UTC", "EUR", b"3")
    assert (zone.coming.counting, zone.coming.reached, zone.newest.settings) == (1, BEFORE_ALL_ORDERS, b"3")
    again = zone.told(7, "Europe/Madrid", "EUR", b"1")
    assert (again.coming.counting, again.newest.time_zone, again.book) == (2, "Europe/Madrid", 7)


def test_decimal_agrees_about_halves():
    for cents in range(1, 2_000, 7):
        became = converted(order(cents * 10_000, 0), "8", "EUR").gross_micros // 10_000
        assert became == int((Decimal(cents) / 8).quantize(Decimal(1), ROUND_HALF_EVEN))
