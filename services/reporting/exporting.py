"""Records as files: how many there are, and then the file's bytes as they are read, all of one moment."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.reporting import answers
from services.reporting.domain import records
from services.reporting.domain.figures import AsOf
from services.reporting.domain.files import Format, csv_header, file_name, format_of, json_objects
from services.reporting.domain.records import Asked
from services.reporting.domain.tenants import Tenant
from services.reporting.domain.xlsx import Workbook
from services.reporting.store.records import Reading

_CHUNK_BYTES: Final = 64 * 1024

_AT_ONCE: Final = 4
"""Files that a process writes at the same time; more wait, so that connections are left for figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of records, in the columns of their kind; `next_token` is empty on the last one."""

    tenant: Tenant
    rows: list[tuple[Any, ...]]
    total_size: int
    next_token: str
    as_of: AsOf


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of records, and its bytes; these can be read once. `next_token` is empty when no records are left behind."""

    name: str
    content_type: str
    records: int
    next_token: str
    parts: AsyncGenerator[bytes, None]


async def page(engine: AsyncEngine, tenant_id: str, asked: Asked, *, token: str, size: int) -> Page:
    """A page of records; raises `InvalidArgumentError` for a model that is not active, or another request's token."""
    identity = asked.identity(tenant_id)
    after = records.read_token(token, identity)
    async with answers.moment(engine) as connection:
        tenant = await answers.read_tenant(connection, tenant_id)
        _check_model(tenant, asked)
        total_size = await Reading(tenant, asked).count(connection)
        rows = await Reading(tenant, asked, after).page(connection, size + 1)
        as_of = await answers.as_of(connection, tenant.partition)
    more = len(rows) > size
    next_token = records.write_token(asked.kind.key_of(rows[size - 1]), identity) if more else ""
    return Page(tenant=tenant, rows=rows[:size], total_size=total_size, next_token=next_token, as_of=as_of)


class Exporter:
    """Writes files, a few at a time."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(_AT_ONCE)

    @asynccontextmanager
    async def file(
        self, engine: AsyncEngine, tenant_id: str, asked: Asked, format_name: str, *, after: str, most: int
    ) -> AsyncIterator[File]:
        """A file, to be read inside of the block; it has at most `most` records where that is not 0.

        Raises `InvalidArgumentError` for a format, model or token that doesn't exist or a negative number,
        `FailedPreconditionError` for more records than a file may have.
        """
        format_, limit = format_of(format_name), records.limit_of(most)
        identity = asked.identity(tenant_id)
        key = records.read_token(after, identity, field="after")
        async with self._turn, answers.moment(engine) as connection:
            tenant = await answers.read_tenant(connection, tenant_id)
            _check_model(tenant, asked)
            reading = Reading(tenant, asked, key, limit=limit)
            count, next_token = await reading.count(connection), ""
            if limit is not None and count > limit:
                count, next_token = limit, records.write_token(await reading.last_key(connection, limit), identity)
            records.check_size(count)
            yield File(
                name=file_name(tenant_id, asked.kind.name, asked.period, format_),
                content_type=format_.content_type,
                records=count,
                next_token=next_token,
                parts=_parts(connection, reading, tenant, asked, format_),
            )


def _check_model(tenant: Tenant, asked: Asked) -> None:
    if asked.kind.by_model:
        tenant.model_version(asked.model)


def _parts(
    connection: AsyncConnection, reading: Reading, tenant: Tenant, asked: Asked, format_: Format
) -> AsyncGenerator[bytes, None]:
    match format_:
        case Format.CSV:
            return _csv(connection, reading, asked)
        case Format.XLSX:
            return _xlsx(connection, reading, Workbook(asked.kind, tenant.zone))
        case Format.JSON:
            return _json(connection, reading, asked, (b"[", b",", b"]"))
        case Format.NDJSON:
            return _json(connection, reading, asked, (b"", b"\n", b"\n"))


async def _csv(connection: AsyncConnection, reading: Reading, asked: Asked) -> AsyncGenerator[bytes, None]:
    yield csv_header(asked.kind)
    async with aclosing(reading.csv(connection)) as parts:
        async for part in parts:
            yield part


async def _xlsx(connection: AsyncConnection, reading: Reading, book: Workbook) -> AsyncGenerator[bytes, None]:
    waiting: list[bytes] = []
    async with aclosing(reading.rows(connection)) as read:
        async for rows in read:
            waiting.append(await asyncio.to_thread(book.rows, rows))
            if sum(map(len, waiting)) >= _CHUNK_BYTES:
                yield b"".join(waiting)
                waiting.clear()
    waiting.append(await asyncio.to_thread(book.end))
    yield b"".join(waiting)


async def _json(
    connection: AsyncConnection, reading: Reading, asked: Asked, frame: tuple[bytes, bytes, bytes]
) -> AsyncGenerator[bytes, None]:
    """`frame` is what stands before the first record, between two, and behind the last one."""
    first, between, last = frame
    before = first
    async with aclosing(reading.rows(connection)) as read:
        async for rows in read:
            objects = await asyncio.to_thread(json_objects, asked.kind, rows)
            yield before + between.join(objects)
            before = between
    yield last if before is between else first + last.strip()
