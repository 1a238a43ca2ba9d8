"""Columns of values as one parameter each, in Postgres' own notation.

The driver writes an array element by element in Python, which for a batch costs more than all else of a statement. One
string costs next to nothing.
"""

from collections.abc import Iterable


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
    return "{" + ",".join(map(str, values)) + "}"


def flags(values: Iterable[bool]) -> str:
    """A literal for `boolean[]`."""
    return "{" + ",".join(["t" if value else "f" for value in values]) + "}"
