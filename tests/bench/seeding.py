"""Fills identity's and attribution's tables with very many shoppers, as the services themselves would have.

The services' own code takes in one party in tables that are otherwise empty; what it wrote and published is the pattern
of all others. A party of which the services say otherwise than the pattern is a failure, not a figure.
"""

import asyncio
import struct
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from select import select
from typing import Any, Final, NamedTuple

import numpy as np
import psycopg
from sqlalchemy.ext.asyncio import AsyncConnection
from touchstone.identity.v1 import people_pb2

from services import attribution, identity, ingest
from services.attribution import follower as attribution_follower
from services.attribution.store.blocks import LAYOUTS, SEALED
from services.chassis.database import close_database, open_database
from services.chassis.follow import Entry
from services.chassis.migrations import migrate
from services.identity import follower as identity_follower
from tests.bench.patterns import FIRST, Chunk, Count, Known, Pattern, Shop, big_endian, position_before, row_pattern
from tests.bench.shoppers import Party, events

_CHUNK: Final = 65_536
_BLOCK_ROWS: Final = 65_536
_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END: Final = b"\xff\xff"
_SCRIPTS: Final = {"identity": Path(identity.__file__).parent, "attribution": Path(attribution.__file__).parent}
_BLOCKS: Final = {f"attribution.{layout.table}": layout for layout in LAYOUTS}


class Written(NamedTuple):
    """What the services made of one party: rows by table with their columns, and the payloads that each published."""

    rows: dict[str, list[tuple[Any, ...]]]
    columns: dict[str, list[tuple[str, str]]]
    published: dict[str, list[bytes]]


async def written(database_url: str, party: Party) -> Written:
    """What the services write and publish when they hear of this party and of nobody else; nothing of it stays."""
    first = position_before(party.number) + 1
    entries = [Entry(position, logged) for position, logged in enumerate(events(party), start=first)]
    found = Written({}, {}, {})
    engines = {name: open_database(database_url, schema=f"{name}_pattern") for name in _SCRIPTS}
    try:
        async with engines["identity"].connect() as people, engines["attribution"].connect() as credits_:
            change = b"".join(await identity_follower.apply(people, 0, entries))
            told = Entry(FIRST + party.number + 1, people_pb2.PeopleChange.FromString(change))
            found.published["identity"] = [change]
            found.published["attribution"] = [
                *await attribution_follower.apply_events(credits_, 0, attribution_follower.Batch(entries)),
                *await attribution_follower.apply_people(credits_, 0, attribution_follower.ChangedPeople([told])),
            ]
            for schema, connection in (("identity", people), ("attribution", credits_)):
                await _read(connection, schema, party.tenant_id, found)
                await connection.rollback()
    finally:
        for engine in engines.values():
            await close_database(engine)
    return found


async def _read(connection: AsyncConnection, schema: str, tenant_id: str, found: Written) -> None:
    tables = await connection.exec_driver_sql(
        """SELECT table_name, array_agg(column_name::text ORDER BY ordinal_position),
                  array_agg(udt_name::text ORDER BY ordinal_position)
           FROM information_schema.columns WHERE table_schema = current_schema() AND is_generated = 'NEVER'
           GROUP BY table_name HAVING 'tenant_id' = ANY(array_agg(column_name::text))"""
    )
    described: Sequence[Any] = tables.all()
    for one in described:
        name, columns = f"{schema}.{one[0]}", list(one[1])
        sequence = " ORDER BY first_row" if name in _BLOCKS else ""
        statement = f"SELECT {', '.join(columns)} FROM {one[0]} WHERE tenant_id = %s{sequence}"
        rows: Sequence[Any] = (await connection.exec_driver_sql(statement, (tenant_id,))).all()
        if kept := [tuple(row) for row in rows]:
            found.rows[name] = kept
            found.columns[name] = list(zip(columns, one[2], strict=True))


def known_of(party: Party, found: Written) -> Known:
    """What of the rows is the party's own."""
    node, person = (
        [name for name, _ in found.columns["identity.identifier"]].index(column) for column in ("node", "person")
    )
    persons: dict[int, list[int]] = {}
    for row in found.rows["identity.identifier"]:
        persons.setdefault(row[person], []).append(row[node])
    return Known(party, persons)


def table_patterns(shop: Shop, found: Written, known: Known) -> dict[str, Pattern]:
    """The pattern of each table's rows; blocks of columns are made otherwise."""
    patterns = {name: Pattern() for name in found.rows if name not in _BLOCKS}
    for name, pattern in patterns.items():
        for row in found.rows[name]:
            row_pattern(pattern, row, found.columns[name], known)
    for service, payloads in found.published.items():
        pattern = patterns[f"{service}.log_entry"] = Pattern()
        for index, payload in enumerate(payloads):
            pattern.add(struct.pack(">hiii", 3, 4, shop.partition, 8))
            pattern.add(bytes(8), big_endian(_log_position(len(payloads), index)))
            pattern.add(struct.pack(">i", len(payload)))
            pattern.search(payload, known.bytes)
    return patterns


def _log_position(count: int, index: int) -> Count:
    return lambda chunk: FIRST + chunk.numbers * count + index + 1


