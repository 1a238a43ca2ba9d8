"""Observations that identity takes in a second with ten million identifiers known, beside the same with none."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from hashlib import md5, sha256
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import grpc
import psycopg
import uvloop
from psycopg import sql
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.ingest.v1 import event_pb2, interaction_pb2, order_pb2
from touchstone.mesh.v1 import log_pb2

from deploy.local import engines
from services.chassis.database import close_database, open_database
from services.chassis.follow import Follower, Subscription
from services.chassis.groups import MOST_ENTRIES
from services.chassis.migrations import migrate
from services.chassis.server import collect_seldom
from services.identity import follower
from services.identity.domain.nodes import node_of
from services.kernel.identifiers import Kind
from tests.bench.figures import Figure
from tests.mesh.running import RunningSystem

PEOPLE = 2_000_000
KINDS = (Kind.SESSION, Kind.VISITOR, Kind.EMAIL, Kind.CUSTOMER, Kind.CONVERSATION)
"""What each of them is known by: five times as many identifiers."""

COMING_BACK = 100_000
VISITS = 32_000
PARTS = 5
WANTED_RATIO = 0.8
TENANT = "acme"
SCHEMA = "identity"

Follow = Callable[[log_pb2.LogBatch], Awaitable[None]]
"""Applies a group of the event log's entries, after those applied before."""

_SEED_TABLE = "CREATE TEMPORARY TABLE somebody (number bigint, {columns})"
_SEED_OTHERS = "INSERT INTO somebody SELECT number, {nodes} FROM generate_series({first}, {last}) number"
_NODE = "(hashtextextended(number::text, {kind}) >> 4 & ((1::bigint << 60) - 1)) << 3 | {kind}"

# Who was seen together lies together, as it does when it is told; people in no order.
_SEED_IDENTIFIERS = """
    INSERT INTO identifier (tenant_id, node, value, region, person, published, hub, emails)
    SELECT '{tenant}', node, value, person, person, true, false, CASE WHEN limited THEN ARRAY[email] ELSE '{{}}' END
    FROM (SELECT *, email AS person FROM somebody ORDER BY hashint8(number)) AS one
    CROSS JOIN LATERAL (VALUES
        (session, md5('1-' || number), false),
        (visitor, md5('2-' || number), true),
        (email, encode(sha256(('3-' || number)::bytea), 'hex'), false),
        (customer, number::text, true),
        (conversation, md5('6-' || number), false)) AS known (node, value, limited)"""

_SEED_OBSERVATIONS = """
    INSERT INTO observation (tenant_id, region, members)
    SELECT '{tenant}', email,
           ARRAY(SELECT node FROM unnest(seen) AS node WHERE node IS NOT NULL ORDER BY node)
    FROM (SELECT * FROM somebody ORDER BY hashint8(number)) AS one
    CROSS JOIN LATERAL (VALUES
        (ARRAY[session, visitor, conversation]), (ARRAY[session, visitor, email, customer])) AS told (seen)"""

# Filled as they would be after growing by values in no order, not as full as an index that was just built.
_KEYS = {
    "identifier": "PRIMARY KEY (tenant_id, node) WITH (fillfactor = 70)",
    "observation": "PRIMARY KEY (tenant_id, region, digest) WITH (fillfactor = 70)",
}


def identity_resolve(running: RunningSystem) -> Figure:
    """The same visits told to both databases, group by group in turn: whatever else the machine does meets both.

    Half of the visits are of new people, half of some who are known: they are among the many in the large database, and
    the only ones in the other, so that both do the same work.
    """
    server = running.state()["database_url"].rpartition("/")[0]
    large, empty = _database(server), _database(server)
    try:
        seconds = _seed(large)
        before = _whole_pages(server)
        with _collecting_seldom():
            runs = uvloop.run(_measure(large, empty))
        whole_pages = _whole_pages(server) - before
    finally:
        _drop(large)
        _drop(empty)
    value, beside = (_rate(runs, side) for side in ("known", "new"))
    return Figure(
        value=value,
        unit="observations/s",
        reference=beside,
        ratio=value / beside,
        target=f"{WANTED_RATIO} of the rate on an empty database, with {PEOPLE * len(KINDS):,} identifiers known",
        met=value / beside >= WANTED_RATIO,
        runs=[{"seeding s": seconds, "pages written whole": whole_pages}, *runs],
    )


