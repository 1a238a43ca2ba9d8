"""What a coming counting will change of activity, kept until it comes into force."""

import json
from collections.abc import AsyncIterator, Collection, Mapping

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.arrays import numbers, texts
from services.reporting.domain.cells import ActivityCell
from services.reporting.store.activities import Key

_CHUNK = 5_000

_ADD = text(
    """INSERT INTO coming_activity_cell (tenant_id, figure, day, cut_name, cut, amount)
       SELECT * FROM unnest(
           CAST(:tenant_ids AS text[]), CAST(:figures AS text[]), CAST(:days AS date[]), CAST(:cut_names AS text[]),
           CAST(:cuts AS text[]), CAST(:amounts AS bigint[]))
       ON CONFLICT (tenant_id, figure, day, cut_name) DO UPDATE
       SET amount = coming_activity_cell.amount + excluded.amount"""
)

_ADD_FACTS = text(
    """INSERT INTO coming_activity_fact (tenant_id, kind, key)
       SELECT * FROM unnest(CAST(:tenant_ids AS text[]), CAST(:kinds AS text[]), CAST(:keys AS text[]))
       ON CONFLICT (tenant_id, kind, key) DO NOTHING"""
)

_TAKE = text(
    """DELETE FROM coming_activity_cell WHERE tenant_id = :tenant_id AND (figure, day, cut_name) IN (
           SELECT figure, day, cut_name FROM coming_activity_cell WHERE tenant_id = :tenant_id
           ORDER BY figure, day, cut_name LIMIT :count)
       RETURNING tenant_id, figure, day, cut_name, cut, amount"""
)

_TAKE_FACTS = text(
    """DELETE FROM coming_activity_fact WHERE tenant_id = :tenant_id AND (kind, key) IN (
           SELECT kind, key FROM coming_activity_fact WHERE tenant_id = :tenant_id ORDER BY kind, key LIMIT :count)
       RETURNING tenant_id, kind, key"""
)

_CLEAR = (
    text("DELETE FROM coming_activity_cell WHERE tenant_id = ANY(CAST(:tenant_ids AS text[]))"),
    text("DELETE FROM coming_activity_fact WHERE tenant_id = ANY(CAST(:tenant_ids AS text[]))"),
)


async def add(connection: AsyncConnection, amounts: Mapping[ActivityCell, int], facts: Collection[Key]) -> None:
    """Adds to what cells will change by, and names facts of which something else will be shown or awaited."""
    cells = sorted(amounts)
    if cells:
        bound = {
            "tenant_ids": texts(cell.tenant_id for cell in cells),
            "figures": texts(cell.figure for cell in cells),
            "days": texts(cell.day.isoformat() for cell in cells),
            "cut_names": texts(cell.cut_name for cell in cells),
            "cuts": texts(json.dumps(cell[4:]) for cell in cells),
            "amounts": numbers(amounts[cell] for cell in cells),
        }
        await connection.execute(_ADD, bound)
    if facts:
        tenant_ids, kinds, keys = zip(*sorted(facts), strict=True)
        bound = {"tenant_ids": texts(tenant_ids), "kinds": texts(kinds), "keys": texts(keys)}
        await connection.execute(_ADD_FACTS, bound)


async def take_cells(connection: AsyncConnection, tenant_id: str) -> AsyncIterator[dict[ActivityCell, int]]:
    """What cells of a tenant are to change by, in chunks; they are forgotten."""
    while True:
        rows = (await connection.execute(_TAKE, {"tenant_id": tenant_id, "count": _CHUNK})).all()
        if not rows:
            return
        yield {ActivityCell(*row[:4], *json.loads(row[4])): row[5] for row in rows if row[5]}


async def take_facts(connection: AsyncConnection, tenant_id: str) -> AsyncIterator[list[Key]]:
    """The facts of a tenant of which something else is to be shown or awaited, in chunks; they are forgotten."""
    while True:
        rows = (await connection.execute(_TAKE_FACTS, {"tenant_id": tenant_id, "count": _CHUNK})).all()
        if not rows:
            return
        yield [(row[0], row[1], row[2]) for row in rows]


async def clear(connection: AsyncConnection, tenant_ids: Collection[str]) -> None:
    """Forgets what was to come for tenants."""
    for statement in _CLEAR:
        await connection.execute(statement, {"tenant_ids": texts(sorted(tenant_ids))})
