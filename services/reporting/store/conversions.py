"""The exchange rates, and by which of them each order in another currency is counted."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.arrays import numbers, texts
from services.reporting.domain.conversion import HELD_DAYS, Rate, ToldRate, Wanted
from services.reporting.domain.tenants import EDITIONS

Place = tuple[int, int, str, str]
"""Behind which order a page begins: its time in seconds, its book, source and id."""


class OrderKey(NamedTuple):
    """An order in one book of a tenant's figures."""

    tenant_id: str
    book: int
    source: str
    order_id: str


class Counted(NamedTuple):
    """When an order was placed, in what currency, and by which rate it is counted."""

    currency_code: str
    order_seconds: int
    rate: Rate


class CountedFact(NamedTuple):
    """A counted order with all that was told of it."""

    key: OrderKey
    counted: Counted
    payload: bytes


_STORE = text(
    """INSERT INTO exchange_rate (tenant_id, base_currency_code, currency_code, day, rate, position)
       SELECT * FROM unnest(
           CAST(:tenant_ids AS text[]), CAST(:bases AS text[]), CAST(:currency_codes AS text[]),
           CAST(:days AS date[]), CAST(:rates AS text[]), CAST(:positions AS bigint[]))
       ON CONFLICT (tenant_id, base_currency_code, currency_code, day) DO UPDATE
       SET rate = excluded.rate, position = excluded.position WHERE exchange_rate.position < excluded.position"""
)

_STORE_TOLD = text(
    """INSERT INTO exchange_rate_told (
           tenant_id, base_currency_code, currency_code, day, rate, position, receive_micros)
       SELECT * FROM unnest(
           CAST(:tenant_ids AS text[]), CAST(:bases AS text[]), CAST(:currency_codes AS text[]),
           CAST(:days AS date[]), CAST(:rates AS text[]), CAST(:positions AS bigint[]), CAST(:micros AS bigint[]))
       ON CONFLICT (tenant_id, base_currency_code, day, currency_code, position) DO NOTHING"""
)

_READ_TOLD = text(
    """SELECT tenant_id, base_currency_code, currency_code, day, rate, position, receive_micros FROM exchange_rate_told
       WHERE tenant_id = :tenant_id AND base_currency_code = :base AND day BETWEEN :first_day AND :last_day"""
)

_FIND = text(
    f"""SELECT told.tenant_id, told.base_currency_code, told.currency_code, told.day, found.rate, found.day AS rate_day
        FROM unnest(
            CAST(:tenant_ids AS text[]), CAST(:bases AS text[]), CAST(:currency_codes AS text[]), CAST(:days AS date[])
        ) AS told (tenant_id, base_currency_code, currency_code, day)
        CROSS JOIN LATERAL (
            SELECT rate, day FROM exchange_rate
            WHERE tenant_id = told.tenant_id AND base_currency_code = told.base_currency_code
              AND currency_code = told.currency_code AND day BETWEEN told.day - {HELD_DAYS} AND told.day
            ORDER BY day DESC LIMIT 1) AS found"""
)

_READ = text(
    """SELECT found.tenant_id, found.book, found.source, found.order_id,
              found.currency_code, found.order_seconds, found.rate, found.rate_day
       FROM unnest(
           CAST(:tenant_ids AS text[]), CAST(:books AS bigint[]), CAST(:sources AS text[]), CAST(:order_ids AS text[])
       ) AS told (tenant_id, book, source, order_id)
       CROSS JOIN LATERAL (
           SELECT tenant_id, book, source, order_id, currency_code, order_seconds, rate, rate_day FROM foreign_order
           WHERE tenant_id = told.tenant_id AND book = told.book AND source = told.source AND order_id = told.order_id LIMIT 1) AS found"""
)

