"""What records show of conversations and of runs through journeys, a row a fact."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.arrays import texts
from services.reporting.domain.activity_records import ActivityRecord, ConversationRecord, RunRecord
from services.reporting.store.activities import Key
from services.reporting.store.arrays import array_literal, array_type


class _Table(NamedTuple):
    """The statements of a table, which has a column for each field of a record."""

    record: type[ActivityRecord]
    columns: Mapping[str, object]
    read: TextClause
    write: TextClause
    delete: TextClause


def _table(name: str, record: type[ActivityRecord]) -> _Table:
    columns = {"tenant_id": str, "key": str, **record.__annotations__}
    arrays = ", ".join(f"CAST(:{column} AS {array_type(kind)})" for column, kind in columns.items())
    return _Table(
        record=record,
        columns=columns,
        read=text(f"SELECT key, {', '.join(record._fields)} FROM {name} WHERE tenant_id = :tenant_id"),
        write=text(
            f"""INSERT INTO {name} ({", ".join(columns)}) SELECT * FROM unnest({arrays})
                ON CONFLICT (tenant_id, key) DO UPDATE
                SET {", ".join(f"{column} = excluded.{column}" for column in record._fields)}"""
        ),
        # Each row is looked up by its key: a join might be planned while the table is empty, and kept.
        delete=text(
            f"""DELETE FROM {name} WHERE ctid = ANY(ARRAY(
                   SELECT row.ctid
                   FROM unnest(CAST(:tenant_ids AS text[]), CAST(:keys AS text[])) AS told (tenant_id, key)
                   CROSS JOIN LATERAL (
                       SELECT ctid FROM {name} WHERE tenant_id = told.tenant_id AND key = told.key OFFSET 0) AS row))"""
        ),
    )


_TABLES = {
    "conversation": _table("conversation_record", ConversationRecord),
    "journey": _table("journey_record", RunRecord),
}
"""By kind of fact."""


async def write(connection: AsyncConnection, records: Mapping[Key, ActivityRecord | None]) -> None:
    """Stores the records of facts in the place of older ones; a fact that is not shown has none."""
    rows: dict[str, list[tuple[object, ...]]] = defaultdict(list)
    hidden: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for tenant_id, kind, key in sorted(records):
        record = records[tenant_id, kind, key]
        if record is None:
            hidden[kind].append((tenant_id, key))
        else:
            rows[kind].append((tenant_id, key, *record))
    for kind, of_kind in rows.items():
        table = _TABLES[kind]
        values = zip(table.columns.items(), zip(*of_kind, strict=True), strict=True)
        await connection.execute(table.write, {name: array_literal(type_, column) for (name, type_), column in values})
    for kind, keys in hidden.items():
        tenant_ids, names = zip(*keys, strict=True)
        await connection.execute(_TABLES[kind].delete, {"tenant_ids": texts(tenant_ids), "keys": texts(names)})


async def read_all(connection: AsyncConnection, tenant_id: str) -> AsyncIterator[tuple[Key, ActivityRecord]]:
    """Every record of a tenant."""
    for kind, table in _TABLES.items():
        async for key, *fields in await connection.stream(table.read, {"tenant_id": tenant_id}):
            yield (tenant_id, kind, key), table.record(*fields)
