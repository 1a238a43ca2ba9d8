"""Exchange rates: which are taken, which are frozen, and how files of them are read."""

from datetime import date

import click
import pytest

from gateway.cli.rates import read_rates
from services.ingest.domain.exchange_rates import Key, Rate, Told, check_rates, decide, page_start, page_token
from services.kernel.failures import AlreadyExistsError, InvalidArgumentError

USD = Key(date(2026, 11, 20), "USD", "EUR")


def told(day="2026-11-20", currency="USD", rate="1.1589", base=""):
    return Told(day, currency, rate, base)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (told(day="2026-11-31"), "exchangeRates[1].date"),
        (told(day="2026-W47-5"), "exchangeRates[1].date"),
        (told(currency="usd"), "exchangeRates[1].currencyCode"),
        (told(currency="EUR"), "exchangeRates[1].currencyCode"),
        (told(currency="EUR", base="XXQ"), "exchangeRates[1].baseCurrencyCode"),
        (told(rate="0.000"), "exchangeRates[1].rate"),
        (told(rate="-1"), "exchangeRates[1].rate"),
        (told(rate="1,2"), "exchangeRates[1].rate"),
        (told(rate="1e3"), "exchangeRates[1].rate"),
        (told(rate="1.1234567890123"), "exchangeRates[1].rate"),
        (told(currency="JPY", rate="2"), "exchangeRates[1]"),
    ],
)
def test_what_is_no_rate_is_named(wrong, field):
    with pytest.raises(InvalidArgumentError) as raised:
        check_rates([told(currency="JPY"), wrong], "EUR")
    assert [violation.field for violation in raised.value.violations] == [field]


def test_equal_rates_are_equal_texts():
    [rate] = check_rates([told(rate="01.50")], "EUR")
    assert rate == Rate(USD, "1.5")
    assert check_rates([told(rate="100")], "EUR") == [Rate(USD, "100")]
    assert check_rates([told(currency="EUR", base="USD", rate="0.86")], "EUR")[0].key == USD._replace(
        currency_code="EUR", base_currency_code="USD"
    )


def test_a_rate_stays_until_it_is_replaced():
    rates = [Rate(USD._replace(currency_code="JPY"), "180"), Rate(USD, "1.16")]
    assert decide(rates, {USD: "1.16"}, replace=False) == ([rates[0]], 1)
    with pytest.raises(AlreadyExistsError) as raised:
        decide(rates, {USD: "1.17"}, replace=False)
    assert [violation.field for violation in raised.value.violations] == ["exchangeRates[1].rate"]
    assert decide(rates, {USD: "1.17"}, replace=True) == (rates, 0)


def test_a_page_begins_behind_the_rate_of_its_token():
    assert page_start(page_token(USD)) == USD
    assert page_start("") is None
    with pytest.raises(InvalidArgumentError):
        page_start("2026-11-20")


def test_files_are_read_as_they_are_published(tmp_path):
    def read(text):
        file = tmp_path / "rates.csv"
        file.write_text(text, encoding="utf-8")
        return [(rate.date, rate.currency_code, rate.rate, rate.base_currency_code) for rate in read_rates(file)]

    assert read("\ufeffdate,currency,rate\n2026-11-20,usd,1.1589\n") == [("2026-11-20", "USD", "1.1589", "")]
    assert read("Date,USD,CYP,\n2026-11-20,1.1589,N/A,\n2026-11-19,1.16,,\n") == [
        ("2026-11-20", "USD", "1.1589", "EUR"),
        ("2026-11-19", "USD", "1.16", "EUR"),
    ]
    assert read("Date, USD, JPY, \n20 November 2026, 1.1589, 181.2, \n") == [
        ("2026-11-20", "USD", "1.1589", "EUR"),
        ("2026-11-20", "JPY", "181.2", "EUR"),
    ]
    for broken in ("", "day,currency,rate\n", "date,currency,rate\n20/11/2026,USD,1\n", "date,currency,rate\n1,2\n"):
        with pytest.raises(click.ClickException):
            read(broken)
