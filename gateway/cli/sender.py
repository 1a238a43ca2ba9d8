"""Sends deliveries to the edge over one kept connection, as a shop's server does."""

import http.client
from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple, Self

from gateway.cli.system import System

_SECONDS = 30.0
_OWN_HEADERS = frozenset({"host", "content-length", "connection", "accept-encoding", "transfer-encoding"})


class Answer(NamedTuple):
    """What the edge answered."""

    status: int
    body: bytes


class Sender:
    """A kept connection to the edge. `ConnectionError` when nothing answers there."""

    def __init__(self, system: System) -> None:
        self._connection = http.client.HTTPConnection(system.host, system.port, timeout=_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def post(self, path: str, headers: Sequence[tuple[str, str]], body: bytes) -> Answer:
        """Posts the body under the headers given; those of the connection itself are the sender's own.

        A connection that was closed while nothing was sent is opened again once: everything that is sent here may
        arrive twice.
        """
        kept = self._connection.sock is not None
        try:
            return self._send("POST", path, headers, body)
        except (ConnectionError, http.client.BadStatusLine):
            self._connection.close()
            if not kept:
                raise
            return self._send("POST", path, headers, body)

    def get(self, path: str, token: str) -> Answer:
        """Reads a resource with a bearer token."""
        return self._send("GET", path, [("Authorization", f"Bearer {token}")], None)

    def _send(self, method: str, path: str, headers: Sequence[tuple[str, str]], body: bytes | None) -> Answer:
        self._connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers:
            if name.lower() not in _OWN_HEADERS:
                self._connection.putheader(name, value)
        if body is not None:
            self._connection.putheader("Content-Length", str(len(body)))
        self._connection.endheaders(body)
        response = self._connection.getresponse()
        return Answer(response.status, response.read())
