"""Many deliveries, few calls: what waits while a call is under way goes together with the next."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple, Self, TypeAlias

import grpc

Append: TypeAlias = Callable[[bytes], Awaitable[object]]
"""Sends a serialized AppendDeliveriesRequest; answers when everything in it is committed."""

IN_FLIGHT: Final = 4
"""Calls under way at a time: some are read, one commits, one is answered, and the next is gathered meanwhile."""

APART_SECONDS: Final = 0.025
"""A call costs nearly as much for one as for many: so long after one began, the next waits for more to join it."""

MANY: Final = 24
"""After a call with so many deliveries, the next waits a shorter time only: those who send may wait for it themselves."""

APART_AFTER_MANY_SECONDS: Final = 0.01

ENOUGH: Final = 16
"""A call with so many deliveries waits for no more."""

MOST_IN_A_CALL: Final = 500
MOST_BYTES_IN_A_CALL: Final = 16 * 1024 * 1024
MOST_WAITING: Final = 20_000
MOST_BYTES_WAITING: Final = 256 * 1024 * 1024

_DELIVERIES_TAG: Final = b"\x0a"
"""Field 1 of AppendDeliveriesRequest, length-delimited."""

_PERHAPS_ONE_OF_THEM: Final = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
)
"""Answers that one delivery may have caused for all that went with it."""

_log = logging.getLogger(__name__)


class NotStoredError(Exception):
    """The delivery was not committed; whoever sent it should send it again."""


class _Waiting(NamedTuple):
    delivery: bytes
    stored: "asyncio.Future[None]"


class Coalescer:
    """Gathers serialized deliveries into calls. Use as an async context manager: leaving it sends what still waits."""

    def __init__(self, append: Append, *, in_flight: int = IN_FLIGHT) -> None:
        self._append = append
        self._in_flight = in_flight
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._not_before = float("-inf")
        self._alarm: asyncio.TimerHandle | None = None
        self._closing = False
        self._calls: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        self._send_what_is_due()
        while self._calls:
            await asyncio.wait(self._calls)

    def store(self, delivery: bytes) -> "asyncio.Future[None]":
        """Done when the delivery is committed, and not before. Fails with `NotStoredError`."""
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._closing or len(self._waiting) >= MOST_WAITING or self._waiting_bytes >= MOST_BYTES_WAITING:
            stored.set_exception(NotStoredError())
            return stored
        self._waiting.append(_Waiting(delivery, stored))
        self._waiting_bytes += len(delivery)
        # The first sets the alarm, or finds calls under way whose end looks again; then it takes enough for a call.
        if len(self._waiting) == 1 or len(self._waiting) >= ENOUGH:
            self._send_what_is_due()
        return stored

    def _send_what_is_due(self) -> None:
        """Starts calls here and now: each turn of the event loop on the way is one more round of reading to wait for."""
        loop = asyncio.get_running_loop()
        while self._waiting and len(self._calls) < self._in_flight:
            if len(self._waiting) < ENOUGH and not self._closing and loop.time() < self._not_before:
                if self._alarm is None:
                    self._alarm = loop.call_at(self._not_before, self._ring)
                return
            batch = self._take()
            apart = APART_AFTER_MANY_SECONDS if len(batch) >= MANY else APART_SECONDS
            self._not_before = loop.time() + apart
            call = loop.create_task(self._send(batch))
            self._calls.add(call)
            call.add_done_callback(self._ended)

    def _ring(self) -> None:
        self._alarm = None
        self._send_what_is_due()

    def _ended(self, call: "asyncio.Task[None]") -> None:
        self._calls.discard(call)
        self._send_what_is_due()

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._waiting and len(batch) < MOST_IN_A_CALL:
            following = len(self._waiting[0].delivery)
            if batch and size + following > MOST_BYTES_IN_A_CALL:
                break
            batch.append(self._waiting.popleft())
            size += following
        self._waiting_bytes -= size
        return batch

    async def _send(self, batch: Sequence[_Waiting]) -> None:
        try:
            await self._append(request_of([waiting.delivery for waiting in batch]))
        except grpc.aio.AioRpcError as error:
            if len(batch) > 1 and error.code() in _PERHAPS_ONE_OF_THEM:
                half = len(batch) // 2
                await self._send(batch[:half])
                await self._send(batch[half:])
                return
            _log.warning("deliveries not stored", extra={"count": len(batch), "code": error.code().name})
            _settle(batch, NotStoredError())
        except Exception as error:  # noqa: BLE001 - whatever it was, those who wait must hear of it
            _log.exception("deliveries not stored", extra={"count": len(batch)})
            _settle(batch, NotStoredError(type(error).__name__))
        else:
            _settle(batch, None)


def _settle(batch: Sequence[_Waiting], error: Exception | None) -> None:
    for waiting in batch:
        # Whoever hung up has cancelled their future: the others' answers must not fail with it.
        if waiting.stored.done():
            continue
        if error is None:
            waiting.stored.set_result(None)
        else:
            waiting.stored.set_exception(error)


def request_of(deliveries: Sequence[bytes]) -> bytes:
    """A serialized AppendDeliveriesRequest: joining what is serialized costs a sixth of copying messages."""
    parts: list[bytes] = []
    for delivery in deliveries:
        parts += (_DELIVERIES_TAG, _varint(len(delivery)), delivery)
    return b"".join(parts)


def _varint(number: int) -> bytes:
    digits = bytearray()
    while number > 127:
        digits.append(number & 127 | 128)
        number >>= 7
    digits.append(number)
    return bytes(digits)
