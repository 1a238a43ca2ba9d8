"""A moment of the state, read in as few round trips as can be: each takes longer than most statements."""

from collections.abc import Sequence
from typing import Any, Final

from psycopg import AsyncConnection as Driver
from psycopg import AsyncRawCursor, errors
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# One plan for whatever values: to plan so long a statement takes longer than to run it. It is kept, so it must not be one
# that was good only while a table was empty: every table is looked up by an index of its own; and rows are put together
# by hashes, which costs less than to sort some hundred of them by texts.
_OFF: Final = ("enable_seqscan", "enable_sort", "jit")
_PLANNING: Final = f"""
    SELECT set_config('plan_cache_mode', 'force_generic_plan', true),
           {", ".join(f"set_config('{name}', 'off', true)" for name in _OFF)}""".encode()
_LIVING: Final = text("SELECT 1")

Asked = tuple[bytes, Sequence[Any]]
"""A statement, its parameters named `$1` and so on, and their values."""


class Moment:
    """A connection whose transaction has not begun yet; all statements of it are to see the same moment."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def begin(self, *asked: Asked) -> list[list[tuple[Any, ...]]]:
        """Begins the moment; answers the rows of each statement."""
        return (await self._ask([(_PLANNING, ()), *asked], last=False))[1:]

    async def end(self, *asked: Asked) -> list[list[tuple[Any, ...]]]:
        """The rows of each statement; they are the last ones of the moment."""
        return await self._ask(asked, last=True)

    async def _ask(self, asked: Sequence[Asked], *, last: bool) -> list[list[tuple[Any, ...]]]:
        driver: Driver[tuple[Any, ...]] = (await self._connection.get_raw_connection()).driver_connection  # type: ignore[assignment] # it is psycopg's
        cursors = [AsyncRawCursor(driver) for _ in asked]
        try:
            async with driver.pipeline():
                for cursor, (statement, values) in zip(cursors, asked, strict=True):
                    await cursor.execute(statement, values, prepare=True)
                if last:
                    await driver.commit()
        except errors.OperationalError:
            if driver.closed:
                # Fails as well, and gives up all connections that the pool had made before the server went away.
                await self._connection.execute(_LIVING)
            raise
        return [await cursor.fetchall() for cursor in cursors]
