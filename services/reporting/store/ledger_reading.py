"""Reads the ledger: what changed of days that were over, by the time of its cause."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.arrays import numbers, texts
from services.reporting.domain.ledger import RulesChange, Standing, UnderModel
from services.reporting.domain.rate_history import Day, RateChange
from services.reporting.domain.tenants import Tenant

Place = tuple[int, int, str, str, int]
"""Behind which change a page begins: its time, credit position, order, source and the order's time."""


class Found(NamedTuple):
    """A change that is shown, and what it is sorted by."""

    cause_micros: int
    credit_position: int
    order_id: str
    source: str
    order_seconds: int
    day_index: int
    cause: int
    cause_position: int
    is_models: bool
    before: Standing | None
    after: Standing | None


class Rated(NamedTuple):
    """An order that is counted by another rate since a moment, and how it stood then.

    `payload` is what is told of it now: it stood as that says where `stood` is None, for it never changed.
    """

    change: RateChange
    order_id: str
    source: str
    order_seconds: int
    stood: Standing | None
    payload: bytes


_READ = text(
    """WITH entry AS (
           SELECT cause_micros, credit_position, order_id, source, order_seconds, cause, cause_position,
                  false AS is_models, before, after, changed
           FROM ledger_entry
           WHERE tenant_id = :tenant_id AND cause_micros >= :since
             AND order_seconds >= :first AND order_seconds < :last
         UNION ALL
           SELECT rules.receive_micros, completed.credit_position, one.order_id, one.source, one.order_seconds, 4,
                  rules.position, rules.is_models, one.before, one.after, one.changed
           FROM edition_completed AS completed
           CROSS JOIN LATERAL (
               SELECT position, receive_micros, is_models FROM rules_told
               WHERE tenant_id = :tenant_id AND position <= completed.edition
               ORDER BY position DESC LIMIT 1) AS rules
           JOIN ledger_of_rules AS one ON one.tenant_id = :tenant_id AND one.edition = completed.edition
           WHERE completed.tenant_id = :tenant_id AND rules.receive_micros >= :since
             AND order_seconds >= :first AND order_seconds < :last),
       dated AS (SELECT entry.*, width_bucket(order_seconds, CAST(:starts AS bigint[])) AS day_index FROM entry)
       SELECT cause_micros, credit_position, order_id, source, order_seconds, day_index, cause, cause_position,
              is_models, before, after
       FROM dated
       WHERE changed && ARRAY['*', :model] AND cause_micros >= 1000000 * (CAST(:ends AS bigint[]))[day_index]
         AND (cause_micros, credit_position, order_id, source, order_seconds)
             > (:after_micros, :after_position, :after_order_id, :after_source, :after_seconds)
       ORDER BY cause_micros, credit_position, order_id, source, order_seconds
       LIMIT :count"""
)

_READ_RULES = text(
    """SELECT tenant_id, position, receive_micros, is_models, zone_before, zone_after, currency_before, currency_after
       FROM rules_told
       WHERE tenant_id = :tenant_id AND receive_micros >= :since
         AND (zone_before, currency_before) <> (zone_after, currency_after)
       ORDER BY position"""
)

