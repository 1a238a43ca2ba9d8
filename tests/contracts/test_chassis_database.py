"""Engines and their connections, on a real Postgres."""

import asyncio
import os
import subprocess
import sys
from functools import partial
from typing import Any

import pytest
from psycopg import AsyncConnection as Driver
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.database import close_database, open_database


async def driver(connection: AsyncConnection) -> Driver:
    """The connection itself, below the pool."""
    found = (await connection.get_raw_connection()).driver_connection
    assert isinstance(found, Driver)
    return found


async def test_an_idle_connection_is_closed_with_its_engine(database_url: str) -> None:
    engine = open_database(database_url, schema="public")
    async with engine.connect() as connection:
        idle = await driver(connection)
    assert not idle.closed
    await close_database(engine)
    assert idle.closed


async def test_a_connection_in_use_is_closed_when_it_is_given_back(database_url: str) -> None:
    engine = open_database(database_url, schema="public")
    async with engine.connect() as connection:
        in_use = await driver(connection)
        await close_database(engine)
        assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1
    assert in_use.closed


async def test_a_connection_that_is_opened_too_late_is_closed_when_it_is_given_back(database_url: str) -> None:
    engine = open_database(database_url, schema="public")
    await close_database(engine)
    async with engine.connect() as connection:
        late = await driver(connection)
        assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1
    assert late.closed


async def test_who_is_cancelled_while_connecting_closes_what_is_made(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: asyncio.Queue[Driver] = asyncio.Queue()
    connect = Driver.connect

    async def connect_slowly(*address: Any, **options: Any) -> Driver:
        connection = await connect(*address, **options)
        made.put_nowait(connection)
        await asyncio.sleep(0.1)
        return connection

    monkeypatch.setattr(Driver, "connect", connect_slowly)
    engine = open_database(database_url, schema="public")
    using = asyncio.ensure_future(engine.connect().start())
    half_made = await made.get()
    using.cancel()
    with pytest.raises(asyncio.CancelledError):
        await using
    assert half_made.closed
    await close_database(engine)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who works for whom")
def test_the_server_process_of_one_who_lets_others_go_first_does_so_too(database_url: str) -> None:
    program = f"""
import asyncio, os
from services.chassis.database import open_database
from sqlalchemy import text

async def main():
    engine = open_database({database_url!r}, schema="public")
    async with engine.connect() as connection:
        pid = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        print(os.getpriority(os.PRIO_PROCESS, pid))
    await engine.dispose()

asyncio.run(main())
"""
    for niceness in (0, 7):
        said = subprocess.run(
            [sys.executable, "-c", program],
            check=True,
            capture_output=True,
            text=True,
            preexec_fn=partial(os.nice, niceness),
        )
        assert int(said.stdout) == niceness
