"""Watchers of figures: who watches the same shares one computation, made when something was committed."""

import asyncio
import functools
import logging
import time
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

import grpc
from sqlalchemy.ext.asyncio import AsyncConnection
from touchstone.reporting.v1 import live_service_pb2 as pb

from services.chassis.database import is_transient
from services.chassis.follow import Entry
from services.chassis.wakeups import Wakeups
from services.kernel.failures import FailedPreconditionError

APART: Final = 0.25
"""Seconds between two computations of the same figures, at least."""

HEARTBEAT: Final = 10.0
"""Seconds after which a quiet stream says that it is alive."""

POLL: Final = 1.0
"""Seconds between two looks at the positions, whether or not somebody wakes."""

MOST_WATCHERS: Final = 500
"""Streams of a tenant in a process, at most."""

_WATCHED: Final = "live:watched"
_WATCHED_SECONDS: Final = 5.0
"""How long what is committed is told to other processes, after one said that somebody watches."""

_log = logging.getLogger(__name__)

Positions = tuple[int, int]
"""Through which entries of the event log and the credit log figures speak."""

Key = tuple[str, bytes]
"""A tenant, and what is watched."""

Apply = Callable[[AsyncConnection, int, Sequence[Entry[Any]]], Awaitable[Sequence[bytes]]]


class Seen(NamedTuple):
    """Figures as they were computed: whose partition, through which positions, and until when they hold otherwise.

    `digest` is the same for the same figures, whatever the positions.
    """

    response: pb.WatchFiguresResponse
    digest: str
    partition: int
    positions: Positions
    until: float = float("inf")


