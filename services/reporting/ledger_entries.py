"""The ledger's entries: what was kept of orders, and what rates told late make of them, by time."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from services.reporting.domain.conversion import HELD_DAYS, NO_RATE, Rate
from services.reporting.domain.ledger import Cause, Entry, Standing, standing
from services.reporting.domain.rate_history import Day, RateHistory
from services.reporting.domain.tenants import Tenant
from services.reporting.store import conversions, ledger_reading
from services.reporting.store.ledger_reading import Place
from services.reporting.wire.orders import stored_fact_of

FIRST: Final[Place] = (-1, 0, "", "", 0)
"""Before all entries."""


class Asked(NamedTuple):
    """Changes of days under a model, received at a moment or later, in microseconds since 1970; at most so many behind a place."""

    model: str
    days: Sequence[Day]
    since_micros: int
    after: Place
    most: int


async def read(connection: AsyncConnection, tenant: Tenant, asked: Asked) -> list[Entry]:
    """Some changes, by the time of their causes."""
    days, currency = asked.days, tenant.currency_code
    first_day, last_day = days[0][0] - timedelta(days=HELD_DAYS), days[-1][0]
    history = RateHistory(await conversions.read_told(connection, tenant.tenant_id, currency, first_day, last_day))
    kept = await ledger_reading.read(
        connection,
        tenant.tenant_id,
        asked.model,
        days,
        since_micros=asked.since_micros,
        after=asked.after,
        count=asked.most,
    )

    def rate(one: Standing | None, found: ledger_reading.Found) -> Rate:
        if one is None or one.currency_code == currency:
            return NO_RATE
        return history.at(one.currency_code, days[found.day_index][0], found.cause_micros)

    entries = [
        Entry(
            *found[:5],
            days[found.day_index][0],
            Cause(found.cause),
            found.cause_position,
            found.is_models,
            found.before,
            found.after,
            rate(found.before, found),
            rate(found.after, found),
        )
        for found in kept
    ]
    entries += await _rated(connection, tenant, history, asked)
    return sorted(entries, key=lambda entry: entry[:5])[: asked.most]


async def _rated(connection: AsyncConnection, tenant: Tenant, history: RateHistory, asked: Asked) -> list[Entry]:
    changes = history.changes(asked.days, max(asked.since_micros, asked.after[0]))
    if not changes:
        return []
    found = await ledger_reading.read_rated(
        connection, tenant, asked.days, changes, after=asked.after, count=asked.most
    )
    entries: list[Entry] = []
    for one in found:
        stood = one.stood or standing(stored_fact_of(one.payload))
        change = one.change
        entries.append(
            Entry(
                change.receive_micros,
                0,
                one.order_id,
                one.source,
                one.order_seconds,
                asked.days[change.day_index][0],
                None,
                change.position,
                is_models=False,
                before=stood,
                after=stood,
                rate_before=change.before,
                rate_after=change.after,
            )
        )
    return entries
