"""Columns of values as one parameter each, in Postgres' own notation.

The driver writes an array element by element in Python, which for a batch costs more than all else of a statement.
"""

from collections.abc import Iterable


def texts(values: Iterable[str]) -> str:
    """A literal for `text[]`."""
    column = list(values)
    if not column:
        return "{}"
    together = "".join(column)
    if '"' in together or "\\" in together:
        column = [value.replace("\\", "\\\\").replace('"', '\\"') for value in column]
    return '{"' + '","'.join(column) + '"}'
