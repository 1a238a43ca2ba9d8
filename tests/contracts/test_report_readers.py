"""Connections that only read, on a real Postgres."""

import asyncio

import psycopg
import pytest

from services.chassis.database import close_database, open_database
from services.reporting.store import moments
from services.reporting.store.readers import reader


async def setting(engine, name: str) -> str:
    [[value]] = await moments.read(engine, (b"SELECT current_setting($1)", [name]))
    return value


async def test_a_reader_only_reads_and_plans_once_and_the_pool_is_as_it_was(database_url):
    engine = open_database(database_url, schema="public")
    assert await setting(engine, "plan_cache_mode") == "force_generic_plan"
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        await moments.read(engine, (b"CREATE TABLE written (number int)", []))
    async with engine.connect() as connection:
        told = (await connection.exec_driver_sql("SHOW plan_cache_mode")).scalar_one()
    assert told == "auto"
    await close_database(engine)


async def test_readers_are_kept_and_closed_with_the_engine(database_url):
    engine = open_database(database_url, schema="public")
    async with reader(engine) as first:
        await close_database(engine)
        await first.execute("SELECT 1")
    assert first.closed

    other = open_database(database_url, schema="public")
    async with reader(other) as kept:
        pass
    async with reader(other) as again, reader(other) as beside:
        assert again is kept
        assert beside is not kept
    await close_database(other)
    assert kept.closed
    assert beside.closed


async def test_who_is_cancelled_leaves_nothing_half_read(database_url):
    engine = open_database(database_url, schema="public")
    reading = asyncio.ensure_future(moments.read(engine, (b"SELECT pg_sleep(30)", [])))
    await asyncio.sleep(0.2)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await setting(engine, "jit") == "off"
    await close_database(engine)


async def test_many_wait_for_the_few_readers_there_are(database_url):
    engine = open_database(database_url, schema="public")
    read = [moments.read(engine, (b"SELECT pg_backend_pid(), pg_sleep(0.01)", [])) for _ in range(40)]
    pids = {rows[0][0] for rows in await asyncio.gather(*read)}
    assert 1 < len(pids) <= 8
    await close_database(engine)
