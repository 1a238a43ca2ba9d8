"""Amounts are read to the last digit, by whichever way is fastest."""

from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.kernel.money import LARGEST_AMOUNT, MICROS, AmountError, parse_micros

DIGITS = st.text(alphabet="0123456789", max_size=40)


@given(st.sampled_from(["", "-", "+"]), DIGITS, st.booleans(), DIGITS)
@example("", "1", True, "0000000000000000000000000000000001")
@example("", "1000000000000", True, "0000001")
@example("", "999999999999", True, "999999")
def test_an_amount_is_read_exactly_or_refused(sign, whole, point, digits):
    text = f"{sign}{whole}{'.' if point else ''}{digits if point else ''}"
    if not whole and not (point and digits):
        with pytest.raises(AmountError):
            parse_micros(text)
        return
    exact = Fraction(f"{sign}{whole or '0'}.{digits if point and digits else '0'}") * MICROS
    if exact.denominator == 1 and abs(exact) <= LARGEST_AMOUNT:
        assert parse_micros(text) == exact
    else:
        with pytest.raises(AmountError):
            parse_micros(text)


@pytest.mark.parametrize("text", ["", " ", ".", "-", "5,00", "NaN", "Infinity", "0x1", "1e400", None, []])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(AmountError):
        parse_micros(text)
