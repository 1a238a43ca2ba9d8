"""Columns that were never in a database, for what reads them."""

from collections.abc import Iterator, Sequence

import numpy as np

from services.attribution.store.blocks import Layout, pack
from services.attribution.store.columns import EVERYWHEN, Part
from services.attribution.store.facts import Row


class InMemory:
    """Rows as the store would keep them, in blocks of a few."""

    def __init__(self, rows: dict[Layout, Sequence[Row]], block_size: int = 3) -> None:
        self._rows = {layout: list(told) for layout, told in rows.items()}
        self._block_size = block_size

    def parts(self, layout: Layout, columns: Sequence[str], times: tuple[int, int] = EVERYWHEN) -> Iterator[Part]:
        rows = self._rows.get(layout, [])
        for start in range(0, len(rows), self._block_size):
            block = pack(layout, rows[start : start + self._block_size])
            if block.last_time >= times[0] and block.first_time <= times[1]:
                packed = dict(zip(layout.packed, block.columns, strict=True))
                found = tuple(np.frombuffer(packed[name], "<i8") if packed[name] else None for name in columns)
                yield Part(start, block.row_count, found)

    def names(self, layout: Layout, rows: "np.ndarray") -> dict[int, tuple[str, ...]]:
        return {row: self._rows[layout][row].names for row in rows.tolist()}
