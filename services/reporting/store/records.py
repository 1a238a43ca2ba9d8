"""Records as Postgres reads them: counted, in pages, in rows, or as lines of CSV."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final, NamedTuple

from psycopg import AsyncClientCursor
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.reporting.domain.activity_records import CONVERSATIONS, JOURNEYS, TAGS_APART
from services.reporting.domain.records import CREDITS, ORDERS, Asked, Column, Is, spans
from services.reporting.domain.tenants import Tenant
from services.reporting.store.copying import lines

_ROWS_AT_ONCE: Final = 2_000


class _Source(NamedTuple):
    """Where records come from: facts in `table`, in the sequence of `place`, which an index has; the first is the time.

    `select` makes records of facts; `of` are the tenant's facts, and `when` and `behind` further conditions on them.
    `whole` says that each fact is one record.
    """

    table: str
    of: str
    place: tuple[str, ...]
    select: str
    whole: bool = True


_OF_ORDERS: Final = "tenant_id = :tenant_id AND edition = :edition"
_OF_ACTIVITY: Final = "tenant_id = :tenant_id"

# How an order in another currency than the tenant's is counted. Others don't look it up: a join would, for every row.
_OTHER: Final = """CASE WHEN currency_code <> :currency_code THEN (
                          SELECT jsonb_build_object('rate', rate, 'day', to_char(rate_day, 'YYYY-MM-DD'),
                                                    'whole', counted, 'part', counted -> 'm' -> CAST(:model AS text))
                          FROM foreign_order WHERE tenant_id = :tenant_id AND book = :book
                            AND source = fact.source AND order_id = fact.order_id AND counted IS NOT NULL
                      ) END AS other"""


def _counted(name: str, own: str, other: str) -> str:
    return f"CASE WHEN currency_code = :currency_code THEN {own} ELSE CAST(other -> {other} AS bigint) END AS {name}"


_COUNTED_CURRENCY: Final = """CASE WHEN currency_code = :currency_code OR other IS NOT NULL
                                   THEN CAST(:currency_code AS text) ELSE '' END AS counted_currency_code"""
_OF_CREDIT: Final = "'part' -> 'c' -> (CAST(place AS int) - 1) ->> {}"
_RATE: Final = "COALESCE(other ->> 'rate', '') AS exchange_rate, COALESCE(other ->> 'day', '') AS exchange_rate_date"

# What a model says of an order is looked up once; without OFFSET it would be for every column. Where one level stands in
# another, both name the index's sequence: otherwise the outer one's rows would be sorted once more.
_SOURCES: Final = {
    ORDERS.name: _Source(
        table="order_fact",
        of=_OF_ORDERS,
        place=("order_seconds", "source", "order_id"),
        select=f"""SELECT order_seconds AS order_time, source, order_id, display_number, status, currency_code,
                           gross_micros AS amount, net_micros AS net, tax_micros AS tax, shipping_micros AS shipping,
                           CASE WHEN reason <> '' THEN 'EXCLUDED'
                                WHEN attributed IS NOT NULL THEN 'ATTRIBUTED' ELSE 'UNATTRIBUTED' END AS outcome,
                           reason, COALESCE(said ->> 't', '') AS tier, COALESCE(said ->> 's', '') AS channels,
                           COALESCE(jsonb_array_length(said -> 'c'), 0) AS credits, attributed, attributed_net,
                           {_COUNTED_CURRENCY},
                           {_counted("counted_amount", "gross_micros", "'whole' ->> 'g'")},
                           {_counted("counted_net", "net_micros", "'whole' ->> 'n'")},
                           {_counted("counted_attributed", "attributed", "'part' ->> 'g'")},
                           {_counted("counted_attributed_net", "attributed_net", "'part' ->> 'n'")},
                           {_RATE}
                    FROM (SELECT *, COALESCE(said ->> 'r', excluded_reason) AS reason,
                                 CAST(said ->> 'g' AS bigint) AS attributed, CAST(said ->> 'n' AS bigint) AS attributed_net
                          FROM (SELECT *, models -> CAST(:model AS text) AS said, {_OTHER}
                                FROM order_fact AS fact
                                WHERE {{of}} AND ({{when}}) AND {{behind}}
                                ORDER BY order_seconds, source, order_id OFFSET 0) AS told
                          ORDER BY order_seconds, source, order_id OFFSET 0) AS placed""",
    ),
    CREDITS.name: _Source(
        table="order_fact",
        of=_OF_ORDERS,
        place=("order_seconds", "source", "order_id"),
        select=f"""SELECT order_seconds AS order_time, source, order_id, CAST(place AS int) AS place,
                            COALESCE(said ->> 't', '') AS tier, CAST(credit ->> 0 AS bigint) AS touch_time,
                            credit ->> 1 AS channel, credit ->> 2 AS touchpoint, credit ->> 3 AS conversation_id,
                            credit ->> 4 AS bot, credit ->> 5 AS agent, credit ->> 6 AS campaign,
                            credit ->> 7 AS event_id, credit ->> 8 AS line_id, CAST(credit ->> 9 AS bigint) AS fraction,
                            currency_code, CAST(credit ->> 10 AS bigint) AS amount, CAST(credit ->> 11 AS bigint) AS net,
                            {_COUNTED_CURRENCY},
                            {_counted("counted_amount", "CAST(credit ->> 10 AS bigint)", _OF_CREDIT.format(0))},
                            {_counted("counted_net", "CAST(credit ->> 11 AS bigint)", _OF_CREDIT.format(1))},
                            {_RATE}
                     FROM (SELECT *, models -> CAST(:model AS text) AS said, {_OTHER}
                           FROM order_fact AS fact
                           WHERE {{of}} AND ({{when}}) AND {{behind}}
                             AND models -> CAST(:model AS text) -> 'c' IS NOT NULL
                           ORDER BY order_seconds, source, order_id OFFSET 0) AS placed
                     CROSS JOIN LATERAL jsonb_array_elements(said -> 'c') WITH ORDINALITY AS earned (credit, place)""",
        whole=False,
    ),
    # A conversation is abandoned from the moment that its silence has passed, and open until then. The moment is computed
    # once, not for every row.
    CONVERSATIONS.name: _Source(
        table="conversation_record",
        of=_OF_ACTIVITY,
        place=("start_seconds", "key"),
        select="""SELECT start_seconds AS start_time, key AS conversation_id, channel, touchpoint, origin_type, bot, agent,
                         campaign, handled_seconds AS handled_time, options, tags, assigned_seconds AS assigned_time,
                         classification, classification_type, last_message_seconds AS last_message_time, last_message,
                         messages, tag_names,
                         CASE WHEN ended THEN completion ELSE 'OPEN' END AS status,
                         CASE WHEN ended THEN completion_nanos / 1000000000 END AS end_time
                  FROM (SELECT *, completion <> 'ABANDONED'
                                  OR completion_nanos
                                     <= (SELECT CAST(extract(epoch FROM now()) * 1000000000 AS bigint)) AS ended
                        FROM conversation_record WHERE {of} AND ({when}) AND {behind}) AS told""",
    ),
    JOURNEYS.name: _Source(
        table="journey_record",
        of=_OF_ACTIVITY,
        place=("first_seconds", "journey", "run_id"),
        select="""SELECT first_seconds AS first_time, journey, run_id, start_seconds AS start_time,
                         goal_seconds AS goal_time, completed_seconds AS completed_time,
                         cancelled_seconds AS cancelled_time, status, notifications,
                         channels AS notification_channels
                  FROM journey_record WHERE {of} AND ({when}) AND {behind}""",
    ),
}
"""Where records come from, by kind."""

# All facts of a period are counted from an index alone.
_COUNT_FACTS: Final = "SELECT count(*) FROM {table} WHERE {of} AND ({when}) AND {behind}"

_LISTS: Final = {
    name: f"string_to_array({name}, {apart}) && CAST(:{name} AS text[])"
    for name, apart in (
        ("channels", "','"),
        ("notification_channels", "','"),
        ("tag_names", f"chr({ord(TAGS_APART)})"),
    )
}
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
    Is.COUNTED: "{0} / CAST(1000000 AS float8)",
    Is.RATE: "NULLIF({0}, '')",
    Is.DAY: "NULLIF({0}, '')",
}

_SET_ZONE = text("SELECT set_config('TimeZone', :zone, true)")


class Reading:
    """Records of a tenant that are asked for, behind a key or from the first on, and at most `limit` of them."""

    def __init__(
        self, tenant: Tenant, asked: Asked, after: Sequence[object] | None = None, *, limit: int | None = None
    ) -> None:
        self._kind = asked.kind
        self._zone = tenant.time_zone
        self._bound: dict[str, Any] = {
            "tenant_id": tenant.tenant_id,
            "edition": tenant.edition,
            "book": tenant.book,
            "currency_code": tenant.currency_code,
            "model": asked.model,
            **{name: list(values) for name, values in asked.filters.items()},
            **{f"key_{place}": value for place, value in enumerate(after or ())},
        }
        facts = _SOURCES[self._kind.name]
        at, *_ = facts.place
        within = spans(asked.period, tenant.zone)
        when = " OR ".join(f"{at} >= {start} AND {at} < {end}" for start, end in within) or "false"
        conditions = [_LISTS.get(name, f"{name} = ANY(CAST(:{name} AS text[]))") for name in asked.filters]
        behind = "true"
        if after is not None:
            # Of the order that the key is of, the credits behind it are still to come.
            among = ">" if facts.whole else ">="
            behind = f"({', '.join(facts.place)}) {among} ({', '.join(f':key_{n}' for n in range(len(facts.place)))})"
            keys = ", ".join(self._kind.keys)
            conditions.append(f"({keys}) > ({', '.join(f':key_{place}' for place in range(len(after)))})")
        narrowed = {"of": facts.of, "when": when, "behind": behind}
        self._from = f"({facts.select.format(**narrowed)}) AS record WHERE {' AND '.join(conditions) or 'true'}"
        self._order = f"ORDER BY {', '.join(self._kind.keys)}"
        self._limit = "" if limit is None else f" LIMIT {limit}"
        if facts.whole and not asked.filters:
            self._count = _COUNT_FACTS.format(table=facts.table, **narrowed)
        else:
            self._count = f"SELECT count(*) FROM {self._from}"

    async def count(self, connection: AsyncConnection) -> int:
        """How many there are, beyond the limit too."""
        return int((await connection.execute(text(self._count), self._bound)).scalar_one())

    async def page(self, connection: AsyncConnection, size: int) -> list[tuple[Any, ...]]:
        """The first ones, in the columns of their kind."""
        bound = self._bound | {"size": size}
        rows = await connection.execute(text(f"{self._select()} {self._order} LIMIT :size"), bound)
        return [tuple(row) for row in rows]

    async def last_key(self, connection: AsyncConnection, records: int) -> Sequence[object]:
        """Where the last of the first so many records stands; there are as many."""
        keys = ", ".join(self._kind.keys)
        statement = f"SELECT {keys} FROM {self._from} {self._order} OFFSET :before LIMIT 1"
        row = (await connection.execute(text(statement), self._bound | {"before": records - 1})).one()
        return list(row)

    async def rows(self, connection: AsyncConnection) -> AsyncGenerator[Sequence[Any], None]:
        """All of them, some thousands at a time, in the columns of their kind."""
        statement = text(f"{self._select()} {self._order}{self._limit}")
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
        statement = f"COPY (SELECT {columns} FROM {self._from} {self._order}{self._limit}) TO STDOUT (FORMAT csv)"
        raw: Any = (await connection.get_raw_connection()).driver_connection
        compiled = text(statement).compile(dialect=connection.dialect)
        async with aclosing(lines(raw, AsyncClientCursor(raw).mogrify(str(compiled), self._bound))) as parts:
            async for part in parts:
                yield part

    def _select(self) -> str:
        return f"SELECT {', '.join(column.name for column in self._kind.columns)} FROM {self._from}"


def _csv_column(column: Column) -> str:
    return _CSV[column.holds].format(column.name)
