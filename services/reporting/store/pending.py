"""What cells of activity count too early: by which fact, and until when it is not to be counted."""

from collections.abc import AsyncIterator, Mapping, Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.arrays import texts
from services.reporting.domain.cells import ActivityCell
from services.reporting.domain.pending import Pending
from services.reporting.store.activities import Key
from services.reporting.store.arrays import array_literal, array_type

_CELL = {name: kind for name, kind in ActivityCell.__annotations__.items() if name != "tenant_id"}
_COLUMNS = {"tenant_id": str, "kind": str, "key": str, **_CELL, "amount": int, "due_nanos": int}

# Each row is looked up by its key: a join might be planned while the table is empty, and kept.
_CLEAR_SOME = text(
    """DELETE FROM activity_pending WHERE ctid = ANY(ARRAY(
           SELECT row.ctid
           FROM unnest(CAST(:tenant_ids AS text[]), CAST(:kinds AS text[]), CAST(:keys AS text[]))
               AS told (tenant_id, kind, key)
           CROSS JOIN LATERAL (
               SELECT ctid FROM activity_pending
               WHERE tenant_id = told.tenant_id AND kind = told.kind AND key = told.key OFFSET 0) AS row))"""
)

_ADD = text(
    f"""INSERT INTO activity_pending ({", ".join(_COLUMNS)})
        SELECT * FROM unnest({", ".join(f"CAST(:{name} AS {array_type(kind)})" for name, kind in _COLUMNS.items())})"""
)

_CLEAR = text("DELETE FROM activity_pending WHERE tenant_id = :tenant_id")

_READ_ALL = text(
    f"""SELECT tenant_id, kind, key, {", ".join(_CELL)}, amount, due_nanos FROM activity_pending
        WHERE tenant_id = :tenant_id"""
)


async def write(connection: AsyncConnection, pending: Mapping[Key, Sequence[Pending]]) -> None:
    """Stores what is pending of some facts in the place of what was; each names a figure at most once."""
    ordered = sorted(pending)
    if not ordered:
        return
    names = zip(*ordered, strict=True)
    parameters = dict(zip(("tenant_ids", "kinds", "keys"), map(texts, names), strict=True))
    await connection.execute(_CLEAR_SOME, parameters)
    await add(connection, pending)


async def add(connection: AsyncConnection, pending: Mapping[Key, Sequence[Pending]]) -> None:
    """Stores what is pending of facts of which nothing was."""
    rows = [(*key, *one.cell[1:], one.amount, one.due_nanos) for key in sorted(pending) for one in pending[key]]
    if not rows:
        return
    columns = zip(_COLUMNS.items(), zip(*rows, strict=True), strict=True)
    await connection.execute(_ADD, {name: array_literal(kind, values) for (name, kind), values in columns})


async def clear(connection: AsyncConnection, tenant_id: str) -> None:
    """Forgets everything that is pending of a tenant."""
    await connection.execute(_CLEAR, {"tenant_id": tenant_id})


async def read_all(connection: AsyncConnection, tenant_id: str) -> AsyncIterator[tuple[Key, Pending]]:
    """Everything that is pending of a tenant."""
    async for row in await connection.stream(_READ_ALL, {"tenant_id": tenant_id}):
        *cell, amount, due_nanos = row[3:]
        yield (row[0], row[1], row[2]), Pending(ActivityCell(row[0], *cell), amount, due_nanos)
