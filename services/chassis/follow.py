"""Following a log: each batch is decided, stored, and published in one transaction with the checkpoint."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

import grpc
from google.protobuf.message import Message
from opentelemetry.trace import SpanKind
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from touchstone.mesh.v1 import log_pb2

from services.chassis import log, telemetry
from services.chassis.arrays import numbers
from services.chassis.database import is_transient
from services.chassis.groups import MOST_ENTRIES, in_groups
from services.chassis.resting import rest_after
from services.chassis.rush import Rush
from services.kernel.partitions import PARTITION_COUNT

M = TypeVar("M", bound=Message)

TABLES = (
    """CREATE TABLE checkpoint (
           partition_id int NOT NULL,
           log text NOT NULL,
           log_id text NOT NULL,
           position bigint NOT NULL,
           apply_time timestamptz NOT NULL DEFAULT now(),
           PRIMARY KEY (partition_id, log)) WITH (fillfactor = 10)""",
    # Whoever has locked a partition's row applies to it, from whichever log: replicas share the partitions so.
    "CREATE TABLE claim (partition_id int PRIMARY KEY)",
    f"INSERT INTO claim SELECT partition_id FROM generate_series(0, {PARTITION_COUNT - 1}) partition_id",
    """CREATE TABLE parked_entry (
           partition_id int NOT NULL,
           log text NOT NULL,
           position bigint NOT NULL,
           payload bytea NOT NULL,
           reason text NOT NULL,
           park_time timestamptz NOT NULL DEFAULT now(),
           PRIMARY KEY (partition_id, log, position))""",
)
"""What a schema needs to follow logs."""

_FIRST_DELAY = 0.05
_LONGEST_DELAY = 2.0
_KEPT_SECONDS = 1.0
"""For so long after a replica applied anything to a partition, the others leave it to that one."""
_LEFT_TO_OTHER_DELAY = 0.2

# Whoever applies finds rows by their keys. Plans are kept, and one that was made while a table was empty, or unknown to
# Postgres, might read all of it when it has grown: for as long as a transaction lasts, none does that has an index.
_CLAIM = text(
    """SELECT log, log_id, position, set_config('enable_seqscan', 'off', true),
              CAST(extract(epoch FROM clock_timestamp() - apply_time) AS double precision) AS age
       FROM claim LEFT JOIN checkpoint USING (partition_id)
       WHERE partition_id = :partition FOR UPDATE OF claim SKIP LOCKED"""
)

_CLAIM_WAITING = text(
    """SELECT partition_id, set_config('enable_seqscan', 'off', true)
       FROM claim WHERE partition_id = :partition FOR UPDATE"""
)

# Who claims just as another one commits may have read the checkpoint as it was before that, and is turned back here.
_MOVE_CHECKPOINT = text(
    """INSERT INTO checkpoint (partition_id, log, log_id, position, apply_time)
       VALUES (:partition, :log, :log_id, :position, clock_timestamp())
       ON CONFLICT (partition_id, log) DO UPDATE
       SET log_id = excluded.log_id, position = excluded.position, apply_time = excluded.apply_time
       WHERE checkpoint.position = :before
       RETURNING position"""
)

_PARK = text(
    """INSERT INTO parked_entry (partition_id, log, position, payload, reason)
       VALUES (:partition, :log, :position, :payload, :reason)"""
)

_READ_PARKED = text(
    """SELECT partition_id, log, position, payload FROM parked_entry
       WHERE partition_id = :partition AND log = :log ORDER BY position"""
)

_UNPARK = text("DELETE FROM parked_entry WHERE partition_id = :partition AND log = :log AND position = :position")

_log = logging.getLogger(__name__)
_applied = telemetry.counter("touchstone.follow.entries", "Log entries applied.")
_parked = telemetry.counter("touchstone.follow.parked", "Log entries that could not be applied.")
_lag = telemetry.gauge("touchstone.follow.lag", "Log entries not yet applied.")
_durations = telemetry.histogram("touchstone.follow.apply.duration", "How long batches took to be applied.", "s")


class Entry(NamedTuple, Generic[M]):
    """A log's entry and where it stands in its partition."""

    position: int
    message: M


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription(Generic[M]):
    """A log that a service follows, and what it does with the entries.

    `read` makes of consecutive entries what is applied of them, and depends on nothing else: while much waits, it is
    called for a group while the one before it is being stored.
    `apply` gets a connection inside a transaction, the partition, and what was read. It decides, writes the service's
    state, and returns what it publishes in the service's own log. It is called again for the same entries after a
    failure or in a rebuild; what it leaves must not depend on how entries were grouped.

    `made_from` names others of the followed logs that the service behind this one follows too: when one of them is
    replaced, so will this one be, and a state that was built from the new one and the old one is not served.

    `pause` are the seconds that at least lie between two batches that are not full: news that nobody waits for closely
    costs less in larger ones.
    `gives_way` is for the log that acceptance writes: in a rush less of it is followed, so that more is accepted.
    `trace_of` answers the trace context of what an entry came from; empty where there is none.
    """

    log: str
    channel: grpc.aio.Channel
    method: str
    message_type: type[M]
    apply: Callable[[AsyncConnection, int, Any], Awaitable[Sequence[bytes]]]
    read: Callable[[Sequence[Entry[M]]], Any] = tuple
    made_from: tuple[str, ...] = ()
    pause: float = 0.0
    gives_way: bool = False
    trace_of: Callable[[M], str] = lambda _: ""


