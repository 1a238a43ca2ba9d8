"""Clicks on their way into the event log, also while it can't take them."""

import asyncio
import logging
import secrets
import time
from typing import Any, Final, Self

from touchstone.ingest.v1.event_service_pb2 import Delivery

from gateway.web.coalescer import Coalescer, NotStoredError
from gateway.web.cookies import Visit
from services.chassis import telemetry

OWN_SOURCE: Final = "touchstone"
"""What the installation tells by itself: of any tenant, without a source to be made first, and never too old."""

PATIENCE: Final = 120.0
"""Seconds for which a click is tried again; whoever made it is long gone on."""

MOST_WAITING: Final = 10_000
"""Clicks that are tried at a time; more than that are lost while the log can't take any."""

CLOSING_SECONDS: Final = 3.0
LONGEST_USER_AGENT: Final = 1_000
_PAUSES: Final = (0.2, 0.5, 1.0, 2.0)
_NANOS: Final = 1_000_000_000

_clicks = telemetry.counter("touchstone.link.clicks", "Clicks on tracked links, by what became of them.")
_log = logging.getLogger(__name__)


class Clicks:
    """Stores clicks. Use as an async context manager, inside of the coalescer's: leaving it waits a little for them."""

    def __init__(self, coalescer: Coalescer, *, patience: float = PATIENCE) -> None:
        self._coalescer = coalescer
        self._patience = patience
        self._storing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._storing:
            late = (await asyncio.wait(self._storing, timeout=CLOSING_SECONDS))[1]
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def store(self, click: bytes, *, wait: float) -> None:
        """Stores a delivery; returns after `wait` seconds at the latest, and goes on trying behind."""
        if len(self._storing) >= MOST_WAITING:
            self._lost()
            return
        task = asyncio.create_task(self._insist(click))
        self._storing.add(task)
        task.add_done_callback(self._storing.discard)
        await asyncio.wait({task}, timeout=wait)

    async def _insist(self, click: bytes) -> None:
        give_up = time.monotonic() + self._patience
        pauses = iter(_PAUSES)
        pause = _PAUSES[-1]
        try:
            while True:
                try:
                    await self._coalescer.store(click)
                except NotStoredError:
                    if time.monotonic() >= give_up:
                        self._lost()
                        return
                else:
                    _clicks.add(1, {"outcome": "stored"})
                    return
                pause = next(pauses, pause)
                await asyncio.sleep(pause)
        except asyncio.CancelledError:
            self._lost()
            raise

    @staticmethod
    def _lost() -> None:
        _clicks.add(1, {"outcome": "lost"})
        _log.warning("a click was not stored")


def click(
    *, tenant_id: str, link_id: str, conversation_id: str, visit: Visit | None, user_agent: str, now: int
) -> bytes:
    """A click as a serialized delivery, at `now` in nanoseconds since 1970; of nobody where a program made it."""
    seconds, nanos = divmod(now, _NANOS)
    at = {"seconds": seconds, "nanos": nanos}
    event: dict[str, Any] = {
        "event_id": f"click-{secrets.token_hex(16)}",
        "occur_time": at,
        "link_click": {
            "conversation_id": conversation_id,
            "link_id": link_id,
            "user_agent": user_agent[:LONGEST_USER_AGENT],
        },
    }
    if visit is not None:
        event["identifiers"] = visit._asdict()
    fields: dict[str, Any] = {
        "tenant_id": tenant_id,
        "source": OWN_SOURCE,
        "receive_time": at,
        "topic": "link_click",
        "trace_parent": telemetry.current_trace_parent(),
        "events": [event],
    }
    return Delivery(**fields).SerializeToString()
