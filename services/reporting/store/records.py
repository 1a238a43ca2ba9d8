"""Records as Postgres reads them: counted, in pages, in rows, or as lines of CSV."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final

from psycopg import AsyncClientCursor
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.reporting.domain.records import CREDITS, ORDERS, Asked, Column, Is, spans
from services.reporting.domain.tenants import Tenant
from services.reporting.store.copying import lines

_ROWS_AT_ONCE: Final = 2_000

# What a model says of an order is looked up once; without OFFSET it would be for every column.
_SOURCES: Final = {
    ORDERS.name: """SELECT order_seconds AS order_time, source, order_id, display_number, status, currency_code,
                           gross_micros AS amount, net_micros AS net, tax_micros AS tax, shipping_micros AS shipping,
                           CASE WHEN COALESCE(said ->> 'r', excluded_reason) <> '' THEN 'EXCLUDED'
                                WHEN said ->> 'g' IS NOT NULL THEN 'ATTRIBUTED' ELSE 'UNATTRIBUTED' END AS outcome,
                           COALESCE(said ->> 'r', excluded_reason) AS reason, COALESCE(said ->> 't', '') AS tier,
                           COALESCE(said ->> 's', '') AS channels,
                           COALESCE(jsonb_array_length(said -> 'c'), 0) AS credits,
                           CAST(said ->> 'g' AS bigint) AS attributed, CAST(said ->> 'n' AS bigint) AS attributed_net
                    FROM (SELECT *, models -> CAST(:model AS text) AS said FROM order_fact
                          WHERE tenant_id = :tenant_id AND edition = :edition AND ({when}) AND {behind}
                          ORDER BY order_seconds, source, order_id OFFSET 0) AS placed""",
    CREDITS.name: """SELECT order_seconds AS order_time, source, order_id, CAST(place AS int) AS place,
                            COALESCE(said ->> 't', '') AS tier, CAST(credit ->> 0 AS bigint) AS touch_time,
                            credit ->> 1 AS channel, credit ->> 2 AS touchpoint, credit ->> 3 AS conversation_id,
                            credit ->> 4 AS bot, credit ->> 5 AS agent, credit ->> 6 AS campaign,
                            credit ->> 7 AS event_id, credit ->> 8 AS line_id, CAST(credit ->> 9 AS bigint) AS fraction,
                            currency_code, CAST(credit ->> 10 AS bigint) AS amount, CAST(credit ->> 11 AS bigint) AS net
                     FROM (SELECT *, models -> CAST(:model AS text) AS said FROM order_fact
                           WHERE tenant_id = :tenant_id AND edition = :edition AND ({when}) AND {behind}
                             AND models -> CAST(:model AS text) -> 'c' IS NOT NULL
                           ORDER BY order_seconds, source, order_id OFFSET 0) AS placed
                     CROSS JOIN LATERAL jsonb_array_elements(said -> 'c') WITH ORDINALITY AS earned (credit, place)""",
}
"""Where records come from, by kind. `when` and `behind` are conditions on the facts themselves, which an index answers."""

# All orders of a period are counted from an index alone.
_COUNT_ORDERS: Final = """SELECT count(*) FROM order_fact
                          WHERE tenant_id = :tenant_id AND edition = :edition AND ({when}) AND {behind}"""

_LISTS: Final = {"channels": "string_to_array(channels, ',') && CAST(:channels AS text[])"}
"""Columns that hold several values."""

# A value that a spreadsheet would take for a formula gets an apostrophe before it: those that begin with a tab, a
# carriage return, or one of + - = @.
_CSV: Final = {
    Is.TEXT: "CASE WHEN ascii({0}) NOT IN (0, 9, 13, 43, 45, 61, 64) THEN {0} WHEN {0} = '' THEN NULL ELSE '''' || {0} END",
    Is.WORD: "NULLIF({0}, '')",
    Is.MOMENT: "to_timestamp({0})",
    Is.MONEY: "{0} / CAST(1000000 AS float8)",
    Is.COUNT: "{0}",
    Is.FRACTION: "{0} / CAST(1000000 AS float8)",
}

_SET_ZONE = text("SELECT set_config('TimeZone', :zone, true)")


class Reading:
    """Records of a tenant that are asked for, behind a key or from the first on."""

    def __init__(self, tenant: Tenant, asked: Asked, after: Sequence[object] | None = None) -> None:
        self._kind = asked.kind
        self._zone = tenant.time_zone
        self._bound: dict[str, Any] = {
            "tenant_id": tenant.tenant_id,
            "edition": tenant.edition,
            "model": asked.model,
            **{name: list(values) for name, values in asked.filters.items()},
            **{f"key_{place}": value for place, value in enumerate(after or ())},
        }
        within = spans(asked.period, tenant.zone)
        when = " OR ".join(f"order_seconds >= {start} AND order_seconds < {end}" for start, end in within) or "false"
        conditions = [_LISTS.get(name, f"{name} = ANY(CAST(:{name} AS text[]))") for name in asked.filters]
        behind = "true"
        if after is not None:
            # Of the order that the key is of, the credits behind it are still to come.
            among = ">" if self._kind is ORDERS else ">="
            behind = f"(order_seconds, source, order_id) {among} (:key_0, :key_1, :key_2)"
            keys = ", ".join(self._kind.keys)
            conditions.append(f"({keys}) > ({', '.join(f':key_{place}' for place in range(len(after)))})")
        source = _SOURCES[self._kind.name].format(when=when, behind=behind)
        self._from = f"({source}) AS record WHERE {' AND '.join(conditions) or 'true'}"
        self._order = f"ORDER BY {', '.join(self._kind.keys)}"
        if self._kind is ORDERS and not asked.filters:
            self._count = _COUNT_ORDERS.format(when=when, behind=behind)
        else:
            self._count = f"SELECT count(*) FROM {self._from}"

    async def count(self, connection: AsyncConnection) -> int:
        """How many there are."""
        return int((await connection.execute(text(self._count), self._bound)).scalar_one())

    async def page(self, connection: AsyncConnection, size: int) -> list[tuple[Any, ...]]:
        """The first ones, in the columns of their kind."""
        bound = self._bound | {"size": size}
        rows = await connection.execute(text(f"{self._select()} {self._order} LIMIT :size"), bound)
        return [tuple(row) for row in rows]

    async def rows(self, connection: AsyncConnection) -> AsyncGenerator[Sequence[Any], None]:
        """All of them, some thousands at a time, in the columns of their kind."""
        statement = text(f"{self._select()} {self._order}")
        result = await connection.stream(statement, self._bound, execution_options={"yield_per": _ROWS_AT_ONCE})
        try:
            async for part in result.partitions(_ROWS_AT_ONCE):
                yield part
        finally:
            await result.close()

    async def csv(self, connection: AsyncConnection) -> AsyncGenerator[bytes, None]:
        """All of them as lines of CSV, without the columns' names; moments are in the tenant's zone."""
        await connection.execute(_SET_ZONE, {"zone": self._zone})
        columns = ", ".join(_csv_column(column) for column in self._kind.columns)
        statement = f"COPY (SELECT {columns} FROM {self._from} {self._order}) TO STDOUT (FORMAT csv)"
        raw: Any = (await connection.get_raw_connection()).driver_connection
        compiled = text(statement).compile(dialect=connection.dialect)
        async with aclosing(lines(raw, AsyncClientCursor(raw).mogrify(str(compiled), self._bound))) as parts:
            async for part in parts:
                yield part

    def _select(self) -> str:
        return f"SELECT {', '.join(column.name for column in self._kind.columns)} FROM {self._from}"


def _csv_column(column: Column) -> str:
    return _CSV[column.holds].format(column.name)