# How an order stood before a moment: as the last change left it, or as the next one found it, be it of the moment; where there is
# neither it stands as it did. What is told of it now is looked up as the first from its key on: see `facts`.
_READ_RATED = text(
    """SELECT change.place, placed.order_id, placed.source, placed.order_seconds,
              coalesce(earlier.stood, later.stood) AS stood, fact.payload
       FROM unnest(CAST(:places AS int[]), CAST(:micros AS bigint[]), CAST(:currency_codes AS text[]),
                   CAST(:starts AS bigint[]), CAST(:ends AS bigint[]))
           AS change (place, micros, currency_code, start, until)
       JOIN foreign_order AS placed
         ON placed.tenant_id = :tenant_id AND placed.currency_code = change.currency_code AND placed.book = :book
        AND placed.order_seconds >= change.start AND placed.order_seconds < change.until
       CROSS JOIN LATERAL (
           SELECT edition, source, order_id, payload FROM order_fact
           WHERE tenant_id = :tenant_id AND (edition, source, order_id) >= (CAST(:edition AS bigint), placed.source, placed.order_id)
           ORDER BY edition, source, order_id LIMIT 1) AS fact
       LEFT JOIN LATERAL (
           SELECT jsonb_build_array(after) AS stood FROM ledger_entry
           WHERE tenant_id = :tenant_id AND source = placed.source AND order_id = placed.order_id
             AND order_seconds = placed.order_seconds AND cause_micros < change.micros
           ORDER BY cause_micros DESC, credit_position DESC LIMIT 1) AS earlier ON true
       LEFT JOIN LATERAL (
           SELECT jsonb_build_array(before) AS stood FROM ledger_entry
           WHERE tenant_id = :tenant_id AND source = placed.source AND order_id = placed.order_id
             AND order_seconds = placed.order_seconds AND cause_micros >= change.micros
           ORDER BY cause_micros, credit_position LIMIT 1) AS later ON true
       WHERE (change.micros, 0, placed.order_id, placed.source, placed.order_seconds)
               > (:after_micros, :after_position, :after_order_id, :after_source, :after_seconds)
         AND (fact.edition, fact.source, fact.order_id) = (CAST(:edition AS bigint), placed.source, placed.order_id)
         AND coalesce(earlier.stood, later.stood, '[0]') <> '[null]'
       ORDER BY change.micros, placed.order_id, placed.source, placed.order_seconds
       LIMIT :count"""
)


async def read(
    connection: AsyncConnection,
    tenant_id: str,
    model: str,
    days: Sequence[Day],
    *,
    since_micros: int,
    after: Place,
    count: int,
) -> list[Found]:
    """Some changes of the figures of days, each with the seconds at which it begins and ends, made after they ended."""
    micros, position, order_id, source, seconds = after
    bound = {
        "tenant_id": tenant_id,
        "model": model,
        "since": since_micros,
        "first": days[0][1],
        "last": days[-1][2],
        "starts": numbers(start for _, start, _ in days),
        "ends": numbers(end for _, _, end in days),
        "after_micros": micros,
        "after_position": position,
        "after_order_id": order_id,
        "after_source": source,
        "after_seconds": seconds,
        "count": count,
    }
    return [
        Found(
            row.cause_micros,
            row.credit_position,
            row.order_id,
            row.source,
            row.order_seconds,
            row.day_index - 1,
            row.cause,
            row.cause_position,
            row.is_models,
            _read(row.before),
            _read(row.after),
        )
        for row in await connection.execute(_READ, bound)
    ]


async def read_rules(connection: AsyncConnection, tenant_id: str, since_micros: int) -> list[RulesChange]:
    """Changes of the zone or the currency."""
    bound = {"tenant_id": tenant_id, "since": since_micros}
    return [RulesChange(*row) for row in await connection.execute(_READ_RULES, bound)]


async def read_rated(
    connection: AsyncConnection,
    tenant: Tenant,
    days: Sequence[Day],
    changes: Sequence[RateChange],
    *,
    after: Place,
    count: int,
) -> list[Rated]:
    """Some orders of days, each with the seconds at which it begins and ends, that changes of rates concern."""
    micros, position, order_id, source, seconds = after
    bound = {
        "tenant_id": tenant.tenant_id,
        "edition": tenant.edition,
        "book": tenant.book,
        "places": numbers(range(len(changes))),
        "micros": numbers(change.receive_micros for change in changes),
        "currency_codes": texts(change.currency_code for change in changes),
        "starts": numbers(days[change.day_index][1] for change in changes),
        "ends": numbers(days[change.day_index][2] for change in changes),
        "after_micros": micros,
        "after_position": position,
        "after_order_id": order_id,
        "after_source": source,
        "after_seconds": seconds,
        "count": count,
    }
    return [
        Rated(
            changes[row.place],
            row.order_id,
            row.source,
            row.order_seconds,
            _read(row.stood[0]) if row.stood else None,
            row.payload,
        )
        for row in await connection.execute(_READ_RATED, bound)
    ]


def _read(told: list[Any] | None) -> Standing | None:
    if told is None:
        return None
    currency_code, gross, net, models = told
    return Standing(currency_code, gross, net, {name: _under(under) for name, under in models.items()})


def _under(told: list[Any]) -> UnderModel:
    outcome, reason, tier, channels, gross, net, *several = told
    parts = tuple([(own, left) for own, left in several[0]]) if several else ()
    return UnderModel(outcome, reason, tier, tuple(channels), gross, net, parts)
