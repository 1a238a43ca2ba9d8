"""Work in rounds: between them the event loop sends what is ready and hears what has come."""

import asyncio
from collections import deque
from typing import Final

IN_A_ROUND: Final = 4
"""Few: what is sent on, and each answer, takes several turns of the event loop, and every turn reads a round first."""


class Rounds:
    """Lets so many callers go on in one round of the event loop, and the others in later ones.

    Without it, all requests that came together would be read before the first of them is sent on: whoever is to store
    them would wait for the last, and then the reader for whoever stores.
    """

    def __init__(self, size: int = IN_A_ROUND) -> None:
        self._size = size
        self._left = size
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def turn(self) -> None:
        """Goes on in this round if there is room, or in the next that has."""
        loop = asyncio.get_running_loop()
        if self._left == self._size:
            loop.call_soon(self._begin)
        if self._left:
            self._left -= 1
            return
        place = loop.create_future()
        self._waiting.append(place)
        await place

    def _begin(self) -> None:
        self._left = self._size
        while self._left and self._waiting:
            place = self._waiting.popleft()
            # Whoever gave up has cancelled theirs.
            if not place.done():
                place.set_result(None)
                self._left -= 1
        if self._left < self._size:
            asyncio.get_running_loop().call_soon(self._begin)
