"""Columns in blocks: rows are appended in batches, small blocks merge into large ones, and a column is read whole."""

import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import Final, NamedTuple

from sqlalchemy import LargeBinary, TextClause, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.attribution.store.facts import Row
from services.chassis.arrays import joined, numbers, texts

SEALED: Final = 4
"""The level of blocks that merge no more."""

_SEALED_ROWS: Final = 65_536
"""As soon as unsealed blocks hold as many rows, they become one sealed block."""

_MERGED: Final = 16
"""Blocks of a level that become one of the next."""

_LOOK_EVERY: Final = 64
"""Rows between two looks at what could merge: batches of one row would look each time."""


class Layout(NamedTuple):
    """A table of blocks. Columns hold 8 bytes a row, or nothing when all are 0; `names` are texts a row.

    `lists` hold 8 bytes for each thing that a row lists, all of a row's as many: the last column says how many. The
    first list is always there; the others hold nothing when all are 0.
    """

    table: str
    columns: tuple[str, ...]
    names: int
    lists: tuple[str, ...] = ()

    @property
    def packed(self) -> tuple[str, ...]:
        """Everything that a block has of its rows, in the sequence of `Block.columns`."""
        return (*self.columns, *self.lists, "names")


_TOLD: Final = (
    "occur_time",
    "marks",
    "session",
    "visitor",
    "email",
    "phone",
    "customer",
    "conversation",
    "click",
    "touchpoint",
    "bot_name",
    "agent_id",
    "campaign",
)
"""What touches and steps of conversations tell alike."""

TOUCHES: Final = Layout(
    "touch_block",
    (*_TOLD, "experience_id", "product_count"),
    names=2,
    lists=("products",),
)
"""Touches; names are source and event id."""

STEPS: Final = Layout("step_block", _TOLD, names=2)
"""Steps of conversations; names are source and event id."""

SEEN: Final = Layout(
    "seen_block",
    ("occur_time", "marks", "session", "visitor", "email", "phone", "customer", "click", "product_count"),
    names=0,
    lists=("products",),
)
"""Products seen in the shop, or put in the cart."""

ORDERS: Final = Layout(
    "order_block",
    (
        "order_time",
        "order_key",
        "marks",
        "status",
        "currency",
        "gross_micros",
        "net_micros",
        "gross_without_tax",
        "net_without_tax",
        "gross_without_shipping",
        "net_without_shipping",
        "gross_without_both",
        "net_without_both",
        "session",
        "visitor",
        "email",
        "phone",
        "customer",
        "click",
        "line_count",
    ),
    names=2,
    lists=(
        "line_product",
        "line_variant",
        "line_sku",
        "line_gross",
        "line_tax",
        "line_given_back",
        "line_tax_given_back",
    ),
)
"""Orders, one row for each state that they were in: the last counts. Names are source and order id."""

IDENTIFIERS: Final = Layout("identifier_block", ("told_time", "identifier", "kind", "marks", "person_id"), names=0)
"""Whom identifiers name, one row for each change: the last counts."""

LAYOUTS: Final = (TOUCHES, ORDERS, IDENTIFIERS, STEPS, SEEN)


def table_statements(layout: Layout) -> list[str]:
    """Makes a layout's table. Columns are numbers that don't compress, and are fetched one by one."""
    columns = layout.packed
    stored = "".join(f", {column} bytea STORAGE EXTERNAL NOT NULL" for column in columns)
    return [
        f"""CREATE TABLE IF NOT EXISTS {layout.table} (
                tenant_id text NOT NULL,
                first_row bigint NOT NULL,
                row_count bigint NOT NULL,
                level smallint NOT NULL,
                first_time bigint NOT NULL,
                last_time bigint NOT NULL{stored},
                PRIMARY KEY (tenant_id, first_row))""",
        f"CREATE INDEX IF NOT EXISTS {layout.table}_unsealed ON {layout.table} (tenant_id, level) WHERE level < {SEALED}",
    ]


class Block(NamedTuple):
    """Some rows column by column, in the sequence of `Layout.packed`; the first and the last of their times."""

    row_count: int
    first_time: int
    last_time: int
    columns: tuple[bytes, ...]


def pack(layout: Layout, rows: Sequence[Row]) -> Block:
    """At least one row as a block."""
    times, *others = zip(*((row.time, *row.numbers) for row in rows), strict=True)
    form = struct.Struct(f"<{len(rows)}q")
    packed = [form.pack(*column) if any(column) else b"" for column in (times, *others)]
    for number in range(len(layout.lists)):
        listed = [one for row in rows for one in row.lists[number]]
        packed.append(struct.pack(f"<{len(listed)}q", *listed) if number == 0 or any(listed) else b"")
    names = "".join(f"{name}\0" for row in rows for name in row.names) if layout.names else ""
    return Block(len(rows), min(times), max(times), (*packed, names.encode()))


async def append(connection: AsyncConnection, layout: Layout, rows: Iterable[tuple[str, Row]]) -> None:
    """Appends rows to their tenants' blocks, in the sequence given.

    The caller's transaction is the only one that writes for these tenants: who follows a partition holds its claim.
    """
    by_tenant: dict[str, list[Row]] = {}
    for tenant_id, row in rows:
        by_tenant.setdefault(tenant_id, []).append(row)
    await append_blocks(connection, layout, {tenant_id: pack(layout, mine) for tenant_id, mine in by_tenant.items()})


