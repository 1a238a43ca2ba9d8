"""Work in rounds: between them the event loop sends what is ready and hears what has come."""

import asyncio
from typing import Final

IN_A_ROUND: Final = 16


class Rounds:
    """Lets so many callers go on in one round of the event loop, and the others in later ones.

    Without it, all requests that came together would be read before the first of them is sent on: whoever is to store
    them would wait for the last, and then the reader for whoever stores.
    """

    def __init__(self, size: int = IN_A_ROUND) -> None:
        self._size = size
        self._left = size
        self._next: asyncio.Future[None] | None = None

    async def turn(self) -> None:
        """Goes on in this round if there is room, or in the next that has."""
        loop = asyncio.get_running_loop()
        while not self._left:
            if self._next is None:
                self._next = loop.create_future()
            await asyncio.shield(self._next)
        if self._left == self._size:
            loop.call_soon(self._begin)
        self._left -= 1

    def _begin(self) -> None:
        self._left = self._size
        if self._next is not None:
            self._next.set_result(None)
            self._next = None
