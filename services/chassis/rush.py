"""Rushes: while a log grows faster than is promised to be followed closely, following gives way to acceptance."""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Final

from touchstone.mesh.v1 import log_pb2

from services.chassis.processors import idle_share

MUCH: Final = 1_000.0
"""Entries a second; what is promised to be followed closely at any time, and half as much again."""
_STILL_FOLLOWED: Final = 100.0
"""Entries a second that are followed in a rush, while processors are short."""
_LOOK_SECONDS: Final = 0.2
_SPARE: Final = 0.25
"""The part of the machine's processors that has nothing to do where they are not short."""
_MEASURED_OVER: Final = 0.15
"""Seconds between two measures of how fast a log grows."""


class _Growth:
    """How fast one partition keeps growing, from what its batches tell of its head."""

    def __init__(self) -> None:
        self._log_id = ""
        self._head = 0
        self._seconds = 0.0
        self._newest_rate = 0.0
        self.rate = 0.0
        """Entries a second, in the slower of the last two measures: a stall and its end are no rush."""

    def look(self, batch: log_pb2.LogBatch) -> None:
        """Measures anew when enough time has passed since the last measure, by the clock of who serves the log."""
        seconds = batch.head_time.seconds + batch.head_time.nanos / 1e9
        if batch.log_id == self._log_id and abs(seconds - self._seconds) < _MEASURED_OVER:
            return
        known = batch.log_id == self._log_id and seconds > self._seconds
        rate = (batch.head_position - self._head) / (seconds - self._seconds) if known else 0.0
        self.rate, self._newest_rate = min(rate, self._newest_rate), rate
        self._log_id, self._head, self._seconds = batch.log_id, batch.head_position, seconds


class Rush:
    """Whether one log keeps growing fast, in all partitions together; and how little of it is followed meanwhile.

    What is accepted goes first while processors are short: a webhook that is not taken is lost to the shop for minutes,
    and a figure is late for seconds. As soon as some have nothing to do, following goes on.
    """

    def __init__(self, idle_share: Callable[[float], Awaitable[float]] = idle_share) -> None:
        """`idle_share` waits so many seconds and answers what part of the processors had nothing to do meanwhile."""
        self._idle_share = idle_share
        # Each is measured by its own batches: those of a busy one wait while those of others come.
        self._partitions: dict[int, _Growth] = defaultdict(_Growth)

    @property
    def rate(self) -> float:
        """Entries a second."""
        return sum(growth.rate for growth in self._partitions.values())

    @property
    def is_on(self) -> bool:
        """True while there is a rush."""
        return self.rate > MUCH

    def look(self, batch: log_pb2.LogBatch) -> None:
        """Takes note of the head that a batch tells of."""
        self._partitions[batch.partition].look(batch)

    async def give_way(self, entries: int) -> None:
        """Rests before a group: all partitions that grow share what is followed, and who has little rests little."""
        growing = sum(growth.rate > 0 for growth in self._partitions.values())
        left = entries * growing / _STILL_FOLLOWED
        while left > 0 and await self._idle_share(min(left, _LOOK_SECONDS)) < _SPARE:
            left -= _LOOK_SECONDS