def block_rows(name: str, found: Written, known: Known, chunk: Chunk) -> Iterator[tuple[Any, ...]]:
    """The chunk's blocks of one of attribution's tables of columns."""
    layout = _BLOCKS[name]
    counts = [int(row[2]) for row in found.rows[name]]
    width = sum(counts)
    columns = []
    for place, column in enumerate(layout.columns, start=6):
        values = [
            value
            for row, count in zip(found.rows[name], counts, strict=True)
            for value in (struct.unpack(f"<{count}q", row[place]) if row[place] else (0,) * count)
        ]
        made = np.empty((len(chunk), width), np.int64)
        for index, value in enumerate(values):
            own = known.number(column, value) if value else None
            made[:, index] = own(chunk) if own else value
        columns.append(made.reshape(-1))
    lists = _listed(name, found, chunk)
    ends = np.append(0, np.cumsum(columns[-1])) if layout.lists else np.zeros(len(columns[0]) + 1, np.int64)
    texts = Pattern()
    texts.search(b"".join(bytes(row[-1]) for row in found.rows[name]), known.bytes)
    named = texts.fill(chunk).reshape(len(columns[0]), -1) if layout.names else None
    for start in range(0, len(columns[0]), _BLOCK_ROWS):
        part = slice(start, min(start + _BLOCK_ROWS, len(columns[0])))
        count = part.stop - part.start
        times = columns[0][part]
        yield (
            *(chunk.shop.tenant_id, chunk.first * width + start, count),
            SEALED if count == _BLOCK_ROWS else SEALED - 1,
            *(int(times.min()), int(times.max())),
            *(column[part].tobytes() if column[part].any() else b"" for column in columns),
            *(one[ends[part.start] : ends[part.stop]].tobytes() if one.any() else b"" for one in lists),
            b"" if named is None else named[part].tobytes(),
        )


def _listed(name: str, found: Written, chunk: Chunk) -> list["np.ndarray"]:
    """What the chunk's rows list, one party's after the other's: the same for everybody."""
    layout = _BLOCKS[name]
    lists, first = [], 6 + len(layout.columns)
    for place in range(first, first + len(layout.lists)):
        one = b"".join(bytes(row[place]) or bytes(len(row[first])) for row in found.rows[name])
        lists.append(np.tile(np.frombuffer(one, "<i8"), len(chunk)))
    return lists


async def prepare(database_url: str) -> None:
    """Makes the schemas in which patterns are taken, and those of ingest and of the first generations, still empty."""
    await migrate(database_url, schema="ingest", scripts=Path(ingest.__file__).parent / "migrations")
    for name, scripts in _SCRIPTS.items():
        for schema in (f"{name}_pattern", f"{name}_1"):
            await migrate(database_url, schema=schema, scripts=scripts / "migrations")


def fill(database_url: str, shops: Sequence[Shop]) -> None:
    """Fills the tables of the first generations, and moves heads and checkpoints to where that leaves them.

    The services must not have been started on this database.
    """
    asyncio.run(prepare(database_url))
    sample = asyncio.run(written(database_url, shops[0].party(0))).columns
    columns = {name: [column for column, _ in sample[name]] for name in sorted(sample)}
    columns |= {f"{service}.log_entry": ["partition_id", "position", "payload"] for service in _SCRIPTS}
    tables = list(columns)
    with psycopg.connect(database_url, autocommit=True) as connection:
        indexes = _drop_indexes(connection, tables)
    with ProcessPoolExecutor(2) as pool:
        for done in [
            pool.submit(_fill_tables, database_url, shops, {name: columns[name] for name in share})
            for share in (_FIRST_SHARE, [name for name in tables if name not in _FIRST_SHARE])
        ]:
            done.result()
        for vacuumed in [pool.submit(_run, database_url, f"VACUUM {_table(name)}") for name in tables]:
            vacuumed.result()
        # A page's first change after a checkpoint is written whole. These indexes' pages are as those of a server in
        # the midst between two checkpoints: a short run right after one would measure little else.
        _run(database_url, "CHECKPOINT")
        for made in [pool.submit(_run, database_url, statement) for statement in _longest_first(indexes)]:
            made.result()
        for analyzed in [pool.submit(_run, database_url, f"ANALYZE {_table(name)}") for name in tables]:
            analyzed.result()
    with psycopg.connect(database_url) as connection:
        _move_heads(connection, shops)


_FIRST_SHARE: Final = ["attribution.mention"]
"""Half of the work: as many rows as all other tables have."""


