"""The exchange rates that were told, as the log has them."""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.chassis.arrays import texts
from services.ingest.domain.exchange_rates import Key, Rate

_FIND = text(
    """SELECT day, currency_code, base_currency_code, rate
       FROM unnest(CAST(:days AS date[]), CAST(:currency_codes AS text[]), CAST(:bases AS text[]))
           AS told (day, currency_code, base_currency_code)
       JOIN exchange_rate USING (day, currency_code, base_currency_code)
       WHERE tenant_id = :tenant_id"""
)

_STORE = text(
    """INSERT INTO exchange_rate (tenant_id, day, currency_code, base_currency_code, rate)
       SELECT :tenant_id, day, currency_code, base_currency_code, rate
       FROM unnest(
           CAST(:days AS date[]), CAST(:currency_codes AS text[]), CAST(:bases AS text[]), CAST(:rates AS text[])
       ) AS told (day, currency_code, base_currency_code, rate)
       ON CONFLICT (tenant_id, day, currency_code, base_currency_code) DO UPDATE SET rate = excluded.rate"""
)

_LIST = text(
    """SELECT day, currency_code, base_currency_code, rate FROM exchange_rate
       WHERE tenant_id = :tenant_id AND (day, currency_code, base_currency_code) > (:day, :currency_code, :base)
         AND day BETWEEN :first AND :last AND (:only = '' OR currency_code = :only)
       ORDER BY day, currency_code, base_currency_code LIMIT :count"""
)

_BEFORE_ALL = Key(date.min, "", "")


async def find(connection: AsyncConnection, tenant_id: str, rates: Sequence[Rate]) -> dict[Key, str]:
    """What is stored of these."""
    rows = await connection.execute(_FIND, {"tenant_id": tenant_id, **_keys(rates)})
    return {Key(row.day, row.currency_code, row.base_currency_code): row.rate for row in rows}


async def store(connection: AsyncConnection, tenant_id: str, rates: Sequence[Rate]) -> None:
    """Stores rates in the place of those before."""
    values = texts(rate.rate for rate in rates)
    await connection.execute(_STORE, {"tenant_id": tenant_id, "rates": values, **_keys(rates)})


async def list_rates(
    engine: AsyncEngine, tenant_id: str, *, days: tuple[date, date], only: str, after: Key | None, count: int
) -> list[Rate]:
    """Rates of some days, both ends among them, in the sequence of their keys; `only` is a currency, empty for all."""
    start = after or _BEFORE_ALL
    bound = {
        "tenant_id": tenant_id,
        "first": days[0],
        "last": days[1],
        "only": only,
        "day": start.day,
        "currency_code": start.currency_code,
        "base": start.base_currency_code,
        "count": count,
    }
    async with engine.connect() as connection:
        rows = await connection.execute(_LIST, bound)
        return [Rate(Key(row.day, row.currency_code, row.base_currency_code), row.rate) for row in rows]


def _keys(rates: Sequence[Rate]) -> dict[str, str]:
    return {
        "days": texts(rate.key.day.isoformat() for rate in rates),
        "currency_codes": texts(rate.key.currency_code for rate in rates),
        "bases": texts(rate.key.base_currency_code for rate in rates),
    }
