"""A log: entries in partitions, at gapless positions in commit order; appended in a transaction, served as a stream."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import Integer, LargeBinary, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from touchstone.mesh.v1 import log_pb2

from services.chassis.arrays import joined
from services.chassis.database import is_transient
from services.chassis.wakeups import Wakeups
from services.kernel.partitions import PARTITION_COUNT

TABLES = (
    # Another log under the same name has another id: who follows it starts over.
    "CREATE TABLE log_identity (log_id uuid PRIMARY KEY DEFAULT gen_random_uuid())",
    "INSERT INTO log_identity DEFAULT VALUES",
    "CREATE TABLE log_head (partition_id int PRIMARY KEY, position bigint NOT NULL) WITH (fillfactor = 10)",
    f"INSERT INTO log_head SELECT partition_id, 0 FROM generate_series(0, {PARTITION_COUNT - 1}) partition_id",
    """CREATE TABLE log_entry (
           partition_id int NOT NULL,
           position bigint NOT NULL,
           payload bytea NOT NULL,
           PRIMARY KEY (partition_id, position))""",
)
"""What a schema needs to hold a log."""

_BATCH_ENTRIES = 500
_BATCH_BYTES = 4 << 20
_RECENT_BYTES = 4 << 20
_HEARTBEAT_SECONDS = 5.0
# The first news after a silence goes out at once, what comes right behind it goes together: a transaction of a follower
# costs as much for one entry as for a hundred.
_PACE_SECONDS = 0.04
_POLL_SECONDS = 0.5

_LOCK_HEAD = text("SELECT position FROM log_head WHERE partition_id = :partition FOR UPDATE")

_APPEND = text(
    """WITH head AS (
           UPDATE log_head SET position = position + :count WHERE partition_id = :partition
           RETURNING position - :count AS after),
       entries AS (
           INSERT INTO log_entry (partition_id, position, payload)
           SELECT :partition, head.after + entry.ordinal, substring(:payloads FROM entry.start FOR entry.length)
           FROM head, unnest(CAST(:starts AS int[]), CAST(:lengths AS int[]))
                      WITH ORDINALITY AS entry (start, length, ordinal))
       SELECT after FROM head"""
).bindparams(
    bindparam("partition", type_=Integer),
    bindparam("count", type_=Integer),
    bindparam("payloads", type_=LargeBinary),
)

_READ_HEADS = text("SELECT log_id, partition_id, position FROM log_head CROSS JOIN log_identity")

_REPLACE = text("UPDATE log_identity SET log_id = gen_random_uuid() RETURNING log_id")

_READ_LOG_ID = text("SELECT log_id FROM log_identity")

_READ_ENTRIES = text(
    """SELECT payload FROM log_entry
       WHERE partition_id = :partition AND position > :after ORDER BY position LIMIT :count"""
)


async def lock_head(connection: AsyncConnection, partition: int) -> int:
    """Takes the partition's head row until the transaction ends, and answers the last position.

    While it is held nobody else appends, so what the caller reads and then appends is in commit order.
    """
    return int((await connection.execute(_LOCK_HEAD, {"partition": partition})).scalar_one())


async def append(connection: AsyncConnection, partition: int, payloads: Sequence[bytes]) -> int:
    """Appends entries in the caller's transaction; answers the position before the first.

    The head row is locked by its update until the commit, so positions are gapless and their order is the order of
    commits: a reader that saw one has seen all before it.
    """
    return int((await connection.execute(_APPEND, placed(partition, payloads))).scalar_one())


def placed(partition: int, payloads: Sequence[bytes]) -> dict[str, object]:
    """The parameters of an append: the payloads, one behind the other, and where each is found among them."""
    together, starts, lengths = joined(payloads)
    return {
        "partition": partition,
        "count": len(payloads),
        "payloads": together,
        "starts": starts,
        "lengths": lengths,
    }


async def replace(connection: AsyncConnection) -> str:
    """Gives the log another id, because its entries have changed: whoever follows it starts over."""
    return str((await connection.execute(_REPLACE)).scalar_one())


async def read_id(connection: AsyncConnection) -> str:
    """The log's id."""
    return str((await connection.execute(_READ_LOG_ID)).scalar_one())