_WRITE = text(
    """INSERT INTO foreign_order (
           tenant_id, book, source, order_id, currency_code, order_seconds, rate, rate_day, counted)
       SELECT tenant_id, book, source, order_id, currency_code, order_seconds, rate, CAST(nullif(rate_day, '') AS date),
              CAST(nullif(counted, '') AS jsonb)
       FROM unnest(
           CAST(:tenant_ids AS text[]), CAST(:books AS bigint[]), CAST(:sources AS text[]), CAST(:order_ids AS text[]),
           CAST(:currency_codes AS text[]), CAST(:seconds AS bigint[]), CAST(:rates AS text[]),
           CAST(:rate_days AS text[]), CAST(:counted AS text[])
       ) AS told (tenant_id, book, source, order_id, currency_code, order_seconds, rate, rate_day, counted)
       ON CONFLICT (tenant_id, book, source, order_id) DO UPDATE
       SET currency_code = excluded.currency_code, order_seconds = excluded.order_seconds, rate = excluded.rate,
           rate_day = excluded.rate_day, counted = excluded.counted"""
)

_FORGET = text(
    """DELETE FROM foreign_order USING unnest(
           CAST(:tenant_ids AS text[]), CAST(:books AS bigint[]), CAST(:sources AS text[]), CAST(:order_ids AS text[])
       ) AS told (tenant_id, book, source, order_id)
       WHERE foreign_order.tenant_id = told.tenant_id AND foreign_order.book = told.book
         AND foreign_order.source = told.source
         AND foreign_order.order_id = told.order_id"""
)

# Each order is looked up as the first from its key on: see `facts`.
_READ_PLACED = text(
    f"""SELECT told.tenant_id, told.book, told.source, told.order_id, told.currency_code, told.order_seconds, told.rate,
               told.rate_day, fact.payload
        FROM foreign_order AS told CROSS JOIN LATERAL (
            SELECT edition, source, order_id, payload FROM order_fact
            WHERE tenant_id = :tenant_id
              AND (edition, source, order_id) >= (told.book & {EDITIONS - 1}, told.source, told.order_id)
            ORDER BY edition, source, order_id LIMIT 1) AS fact
        WHERE told.tenant_id = :tenant_id AND told.currency_code = :currency_code
          AND (told.order_seconds, told.book, told.source, told.order_id) > (:seconds, :book, :source, :order_id)
          AND told.order_seconds <= :last_seconds
          AND (fact.edition, fact.source, fact.order_id) = (told.book & {EDITIONS - 1}, told.source, told.order_id)
        ORDER BY told.order_seconds, told.book, told.source, told.order_id LIMIT :count"""
)

_CLEAR = text(
    """DELETE FROM foreign_order WHERE tenant_id = :tenant_id AND (book, source, order_id) IN (
           SELECT book, source, order_id FROM foreign_order WHERE tenant_id = :tenant_id AND book < :book
           ORDER BY book, source, order_id LIMIT :count)"""
)


async def store(connection: AsyncConnection, rates: Iterable[ToldRate]) -> None:
    """Stores rates; of each day that at the greatest position holds, and the others are known to have been told."""
    rates = list(rates)
    newest: dict[tuple[str, str, str, date], ToldRate] = {}
    for rate in rates:
        before = newest.get(rate[:4])
        if before is None or before.position < rate.position:
            newest[rate[:4]] = rate
    ordered = [newest[key] for key in sorted(newest)]
    await connection.execute(
        _STORE,
        {
            **_wanted([Wanted(*rate[:4]) for rate in ordered]),
            "rates": texts(rate.rate for rate in ordered),
            "positions": numbers(rate.position for rate in ordered),
        },
    )
    await connection.execute(
        _STORE_TOLD,
        {
            **_wanted([Wanted(*rate[:4]) for rate in rates]),
            "rates": texts(rate.rate for rate in rates),
            "positions": numbers(rate.position for rate in rates),
            "micros": numbers(rate.receive_micros for rate in rates),
        },
    )


