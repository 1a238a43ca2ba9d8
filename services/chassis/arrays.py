"""Columns of values as parameters in Postgres' own notation.

The driver writes an array element by element in Python, which for a batch costs more than all else of a statement. One
string costs next to nothing.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple


def texts(values: Iterable[str]) -> str:
    """A literal for `text[]`, whatever characters are in the values."""
    column = list(values)
    if not column:
        return "{}"
    # Quotes and backslashes are rare: one look at all of the column finds out that nothing is to be escaped.
    together = "".join(column)
    if '"' in together or "\\" in together:
        column = [value.replace("\\", "\\\\").replace('"', '\\"') for value in column]
    return '{"' + '","'.join(column) + '"}'


def numbers(values: Iterable[int]) -> str:
    """A literal for arrays of whole numbers."""
    # An enumeration's numbers too: `str` would ask each for its own idea of a text.
    return "{" + ",".join(map(int.__repr__, values)) + "}"


def optional_numbers(values: Iterable[int | None]) -> str:
    """A literal for arrays of whole numbers, of which some may be absent."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def flags(values: Iterable[bool]) -> str:
    """A literal for `boolean[]`."""
    return "{" + ",".join(["t" if value else "f" for value in values]) + "}"


class Joined(NamedTuple):
    """Values of bytes, one behind the other, and where each is: `substring(together FROM start FOR length)`."""

    together: bytes
    starts: str
    lengths: str


def joined(values: Sequence[bytes | None]) -> Joined:
    """A column of bytes, as three parameters: a literal of them would be escaped byte by byte.

    None has no length, so that its `substring` is NULL.
    """
    present = [value or b"" for value in values]
    starts = list(accumulate(map(len, present), initial=1))[:-1]
    lengths = ["NULL" if value is None else str(len(value)) for value in values]
    return Joined(b"".join(present), numbers(starts), "{" + ",".join(lengths) + "}")