def _rate(runs: Sequence[dict[str, Any]], side: str) -> float:
    own = [run for run in runs if run["side"] == side]
    return float(sum(run["observations"] for run in own) / sum(run["seconds"] for run in own))


def _database(server: str) -> str:
    url = f"{server}/identity_{uuid4().hex}"
    engines.create_database(url)
    asyncio.run(migrate(url, schema=SCHEMA, scripts=Path(follower.__file__).parent / "migrations"))
    return url


@contextmanager
def _collecting_seldom() -> Iterator[None]:
    """As in a service's process; afterwards as before."""
    thresholds = gc.get_threshold()
    collect_seldom()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)


def _whole_pages(server: str) -> int:
    """How many pages the write-ahead log has taken whole so far: many in a run tell of a checkpoint in its midst."""
    with psycopg.connect(server, dbname="postgres") as connection:
        return int(connection.execute("SELECT wal_fpi FROM pg_stat_wal").fetchall()[0][0])


def _drop(url: str) -> None:
    with psycopg.connect(url, dbname="postgres", autocommit=True) as connection:
        name = sql.Identifier(url.rpartition("/")[2])
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def value_of(kind: Kind, number: int) -> str:
    """What the person of that number is known by, as it stands in the log."""
    if kind is Kind.CUSTOMER:
        return str(number)
    if kind is Kind.EMAIL:
        return sha256(f"3-{number}".encode()).hexdigest()
    return md5(f"{kind.value}-{number}".encode(), usedforsecurity=False).hexdigest()


def _seed(url: str) -> float:
    """Makes the people: those who come back by their real nodes, the others by numbers as random."""
    began = time.monotonic()
    names = [kind.name.lower() for kind in KINDS]
    nodes = ", ".join(_NODE.format(kind=kind.value) for kind in KINDS)
    with psycopg.connect(url, options=f"-c search_path={SCHEMA} -c maintenance_work_mem=512MB") as connection:
        for table in _KEYS:
            connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey")
        connection.execute(_SEED_TABLE.format(columns=", ".join(f"{name} bigint" for name in names)))
        with connection.cursor().copy("COPY somebody FROM STDIN") as copy:
            for number in range(COMING_BACK):
                copy.write_row([number, *(node_of(kind, value_of(kind, number)) for kind in KINDS)])
        connection.execute(_SEED_OTHERS.format(nodes=nodes, first=COMING_BACK, last=PEOPLE - 1))
        connection.execute(_SEED_IDENTIFIERS.format(tenant=TENANT))
        connection.execute(_SEED_OBSERVATIONS.format(tenant=TENANT))
        connection.commit()
        # A page's first change after a checkpoint is written whole, once in a quarter of an hour. A short run right
        # after one would see little else; these pages are as those of a server that has run for a while. Vacuum changes
        # every page of the tables: it comes first, or all it writes would soon bring about the next checkpoint.
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
        for table, key in _KEYS.items():
            connection.execute(f"ALTER TABLE {table} ADD {key}")
    options = f"-c search_path={SCHEMA} -c enable_seqscan=off -c enable_bitmapscan=off"
    with psycopg.connect(url, options=options, autocommit=True) as connection:
        # A server that has run for a while has its indexes in memory; one that was just built is on disk only. Tables
        # are read as they are asked for.
        for table in _KEYS:
            connection.execute(f"SELECT count(*) FROM {table} WHERE tenant_id = '{TENANT}'")
    return time.monotonic() - began


