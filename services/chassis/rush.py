"""Rushes: while a log grows faster than is promised to be followed closely, following gives way to acceptance."""

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
_MEASURED_OVER: Final = 0.25
"""Seconds between two measures of how fast a log grows."""
_CLOCK_SET_BACK: Final = 60.0
"""Seconds by which no batch is older than one of another partition that was taken before it."""


class Rush:
    """Whether one log keeps growing fast, in all partitions together; and how little of it is followed meanwhile.

    What is accepted goes first while processors are short: a webhook that is not taken is lost to the shop for minutes,
    and a figure is late for seconds. As soon as some have nothing to do, following goes on.
    """

    def __init__(self, idle_share: Callable[[float], Awaitable[float]] = idle_share) -> None:
        """`idle_share` waits so many seconds and answers what part of the processors had nothing to do meanwhile."""
        self._idle_share = idle_share
        self._heads: dict[int, tuple[str, int]] = {}
        self._grown: dict[int, int] = {}
        self._growing = 1
        self._measured_at = 0.0
        self._newest_rate = 0.0
        self.rate = 0.0
        """Entries a second, in the slower of the last two measures: a stall and its end are no rush."""

    @property
    def is_on(self) -> bool:
        """True while there is a rush."""
        return self.rate > MUCH

    def look(self, batch: log_pb2.LogBatch) -> None:
        """Takes note of the head that a batch tells of, by the clock of who serves the log."""
        log_id, head = self._heads.get(batch.partition, ("", 0))
        if log_id == batch.log_id:
            grown = self._grown.get(batch.partition, 0) + batch.head_position - head
            self._grown[batch.partition] = grown
        self._heads[batch.partition] = (batch.log_id, batch.head_position)
        seconds = batch.head_time.seconds + batch.head_time.nanos / 1e9
        passed = seconds - self._measured_at
        if -_CLOCK_SET_BACK < passed < _MEASURED_OVER:
            return
        rate = max(0.0, sum(self._grown.values()) / passed)
        self.rate, self._newest_rate = min(rate, self._newest_rate), rate
        self._growing = sum(grown > 0 for grown in self._grown.values())
        self._grown, self._measured_at = {}, seconds

    async def give_way(self, entries: int) -> None:
        """Rests before a group: all partitions that grow share what is followed, and who has little rests little."""
        left = entries * self._growing / _STILL_FOLLOWED
        while left > 0 and await self._idle_share(min(left, _LOOK_SECONDS)) < _SPARE:
            left -= _LOOK_SECONDS
