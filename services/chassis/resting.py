"""How long a follower rests between groups: so that groups are worth their transaction, and acceptance goes first."""

from collections.abc import Awaitable, Callable

from touchstone.mesh.v1 import log_pb2

from services.chassis.groups import MOST_ENTRIES
from services.chassis.processors import idle_share

CLOSELY = 0.04
"""Seconds between two batches of a log that figures wait for: fewer batches cost less, and come sooner for it."""
LOOSELY = 0.1
"""The same for a log that figures can do without for a moment."""

_FEW_ENTRIES = 20
_LONGEST_REST = 0.2

RUSH = 1_000.0
"""Entries a second; what is promised to be followed closely at any time, and half as much again."""
_IN_A_RUSH = 300.0
"""Entries a second that are followed in a rush, while processors are short."""
_LOOK_SECONDS = 0.2
_SPARE = 0.25
"""The part of the machine's processors that has nothing to do where they are not short."""
_MEASURED_OVER = 0.5
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


def rest_after(entries: int, worked: float) -> float:
    """Seconds to rest after a group that took `worked` seconds.

    An entry costs a third less among five hundred than among fifty. So where little comes the rest is as long as the
    work, and where much comes it is longer, until groups are large; who is far behind finds them full, and goes on at
    once.
    """
    return 0.0 if entries >= MOST_ENTRIES else min(worked * max(1.0, entries / _FEW_ENTRIES), _LONGEST_REST)


async def give_way(entries: int, worked: float, idle_share: Callable[[float], Awaitable[float]] = idle_share) -> None:
    """Rests after a group in a rush, until so little is followed that it costs acceptance nothing worth mentioning.

    What is accepted goes first while processors are short: a webhook that is not taken is lost to the shop for minutes,
    and a figure is late for seconds. As soon as some have nothing to do, following goes on. `idle_share` waits so many
    seconds and answers what part of the processors had nothing to do meanwhile.
    """
    left = entries / _IN_A_RUSH - worked
    while left > 0 and await idle_share(min(left, _LOOK_SECONDS)) < _SPARE:
        left -= _LOOK_SECONDS
