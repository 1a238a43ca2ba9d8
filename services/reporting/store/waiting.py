"""Rates that were told when orders of their days may have been counted already: what waits to be converted anew."""

from collections.abc import Collection, Sequence
from datetime import date
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.arrays import texts
from services.reporting.store.conversions import Place

START: Place = (-(2**63), 0, "", "")


class Waiting(NamedTuple):
    """Days of a currency whose orders are looked through once more, and the last one that was looked at."""

    tenant_id: str
    currency_code: str
    first_day: date
    last_day: date
    after: Place


# What is told meanwhile begins from the start again: looking at an order once more changes nothing.
_ADD = text(
    """INSERT INTO rate_waiting (
           tenant_id, currency_code, partition_id, first_day, last_day, seconds, book, source, order_id)
       SELECT tenant_id, currency_code, :partition, first_day, last_day, :seconds, 0, '', ''
       FROM unnest(
           CAST(:tenant_ids AS text[]), CAST(:currency_codes AS text[]),
           CAST(:first_days AS date[]), CAST(:last_days AS date[])
       ) AS told (tenant_id, currency_code, first_day, last_day)
       ON CONFLICT (tenant_id, currency_code) DO UPDATE
       SET first_day = least(rate_waiting.first_day, excluded.first_day),
           last_day = greatest(rate_waiting.last_day, excluded.last_day),
           seconds = excluded.seconds, book = 0, source = '', order_id = ''"""
)

_PARTITIONS = text("SELECT DISTINCT partition_id FROM rate_waiting")

_NEXT = text(
    """SELECT tenant_id, currency_code, first_day, last_day, seconds, book, source, order_id
       FROM rate_waiting WHERE partition_id = :partition ORDER BY tenant_id, currency_code LIMIT 1"""
)

_IS_WAITING = text("SELECT EXISTS (SELECT FROM rate_waiting WHERE tenant_id = :tenant_id)")

_ADVANCE = text(
    """UPDATE rate_waiting SET seconds = :seconds, book = :book, source = :source, order_id = :order_id
       WHERE tenant_id = :tenant_id AND currency_code = :currency_code"""
)

_DONE = text(
    """DELETE FROM rate_waiting
       WHERE tenant_id = :tenant_id AND currency_code = :currency_code"""
)


async def add(connection: AsyncConnection, partition: int, waiting: Sequence[Waiting]) -> None:
    """Notes that orders of some days wait, one entry a tenant and currency."""
    ordered = sorted(waiting)
    await connection.execute(
        _ADD,
        {
            "partition": partition,
            "seconds": START[0],
            "tenant_ids": texts(one.tenant_id for one in ordered),
            "currency_codes": texts(one.currency_code for one in ordered),
            "first_days": texts(one.first_day.isoformat() for one in ordered),
            "last_days": texts(one.last_day.isoformat() for one in ordered),
        },
    )


async def partitions(connection: AsyncConnection) -> Collection[int]:
    """The partitions in which something waits."""
    return [int(row.partition_id) for row in await connection.execute(_PARTITIONS)]


async def is_waiting(connection: AsyncConnection, tenant_id: str) -> bool:
    """True while some of a tenant's orders wait."""
    return bool((await connection.execute(_IS_WAITING, {"tenant_id": tenant_id})).scalar_one())


async def next_of(connection: AsyncConnection, partition: int) -> Waiting | None:
    """Something that waits in a partition; None when nothing does."""
    row = (await connection.execute(_NEXT, {"partition": partition})).first()
    if row is None:
        return None
    place = (row.seconds, row.book, row.source, row.order_id)
    return Waiting(row.tenant_id, row.currency_code, row.first_day, row.last_day, place)


async def advance(connection: AsyncConnection, waiting: Waiting, after: Place | None) -> None:
    """Notes how far it is; None says that it is done."""
    bound = {
        "tenant_id": waiting.tenant_id,
        "currency_code": waiting.currency_code,
    }
    if after is None:
        await connection.execute(_DONE, bound)
        return
    place = {"seconds": after[0], "book": after[1], "source": after[2], "order_id": after[3]}
    await connection.execute(_ADVANCE, bound | place)
