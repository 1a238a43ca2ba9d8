"""Wake-ups through Redis: a hint that something new is there. Whoever misses one finds out by asking, a little later."""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from services.chassis import telemetry

_CHANNEL: Final = "touchstone:wakeups:"
_TIMEOUT: Final = 1.0
"""Seconds for Redis to answer."""
_QUIET: Final = 10.0
"""Seconds without a word after which the connection is tried."""
_GLANCE: Final = 0.5
"""Seconds after which a new topic is subscribed to, at the latest."""
_APART: Final = 0.05
"""Seconds between wake-ups sent."""
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0

_failures = telemetry.counter("touchstone.wakeups.failures", "Wake-ups that could not be sent or awaited.")
_log = logging.getLogger(__name__)


class Wakeups:
    """Sends and awaits wake-ups. Nothing raises: without Redis, or while it is away, wake-ups are simply not there.

    Starts by itself with the first topic, from the event loop. Publishing never waits for Redis; what is published while
    it is away is sent once when it is back, however often it was published.
    """

    def __init__(self, redis_url: str | None) -> None:
        self._url = redis_url
        self._name = secrets.token_bytes(8)
        self._pending: set[str] = set()
        self._callbacks: dict[str, list[Callable[[], None]]] = {}
        self._to_send = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._closing = False

    def publish(self, topic: str) -> None:
        """Wakes all subscribers of the topic in other processes; this one knows already."""
        if self._url is None:
            return
        self._pending.add(topic)
        self._to_send.set()
        self._start("publish", self._send)

    def subscribe(self, topic: str, callback: Callable[[], None]) -> None:
        """Calls back when the topic is published, and after every (re)connection, for wake-ups may have been missed.

        `callback` must be quick: set an event.
        """
        if self._url is None:
            return
        self._callbacks.setdefault(topic, []).append(callback)
        self._start("subscribe", self._receive)

    async def close(self) -> None:
        """Ends both directions; a wake-up not yet sent is dropped."""
        self._closing = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()

    def _start(self, direction: str, work: Callable[[Redis], Awaitable[None]]) -> None:
        if direction not in self._tasks:
            self._tasks[direction] = asyncio.create_task(self._keep(direction, work), name=f"wakeups {direction}")

    async def _keep(self, direction: str, work: Callable[[Redis], Awaitable[None]]) -> None:
        """Does the work on one connection after another, with a longer pause after each failure in a row."""
        pause = _FIRST_PAUSE
        while True:
            began = time.monotonic()
            try:
                async with self._connected() as client:
                    await work(client)
            except Exception as error:  # noqa: BLE001 - a wake-up is a hint: no failure of it may reach anybody
                _failures.add(1, {"direction": direction})
                level = logging.WARNING if pause == _FIRST_PAUSE else logging.DEBUG
                _log.log(level, "no wake-ups", exc_info=error, extra={"direction": direction})
            if self._closing:
                # A cancellation that came while the client gave up a connection has become the client's own failure.
                return
            if time.monotonic() - began > _LONGEST_PAUSE:
                pause = _FIRST_PAUSE
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _connected(self) -> Redis:
        retries = Retry(NoBackoff(), 0)
        timeout = _TIMEOUT
        return Redis.from_url(str(self._url), socket_timeout=timeout, socket_connect_timeout=timeout, retry=retries)

    async def _send(self, client: Redis) -> None:
        while True:
            await self._to_send.wait()
            self._to_send.clear()
            topics, self._pending = self._pending, set()
            try:
                commands = client.pipeline(transaction=False)
                for topic in topics:
                    commands.publish(_CHANNEL + topic, self._name)
                await commands.execute()
            except BaseException:
                self._pending |= topics
                self._to_send.set()
                raise
            # Who commits a hundred times a second wakes others twenty times.
            await asyncio.sleep(_APART)

    async def _receive(self, client: Redis) -> None:
        async with client.pubsub() as connection:
            subscribed: set[str] = set()
            heard = time.monotonic()
            while True:
                await _subscribe(connection, self._callbacks.keys() - subscribed)
                subscribed |= self._callbacks.keys()
                message = await connection.get_message(timeout=_GLANCE)
                now = time.monotonic()
                if message is not None:
                    heard = now
                    self._wake(message)
                elif now - heard > _QUIET + _TIMEOUT:
                    raise TimeoutError
                elif now - heard > _QUIET:
                    await connection.ping()

    def _wake(self, message: dict[str, Any]) -> None:
        # The answer to a subscription counts too: what was published before it may have been missed.
        if message["type"] in {"message", "subscribe"} and message["data"] != self._name:
            for callback in self._callbacks.get(message["channel"].decode().removeprefix(_CHANNEL), ()):
                try:
                    callback()
                except Exception:  # noqa: BLE001 - one that fails must not keep the others asleep
                    _log.exception("wake-up failed")


async def _subscribe(connection: PubSub, topics: AbstractSet[str]) -> None:
    if topics:
        await connection.subscribe(*(_CHANNEL + topic for topic in topics))
