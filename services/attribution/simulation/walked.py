"""How often a path was walked."""

from typing import NamedTuple


class Walked(NamedTuple):
    """How often a path was walked, and how many of these times it ended in an order."""

    all: int
    converted: int
