"""Money: whole millionths of a currency's unit, and how a sum is split so that the parts add up."""

from collections.abc import Sequence
from decimal import Context, Decimal, Inexact, InvalidOperation
from fractions import Fraction
from functools import cache

from iso4217 import Currency

MICROS = 1_000_000
"""Millionths in one unit of a currency."""

LARGEST_AMOUNT = 10**12 * MICROS
"""A million million units: more than any order in any currency, and far from the bounds of 64 bits."""

_DEFAULT_MINOR_DIGITS = 2
_MICRO_DIGITS = 6
_PLAIN_WHOLE_DIGITS = 12
_MICROS_OF_LAST_DIGIT: tuple[int, ...] = tuple(10 ** (_MICRO_DIGITS - digits) for digits in range(_MICRO_DIGITS + 1))
_EXACT = Context(prec=100, traps=[Inexact, InvalidOperation])


class AmountError(ValueError):
    """Not an amount of money; the text says why, without repeating the value."""


@cache
def minor_unit(currency_code: str) -> int:
    """The smallest real amount of a currency, in micros: 10,000 for EUR, 1,000,000 for JPY, 1,000 for KWD.

    A code that ISO 4217 doesn't list has two digits, as most do.
    """
    try:
        digits = Currency(currency_code).exponent
    except ValueError:
        digits = None
    return int(10 ** (_MICRO_DIGITS - (_DEFAULT_MINOR_DIGITS if digits is None else digits)))


def parse_micros(text: str) -> int:
    """Reads a decimal such as "56.09" exactly.

    Raises `AmountError` for what is no number, is finer than a millionth, or is larger than `LARGEST_AMOUNT`.
    """
    # Nearly every amount is plain digits with a point: read without a Decimal in a third of the time.
    if type(text) is str and text.isascii():
        whole, point, digits = text.partition(".")
        if whole.isdigit() and len(whole) <= _PLAIN_WHOLE_DIGITS:
            if not point:
                return int(whole) * MICROS
            if digits.isdigit() and len(digits) <= _MICRO_DIGITS:
                return int(whole) * MICROS + int(digits) * _MICROS_OF_LAST_DIGIT[len(digits)]
    try:
        value = Decimal(text)
    except (InvalidOperation, ValueError, TypeError) as error:
        raise AmountError("is not a decimal number") from error
    if not value.is_finite():
        raise AmountError("is not a finite number")
    if abs(value) > LARGEST_AMOUNT // MICROS:
        raise AmountError("is larger than any order")
    try:
        return int(_EXACT.quantize(_EXACT.multiply(value, Decimal(MICROS)), Decimal(1)))
    except (Inexact, InvalidOperation) as error:
        raise AmountError("is finer than a millionth of the currency's unit") from error


def split(total: int, weights: Sequence[int | Fraction], currency_code: str) -> list[int]:
    """Splits `total` micros in proportion to `weights`, in real amounts that add up to it exactly.

    Largest remainder at the currency's minor unit, ties to the earlier part. What of the total is finer than the
    minor unit (a shop may show more decimals than its currency has) goes to the first part with a weight. Weights are
    not negative; where all are zero, all count the same. No weights: no parts, and the total must be zero.
    """
    if not weights:
        if total:
            raise ValueError("a sum can't be split into no parts")
        return []
    if any(weight < 0 for weight in weights):
        raise ValueError("weights are not negative")
    if len(weights) == 1:
        return [total]
    shares = [Fraction(weight) for weight in weights] if any(weights) else [Fraction(1)] * len(weights)
    sign, amount, unit = (-1 if total < 0 else 1), abs(total), minor_unit(currency_code)
    units, finer = divmod(amount, unit)
    whole = sum(shares)
    exact = [units * share / whole for share in shares]
    parts = [int(part) for part in exact]
    by_remainder = sorted(range(len(parts)), key=lambda i: (parts[i] - exact[i], i))
    for i in by_remainder[: units - sum(parts)]:
        parts[i] += 1
    amounts = [part * unit for part in parts]
    first = next(i for i, share in enumerate(shares) if share)
    amounts[first] += finer
    return [sign * part for part in amounts]