def _fill_tables(database_url: str, shops: Sequence[Shop], tables: Mapping[str, Sequence[str]]) -> None:
    """Each table by one transaction on a connection of its own, so that its rows are frozen from the beginning."""
    with ExitStack() as stack:
        copies = {}
        for name, columns in tables.items():
            connection = stack.enter_context(psycopg.connect(database_url))
            connection.execute(f"TRUNCATE {_table(name)}")
            cursor = stack.enter_context(connection.cursor())
            statement = f"COPY {_table(name)} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY, FREEZE)"
            copy = stack.enter_context(cursor.copy(statement))
            if name in _BLOCKS:
                copy.set_types(_block_types(name))
            else:
                copy.write(_HEADER)
            copies[name] = copy
        for shop in shops:
            party = shop.party(0)
            found = asyncio.run(written(database_url, party))
            known = known_of(party, found)
            patterns = table_patterns(shop, found, known)
            for first in range(0, shop.parties, _CHUNK):
                chunk = Chunk(shop, first, min(_CHUNK, shop.parties - first))
                for name, copy in copies.items():
                    if name in _BLOCKS:
                        for row in block_rows(name, found, known, chunk):
                            copy.write_row(row)
                    else:
                        copy.write(patterns[name].fill(chunk).data)
                    _send(copy.connection)
        for name, copy in copies.items():
            if name not in _BLOCKS:
                copy.write(_END)


def _send(connection: "psycopg.Connection[Any]") -> None:
    """Waits until what was written has left: else all that one program makes waits in its memory."""
    while connection.pgconn.flush():
        select([], [connection.pgconn.socket], [])


def _block_types(name: str) -> list[str]:
    return ["text", "int8", "int8", "int2", "int8", "int8", *["bytea"] * len(_BLOCKS[name].packed)]


def _table(name: str) -> str:
    service, _, table = name.partition(".")
    return f"{service}_1.{table}"


def _drop_indexes(connection: "psycopg.Connection[Any]", tables: Sequence[str]) -> list[str]:
    """Drops the tables' keys and indexes; answers the statements that make them again."""
    statements = []
    for name in tables:
        table = _table(name)
        constraints = connection.execute(
            """SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
               WHERE conrelid = %s::regclass AND contype IN ('p', 'u')""",
            [table],
        ).fetchall()
        for constraint, definition in constraints:
            connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {constraint}")
            statements.append(f"ALTER TABLE {table} ADD CONSTRAINT {constraint} {definition}")
        indexes = connection.execute(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = %s::regclass",
            [table],
        ).fetchall()
        for index, definition in indexes:
            connection.execute(f"DROP INDEX {index}")
            statements.append(definition)
    return statements


def _longest_first(statements: Sequence[str]) -> list[str]:
    return sorted(statements, key=lambda one: ("touch" not in one, one))


def _run(database_url: str, statement: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET maintenance_work_mem = '1GB'")
        connection.execute("SET max_parallel_maintenance_workers = 0")
        connection.execute(statement)


def _move_heads(connection: "psycopg.Connection[Any]", shops: Sequence[Shop]) -> None:
    """The logs end where the shops' parties end, and everybody has followed them so far."""
    for shop in shops:
        heads = {"ingest": position_before(shop.parties)}
        for service in _SCRIPTS:
            row = connection.execute(
                f"SELECT coalesce(max(position), 0) FROM {service}_1.log_entry WHERE partition_id = %s",
                [shop.partition],
            ).fetchone()
            assert row is not None
            heads[service] = int(row[0])
        for schema, position in (
            ("ingest", heads["ingest"]),
            ("identity_1", heads["identity"]),
            ("attribution_1", heads["attribution"]),
        ):
            connection.execute(
                f"UPDATE {schema}.log_head SET position = %s WHERE partition_id = %s", [position, shop.partition]
            )
        for schema, log, of, position in (
            ("identity_1", "events", "ingest", heads["ingest"]),
            ("attribution_1", "events", "ingest", heads["ingest"]),
            ("attribution_1", "people", "identity_1", heads["identity"]),
        ):
            connection.execute(
                f"""INSERT INTO {schema}.checkpoint (partition_id, log, log_id, position)
                    SELECT %s, %s, log_id::text, %s FROM {of}.log_identity""",
                [shop.partition, log, position],
            )


def check(database_url: str, shop: Shop, number: int) -> None:
    """Fails when the services would write otherwise of a party than the pattern does."""
    first, found = (asyncio.run(written(database_url, shop.party(one))) for one in (0, number))
    known, own, chunk = known_of(shop.party(0), first), known_of(shop.party(number), found), Chunk(shop, number, 1)

    def rows(of: Written, of_known: Known, name: str) -> list[bytes]:
        patterns = [Pattern() for _ in of.rows[name]]
        for pattern, row in zip(patterns, of.rows[name], strict=True):
            row_pattern(pattern, row, of.columns[name], of_known)
        return sorted(pattern.fill(chunk).tobytes() for pattern in patterns)

    for name in found.rows.keys() - _BLOCKS.keys():
        assert rows(first, known, name) == rows(found, own, name), f"{name}: not what the services write"
    for name in found.rows.keys() & _BLOCKS.keys():
        [made], [told] = block_rows(name, first, known, chunk), block_rows(name, found, own, chunk)
        assert _numbers(name, made) == _numbers(name, told), f"{name}: not what the services write"


def _numbers(name: str, block: Sequence[Any]) -> list[tuple[int, ...]]:
    """A block's rows without what they list and their names, in a sequence that says nothing."""
    count, columns = block[2], block[6 : 6 + len(_BLOCKS[name].columns)]
    return sorted(zip(*(struct.unpack(f"<{count}q", one) if one else (0,) * count for one in columns), strict=True))
