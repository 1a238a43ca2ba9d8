"""Columns of one table as they are read out of the store, all in memory."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from services.attribution.simulation.cases import Flags, Numbers
from services.attribution.simulation.lookup import last_of_each, ranges
from services.attribution.store.blocks import STEPS, TOUCHES, Layout
from services.attribution.store.columns import EVERYWHEN, Part


class Source(Protocol):
    """Where columns come from: `store.columns.Reader`."""

    def parts(self, layout: Layout, columns: Sequence[str], times: tuple[int, int] = EVERYWHEN) -> Iterator[Part]:
        """These columns of every block that may have rows within the times, in the rows' sequence."""

    def names(self, layout: Layout, rows: Numbers) -> dict[int, tuple[str, ...]]:
        """The names of some rows."""


class Table(NamedTuple):
    """Columns of equal length; one that is 0 everywhere is None. `row` is where the store keeps each row."""

    row: Numbers
    columns: Mapping[str, Numbers | None]

    def column(self, name: str) -> Numbers:
        """A column's numbers, also where all are 0."""
        found = self.columns[name]
        return np.zeros(len(self.row), np.int64) if found is None else found

    def where(self, chosen: Flags | Numbers) -> "Table":
        """Some of the rows."""
        return Table(
            self.row[chosen],
            {name: None if column is None else column[chosen] for name, column in self.columns.items()},
        )


def read(source: Source, layout: Layout, columns: Sequence[str], times: tuple[int, int] = EVERYWHEN) -> Table:
    """These columns of the blocks that may have rows within the times."""
    parts = list(source.parts(layout, columns, times))
    rows = [np.arange(part.first_row, part.first_row + part.row_count, dtype=np.int64) for part in parts]
    return Table(
        np.concatenate([np.zeros(0, np.int64), *rows]),
        {name: joined([(part.columns[i], part.row_count) for part in parts]) for i, name in enumerate(columns)},
    )


def columns_of(
    source: Source, layout: Layout, columns: Collection[str], rows: Numbers, times: tuple[int, int]
) -> dict[str, Numbers]:
    """Columns of some rows, in ascending sequence, that are within the times."""
    if not columns:
        return {}
    table = read(source, layout, sorted(columns), times)
    if len(table.row) == len(rows):
        return {name: table.column(name) for name in columns}
    places = np.searchsorted(table.row, rows)
    return {name: table.column(name)[places] for name in columns}


class Listed(NamedTuple):
    """What rows list, one row's after the other's: those of row i begin at `start[i]` and end at `start[i + 1]`."""

    start: Numbers
    lists: Mapping[str, Numbers]


def listed(source: Source, layout: Layout, rows: Numbers, times: tuple[int, int] = EVERYWHEN) -> Listed:
    """What some rows list, in ascending sequence, that are within the times."""
    counts, pieces = [np.zeros(0, np.int64)], []
    for part in source.parts(layout, (layout.columns[-1], *layout.lists), times):
        first, last = np.searchsorted(rows, (part.first_row, part.first_row + part.row_count))
        mine = rows[first:last] - part.first_row
        count, *columns = part.columns
        if count is None:
            counts.append(np.zeros(len(mine), np.int64))
            continue
        ends = np.cumsum(count)
        chosen = ranges(ends[mine] - count[mine], count[mine])
        counts.append(count[mine])
        pieces.append([np.zeros(len(chosen), np.int64) if one is None else one[chosen] for one in columns])
    start = np.append(0, np.cumsum(np.concatenate(counts)))
    none = np.zeros(0, np.int64)
    return Listed(
        start, {name: np.concatenate([none, *(one[i] for one in pieces)]) for i, name in enumerate(layout.lists)}
    )


def event_names(source: Source, rows: Numbers) -> dict[int, tuple[str, ...]]:
    """Source and event id of touches, by their rows, and of steps of conversations, by what `~` makes of theirs."""
    of_steps = rows < 0
    found = source.names(TOUCHES, rows[~of_steps])
    if of_steps.any():
        found |= {~row: names for row, names in source.names(STEPS, ~rows[of_steps]).items()}
    return found


def within(table: Table, name: str, times: tuple[int, int]) -> Table:
    """The rows of which a column is within bounds, both included."""
    time = table.column(name)
    inside = (time >= times[0]) & (time <= times[1])
    return table if inside.all() else table.where(inside)


def last_told(table: Table, name: str) -> Table:
    """The last row of each key."""
    is_last = last_of_each(table.column(name))
    return table if is_last.all() else table.where(is_last)


def joined(pieces: Sequence[tuple[Numbers | None, int]]) -> Numbers | None:
    """One column of pieces of so many rows each; None where all are 0 everywhere."""
    if all(piece is None for piece, _ in pieces):
        return None
    return np.concatenate([np.zeros(count, np.int64) if piece is None else piece for piece, count in pieces])
