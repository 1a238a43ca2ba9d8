"""A person as somebody is shown it: the identifiers, and everything that says that they belong together."""

from dataclasses import dataclass
from typing import NamedTuple

from services.identity.domain.nodes import Node

MOST_LISTED = 1_000
"""Identifiers, links and hubs that are shown of a person, at most of each."""


class Known(NamedTuple):
    """An identifier and its value."""

    node: Node
    value: str


class Tie(NamedTuple):
    """Two identifiers that belong together. `decide_nanos` is when somebody decided so, None where it was observed."""

    left: Known
    right: Known
    decide_nanos: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A person. Where there are more than `MOST_LISTED` of anything, those are left out that tell least of somebody.

    `count` is how many identifiers there are; `links` are between identifiers that are shown. `hubs` were observed with
    the person, and name too many to count: a hub itself is described alone, and as a hub.
    """

    person: Node
    identifiers: tuple[Known, ...]
    count: int
    links: tuple[Tie, ...] = ()
    hubs: tuple[Known, ...] = ()
