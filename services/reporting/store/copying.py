"""COPY … TO STDOUT, read as fast as Postgres writes: rows are taken together, and not one at a time from the loop."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Final

from psycopg import AsyncConnection, errors
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult

_CHUNK_BYTES: Final = 256 * 1024
_GATHERING_SECONDS: Final = 0.003
"""Postgres sends fifty lines at a time: being woken for each of them costs both more than this wait, a buffer's worth."""


async def lines(connection: AsyncConnection[Any], statement: str) -> AsyncGenerator[bytes, None]:
    """The lines of a COPY in CSV, ended as RFC 4180 wants it, some thousands at a time.

    Raises what Postgres refuses. Left before its end, the connection is closed: what was asked for is then cancelled.
    """
    pgconn = connection.pgconn
    pgconn.send_query(statement.encode())
    while pgconn.flush():
        await _ready(pgconn, to_write=True)
    ended = False
    try:
        _check(await _result(pgconn), ExecStatus.COPY_OUT)
        while not ended:
            ended, chunk = await _read(pgconn)
            if chunk:
                yield chunk
        while (result := await _result(pgconn)) is not None:
            _check(result, ExecStatus.COMMAND_OK)
    except BaseException:
        await connection.close()
        raise


async def _read(pgconn: PGconn) -> tuple[bool, bytes]:
    """Some thousand lines, and whether they were the last ones."""
    rows: list[bytes | memoryview] = []
    size, taken = 0, False
    while size < _CHUNK_BYTES:
        length, row = pgconn.get_copy_data(1)
        if length > 0:
            rows.append(row[:-1])
            size, taken = size + length, False
        elif length < 0:
            return True, _joined(rows)
        else:
            if taken:
                await _ready(pgconn)
                await asyncio.sleep(_GATHERING_SECONDS)
            # Takes some of what has come, and that there is no more shows only when nothing was.
            pgconn.consume_input()
            taken = not taken
    return False, _joined(rows)


def _joined(rows: list[bytes | memoryview]) -> bytes:
    return b"\r\n".join((*rows, b"")) if rows else b""


async def _result(pgconn: PGconn) -> PGresult | None:
    while pgconn.is_busy():
        await _readable(pgconn)
    return pgconn.get_result()


def _check(result: PGresult | None, wanted: ExecStatus) -> None:
    if result is None:
        raise errors.OperationalError("the server went away")
    if result.status != wanted:
        raise errors.error_from_result(result)


async def _readable(pgconn: PGconn) -> None:
    await _ready(pgconn)
    pgconn.consume_input()


async def _ready(pgconn: PGconn, *, to_write: bool = False) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    add, remove = (loop.add_writer, loop.remove_writer) if to_write else (loop.add_reader, loop.remove_reader)
    add(pgconn.socket, _tell, ready)
    try:
        await ready
    finally:
        remove(pgconn.socket)


def _tell(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
