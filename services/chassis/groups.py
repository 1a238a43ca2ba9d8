"""Joins the batches of a followed log while they wait: who falls behind takes more at a time, and so catches up."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable

from touchstone.mesh.v1 import log_pb2

MOST_ENTRIES = 1000
"""Entries in a group, at most, unless a single batch holds more."""

_MOST_WAITING = 2
"""Groups that wait, at most: behind a full one, the next begins to fill; then the stream is held back."""


async def in_groups(
    stream: AsyncIterable[log_pb2.LogBatch],
    heard: Callable[[log_pb2.LogBatch], None] | None = None,
    filled: Callable[[log_pb2.LogBatch], None] | None = None,
) -> AsyncGenerator[log_pb2.LogBatch, None]:
    """The batches of a stream; those that come while the last one given is being worked on are joined.

    `heard` is told of each as it comes, joined or not; `filled` of the next group, as soon as nothing more can join it.
    Ends as the stream does, with its failure if it has one, after all that came before. To be closed by the caller.
    """
    waiting: deque[log_pb2.LogBatch] = deque()
    arrived, taken = asyncio.Event(), asyncio.Event()

    async def read() -> None:
        async for batch in stream:
            if heard is not None:
                heard(batch)
            while not (waiting and _join(waiting[-1], batch)):
                if len(waiting) < _MOST_WAITING:
                    if waiting and filled is not None:
                        filled(waiting[-1])
                    waiting.append(batch)
                    break
                taken.clear()
                await taken.wait()
            arrived.set()

    reading = asyncio.create_task(read())
    reading.add_done_callback(lambda _: arrived.set())
    try:
        while True:
            while not waiting:
                if reading.done():
                    reading.result()
                    return
                arrived.clear()
                await arrived.wait()
            batch = waiting.popleft()
            taken.set()
            yield batch
    finally:
        reading.cancel()
        # A failure that comes now is nobody's: whoever asked has gone.
        await asyncio.gather(reading, return_exceptions=True)


def _join(group: log_pb2.LogBatch, batch: log_pb2.LogBatch) -> bool:
    """Adds a batch to a group if it continues it; answers whether it does."""
    continues = batch.log_id == group.log_id and batch.after_position == group.through_position
    if not continues or len(group.entries) + len(batch.entries) > MOST_ENTRIES:
        return False
    group.entries.extend(batch.entries)
    group.through_position = batch.through_position
    group.head_position = batch.head_position
    group.head_time.CopyFrom(batch.head_time)
    return True
