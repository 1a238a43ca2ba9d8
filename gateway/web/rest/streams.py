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

NO_STORE: Final = {"cache-control": "no-store"}

Call: TypeAlias = "grpc.aio.UnaryStreamCall[Any, Any]"
Write: TypeAlias = Callable[[Any], bytes]
"""Writes a message as JSON."""

_T = TypeVar("_T")


def wanted(accept: str) -> str:
    """Which of `FORMATS` an Accept header asks for. A stream must be named: who takes anything gets one object."""
    weights = dict.fromkeys(FORMATS, 0.0)
    for entry in accept.lower().split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        if name in weights:
            weights[name] = max(weights[name], _weight(parameters))
    best = max(FORMATS, key=lambda name: weights[name])
    return best if weights[best] else WHOLE


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
        super().__init__(frames, media_type=media_type, headers=NO_STORE)
        self._call = call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the frames."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._call.cancel()


async def answer(request: Request, call: Call, write: Write) -> Response:
    """The stream in the format that the request accepts.

    Whoever closes the connection cancels the call. Raises what happens before the first message; what happens later
    is the last line, or an event named "error".
    """
    chosen = wanted(request.headers.get("accept", ""))
    if chosen == WHOLE:
        last = await _while_connected(request, call, _last(call))
        return Response(b"{}" if last is grpc.aio.EOF else write(last), media_type=WHOLE, headers=NO_STORE)
    first = await _while_connected(request, call, call.read())
    frame = _line if chosen == LINES else _event
    return _Streamed(call, _framed(call, first, write, frame), chosen)


async def _last(call: Call) -> Any:
    last = message = await call.read()
    while message is not grpc.aio.EOF:
        last, message = message, await call.read()
    return last


async def _while_connected(request: Request, call: Call, work: Awaitable[_T]) -> _T:
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


async def _framed(call: Call, first: Any, write: Write, frame: Callable[[bytes, bool], bytes]) -> AsyncIterator[bytes]:
    message = first
    try:
        while message is not grpc.aio.EOF:
            yield frame(write(message), False)
            message = await call.read()
    except grpc.aio.AioRpcError as error:
        yield frame(b'{"error":%b}' % errors.answer_to(error).body, True)


def _line(written: bytes, _failed: bool) -> bytes:
    return written + b"\n"


def _event(written: bytes, failed: bool) -> bytes:
    return b"%bdata: %b\n\n" % (b"event: error\n" if failed else b"", written)
