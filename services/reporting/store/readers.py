"""Connections on which every statement is a moment of its own: they only read, and their settings stay with them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

from psycopg import AsyncConnection, errors
from sqlalchemy import Engine, event, text
from sqlalchemy.ext.asyncio import AsyncEngine

Reader = AsyncConnection[Any]

_MOST: Final = 8
"""How many there are at most, beside the connections of the engine's pool."""

# One plan for whatever values: to plan so long a statement takes longer than to run it. It is kept, so it must not be one
# that was good only while a table was empty: every table is looked up by an index of its own; and rows are put together
# by hashes, which costs less than to sort some hundred of them by texts.
_SETTINGS: Final = {
    "default_transaction_read_only": "on",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_sort": "off",
    "jit": "off",
}
_SET: Final = "; ".join(f"SET {name} = {value}" for name, value in _SETTINGS.items()).encode()
_LIVING: Final = text("SELECT 1")


class _Readers:
    """The connections of one engine that are idle, and how many more there may be."""

    def __init__(self) -> None:
        self.idle: list[Reader] = []
        self.free = asyncio.Semaphore(_MOST)
        self._closed = False

    def give_back(self, reader: Reader) -> None:
        """Keeps a connection, or closes it where the engine was closed meanwhile."""
        if self._closed:
            _close(reader)
        else:
            self.idle.append(reader)

    def give_up(self) -> None:
        """Closes those that are idle."""
        while self.idle:
            _close(self.idle.pop())

    def close(self, _: Engine) -> None:
        """Closes those that are idle now, and others when they are given back."""
        self._closed = True
        self.give_up()


_READERS: WeakKeyDictionary[Engine, _Readers] = WeakKeyDictionary()


@asynccontextmanager
async def reader(engine: AsyncEngine) -> AsyncIterator[Reader]:
    """A connection beside the engine's own; it is closed with the engine. Whoever fails on it has it no longer.

    Raises `OperationalError` where the server went away: all connections that were made before are given up then.
    """
    readers = _readers(engine.sync_engine)
    async with readers.free:
        lent = readers.idle.pop() if readers.idle else await _made(engine)
        try:
            yield lent
        except errors.OperationalError:
            _close(lent)
            readers.give_up()
            await _look(engine)
            raise
        except BaseException:
            _close(lent)
            raise
        readers.give_back(lent)


def _readers(engine: Engine) -> _Readers:
    readers = _READERS.get(engine)
    if readers is None:
        readers = _READERS[engine] = _Readers()
        event.listen(engine, "engine_disposed", readers.close)
    return readers


async def _made(engine: AsyncEngine) -> Reader:
    pooled = await engine.raw_connection()
    made = cast(Reader, pooled.driver_connection)
    pooled.detach()
    try:
        await made.set_autocommit(True)
        await made.execute(_SET)
    except errors.OperationalError:
        _close(made)
        await _look(engine)
        raise
    except BaseException:
        _close(made)
        raise
    return made


async def _look(engine: AsyncEngine) -> None:
    """Gives up all connections of the pool where the server went away since they were made, and fails then."""
    async with engine.connect() as connection:
        await connection.execute(_LIVING)


def _close(reader: Reader) -> None:
    """Closes a connection, at once: it may be in the middle of something that nobody waits for any longer."""
    reader.pgconn.finish()
