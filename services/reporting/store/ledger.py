"""Keeps the ledger's rows: what changed of orders whose day may have been over, and which rules came when."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.arrays import flags, numbers, texts
from services.reporting.domain.ledger import RulesChange, Standing
from services.reporting.store.facts import StoredFact


class Row(NamedTuple):
    """A change of an order, of which days that may be over show something.

    One of rules that are coming counts from when their edition is complete; of it there is one an order and edition.
    """

    tenant_id: str
    edition: int
    credit_position: int
    source: str
    order_id: str
    order_seconds: int
    of_rules: bool
    cause: int
    cause_position: int
    cause_micros: int
    before: Standing | None
    after: Standing | None
    changed: tuple[str, ...]


_TOLD = """unnest(
           CAST(:tenant_ids AS text[]), CAST(:editions AS bigint[]), CAST(:positions AS bigint[]),
           CAST(:sources AS text[]), CAST(:order_ids AS text[]), CAST(:seconds AS bigint[]),
           CAST(:of_rules AS boolean[]), CAST(:causes AS smallint[]), CAST(:cause_positions AS bigint[]),
           CAST(:cause_micros AS bigint[]), CAST(:befores AS text[]), CAST(:afters AS text[]),
           CAST(:changed AS text[]))
       AS told (tenant_id, edition, credit_position, source, order_id, order_seconds, of_rules, cause,
                cause_position, cause_micros, before, after, changed)"""

_COLUMNS = """tenant_id, edition, credit_position, source, order_id, order_seconds, cause, cause_position,
              cause_micros"""

_VALUES = "CAST(nullif(before, '') AS jsonb), CAST(nullif(after, '') AS jsonb), string_to_array(changed, ',')"

_ADD = text(
    f"""INSERT INTO ledger_entry ({_COLUMNS}, before, after, changed)
        SELECT {_COLUMNS}, {_VALUES} FROM {_TOLD} WHERE NOT of_rules
        ON CONFLICT (tenant_id, source, order_id, credit_position, order_seconds) DO NOTHING"""
)

_FORGET_OF_RULES = text(
    """DELETE FROM ledger_of_rules AS kept
       USING unnest(CAST(:tenant_ids AS text[]), CAST(:editions AS bigint[]), CAST(:sources AS text[]),
                    CAST(:order_ids AS text[])) AS told (tenant_id, edition, source, order_id)
       WHERE kept.tenant_id = told.tenant_id AND kept.edition = told.edition AND kept.source = told.source
         AND kept.order_id = told.order_id"""
)

_ADD_OF_RULES = text(
    f"""INSERT INTO ledger_of_rules (tenant_id, edition, source, order_id, order_seconds, before, after, changed)
        SELECT tenant_id, edition, source, order_id, order_seconds, {_VALUES} FROM {_TOLD} WHERE of_rules"""
)

_ADD_RULES = text(
    """INSERT INTO rules_told (tenant_id, position, receive_micros, is_models, zone_before, zone_after,
                               currency_before, currency_after)
       SELECT * FROM unnest(
           CAST(:tenant_ids AS text[]), CAST(:positions AS bigint[]), CAST(:micros AS bigint[]),
           CAST(:are_models AS boolean[]), CAST(:zones_before AS text[]), CAST(:zones_after AS text[]),
           CAST(:currencies_before AS text[]), CAST(:currencies_after AS text[]))
       ON CONFLICT (tenant_id, position) DO NOTHING"""
)

_ADD_EDITIONS = text(
    """INSERT INTO edition_completed (tenant_id, edition, credit_position)
       SELECT * FROM unnest(CAST(:tenant_ids AS text[]), CAST(:editions AS bigint[]), CAST(:positions AS bigint[]))
       ON CONFLICT (tenant_id, edition) DO NOTHING"""
)

_WITH_COMING = text(
    """SELECT told.tenant_id FROM unnest(CAST(:tenant_ids AS text[]), CAST(:editions AS bigint[]))
           AS told (tenant_id, edition)
       WHERE EXISTS (SELECT FROM order_fact WHERE tenant_id = told.tenant_id AND edition > told.edition)"""
)

# An order is the first from its key on, as in the store of facts: plain equality may go by another index, and read it all.
_IN_ALL_EDITIONS = text(
    """SELECT fact.tenant_id, fact.edition, fact.source, fact.order_id, fact.credit_position, fact.payload
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:sources AS text[]), CAST(:order_ids AS text[]))
           AS told (tenant_id, source, order_id)
       JOIN LATERAL (SELECT edition FROM unnest(CAST(:edition_tenants AS text[]), CAST(:editions AS bigint[]))
                         AS one (tenant_id, edition) WHERE one.tenant_id = told.tenant_id) AS known ON true
       CROSS JOIN LATERAL (
           SELECT tenant_id, edition, source, order_id, credit_position, payload FROM order_fact
           WHERE tenant_id = told.tenant_id
             AND (edition, source, order_id) >= (known.edition, told.source, told.order_id)
           ORDER BY edition, source, order_id LIMIT 1) AS fact
       WHERE (fact.edition, fact.source, fact.order_id) = (known.edition, told.source, told.order_id)"""
)

_EDITIONS = text(
    """SELECT DISTINCT fact.tenant_id, fact.edition
       FROM unnest(CAST(:tenant_ids AS text[])) AS told (tenant_id)
       CROSS JOIN LATERAL (
           WITH RECURSIVE one AS (
               (SELECT edition FROM order_fact WHERE tenant_id = told.tenant_id ORDER BY edition LIMIT 1)
             UNION ALL
               SELECT (SELECT edition FROM order_fact WHERE tenant_id = told.tenant_id AND edition > one.edition
                       ORDER BY edition LIMIT 1) FROM one WHERE one.edition IS NOT NULL)
           SELECT told.tenant_id, edition FROM one WHERE edition IS NOT NULL) AS fact"""
)


async def add(connection: AsyncConnection, rows: Sequence[Row]) -> None:
    """Keeps changes; those that are kept already stay, those of coming rules replace the earlier of the same order."""
    if not rows:
        return
    bound = {
        "tenant_ids": texts(row.tenant_id for row in rows),
        "editions": numbers(row.edition for row in rows),
        "positions": numbers(row.credit_position for row in rows),
        "sources": texts(row.source for row in rows),
        "order_ids": texts(row.order_id for row in rows),
        "seconds": numbers(row.order_seconds for row in rows),
        "of_rules": flags(row.of_rules for row in rows),
        "causes": numbers(row.cause for row in rows),
        "cause_positions": numbers(row.cause_position for row in rows),
        "cause_micros": numbers(row.cause_micros for row in rows),
        "befores": texts(_written(row.before) for row in rows),
        "afters": texts(_written(row.after) for row in rows),
        "changed": texts(",".join(row.changed) for row in rows),
    }
    if any(not row.of_rules for row in rows):
        await connection.execute(_ADD, bound)
    if any(row.of_rules for row in rows):
        await connection.execute(_ADD_OF_RULES, bound)


async def forget_of_rules(connection: AsyncConnection, orders: Iterable[tuple[str, int, str, str]]) -> None:
    """Forgets what coming editions change of some orders, given by tenant, edition, source and id."""
    some = list(orders)
    bound = {
        "tenant_ids": texts(one[0] for one in some),
        "editions": numbers(one[1] for one in some),
        "sources": texts(one[2] for one in some),
        "order_ids": texts(one[3] for one in some),
    }
    await connection.execute(_FORGET_OF_RULES, bound)


async def add_rules(connection: AsyncConnection, rows: Sequence[RulesChange]) -> None:
    """Keeps which rules were told when."""
    bound = {
        "tenant_ids": texts(row.tenant_id for row in rows),
        "positions": numbers(row.position for row in rows),
        "micros": numbers(row.receive_micros for row in rows),
        "are_models": flags(row.is_models for row in rows),
        "zones_before": texts(row.zone_before for row in rows),
        "zones_after": texts(row.zone_after for row in rows),
        "currencies_before": texts(row.currency_before for row in rows),
        "currencies_after": texts(row.currency_after for row in rows),
    }
    await connection.execute(_ADD_RULES, bound)


async def add_editions(connection: AsyncConnection, rows: Sequence[tuple[str, int, int]]) -> None:
    """Keeps at which position of the credit log editions came into force."""
    bound = {
        "tenant_ids": texts(row[0] for row in rows),
        "editions": numbers(row[1] for row in rows),
        "positions": numbers(row[2] for row in rows),
    }
    await connection.execute(_ADD_EDITIONS, bound)


async def with_coming(connection: AsyncConnection, in_force: Mapping[str, int]) -> set[str]:
    """The tenants among those named of whom orders are known in a newer edition than the one in force."""
    bound = {"tenant_ids": texts(in_force), "editions": numbers(in_force.values())}
    return {str(row.tenant_id) for row in await connection.execute(_WITH_COMING, bound)}


async def in_all_editions(connection: AsyncConnection, orders: Iterable[tuple[str, str, str]]) -> list[StoredFact]:
    """The stored facts of orders, given by tenant, source and id, in every edition."""
    some = list(orders)
    tenants = {"tenant_ids": texts(sorted({one[0] for one in some}))}
    editions = [(row.tenant_id, row.edition) for row in await connection.execute(_EDITIONS, tenants)]
    bound = {
        "tenant_ids": texts(one[0] for one in some),
        "sources": texts(one[1] for one in some),
        "order_ids": texts(one[2] for one in some),
        "edition_tenants": texts(one[0] for one in editions),
        "editions": numbers(one[1] for one in editions),
    }
    return [StoredFact(*row) for row in await connection.execute(_IN_ALL_EDITIONS, bound)]


def _written(standing: Standing | None) -> str:
    if standing is None:
        return ""
    # Few models credit several touches: what nearly all lack is not written.
    models = {name: under if under.parts else under[:-1] for name, under in standing.models.items()}
    return json.dumps((*standing[:3], models), ensure_ascii=False, separators=(",", ":"))
