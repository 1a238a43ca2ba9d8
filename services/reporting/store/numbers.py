"""Whole numbers out of the text of a Postgres array, which is read in a fraction of the time that its elements take."""

from typing import Final

_NO_NUMBER: Final = "NULL"
_NO_BRACES: Final = str.maketrans("", "", "{}")


def numbers(told: str, length: int) -> list[list[int]]:
    """An array of arrays, each of so many numbers."""
    together = [*map(int, told.translate(_NO_BRACES).split(","))]
    return [together[start : start + length] for start in range(0, len(together), length)]


def columns(told: str | None, count: int) -> list[list[int | None]]:
    """An array of rows as so many columns, or a row itself; None stands where there is no number."""
    if told is None:
        return [[] for _ in range(count)]
    parts = told.translate(_NO_BRACES).split(",")
    together: list[int | None]
    if _NO_NUMBER in told:
        together = [None if part == _NO_NUMBER else int(part) for part in parts]
    else:
        together = [*map(int, parts)]
    return [together[place::count] for place in range(count)]
