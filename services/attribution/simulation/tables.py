"""Columns of one table as they are read out of the store, all in memory."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from services.attribution.simulation.cases import Flags, Numbers
from services.attribution.store.blocks import STEPS, TOUCHES, Layout
from services.attribution.store.columns import EVERYWHEN, Part

_SPREADING: Final = np.uint64(0x9E3779B97F4A7C15)
"""Multiplied by it, numbers that lie close together have first bits that don't."""


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
        {name: _joined([(part.columns[i], part.row_count) for part in parts]) for i, name in enumerate(columns)},
    )


def columns_of(
    source: Source, layout: Layout, columns: Collection[str], rows: Numbers, times: tuple[int, int]
) -> dict[str, Numbers]:
    """Columns of some rows, in ascending sequence, that are within the times."""
    if not columns:
        return {}
    table = read(source, layout, sorted(columns), times)
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


def ranges(start: Numbers, size: Numbers) -> Numbers:
    """The numbers of each range, one range after the other."""
    ends = np.cumsum(size)
    found: Numbers = np.repeat(start - ends + size, size) + np.arange(int(ends[-1]) if len(ends) else 0)
    return found


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


def last_of_each(keys: Numbers) -> Flags:
    """Which keys don't come again."""
    slots = _slots(keys)
    numbers = np.arange(len(keys), dtype=np.int32)
    # Whoever is assigned to a slot last stays there, so an equal key that stays is a later one.
    staying = np.zeros(int(slots.max(initial=0)) + 1, np.int32)
    staying[slots] = numbers
    holder = staying[slots]
    is_last: Flags = holder == numbers
    others = np.flatnonzero(~is_last)
    # Of a key that lost its slot to another, no row stayed: these are few, and sorted.
    displaced = others[keys[holder[others]] != keys[others]]
    sequence = displaced[np.lexsort((displaced, keys[displaced]))]
    ordered = keys[sequence]
    is_last[sequence[np.append(ordered[1:] != ordered[:-1], True)] if len(sequence) else sequence] = True
    return is_last


def arrow(columns: Mapping[str, NDArray[np.signedinteger[Any]]]) -> pa.Table:
    """Columns as Arrow has them, without a copy."""
    # Not by pa.array: it would first import pandas, for seconds, to see whether the columns are of that.
    arrays = [
        pa.Array.from_buffers(
            pa.from_numpy_dtype(column.dtype), len(column), [None, pa.py_buffer(np.ascontiguousarray(column))]
        )
        for column in columns.values()
    ]
    return pa.Table.from_arrays(arrays, names=list(columns))


def _slots(keys: Numbers) -> Numbers:
    """A slot for each key, of four times as many as there are keys, at least."""
    bits = max(len(keys), 1).bit_length() + 1
    found: Numbers = (keys.view(np.uint64) * _SPREADING >> np.uint64(64 - bits)).view(np.int64)
    return found


def _joined(pieces: Sequence[tuple[Numbers | None, int]]) -> Numbers | None:
    if all(piece is None for piece, _ in pieces):
        return None
    return np.concatenate([np.zeros(count, np.int64) if piece is None else piece for piece, count in pieces])
