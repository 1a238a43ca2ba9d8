"""Money: parts add up, parts are real amounts, and text is read exactly or refused."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.kernel.money import LARGEST_AMOUNT, AmountError, minor_unit, parse_micros, split

currencies = st.sampled_from(["EUR", "USD", "JPY", "KWD", "CLF", "XXQ"])
weights = st.lists(st.integers(0, 10**12) | st.fractions(0, 100), min_size=1, max_size=12)
amounts = st.integers(-LARGEST_AMOUNT, LARGEST_AMOUNT)


@given(amounts, weights, currencies)
def test_parts_add_up_for_any_weights_and_currency(total: int, weights: list, currency: str) -> None:
    assert sum(split(total, weights, currency)) == total


@given(st.integers(-(10**9), 10**9), weights, currencies)
def test_parts_of_a_real_amount_are_real_amounts_within_a_minor_unit_of_their_share(
    units: int, weights: list, currency: str
) -> None:
    unit = minor_unit(currency)
    parts = split(units * unit, weights, currency)
    shares = weights if any(weights) else [1] * len(weights)
    for part, share in zip(parts, shares, strict=True):
        assert part % unit == 0
        assert abs(part - Fraction(units * unit) * Fraction(share) / sum(map(Fraction, shares))) < unit


@given(amounts, weights, currencies)
def test_splitting_a_debt_mirrors_splitting_the_sum(total: int, weights: list, currency: str) -> None:
    assert split(-total, weights, currency) == [-part for part in split(total, weights, currency)]


def test_known_splits() -> None:
    assert split(100_000_000, [1, 1, 1], "EUR") == [33_340_000, 33_330_000, 33_330_000]
    assert split(100_000_000, [1, 1, 1], "JPY") == [34_000_000, 33_000_000, 33_000_000]
    assert split(100_000_000, [40, 20, 40], "KWD") == [40_000_000, 20_000_000, 40_000_000]
    assert split(10_001, [0, 1, 1], "EUR") == [0, 10_001, 0]
    assert split(0, [], "EUR") == []
    with pytest.raises(ValueError, match="no parts"):
        split(1, [], "EUR")
    with pytest.raises(ValueError, match="negative"):
        split(1, [-1, 2], "EUR")


@given(st.decimals(min_value=-(10**12), max_value=10**12, places=6, allow_nan=False, allow_infinity=False))
@example(Decimal("60.280"))
def test_what_has_up_to_six_decimals_is_read_exactly(value: Decimal) -> None:
    assert Fraction(parse_micros(str(value)), 10**6) == Fraction(value)


@pytest.mark.parametrize("text", ["", "abc", "1.2.3", "NaN", "Infinity", "1e400", "0.0000001", "9" * 20, "1,5"])
def test_what_is_no_amount_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(AmountError) as refused:
        parse_micros(text)
    assert not text or text not in str(refused.value)
