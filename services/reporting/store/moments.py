"""A moment of the state, read in one round trip: each takes longer than most statements."""

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


async def read(connection: AsyncConnection, *asked: Asked) -> list[list[tuple[Any, ...]]]:
    """The rows of each statement, which all see the same moment: a transaction of their own, begun and ended here."""
    driver: Driver[tuple[Any, ...]] = (await connection.get_raw_connection()).driver_connection  # type: ignore[assignment] # it is psycopg's
    together = [(_PLANNING, ()), *asked]
    cursors = [AsyncRawCursor(driver) for _ in together]
    try:
        async with driver.pipeline():
            for cursor, (statement, values) in zip(cursors, together, strict=True):
                await cursor.execute(statement, values, prepare=True)
            await driver.commit()
    except errors.OperationalError:
        if driver.closed:
            # Fails as well, and gives up all connections that the pool had made before the server went away.
            await connection.execute(_LIVING)
        raise
    return [await cursor.fetchall() for cursor in cursors[1:]]
