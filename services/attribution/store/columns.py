"""Reads a tenant's columns out of their blocks, in a worker thread: a connection of its own that sees one moment."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.attribution.store.blocks import LAYOUTS, Layout

Numbers: TypeAlias = NDArray[np.int64]

EVERYWHEN: Final = (-(2**63), 2**63 - 1)
"""Bounds that leave nothing out."""


class Part(NamedTuple):
    """Some columns of a block; a column that is 0 in all rows is None."""

    first_row: int
    row_count: int
    columns: tuple[Numbers | None, ...]


class Reader:
    """A tenant's blocks as they stood when it was opened; `look` is called before each, and may raise."""

    def __init__(self, connection: "psycopg.Connection[Any]", tenant_id: str, look: Callable[[], None]) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._look = look

    def row_counts(self) -> tuple[int, ...]:
        """How many rows each of `LAYOUTS` has: rows are only ever added, so the same counts are the same rows."""
        found = self._connection.execute(_COUNTS, {"tenant_id": self._tenant_id}).fetchone()
        return tuple(int(count) for count in found or ())

    def parts(self, layout: Layout, columns: Sequence[str], times: tuple[int, int] = EVERYWHEN) -> Iterator[Part]:
        """These columns of every block that may have rows within the times, in the rows' sequence."""
        statement = sql.SQL(
            """SELECT first_row, row_count, {columns} FROM {table}
               WHERE tenant_id = %(tenant_id)s AND last_time >= %(from)s AND first_time <= %(through)s
               ORDER BY first_row"""
        ).format(
            columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
            table=sql.Identifier(layout.table),
        )
        bound = {"tenant_id": self._tenant_id, "from": times[0], "through": times[1]}
        with self._connection.cursor(binary=True) as cursor:
            for first_row, row_count, *packed in cursor.stream(statement, bound):
                self._look()
                yield Part(first_row, row_count, tuple(_numbers(column) for column in packed))

    def names(self, layout: Layout, rows: Numbers) -> dict[int, tuple[str, ...]]:
        """The names of some rows."""
        wanted = np.unique(rows)
        statement = sql.SQL(
            """SELECT block.first_row, block.row_count, block.names FROM {table} AS block
               WHERE block.tenant_id = %(tenant_id)s AND EXISTS (
                   SELECT FROM unnest(%(rows)s::bigint[]) AS wanted (number)
                   WHERE wanted.number >= block.first_row AND wanted.number < block.first_row + block.row_count)"""
        ).format(table=sql.Identifier(layout.table))
        found: dict[int, tuple[str, ...]] = {}
        with self._connection.cursor(binary=True) as cursor:
            bound = {"tenant_id": self._tenant_id, "rows": wanted.tolist()}
            for first_row, row_count, packed in cursor.stream(statement, bound):
                self._look()
                mine = wanted[np.searchsorted(wanted, first_row) : np.searchsorted(wanted, first_row + row_count)]
                texts = bytes(packed).split(b"\0")
                for row in mine.tolist():
                    start = (row - first_row) * layout.names
                    found[row] = tuple(one.decode() for one in texts[start : start + layout.names])
        return found


class Place(NamedTuple):
    """Where blocks are: a database's address, and the schema of a service's generation."""

    address: str
    schema: str


async def place_of(connection: AsyncConnection) -> Place:
    """Where a connection finds its tables."""
    schema = str((await connection.execute(_SCHEMA)).scalar_one())
    address = connection.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    return Place(address, schema)


async def has_gap(connection: AsyncConnection) -> bool:
    """True while columns lack lines, steps and products seen of what was told before there were such."""
    return bool((await connection.execute(_HAS_GAP)).scalar_one())


@contextmanager
def reading(place: Place, tenant_id: str, look: Callable[[], None]) -> Iterator[tuple[Reader, Callable[[], None]]]:
    """A reader of a tenant's blocks, and what another thread may call to end its statement."""
    options = f"-c search_path={place.schema}"
    with psycopg.connect(place.address, options=options, connect_timeout=5) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        yield Reader(connection, tenant_id, look), connection.cancel


def _numbers(packed: bytes) -> Numbers | None:
    return np.frombuffer(packed, "<i8") if packed else None


_HAS_GAP: Final = text("SELECT EXISTS (SELECT FROM column_gap)")

_SCHEMA: Final = text("SELECT current_schema()")

_COUNTS: Final = "SELECT " + ", ".join(
    f"""coalesce((SELECT first_row + row_count FROM {layout.table}
                  WHERE tenant_id = %(tenant_id)s ORDER BY first_row DESC LIMIT 1), 0)"""
    for layout in LAYOUTS
)