async def read_told(
    connection: AsyncConnection, tenant_id: str, base_currency_code: str, first_day: date, last_day: date
) -> list[ToldRate]:
    """Every rate that was ever told for some days, whether it holds or not."""
    bound = {"tenant_id": tenant_id, "base": base_currency_code, "first_day": first_day, "last_day": last_day}
    return [ToldRate(*row) for row in await connection.execute(_READ_TOLD, bound)]


async def find(connection: AsyncConnection, wanted: Collection[Wanted]) -> dict[Wanted, Rate]:
    """The rates that hold on days; those without one are left out."""
    if not wanted:
        return {}
    return {Wanted(*row[:4]): Rate(*row[4:]) for row in await connection.execute(_FIND, _wanted(sorted(wanted)))}


async def read(connection: AsyncConnection, keys: Collection[OrderKey]) -> dict[OrderKey, Counted]:
    """How orders are counted, those that were in another currency."""
    if not keys:
        return {}
    rows = await connection.execute(_READ, _keys(sorted(keys)))
    return {OrderKey(*row[:4]): _counted(*row[4:]) for row in rows}


def _counted(currency_code: str, order_seconds: int, rate: str, day: date | None) -> Counted:
    return Counted(currency_code, order_seconds, Rate(rate, day))


async def write(
    connection: AsyncConnection, counted: Mapping[OrderKey, Counted | None], amounts: Mapping[OrderKey, str]
) -> None:
    """Notes how orders are counted from now on; None for one that is in the reporting currency.

    `amounts` are what those that are converted come to: `domain.conversion.counted_amounts`.
    """
    kept = sorted((key, value) for key, value in counted.items() if value is not None)
    gone = sorted(key for key, value in counted.items() if value is None)
    if gone:
        await connection.execute(_FORGET, _keys(gone))
    if kept:
        parameters = {
            **_keys([key for key, _ in kept]),
            "currency_codes": texts(value.currency_code for _, value in kept),
            "seconds": numbers(value.order_seconds for _, value in kept),
            "rates": texts(value.rate.rate for _, value in kept),
            "rate_days": texts(value.rate.day.isoformat() if value.rate.day else "" for _, value in kept),
            "counted": texts(amounts.get(key, "") for key, _ in kept),
        }
        await connection.execute(_WRITE, parameters)


async def read_placed(
    connection: AsyncConnection, *, tenant_id: str, currency_code: str, after: Place, last_seconds: int, count: int
) -> list[CountedFact]:
    """Orders in a currency that were placed until a moment, in every book, behind a place in their sequence."""
    bound = {
        "tenant_id": tenant_id,
        "currency_code": currency_code,
        "seconds": after[0],
        "book": after[1],
        "source": after[2],
        "order_id": after[3],
        "last_seconds": last_seconds,
        "count": count,
    }
    rows = await connection.execute(_READ_PLACED, bound)
    return [CountedFact(OrderKey(*row[:4]), _counted(*row[4:8]), row[8]) for row in rows]


async def clear_before(connection: AsyncConnection, tenant_id: str, book: int, count: int) -> int:
    """Forgets how some orders are counted in a tenant's books before one; answers how many."""
    bound = {"tenant_id": tenant_id, "book": book, "count": count}
    return (await connection.execute(_CLEAR, bound)).rowcount


def _wanted(wanted: Sequence[Wanted]) -> dict[str, str]:
    return {
        "tenant_ids": texts(one.tenant_id for one in wanted),
        "bases": texts(one.base_currency_code for one in wanted),
        "currency_codes": texts(one.currency_code for one in wanted),
        "days": texts(one.day.isoformat() for one in wanted),
    }


def _keys(keys: Sequence[OrderKey]) -> dict[str, str]:
    return {
        "tenant_ids": texts(key.tenant_id for key in keys),
        "books": numbers(key.book for key in keys),
        "sources": texts(key.source for key in keys),
        "order_ids": texts(key.order_id for key in keys),
    }
