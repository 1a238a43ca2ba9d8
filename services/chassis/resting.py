"""How long a follower rests between groups: so that groups are worth their transaction, and acceptance goes first."""

from touchstone.mesh.v1 import log_pb2

from services.chassis.groups import MOST_ENTRIES

CLOSELY = 0.04
"""Seconds between two batches of a log that figures wait for: fewer batches cost less, and come sooner for it."""
LOOSELY = 0.1
"""The same for a log that figures can do without for a moment."""

_FEW_ENTRIES = 20
_LONGEST_REST = 0.2

_RUSH = 1_000.0
"""Entries a second; what is promised to be followed closely at any time, and half as much again."""
_IN_A_RUSH = 300.0
"""Entries a second that are followed in a rush, while processors are short."""
_SHORT = 0.05
"""The part of its work that a follower waits for a processor, where they are short."""
_LONGEST_REST_IN_A_RUSH = 1.5
_MEASURED_OVER = 1.0
"""Seconds between two looks at a log's head that tell how fast it grows: a stall and its end are no rush."""


class Growth:
    """How fast one partition of a log keeps growing, from what its batches tell of its head."""

    def __init__(self) -> None:
        self._log_id = ""
        self._position = 0
        self._seconds = 0.0
        self._newest_rate = 0.0
        self.rate = 0.0
        """Entries a second, in the slower of the last two measures: what was written all at once is no rush."""

    def look(self, batch: log_pb2.LogBatch) -> None:
        """Measures anew when enough time has passed since the last measure, by the clock of who serves the log."""
        seconds = batch.head_time.seconds + batch.head_time.nanos / 1e9
        if batch.log_id == self._log_id and abs(seconds - self._seconds) < _MEASURED_OVER:
            return
        known = batch.log_id == self._log_id and seconds > self._seconds
        rate = (batch.head_position - self._position) / (seconds - self._seconds) if known else 0.0
        self.rate, self._newest_rate = min(rate, self._newest_rate), rate
        self._log_id, self._position, self._seconds = batch.log_id, batch.head_position, seconds


def rest_after(entries: int, worked: float, *, waited: float = 0.0, growth: float = 0.0) -> float:
    """Seconds to rest after a group that took `worked` seconds, for `waited` of which no processor was free.

    An entry costs a third less among five hundred than among fifty. So where little comes the rest is as long as the
    work, and where much comes it is longer, until groups are large; who is far behind finds them full, and goes on at
    once. In a rush, when the log grows by `growth` entries a second and processors are short, what is accepted goes
    first: a webhook that is not taken is lost to the shop for minutes, and a figure is late for seconds.
    """
    if growth > _RUSH and waited > _SHORT * worked:
        return min(max(0.0, entries / _IN_A_RUSH - worked), _LONGEST_REST_IN_A_RUSH)
    gathering = 0.0 if entries >= MOST_ENTRIES else worked * max(1.0, entries / _FEW_ENTRIES)
    return min(gathering, _LONGEST_REST)