class _Group:
    """Those who watch the same figures of a tenant, and the task that computes them."""

    def __init__(self, compute: Callable[[], Awaitable[Seen]]) -> None:
        self._compute = compute
        self._woken = asyncio.Event()
        self._woken.set()
        self.seen: Seen | None = None
        self.changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.watchers = 0
        self.task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        self._woken.set()

    def is_behind(self, positions: Mapping[int, Positions], now: float) -> bool:
        """True when something was applied since the figures were computed, or when they held only until now."""
        seen = self.seen
        return seen is not None and (now >= seen.until or positions.get(seen.partition, (0, 0)) != seen.positions)

    async def run(self) -> None:
        """Computes whenever it is woken, until it fails for good; then the watchers are told why."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            began = time.monotonic()
            try:
                self._take(await self._compute())
            except Exception as error:  # noqa: BLE001 - whatever it is, the watchers get a status
                if self.seen is None or not (is_transient(error) or isinstance(error, grpc.aio.AioRpcError)):
                    self.changed.set_exception(error)
                    self.changed.exception()
                    return
                _log.warning("live figures wait: %s", type(error).__name__)
                await asyncio.sleep(POLL)
                self.wake()
            # Where processors are short, those who watch wait a little longer: what they watch is to be counted first.
            took = time.monotonic() - began
            await asyncio.sleep(max(APART - took, min(2 * took, POLL)))

    def _take(self, seen: Seen) -> None:
        before, self.seen = self.seen, seen
        if before is None or before.digest != seen.digest:
            self.changed.set_result(None)
            self.changed = asyncio.get_running_loop().create_future()


class Live:
    """All watchers of this process. While nobody watches anywhere, it does nothing at all."""

    def __init__(
        self,
        wakeups: Wakeups,
        positions_of: Callable[[Collection[int]], Awaitable[Mapping[int, Positions]]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._wakeups = wakeups
        self._positions_of = positions_of
        self._clock = clock
        self._groups: dict[Key, _Group] = {}
        self._tenants: Counter[str] = Counter()
        self._told: dict[int, set[str]] = defaultdict(set)
        self._subscribed: set[int] = set()
        self._poll: asyncio.Task[None] | None = None
        self._watched_until = 0.0
        wakeups.subscribe(_WATCHED, self._watched)

    def noting(self, apply: Apply) -> Apply:
        """Notes of whom entries tell that are about to be committed."""

        async def noted(connection: AsyncConnection, partition: int, entries: Sequence[Entry[Any]]) -> Sequence[bytes]:
            if self._groups:
                self._told[partition].update([entry.message.tenant_id for entry in entries])
            return await apply(connection, partition, entries)

        return noted

    def committed(self, partition: int) -> None:
        """Wakes those who watch the tenants whose entries were committed: here, and in other processes."""
        if time.monotonic() < self._watched_until:
            self._wakeups.publish(_topic(partition))
        tenants = self._told.pop(partition, None)
        if self._groups:
            self._wake(partition, tenants)

    async def watch(
        self, key: Key, compute: Callable[[], Awaitable[Seen]], after: str
    ) -> AsyncGenerator[pb.WatchFiguresResponse, None]:
        """The figures at once, unless they are those that were seen before; then again after every change.

        Whoever takes his time gets the newest figures next, and none of those between.
        """
        group = self._join(key, compute)
        try:
            told = after.rpartition("-")[2]
            opened = False
            while True:
                # Taken before the figures are looked at: a change that comes while they are sent is not missed.
                changed, seen = group.changed, group.seen
                if seen is not None and seen.digest != told:
                    told, opened = seen.digest, True
                    yield seen.response
                    continue
                if seen is not None and not opened:
                    opened = True
                    yield _alive(seen)
                done, _ = await asyncio.wait({changed}, timeout=HEARTBEAT)
                if done:
                    changed.result()
                elif group.seen is not None:
                    yield _alive(group.seen)
        finally:
            self._leave(key, group)

    async def close(self) -> None:
        """Ends what computes; the streams themselves have ended before."""
        tasks = [group.task for group in self._groups.values() if group.task]
        tasks += [self._poll] if self._poll else []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _join(self, key: Key, compute: Callable[[], Awaitable[Seen]]) -> _Group:
        tenant_id, _ = key
        if self._tenants[tenant_id] >= MOST_WATCHERS:
            raise FailedPreconditionError("TOO_MANY_WATCHERS", f"{MOST_WATCHERS} streams are open; end one first.")
        group = self._groups.get(key)
        if group is None or (group.task is not None and group.task.done()):
            group = self._groups[key] = _Group(compute)
            group.task = asyncio.create_task(group.run(), name="live figures")
        group.watchers += 1
        self._tenants[tenant_id] += 1
        if self._poll is None:
            self._poll = asyncio.create_task(self._look(), name="live positions")
        return group

    def _leave(self, key: Key, group: _Group) -> None:
        tenant_id, _ = key
        self._tenants[tenant_id] -= 1
        if not self._tenants[tenant_id]:
            del self._tenants[tenant_id]
        group.watchers -= 1
        if group.watchers:
            return
        if group.task is not None:
            group.task.cancel()
        if self._groups.get(key) is group:
            del self._groups[key]

    def _watched(self) -> None:
        self._watched_until = time.monotonic() + _WATCHED_SECONDS

    def _wake(self, partition: int, tenants: Collection[str] | None = None) -> None:
        for (tenant_id, _), group in self._groups.items():
            seen = group.seen
            if seen is None or (seen.partition == partition and (not tenants or tenant_id in tenants)):
                group.wake()

    async def _look(self) -> None:
        """Looks at the positions as long as somebody watches, and says so to other processes."""
        while self._groups:
            self._wakeups.publish(_WATCHED)
            await asyncio.sleep(POLL)
            partitions = {group.seen.partition for group in self._groups.values() if group.seen}
            self._subscribe(partitions - self._subscribed)
            try:
                positions = await self._positions_of(partitions) if partitions else {}
            except Exception as error:  # noqa: BLE001 - whatever it is, the next look may see again
                _log.warning("live positions can't be read: %s", type(error).__name__)
                continue
            now = self._clock()
            for group in self._groups.values():
                if group.is_behind(positions, now):
                    group.wake()
        self._poll = None

    def _subscribe(self, partitions: Collection[int]) -> None:
        for partition in partitions:
            self._wakeups.subscribe(_topic(partition), functools.partial(self._wake, partition))
            self._subscribed.add(partition)


def _topic(partition: int) -> str:
    return f"live:{partition}"


def _alive(seen: Seen) -> pb.WatchFiguresResponse:
    return pb.WatchFiguresResponse(event_id=seen.response.event_id)
