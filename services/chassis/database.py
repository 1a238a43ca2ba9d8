"""Connections to Postgres: one engine a schema, how it ends, and what counts as the database being away."""

import asyncio
from contextlib import suppress
from typing import Any

from psycopg import AsyncConnection, errors
from sqlalchemy import event, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from services.chassis.niceness import share_with_server

_TRANSIENT = (errors.OperationalError, errors.InterfaceError)
"""The server went away, or asks for the transaction again: deadlocks and serialisation failures are among these."""


def open_database(url: str, *, schema: str, pool_size: int = 8) -> AsyncEngine:
    """An engine whose connections find their tables in `schema`, so that statements name none.

    `url` is a `postgresql://` address. Connections are opened when first used, and replaced when the server was
    restarted; at most `pool_size` are kept, and as many more opened under load.
    """
    address = make_url(url).set(drivername="postgresql+psycopg")
    return create_async_engine(
        address,
        pool_size=pool_size,
        max_overflow=pool_size,
        # The one used last: its server process has plans, and the pages of Postgres' memory that it has mapped, at hand.
        pool_use_lifo=True,
        # A statement that a pooled connection has seen five times is prepared on the server, and stays so.
        connect_args={
            "async_creator_fn": _connect,
            "options": f"-c search_path={schema}",
            "application_name": schema,
            "connect_timeout": 5,
        },
    )


async def _connect(*address: Any, **options: Any) -> AsyncConnection[Any]:
    """A new connection. Who is cancelled meanwhile waits until it is made, and closes it.

    Left half made it would stay open until the collector finds it, and Postgres would wait a minute for its password.
    """
    making = asyncio.ensure_future(_make(*address, **options))
    try:
        return await asyncio.shield(making)
    except asyncio.CancelledError:
        with suppress(errors.Error):
            await (await making).close()
        raise


async def _make(*address: Any, **options: Any) -> AsyncConnection[Any]:
    connection = await AsyncConnection.connect(*address, **options)
    await asyncio.to_thread(share_with_server, connection.info.hostaddr, connection.info.backend_pid)
    return connection


async def close_database(engine: AsyncEngine) -> None:
    """Closes the idle connections of an engine now, and those in use when they are given back.

    Whoever still holds the engine can end what it is doing with it, even by a new connection.
    """
    # Given back to a pool that was disposed of, a connection would stay open until the collector finds it.
    event.listen(engine.pool, "checkin", _close_returned)
    await engine.dispose()


def _close_returned(_connection: Any, entry: ConnectionPoolEntry) -> None:
    entry.close()


def is_transient(error: BaseException) -> bool:
    """True when the same transaction may succeed later: nothing is wrong with what it wanted to do."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or isinstance(error.orig, _TRANSIENT)
    return isinstance(error, (*_TRANSIENT, ConnectionError, TimeoutError))
