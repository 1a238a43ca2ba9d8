"""Work on a followed state that no entry asks for: in the background, in pages, each of them a transaction."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.chassis.database import is_transient
from services.chassis.follow import origin

Page = Callable[[AsyncConnection, int], Awaitable[Sequence[bytes]]]
"""Does some of a partition's work in the caller's transaction; answers what is published of it."""

Turn = Callable[[int, Page], Awaitable[None]]
"""Takes a partition's turn for a page: `Follower.take_turn`."""

Chore = Callable[[AsyncEngine, Turn], Coroutine[Any, Any, None]]
"""Works for ever on one generation of a state."""

Waiting = Callable[[AsyncConnection], Awaitable[Collection[int]]]
"""The partitions that have work."""

_LOOK_SECONDS = 0.5
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 30.0

_log = logging.getLogger(__name__)


def paged(name: str, waiting: Waiting, page: Page) -> Chore:
    """A chore that does what waits, a page of each partition at a time.

    It rests as long as it works, so that the followers, who take turns with it, lose half of their time at most.
    """

    async def attend(engine: AsyncEngine, turn: Turn) -> None:
        async def step() -> float:
            async with engine.connect() as connection:
                partitions = await waiting(connection)
            for partition in partitions:
                began = time.monotonic()
                await turn(partition, page)
                await asyncio.sleep(time.monotonic() - began)
            return 0.0 if partitions else _LOOK_SECONDS

        await repeat(name, step)

    return attend


async def repeat(name: str, step: Callable[[], Awaitable[float]]) -> None:
    """Takes steps for ever; each answers for how many seconds to rest.

    What fails is tried again, after a while: everything it would have done is still to be done.
    """
    delay = _FIRST_DELAY
    while True:
        try:
            rest = await step()
            delay = _FIRST_DELAY
        except Exception as error:  # noqa: BLE001 - said, and tried again
            if not is_transient(error):
                # The kind of failure and its place only: its text may quote what is told of people.
                _log.error("%s failed: %s at %s", name, type(error).__name__, origin(error))
            rest, delay = delay, min(2 * delay, _LONGEST_DELAY)
        await asyncio.sleep(rest)