async def _measure(large: str, empty: str, number: int = 0) -> list[dict[str, Any]]:
    """Applies all as the service does; what each part took on each side. The first part isn't counted."""
    back = Random(number).sample(range(COMING_BACK), VISITS // 2)
    told = list(_in_groups(_visits(back, PEOPLE + number * VISITS)))
    size = -(-len(told) // PARTS)
    parts = [told[start : start + size] for start in range(0, len(told), size)]
    async with _following(large) as to_large, _following(empty) as to_empty:
        for group in _in_groups(entry for who in back for entry in _known_before(who)):
            await to_empty(group)
        runs = [await _take_turns(part, {"known": to_large, "new": to_empty}) for part in parts]
    return [run for part in runs[1:] for run in part]


async def _take_turns(groups: Sequence[log_pb2.LogBatch], sides: Mapping[str, Follow]) -> list[dict[str, Any]]:
    wall, work = dict.fromkeys(sides, 0.0), dict.fromkeys(sides, 0.0)
    order = list(sides)
    for group in groups:
        for side in order:
            began, worked = time.monotonic(), time.process_time()
            await sides[side](group)
            wall[side] += time.monotonic() - began
            work[side] += time.process_time() - worked
        order.reverse()
    count = sum(len(group.entries) for group in groups)
    return [
        {
            "side": side,
            "observations": count,
            "seconds": wall[side],
            "observations/s": count / wall[side],
            "µs of Python each": work[side] / count * 1e6,
        }
        for side in sides
    ]


@asynccontextmanager
async def _following(url: str) -> AsyncIterator[Follow]:
    """Answers what applies a batch of the event log, after those applied before."""
    engine: AsyncEngine = open_database(url, schema=SCHEMA)
    channel = grpc.aio.insecure_channel("127.0.0.1:1")
    subscription = Subscription(
        log="events", channel=channel, method="", message_type=event_pb2.LoggedEvent, apply=follower.apply
    )
    following = Follower(engine=engine, subscriptions=[subscription], on_published=lambda *_: None)
    async with engine.connect() as connection:
        row = await connection.exec_driver_sql("SELECT coalesce(max(position), 0) FROM checkpoint")
        position = int(row.scalar_one())

    async def apply(batch: log_pb2.LogBatch) -> None:
        nonlocal position
        placed = log_pb2.LogBatch(log_id="bench", entries=batch.entries, after_position=position)
        position = placed.through_position = position + len(batch.entries)
        await following.apply(subscription, placed)

    try:
        yield apply
    finally:
        await channel.close()
        await close_database(engine)


def _in_groups(entries: Iterable[bytes]) -> Iterator[log_pb2.LogBatch]:
    """Groups of entries, as large as those of who is behind."""
    told = iter(entries)
    while group := list(islice(told, MOST_ENTRIES)):
        yield log_pb2.LogBatch(entries=group)


def _visits(back: Sequence[int], first: int) -> Iterator[bytes]:
    """By turns by somebody new and by somebody who was here before."""
    for number, who in enumerate(back):
        yield from _visit(first + 2 * number, who)
        yield from _visit(first + 2 * number + 1, first + 2 * number + 1)


def _known_before(who: int) -> Iterator[bytes]:
    """What the large database was seeded with of somebody."""
    value = partial(value_of, number=who)
    seen = {"session_id": value(Kind.SESSION), "visitor_id": value(Kind.VISITOR)}
    chat = interaction_pb2.Interaction(conversation_id=value(Kind.CONVERSATION))
    order = event_pb2.Identifiers(**seen, email=value(Kind.EMAIL), customer_id=value(Kind.CUSTOMER))
    yield _logged(event_pb2.Event(identifiers=event_pb2.Identifiers(**seen), interaction=chat))
    yield _logged(event_pb2.Event(identifiers=order))


def _visit(number: int, who: int) -> Iterator[bytes]:
    """A visit with two messages; every other two with an order."""
    value = partial(value_of, number=who)
    session = value_of(Kind.SESSION, number)
    person = event_pb2.Identifiers(session_id=session, visitor_id=value(Kind.VISITOR))
    conversation = value_of(Kind.CONVERSATION, number)
    chat = event_pb2.Event(identifiers=person, interaction=interaction_pb2.Interaction(conversation_id=conversation))
    yield _logged(chat)
    yield _logged(chat)
    if number % 4 < 2:
        person.email, person.customer_id = value(Kind.EMAIL), value(Kind.CUSTOMER)
        yield _logged(event_pb2.Event(identifiers=person, order=order_pb2.Order(order_id=str(number))))


def _logged(event: event_pb2.Event) -> bytes:
    return event_pb2.LoggedEvent(tenant_id=TENANT, source="shop", event=event).SerializeToString()
