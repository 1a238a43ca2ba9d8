"""Moments as the store compares them, and reading it as it stands at one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

_MICRO = 1000
"""Nanoseconds in a microsecond."""


def micros(moment: int) -> int:
    """A moment of nanoseconds in microseconds, rounded down.

    Bounds are rounded like the times that they are compared with, so nothing within them is missed; what the store
    finds too much, the decision refuses: it compares nanoseconds.
    """
    return moment // _MICRO


@asynccontextmanager
async def at_one_moment(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection to which the store stands still: what it reads first and last belongs together."""
    async with engine.connect() as connection:
        yield await connection.execution_options(isolation_level="REPEATABLE READ")