class _Read(NamedTuple):
    """Entries, and what is applied of them."""

    entries: Sequence[Entry[Any]]
    told: Any


def _read(subscription: Subscription[Any], batch: log_pb2.LogBatch, start: int, stop: int) -> _Read:
    parse, first = subscription.message_type.FromString, batch.after_position + 1
    entries = [Entry(first + index, parse(batch.entries[index])) for index in range(start, stop)]
    return _Read(entries, subscription.read(entries))


class _Ahead:
    """What was read of the next group, while the one before it was being stored."""

    def __init__(self, subscription: Subscription[Any]) -> None:
        self._subscription = subscription
        self._position = -1
        self._read: _Read | None = None

    def read(self, batch: log_pb2.LogBatch) -> None:
        """Reads a whole group, unless it can't be read: that is found out when it is applied."""
        self._position, self._read = batch.after_position, None
        with suppress(Exception):
            self._read = _read(self._subscription, batch, 0, len(batch.entries))

    def take(self, batch: log_pb2.LogBatch) -> _Read | None:
        """What was read of this group, None when nothing was."""
        read, self._read = self._read, None
        return read if batch.after_position == self._position else None


class LogReplacedError(Exception):
    """The followed log is another one than the state was built from: the state must be built anew."""


class _OvertakenError(Exception):
    """Another replica is at the partition, or moved its checkpoint."""


_READ_APPLIED = text("SELECT log, position, apply_time FROM checkpoint WHERE partition_id = :partition")


@dataclass(frozen=True, slots=True)
class Applied:
    """Through which position of a log's partition a state speaks, and when the last entry was applied to it."""

    position: int
    apply_time: datetime


async def applied(connection: AsyncConnection, partition: int) -> dict[str, Applied]:
    """What of a partition was applied to the state that a connection sees, by the log's name."""
    rows = await connection.execute(_READ_APPLIED, {"partition": partition})
    return {row.log: Applied(row.position, row.apply_time) for row in rows}


_READ_POSITIONS = text(
    "SELECT partition_id, log, position FROM checkpoint WHERE partition_id = ANY(CAST(:partitions AS int[]))"
)


