"""An RPC that answers with many messages, over HTTP: line by line, as server-sent events, or the last message alone."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeAlias, TypeVar

import grpc
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from gateway.web import errors

LINES: Final = "application/x-ndjson"
EVENTS: Final = "text/event-stream"
WHOLE: Final = "application/json"
FORMATS: Final = (LINES, EVENTS, WHOLE)
"""What is answered, the best first where a client names several alike."""

EVENT_ID: Final = "event_id"
"""The field that names a message: a stream of such messages has no end, and goes on from one that was seen.

A message with nothing else says that the stream is alive.
"""
AFTER: Final = "after"
"""The request's field for the name of the message that was last seen."""
LAST_EVENT_ID: Final = "last-event-id"

NO_STORE: Final = {"cache-control": "no-store"}
_AS_IT_COMES: Final = {"cache-control": "no-store, no-transform", "x-accel-buffering": "no"}
"""Nobody on the way keeps parts back, to store or to compress them."""

_RETRY: Final = b"retry: 1000\n\n"
"""Milliseconds after which a client connects again."""

Call: TypeAlias = "grpc.aio.UnaryStreamCall[Any, Any]"
Write: TypeAlias = Callable[[Any], bytes]
"""Writes a message as JSON."""

_T = TypeVar("_T")


def wanted(accept: str, otherwise: str = WHOLE) -> str:
    """Which of `FORMATS` an Accept header asks for. Who names none, or takes anything, gets `otherwise`."""
    weights = dict.fromkeys(FORMATS, 0.0)
    for entry in accept.lower().split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        if name in weights:
            weights[name] = max(weights[name], _weight(parameters))
    best = max(FORMATS, key=lambda name: weights[name])
    return best if weights[best] else otherwise


def _weight(parameters: list[str]) -> float:
    """An entry's `q`; 1 without one, 0 for one that is no number."""
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter.removeprefix("q="))
            except ValueError:
                return 0.0
    return 1.0


class _Streamed(StreamingResponse):
    """Frames of a call, which ends with the response, however that ends."""

    def __init__(self, call: Call, frames: AsyncIterator[bytes], media_type: str) -> None:
        super().__init__(frames, media_type=media_type, headers=_AS_IT_COMES)
        self._call = call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the frames."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._call.cancel()


async def answer(request: Request, call: Call, write: Write, *, endless: bool = False) -> Response:
    """The stream in the format that the request accepts.

    One whose messages have names is `endless`: who wants an object gets the first one, who names no format the events.
    Whoever closes the connection cancels the call. Raises what happens before the first message; what happens later
    is the last line, or an event named "error".
    """
    chosen = wanted(request.headers.get("accept", ""), EVENTS if endless else WHOLE)
    if chosen == WHOLE:
        message = await while_connected(request, call, call.read() if endless else _last(call))
        if endless:
            call.cancel()
        return Response(b"{}" if message is grpc.aio.EOF else write(message), media_type=WHOLE, headers=NO_STORE)
    first = await while_connected(request, call, call.read())
    if chosen == LINES:
        return _Streamed(call, _framed(call, first, lambda message: _line(write(message)), _line), chosen)
    frames = _framed(call, first, lambda message: _event(message, write, named=endless), _error_event)
    return _Streamed(call, _retrying(frames) if endless else frames, chosen)


async def _last(call: Call) -> Any:
    last = message = await call.read()
    while message is not grpc.aio.EOF:
        last, message = message, await call.read()
    return last


async def while_connected(request: Request, call: Call, work: Awaitable[_T]) -> _T:
    """What the work finds. Raises `HttpError` 499, and cancels the call, when the client goes before that."""
    working, gone = asyncio.ensure_future(work), asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise errors.HttpError(499, grpc.StatusCode.CANCELLED, "CLIENT_GONE", "Nobody waits for the answer.")
    finally:
        gone.cancel()
        if not working.done():
            call.cancel()
            working.cancel()


async def _disconnected(request: Request) -> None:
    """Returns when the client has gone; the body has been read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _framed(call: Call, first: Any, frame: Write, failed: Callable[[bytes], bytes]) -> AsyncIterator[bytes]:
    message = first
    try:
        while message is not grpc.aio.EOF:
            yield frame(message)
            message = await call.read()
    except grpc.aio.AioRpcError as error:
        yield failed(b'{"error":%b}' % errors.answer_to(error).body)


async def _retrying(frames: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield _RETRY
    async for frame in frames:
        yield frame


def _line(written: bytes) -> bytes:
    return written + b"\n"


def _event(message: Any, write: Write, *, named: bool) -> bytes:
    if not named:
        return b"data: %b\n\n" % write(message)
    name = getattr(message, EVENT_ID).encode()
    # Without data there is no event for a page's script, but the browser remembers the name for when it comes again.
    if len(message.ListFields()) == 1:
        return b": alive\nid: %b\n\n" % name
    return b"id: %b\ndata: %b\n\n" % (name, write(message))


def _error_event(written: bytes) -> bytes:
    return b"event: error\ndata: %b\n\n" % written
