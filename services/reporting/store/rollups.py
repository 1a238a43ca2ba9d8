"""The rollups: sums are added to their cells, and cells are read back to be verified."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from typing import Any

from sqlalchemy import TextClause, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.reporting.domain.cells import (
    MEASURES,
    ORDER_FAMILIES,
    UNREAD,
    Cell,
    Measures,
)
from services.reporting.domain.summaries import summaries
from services.reporting.store.arrays import array_literal, array_type
from services.reporting.store.tables import CELLS

_CELLS_AT_ONCE = 5_000


def _add_statement(family: type[Cell]) -> TextClause:
    """Adds sums to the cells of a family; those that don't exist yet begin with them."""
    table, keys, measures = CELLS[family], family._fields, MEASURES[family]
    name, identity = table.name, (column.name for column in table.primary_key)
    kinds = [*family.__annotations__.values(), *(int for _ in measures)]
    arrays = [f"CAST(:{column} AS {array_type(kind)})" for column, kind in zip((*keys, *measures), kinds, strict=True)]
    return text(
        f"""INSERT INTO {name} ({", ".join((*keys, *measures))}) SELECT * FROM unnest({", ".join(arrays)})
            ON CONFLICT ({", ".join(identity)}) DO UPDATE
            SET {", ".join(f"{measure} = {name}.{measure} + excluded.{measure}" for measure in measures)}"""
    )


_ADD = {family: _add_statement(family) for family in MEASURES}

_CLEAR_ACTIVITY = (
    text("DELETE FROM activity_cell WHERE tenant_id = :tenant_id"),
    text("DELETE FROM activity_summary WHERE tenant_id = :tenant_id"),
)


def _clear_before_statement(family: type[Cell]) -> TextClause:
    """Deletes some cells of older editions."""
    table = CELLS[family]
    keys = ", ".join(column.name for column in table.primary_key)
    return text(
        f"""DELETE FROM {table.name} WHERE tenant_id = :tenant_id AND ({keys}) IN (
                SELECT {keys} FROM {table.name} WHERE tenant_id = :tenant_id AND edition < :edition
                ORDER BY {keys} LIMIT :count)"""
    )


_CLEAR_BEFORE = {family: _clear_before_statement(family) for family in ORDER_FAMILIES}


async def add(connection: AsyncConnection, sums: Mapping[Cell, Measures]) -> None:
    """Adds sums to the rollups, in the sequence of the keys: transactions that meet in a cell meet in that sequence.

    What follows from them for summaries is added too. A cell that comes to nothing stays, all zero, and is read as absent.
    """
    families: dict[type[Cell], list[Cell]] = defaultdict(list)
    sums = {**sums, **summaries(sums)}
    for cell in sums:
        families[type(cell)].append(cell)
    for family, statement in _ADD.items():
        cells = sorted(families.get(family, ()))
        for start in range(0, len(cells), _CELLS_AT_ONCE):
            await connection.execute(statement, _columns(family, cells[start : start + _CELLS_AT_ONCE], sums))


def _columns(family: type[Cell], cells: list[Cell], sums: Mapping[Cell, Measures]) -> dict[str, Any]:
    columns = {
        name: array_literal(kind, values)
        for (name, kind), values in zip(family.__annotations__.items(), zip(*cells, strict=True), strict=True)
    }
    measures = zip(*(sums[cell] for cell in cells), strict=True)
    columns.update({name: array_literal(int, values) for name, values in zip(MEASURES[family], measures, strict=True)})
    return columns


async def clear_activity(connection: AsyncConnection, tenant_id: str) -> None:
    """Empties a tenant's rollups of what is not an order."""
    for statement in _CLEAR_ACTIVITY:
        await connection.execute(statement, {"tenant_id": tenant_id})


async def clear_before(connection: AsyncConnection, tenant_id: str, edition: int, count: int) -> int:
    """Deletes some cells of a tenant's editions before one, of each family; answers how many."""
    bound = {"tenant_id": tenant_id, "edition": edition, "count": count}
    deleted = 0
    for statement in _CLEAR_BEFORE.values():
        deleted += (await connection.execute(statement, bound)).rowcount
    return deleted


async def read(connection: AsyncConnection, tenant_id: str, edition: int) -> AsyncIterator[tuple[Cell, Measures]]:
    """Every cell of a tenant in an edition that is not all zero, of the families that figures are read from."""
    for family, table in CELLS.items():
        if family in UNREAD:
            continue
        mine = table.c.tenant_id == tenant_id
        if "edition" in family._fields:
            mine &= table.c.edition == edition
        rows = await connection.stream(select(table).where(mine))
        keys = len(family._fields)
        async for row in rows:
            if any(row[keys:]):
                yield family(*row[:keys]), tuple(row[keys:])
