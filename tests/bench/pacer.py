"""Sends requests at a steady rate, whatever the answers do, over a few kept connections; a process of its own.

Reads a `Job` from stdin and writes what became of it as `Sent` to stdout, both pickled.
Its own cost is small (whole requests are built before, answers are looked at no closer than needed): what is measured
runs on the same processors.
"""

import asyncio
import pickle
import sys
import time
from collections import deque
from typing import NamedTuple, cast

import uvloop

CONNECTIONS = 32
TICK_SECONDS = 0.002


class Job(NamedTuple):
    """What to send, to whom, and how many a second."""

    host: str
    port: int
    rate: float
    requests: list[bytes]


class Sent(NamedTuple):
    """What came of it; times are of the monotonic clock, which all processes share.

    `due` is when each request should have been sent, in their sequence; `accepted` when each 200 came, in theirs.
    """

    due: list[float]
    latencies: list[float]
    accepted: list[float]
    refused: int


class Connection(asyncio.Protocol):
    """One kept connection, with one request under way at most."""

    def __init__(self, free: "deque[Connection]", done: "Progress") -> None:
        self._free, self._done = free, done
        self._due = 0.0
        self._answer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's own classes.
        self._transport = cast("asyncio.Transport", transport)
        self._free.append(self)

    def send(self, request: bytes, due: float) -> None:
        assert self._transport is not None
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, end, body = self._answer.partition(b"\r\n\r\n")
        if end and len(body) >= _content_length(head):
            self._done.answered(self._due, accepted=head.startswith(b"HTTP/1.1 200"))
            self._answer = b""
            self._free.append(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._done.lost += 1


class Progress:
    """Counts answers."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.accepted: list[float] = []
        self.refused = 0
        self.lost = 0

    def answered(self, due: float, *, accepted: bool) -> None:
        now = time.monotonic()
        self.latencies.append(now - due)
        if accepted:
            self.accepted.append(now)
        else:
            self.refused += 1


def _content_length(head: bytes) -> int:
    _, _, after = head.lower().partition(b"content-length:")
    return int(after.partition(b"\r\n")[0]) if after else 0


async def send_all(job: Job) -> Sent:
    """Sends every request at its time, or as soon after it as a connection is free."""
    free: deque[Connection] = deque()
    done = Progress()
    loop = asyncio.get_running_loop()
    for _ in range(CONNECTIONS):
        await loop.create_connection(lambda: Connection(free, done), job.host, job.port)
    start = time.monotonic() + 0.1
    due = [start + index / job.rate for index in range(len(job.requests))]
    sent = 0
    while len(done.latencies) < len(due) and not done.lost:
        now = time.monotonic()
        while sent < len(due) and due[sent] <= now and free:
            free.popleft().send(job.requests[sent], due[sent])
            sent += 1
        await asyncio.sleep(TICK_SECONDS)
    return Sent(due, done.latencies, done.accepted, done.refused + done.lost)


def main() -> None:
    """Does the job on stdin."""
    job: Job = pickle.load(sys.stdin.buffer)
    pickle.dump(uvloop.run(send_all(job)), sys.stdout.buffer)