async def append_blocks(connection: AsyncConnection, layout: Layout, blocks: Mapping[str, Block]) -> None:
    """Appends a block to each tenant's."""
    if not blocks:
        return
    bound: dict[str, object] = {
        "tenant_ids": texts(blocks),
        "row_counts": numbers(block.row_count for block in blocks.values()),
        "first_times": numbers(block.first_time for block in blocks.values()),
        "last_times": numbers(block.last_time for block in blocks.values()),
    }
    packed = joined([column for block in blocks.values() for column in block.columns])
    bound |= {"together": packed.together, "starts": packed.starts, "lengths": packed.lengths}
    appended = (await connection.execute(_append(layout), bound)).all()
    await merge(connection, layout, [one.tenant_id for one in appended if _passes_mark(one.first_row, one.row_count)])


def _passes_mark(first_row: int, row_count: int) -> bool:
    return first_row // _LOOK_EVERY != (first_row + row_count) // _LOOK_EVERY


async def merge(connection: AsyncConnection, layout: Layout, tenant_ids: Sequence[str]) -> None:
    """Makes few large blocks of many small ones, where there are enough of them."""
    if not tenant_ids:
        return
    levels: dict[str, list[tuple[int, int, int]]] = {}
    for tenant_id, *level in await connection.execute(_unsealed(layout), {"tenant_ids": texts(tenant_ids)}):
        levels.setdefault(tenant_id, []).append((level[0], level[1], level[2]))
    merging = [(tenant_id, *chosen) for tenant_id, found in levels.items() if (chosen := _chosen(found))]
    if merging:
        bound = {
            "tenant_ids": texts(tenant_id for tenant_id, *_ in merging),
            "from_levels": numbers(one[1] for one in merging),
            "through_levels": numbers(one[2] for one in merging),
            "to_levels": numbers(one[3] for one in merging),
        }
        await connection.execute(_merge(layout), bound)


def _chosen(levels: Sequence[tuple[int, int, int]]) -> tuple[int, int, int] | None:
    """Which levels become one block, and of which level; None when there is too little of all.

    Blocks of a level are older than those below, so each choice is a run of neighbours.
    """
    if sum(rows for _, _, rows in levels) >= _SEALED_ROWS:
        return 0, SEALED - 1, SEALED
    full = [level for level, blocks, _ in levels if blocks >= _MERGED and level < SEALED - 1]
    return (min(full), min(full), min(full) + 1) if full else None


@cache
def _append(layout: Layout) -> TextClause:
    columns = layout.packed

    def own(index: int) -> str:
        """One of a block's columns, of all that stand one behind the other."""
        place = f"(told.number - 1) * {len(columns)} + {index + 1}"
        return f"substring(:together FROM (CAST(:starts AS int[]))[{place}] FOR (CAST(:lengths AS int[]))[{place}])"

    return text(
        f"""INSERT INTO {layout.table}
                (tenant_id, first_row, row_count, level, first_time, last_time, {", ".join(columns)})
            SELECT told.tenant_id,
                   coalesce((SELECT last.first_row + last.row_count FROM {layout.table} AS last
                             WHERE last.tenant_id = told.tenant_id ORDER BY last.first_row DESC LIMIT 1), 0),
                   told.row_count, 0, told.first_time, told.last_time, {", ".join(map(own, range(len(columns))))}
            FROM unnest(CAST(:tenant_ids AS text[]), CAST(:row_counts AS bigint[]), CAST(:first_times AS bigint[]),
                        CAST(:last_times AS bigint[])) WITH ORDINALITY
                 AS told (tenant_id, row_count, first_time, last_time, number)
            RETURNING tenant_id, first_row, row_count"""
    ).bindparams(bindparam("together", type_=LargeBinary))


@cache
def _unsealed(layout: Layout) -> TextClause:
    return text(
        f"""SELECT tenant_id, level, count(*), CAST(sum(row_count) AS bigint) FROM {layout.table}
            WHERE tenant_id = ANY(CAST(:tenant_ids AS text[])) AND level < {SEALED} GROUP BY tenant_id, level"""
    )


@cache
def _merge(layout: Layout) -> TextClause:

    def filled(column: str, size: str) -> str:
        """A column's blocks one after the other; where one that is 0 in all rows has so many bytes."""
        return f"""CASE WHEN max(octet_length({column})) = 0 THEN ''::bytea
                   ELSE string_agg(CASE WHEN {column} = '' THEN decode(repeat('00', {size}), 'hex')
                                        ELSE {column} END, ''::bytea ORDER BY first_row) END"""

    joined = ", ".join(
        chain(
            (filled(one, "CAST(8 * row_count AS int)") for one in layout.columns),
            (filled(one, f"octet_length({layout.lists[0]})") for one in layout.lists),
            ("string_agg(names, ''::bytea ORDER BY first_row)",),
        )
    )
    return text(
        f"""WITH merging AS (
                SELECT * FROM unnest(CAST(:tenant_ids AS text[]), CAST(:from_levels AS smallint[]),
                                     CAST(:through_levels AS smallint[]), CAST(:to_levels AS smallint[]))
                    AS chosen (tenant_id, from_level, through_level, to_level)),
            gone AS (
                DELETE FROM {layout.table} AS small USING merging
                WHERE small.tenant_id = merging.tenant_id AND small.level < {SEALED}
                  AND small.level BETWEEN merging.from_level AND merging.through_level
                RETURNING small.*, merging.to_level)
            INSERT INTO {layout.table}
                (tenant_id, first_row, row_count, level, first_time, last_time, {", ".join(layout.packed)})
            SELECT tenant_id, min(first_row), sum(row_count), to_level, min(first_time), max(last_time), {joined}
            FROM gone GROUP BY tenant_id, to_level"""
    )
