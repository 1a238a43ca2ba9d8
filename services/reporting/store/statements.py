"""What a statement is composed of, read from the rollups in one look."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.reporting.domain.periods import Period
from services.reporting.domain.statement import Amounts, PartSum
from services.reporting.domain.tenants import Tenant

# Each part is summed from its own cells; that they meet is what the statement shows.
_READ = text(
    """SELECT 'STORE' AS part, currency_code, '' AS name,
              sum(orders) AS orders, sum(gross_micros) AS gross_micros, sum(net_micros) AS net_micros
       FROM store_cell
       WHERE tenant_id = :tenant_id AND edition = :edition AND day BETWEEN :start AND :end
         AND (orders, gross_micros, net_micros) <> (0, 0, 0)
       GROUP BY currency_code
     UNION ALL
       SELECT outcome, currency_code, excluded_reason || tier, sum(orders), sum(gross_micros), sum(net_micros)
       FROM outcome_cell
       WHERE tenant_id = :tenant_id AND edition = :edition AND model IN (:model, '') AND day BETWEEN :start AND :end
         AND (orders, gross_micros, net_micros) <> (0, 0, 0)
       GROUP BY outcome, currency_code, excluded_reason || tier
     UNION ALL
       SELECT 'CHANNEL', currency_code, channel, sum(orders), sum(gross_micros), sum(net_micros)
       FROM (SELECT currency_code, channel, orders, gross_micros, net_micros
             FROM credit_cell
             WHERE tenant_id = :tenant_id AND edition = :edition AND model = :model
               AND day BETWEEN :start AND :end AND contacts = 1 AND (orders, gross_micros, net_micros) <> (0, 0, 0)
           UNION ALL
             SELECT currency_code, channel, max(orders), sum(gross_micros), sum(net_micros)
             FROM credit_cell
             WHERE tenant_id = :tenant_id AND edition = :edition AND model = :model
               AND day BETWEEN :start AND :end AND contacts > 1 AND (orders, gross_micros, net_micros) <> (0, 0, 0)
             GROUP BY day, currency_code, tier, contact_set, channel) AS once
       GROUP BY currency_code, channel"""
)

_READ_OTHER_CURRENCIES = text(
    """SELECT currency_code, sum(orders) AS orders, sum(gross_micros) AS gross_micros, sum(net_micros) AS net_micros
       FROM store_cell
       WHERE tenant_id = :tenant_id AND edition = :edition AND day BETWEEN :start AND :end
         AND currency_code <> ALL(:shown) AND (orders, gross_micros, net_micros) <> (0, 0, 0)
       GROUP BY currency_code ORDER BY currency_code"""
)


async def read_parts(connection: AsyncConnection, tenant: Tenant, model: str, period: Period) -> list[PartSum]:
    """The sums of every part of a period, by currency and name."""
    parameters = {
        "tenant_id": tenant.tenant_id,
        "edition": tenant.book,
        "model": model,
        "start": period.start,
        "end": period.end,
    }
    return [
        PartSum(row.part, row.currency_code, row.name, _amounts(row.orders, row.gross_micros, row.net_micros))
        for row in await connection.execute(_READ, parameters)
    ]


async def read_other_currencies(
    connection: AsyncConnection, tenant: Tenant, period: Period, shown: tuple[str, ...] | None
) -> list[tuple[str, Amounts]]:
    """All orders of a period in other currencies than those shown, by currency; None shows all."""
    if shown is None:
        return []
    parameters = {
        "tenant_id": tenant.tenant_id,
        "edition": tenant.book,
        "start": period.start,
        "end": period.end,
        "shown": list(shown),
    }
    return [
        (row.currency_code, _amounts(row.orders, row.gross_micros, row.net_micros))
        for row in await connection.execute(_READ_OTHER_CURRENCIES, parameters)
    ]


def _amounts(*sums: object) -> Amounts:
    return Amounts(*(int(str(part)) for part in sums))