async def positions(connection: AsyncConnection, partitions: Iterable[int]) -> dict[tuple[int, str], int]:
    """Through which position of each log some partitions were applied, by the partition and the log's name."""
    rows = await connection.execute(_READ_POSITIONS, {"partitions": numbers(partitions)})
    return {(row.partition_id, row.log): row.position for row in rows}


class Follower:
    """Applies the logs that a service follows to one generation of its state."""

    def __init__(
        self,
        *,
        engine: AsyncEngine,
        subscriptions: Sequence[Subscription[Any]],
        on_published: Callable[[int, int, Sequence[bytes]], None],
        is_traced: Callable[[], bool] = lambda: True,
    ) -> None:
        """What is applied while it isn't `is_traced` is no part of any trace: a state that is built repeats old ones."""
        self._engine = engine
        self._is_traced = is_traced
        self._subscriptions = {subscription.log: subscription for subscription in subscriptions}
        self._on_published = on_published
        self._rushes = {subscription.log: Rush() for subscription in subscriptions if subscription.gives_way}
        # One transaction a partition at a time, whichever log it applies; other replicas are kept out by the claim.
        self._turns = [asyncio.Lock() for _ in range(PARTITION_COUNT)]
        self._moved: dict[tuple[str, int], int] = {}
        """The last position of each (log, partition) that this replica applied itself."""
        self.heads: dict[tuple[str, int], tuple[str, int]] = {}
        """The id and last position seen of each (log, partition) that was heard of."""
        self._stopped: dict[str, set[int]] = {name: set() for name in self._subscriptions}
        """The partitions of each log that can't be followed now."""

    @property
    def followed(self) -> list[tuple[str, int]]:
        """Every (log, partition) that is to be followed."""
        return [(name, partition) for name in self._subscriptions for partition in range(PARTITION_COUNT)]

    async def run(self) -> None:
        """Follows for ever; ends with `LogReplacedError` when the state must be built anew."""
        async with asyncio.TaskGroup() as group:
            for name, partition in self.followed:
                group.create_task(self._follow(self._subscriptions[name], partition))

    async def _follow(self, subscription: Subscription[Any], partition: int) -> None:
        delay = _FIRST_DELAY
        while True:
            try:
                async for through in self._applied_batches(subscription, partition):
                    delay = _FIRST_DELAY
                    self._goes_on(subscription.log, partition)
                    _, head = self.heads[subscription.log, partition]
                    _lag.set(head - through, {"log": subscription.log, "partition": partition})
            except _OvertakenError:
                await asyncio.sleep(_LEFT_TO_OTHER_DELAY)
                continue
            except grpc.aio.AioRpcError as error:
                self._stops(subscription.log, partition, error.code().name)
            except Exception as error:
                if not is_transient(error):
                    raise
                self._stops(subscription.log, partition, "the database is away")
            await asyncio.sleep(delay)
            delay = min(2 * delay, _LONGEST_DELAY)

    def _stops(self, name: str, partition: int, reason: str) -> None:
        """Says so once for all partitions: a neighbour that is away is away for each of them, and at every try."""
        if not self._stopped[name]:
            _log.warning("following %s stopped: %s", name, reason)
        self._stopped[name].add(partition)

    def _goes_on(self, name: str, partition: int) -> None:
        stopped = self._stopped[name]
        if partition in stopped:
            stopped.remove(partition)
            if not stopped:
                _log.info("following %s goes on", name)

    async def _applied_batches(self, subscription: Subscription[Any], partition: int) -> AsyncIterator[int]:
        """Streams from the checkpoint on and applies what comes; yields each position applied."""
        async with self._turns[partition], self._engine.connect() as connection:
            log_id, position = await self._claim(connection, subscription.log, partition)
        call = subscription.channel.unary_stream(
            subscription.method,
            request_serializer=log_pb2.FollowRequest.SerializeToString,
            response_deserializer=log_pb2.LogBatch.FromString,
        )(log_pb2.FollowRequest(cursors=[log_pb2.PartitionCursor(partition=partition, after_position=position)]))
        rush, ahead = self._rushes.get(subscription.log), _Ahead(subscription)
        try:
            async with aclosing(in_groups(call, rush.look if rush else None, ahead.read)) as groups:
                async for batch in groups:
                    if log_id is not None and batch.log_id != log_id:
                        raise LogReplacedError(subscription.log)
                    self.heads[subscription.log, partition] = (batch.log_id, batch.head_position)
                    if batch.after_position != position:
                        raise _OvertakenError
                    if in_a_rush := rush is not None and rush.is_on:
                        await rush.give_way(len(batch.entries))
                    began = time.monotonic()
                    if batch.entries:
                        await self.apply(subscription, batch, ahead.take(batch))
                        log_id, position = batch.log_id, batch.through_position
                    yield position
                    worked, entries = time.monotonic() - began, len(batch.entries)
                    if in_a_rush:
                        continue
                    pause = subscription.pause if entries < MOST_ENTRIES else 0.0
                    await asyncio.sleep(max(rest_after(entries, worked), pause))
        finally:
            call.cancel()

    async def apply(self, subscription: Subscription[Any], batch: log_pb2.LogBatch, ahead: _Read | None = None) -> None:
        """Applies a batch; one that fails for its content is halved until the entry at fault stands alone.

        `ahead` is what was read of all of it, if it was.
        """
        ranges = [(0, len(batch.entries))]
        while ranges:
            start, stop = ranges.pop()
            try:
                read, ahead = ahead or _read(subscription, batch, start, stop), None
                async with self._turns[batch.partition]:
                    await self._apply_range(subscription, batch, start, read)
            except Exception as error:
                if is_transient(error) or isinstance(error, (_OvertakenError, grpc.aio.AioRpcError)):
                    raise
                if stop - start > 1:
                    middle = (start + stop) // 2
                    ranges += [(middle, stop), (start, middle)]
                    continue
                async with self._turns[batch.partition]:
                    await self._park(subscription, batch, start, error)
            else:
                _applied.add(stop - start, {"log": subscription.log})

    async def _apply_range(
        self, subscription: Subscription[Any], batch: log_pb2.LogBatch, start: int, read: _Read
    ) -> None:
        told: dict[str, str | int] = {"touchstone.log": subscription.log, "touchstone.partition": batch.partition}
        began = time.perf_counter()
        with telemetry.spans(
            f"apply {subscription.log}",
            self._traces(subscription, read.entries),
            kind=SpanKind.CONSUMER,
            attributes=told,
        ):
            async with self._engine.begin() as connection:
                await self._claim_for(connection, subscription.log, batch, batch.after_position + start)
                published = await subscription.apply(connection, batch.partition, read.told)
                after = await self._publish(connection, batch.partition, published)
                await self._checkpoint(connection, subscription.log, batch, start, start + len(read.entries))
        _durations.record(time.perf_counter() - began, {"log": subscription.log})
        self._on_published(batch.partition, after, published)

    def _traces(self, subscription: Subscription[Any], entries: Sequence[Entry[Any]]) -> Iterable[str]:
        if not telemetry.is_exporting() or not self._is_traced():
            return ()
        return (subscription.trace_of(entry.message) for entry in entries)

    async def _publish(self, connection: AsyncConnection, partition: int, published: Sequence[bytes]) -> int:
        return await log.append(connection, partition, published) if published else 0

    async def _claim_for(self, connection: AsyncConnection, name: str, batch: log_pb2.LogBatch, expected: int) -> None:
        log_id, position = await self._claim(connection, name, batch.partition)
        if position != expected or log_id not in (None, batch.log_id):
            raise _OvertakenError

    async def _claim(self, connection: AsyncConnection, name: str, partition: int) -> tuple[str | None, int]:
        """Keeps other replicas out until the transaction ends; answers a log's id, and through where it was applied.

        Raises _OvertakenError while another replica is at the partition: if two took turns, each would read, and throw
        away, what the other applies.
        """
        rows = (await connection.execute(_CLAIM, {"partition": partition})).all()
        if not rows:
            raise _OvertakenError
        found: tuple[str | None, int] = None, 0
        for row in rows:
            if row.log is None:  # nothing was applied yet
                continue
            if row.age < _KEPT_SECONDS and self._moved.get((row.log, partition)) != row.position:
                raise _OvertakenError
            if row.log == name:
                found = row.log_id, row.position
        return found

    async def _checkpoint(
        self, connection: AsyncConnection, name: str, batch: log_pb2.LogBatch, start: int, stop: int
    ) -> None:
        moved = await connection.execute(
            _MOVE_CHECKPOINT,
            {
                "partition": batch.partition,
                "log": name,
                "log_id": batch.log_id,
                "before": batch.after_position + start,
                "position": batch.after_position + stop,
            },
        )
        if moved.first() is None:
            raise _OvertakenError
        self._moved[name, batch.partition] = batch.after_position + stop

    async def _park(
        self, subscription: Subscription[Any], batch: log_pb2.LogBatch, index: int, error: Exception
    ) -> None:
        position = batch.after_position + 1 + index
        async with self._engine.begin() as connection:
            await self._claim_for(connection, subscription.log, batch, position - 1)
            await connection.execute(
                _PARK,
                {
                    "partition": batch.partition,
                    "log": subscription.log,
                    "position": position,
                    "payload": batch.entries[index],
                    # The kind of failure only: its text may quote what the entry says of people.
                    "reason": type(error).__name__,
                },
            )
            await self._checkpoint(connection, subscription.log, batch, index, index + 1)
        _parked.add(1, {"log": subscription.log})
        _log.error(
            "parked %s %d/%d: %s at %s",
            subscription.log,
            batch.partition,
            position,
            type(error).__name__,
            origin(error),
        )

    async def take_turn(
        self, partition: int, work: Callable[[AsyncConnection, int], Awaitable[Sequence[bytes]]]
    ) -> None:
        """Works on a partition between the batches of its logs, in one transaction, and publishes what comes out."""
        async with self._turns[partition]:
            async with self._engine.begin() as connection:
                await connection.execute(_CLAIM_WAITING, {"partition": partition})
                published = await work(connection, partition)
                after = await self._publish(connection, partition, published)
            self._on_published(partition, after, published)

    async def replay_parked(self) -> tuple[int, int]:
        """Applies parked entries again, each by itself; answers how many were applied and how many failed again."""
        applied = failed = 0
        for name, partition in self.followed:
            subscription = self._subscriptions[name]
            async with self._engine.connect() as connection:
                rows = (await connection.execute(_READ_PARKED, {"partition": partition, "log": name})).all()
            for row in rows:
                try:
                    await self._replay(subscription, partition, row.position, row.payload)
                    applied += 1
                except Exception as error:
                    if is_transient(error):
                        raise
                    _log.warning("parked %s %d/%d fails again: %s", name, partition, row.position, type(error).__name__)
                    failed += 1
        return applied, failed

    async def _replay(self, subscription: Subscription[Any], partition: int, position: int, payload: bytes) -> None:
        entry = Entry(position, subscription.message_type.FromString(payload))

        async def again(connection: AsyncConnection, partition: int) -> Sequence[bytes]:
            published = await subscription.apply(connection, partition, subscription.read([entry]))
            await connection.execute(_UNPARK, {"partition": partition, "log": subscription.log, "position": position})
            return published

        await self.take_turn(partition, again)


def origin(error: BaseException) -> str:
    """Where in the code an error arose, as `module:line`: what can be logged of it without data."""
    frame = error.__traceback__
    while frame and frame.tb_next:
        frame = frame.tb_next
    return f"{frame.tb_frame.f_globals.get('__name__', '?')}:{frame.tb_lineno}" if frame else "?"
