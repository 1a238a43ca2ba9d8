"""A span for every request, where traces are told: of its caller's trace, or the first of a new one."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from opentelemetry.trace import SpanKind
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.chassis import telemetry

_HEADER: Final = telemetry.TRACE_METADATA.encode()
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER: Final = "_OTHER"
_ROOMS: Final = frozenset({"webhooks", "v1", "l", "openapi.json", "docs", "dashboard"})
_PROBES: Final = "/healthz"


@dataclass(frozen=True, slots=True)
class Traced:
    """Answers with another app, which finds the span's context in the header in which callers send theirs.

    Of the address only its first part is told: the others may name people.
    """

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on."""
        if scope["type"] != "http" or scope["path"] == _PROBES:
            await self.app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _METHODS else _OTHER
        telemetry.continue_trace(_sent(scope["headers"]))

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                status: int = message["status"]
                telemetry.note({"http.response.status_code": status})
                if status >= 500:
                    telemetry.mark_failed(str(status))
            await send(message)

        with telemetry.span(
            f"{method} {_room(scope['path'])}", kind=SpanKind.SERVER, attributes={"http.request.method": method}
        ):
            await self.app(_inside(scope) if telemetry.is_recording() else scope, receive, answer)


def _sent(headers: Iterable[tuple[bytes, bytes]]) -> str:
    return next((value.decode("latin-1") for name, value in headers if name == _HEADER), "")


def _inside(scope: Scope) -> Scope:
    own = (_HEADER, telemetry.current_trace_parent().encode())
    return {**scope, "headers": [own, *(header for header in scope["headers"] if header[0] != _HEADER)]}


def _room(path: str) -> str:
    """`/webhooks` of `/webhooks/acme/shop`; `/` of what the gateway doesn't know."""
    first = path.split("/", 2)[1] if path.startswith("/") else ""
    return f"/{first}" if first in _ROOMS else "/"
