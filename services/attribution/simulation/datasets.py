"""Cases kept in memory: as many as fit, for as long as nothing is told that they don't know."""

import threading
from collections import OrderedDict
from typing import Final, NamedTuple

from services.attribution.simulation.cases import Cases
from services.attribution.simulation.loading import Loading, complete, load
from services.attribution.simulation.stopping import Stop
from services.attribution.store.columns import Reader

_MOST_ROWS: Final = 40_000_000
"""Orders, touches and pairs that are kept together: some 60 bytes each at most."""


class Key(NamedTuple):
    """Whose cases: the schema names a service's generation."""

    schema: str
    tenant_id: str
    from_time: int
    through_time: int


class _Kept(NamedTuple):
    row_counts: tuple[int, ...]
    blocked: frozenset[int]
    count_crawlers: bool
    cases: Cases


class Datasets:
    """Cases by tenant and period, those asked for last. Threads may share it."""

    def __init__(self, most_rows: int = _MOST_ROWS) -> None:
        self._most_rows = most_rows
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()

    def get(self, reader: Reader, key: Key, wanted: Loading, stop: Stop) -> Cases:
        """The cases, from memory when the reader sees the rows that they were made of, else loaded."""
        row_counts = reader.row_counts()
        with self._lock:
            kept = self._kept.get(key)
        known = row_counts, wanted.blocked, wanted.count_crawlers
        if kept is None or kept[:-1] != known or kept.cases.reach < wanted.reach:
            kept = _Kept(*known, load(reader, wanted, stop))
        kept = kept._replace(cases=complete(reader, kept.cases, wanted, stop))
        with self._lock:
            self._kept[key] = kept
            self._kept.move_to_end(key)
            while len(self._kept) > 1 and sum(one.cases.row_count for one in self._kept.values()) > self._most_rows:
                self._kept.popitem(last=False)
        return kept.cases
