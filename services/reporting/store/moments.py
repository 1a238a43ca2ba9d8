"""A moment of the state, read by one statement: each has a price, and takes a round trip that takes longer than most."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from psycopg import AsyncRawCursor
from sqlalchemy.ext.asyncio import AsyncEngine

from services.reporting.store.readers import reader

_NAMED: Final = re.compile(r":([a-z_]+)")

Asked = tuple[bytes, Sequence[Any]]
"""A statement, its parameters named `$1` and so on, and their values."""

Row = tuple[int, int, int, list[Any] | None, str | None]
"""The number of a part of a moment, three things that the part says itself: two numbers and texts, and one more text."""


class Statement(NamedTuple):
    """A statement, and the names of its parameters in sequence."""

    text: bytes
    names: tuple[str, ...]

    def asked(self, values: Mapping[str, Any]) -> Asked:
        """The statement with the values of its parameters, by their names."""
        return self.text, [values[name] for name in self.names]


def asked_of(parts: Sequence[str]) -> Statement:
    """The statement of all parts, whose parameters are named `:like_this`."""
    together = " UNION ALL ".join(parts)
    names = tuple(dict.fromkeys(_NAMED.findall(together)))
    places = {name: f"${place}" for place, name in enumerate(names, start=1)}
    return Statement(_NAMED.sub(lambda found: places[found[1]], together).encode(), names)


async def read(engine: AsyncEngine, asked: Asked) -> list[Row]:
    """The rows of a statement, which is prepared where it was not yet; they all see the same moment."""
    statement, values = asked
    async with reader(engine) as connection:
        cursor = AsyncRawCursor(connection)
        await cursor.execute(statement, values, prepare=True)
        return await cursor.fetchall()