class _Tail:
    """The newest entries of a partition, as this process committed them, for followers that are close behind."""

    def __init__(self) -> None:
        self.after = 0
        self.payloads: list[bytes] = []
        self.size = 0

    def extend(self, after: int, payloads: Sequence[bytes]) -> None:
        if after != self.after + len(self.payloads):
            self.after, self.payloads, self.size = after, [], 0
        self.payloads.extend(payloads)
        self.size += sum(map(len, payloads))
        if self.size > _RECENT_BYTES:
            dropped = len(self.payloads) // 2
            self.after += dropped
            self.payloads = self.payloads[dropped:]
            self.size = sum(map(len, self.payloads))

    def read(self, after: int) -> list[bytes] | None:
        """The entries after a position, or None when it is not among those kept."""
        start = after - self.after
        return self.payloads[start : start + _BATCH_ENTRIES] if 0 <= start < len(self.payloads) else None


class LogServer:
    """Streams one log to its followers.

    `engine_of` answers the engine of the schema that holds the log now; it may become another one (a rebuild), whose
    log has another id: then every stream ends, and followers come back to see the new id.
    """

    def __init__(self, *, name: str, engine_of: Callable[[], AsyncEngine], wakeups: Wakeups) -> None:
        self._topic = f"log:{name}"
        self._engine_of = engine_of
        self._wakeups = wakeups
        self._log_id = ""
        self._heads = [0] * PARTITION_COUNT
        self._tails = [_Tail() for _ in range(PARTITION_COUNT)]
        self._advanced = [asyncio.Event() for _ in range(PARTITION_COUNT)]
        self._look = asyncio.Event()
        self._known = asyncio.Event()

    @property
    def log_id(self) -> str:
        """The id of the log served; empty until it was first read."""
        return self._log_id

    def committed(self, log_id: str, partition: int, after: int, payloads: Sequence[bytes]) -> None:
        """Tells followers at once of entries that this process has committed, without a look at the database."""
        if log_id != self._log_id or not payloads:
            return
        self._tails[partition].extend(after, payloads)
        self._advance(partition, after + len(payloads))
        self._wakeups.publish(self._topic)

    async def run(self) -> None:
        """Watches the heads, for what other replicas commit; Redis wakes it, and without Redis it polls."""
        self._wakeups.subscribe(self._topic, self._look.set)
        while True:
            try:
                await self._read_heads()
            except Exception as error:
                if not is_transient(error):
                    raise
            try:
                await asyncio.wait_for(self._look.wait(), _POLL_SECONDS)
                # What wakes often is looked at in groups: this process's own commits need no look at all.
                await asyncio.sleep(_POLL_SECONDS / 10)
            except TimeoutError:
                pass
            self._look.clear()

    async def _read_heads(self) -> None:
        async with self._engine_of().connect() as connection:
            rows = (await connection.execute(_READ_HEADS)).all()
        log_id = str(rows[0].log_id)
        if log_id != self._log_id:
            self._log_id = log_id
            self._known.set()
            self._heads = [0] * PARTITION_COUNT
            self._tails = [_Tail() for _ in range(PARTITION_COUNT)]
            for partition in range(PARTITION_COUNT):
                self._advance(partition, 0)
        for row in rows:
            if row.position > self._heads[row.partition_id]:
                self._advance(row.partition_id, row.position)

    def _advance(self, partition: int, head: int) -> None:
        self._heads[partition] = max(head, self._heads[partition])
        self._advanced[partition].set()
        self._advanced[partition] = asyncio.Event()

    async def _read(self, partition: int, after: int) -> list[bytes]:
        recent = self._tails[partition].read(after)
        if recent is None:
            async with self._engine_of().connect() as connection:
                rows = await connection.execute(
                    _READ_ENTRIES, {"partition": partition, "after": after, "count": _BATCH_ENTRIES}
                )
                recent = [row.payload for row in rows]
        kept, size = 0, 0
        for payload in recent:
            size += len(payload)
            if kept and size > _BATCH_BYTES:
                break
            kept += 1
        return recent[:kept]

    async def follow(self, partition: int, after: int) -> AsyncIterator[log_pb2.LogBatch]:
        """One partition from a position on: its entries as they come, a heartbeat at once and when it is quiet."""
        await self._known.wait()
        log_id = self._log_id
        yield log_pb2.LogBatch(
            log_id=log_id,
            partition=partition,
            after_position=after,
            through_position=after,
            head_position=self._heads[partition],
            head_time=_now(),
        )
        while log_id == self._log_id:
            advanced, head = self._advanced[partition], self._heads[partition]
            entries = await self._read(partition, after) if head > after else []
            if log_id != self._log_id:
                return
            if not entries:
                try:
                    await asyncio.wait_for(advanced.wait(), _HEARTBEAT_SECONDS)
                    continue
                except TimeoutError:
                    pass
            batch = log_pb2.LogBatch(
                log_id=log_id,
                partition=partition,
                after_position=after,
                through_position=after + len(entries),
                head_position=max(self._heads[partition], after + len(entries)),
                head_time=_now(),
                entries=entries,
            )
            after = batch.through_position
            yield batch
            if 0 < len(entries) < _BATCH_ENTRIES:
                await asyncio.sleep(_PACE_SECONDS)

    def handler(self, service: str, method: str) -> grpc.GenericRpcHandler:
        """The gRPC method that streams this log, for a server that has no other servicer of the service."""
        return grpc.method_handlers_generic_handler(service, {method: self._method_handler()})

    def serve_on(self, server: grpc.aio.Server, service: str, method: str) -> None:
        """Lets the server answer the method with this log, in the place of the servicer that was added before."""
        server.add_registered_method_handlers(service, {method: self._method_handler()})

    def _method_handler(self) -> Any:
        """Streams this log; the entries pass through it unread."""

        async def serve(
            request: log_pb2.FollowRequest, context: grpc.aio.ServicerContext[Any, Any]
        ) -> AsyncIterator[log_pb2.LogBatch]:
            partitions = [cursor.partition for cursor in request.cursors]
            if not partitions or not all(0 <= partition < PARTITION_COUNT for partition in partitions):
                await context.abort(
                    grpc.StatusCode.INVALID_ARGUMENT, f"cursors: name partitions from 0 to {PARTITION_COUNT - 1}"
                )
            async for batch in _merge(
                [self.follow(cursor.partition, cursor.after_position) for cursor in request.cursors]
            ):
                yield batch

        return grpc.unary_stream_rpc_method_handler(
            serve,
            request_deserializer=log_pb2.FollowRequest.FromString,
            response_serializer=log_pb2.LogBatch.SerializeToString,
        )


def _now() -> Timestamp:
    now = Timestamp()
    now.GetCurrentTime()
    return now


async def _merge(streams: Sequence[AsyncIterator[log_pb2.LogBatch]]) -> AsyncIterator[log_pb2.LogBatch]:
    """What several streams bring, as it comes; ends when the first of them ends."""
    if len(streams) == 1:
        async for batch in streams[0]:
            yield batch
        return
    pending = {asyncio.ensure_future(anext(stream)): stream for stream in streams}
    try:
        while True:
            done, _ = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                stream = pending.pop(task)
                try:
                    batch = task.result()
                except StopAsyncIteration:
                    return
                yield batch
                pending[asyncio.ensure_future(anext(stream))] = stream
    finally:
        for task in pending:
            task.cancel()
