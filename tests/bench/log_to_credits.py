"""Events a second from the event log to committed credits, where very many are stored and where nothing is."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import grpc
import psycopg
from touchstone.attribution.v1.credit_service_pb2 import ExplainOrderRequest
from touchstone.attribution.v1.credit_service_pb2_grpc import CreditServiceStub

from deploy.local import engines
from services.chassis import keys
from services.chassis.channels import about, open_channel
from services.chassis.tokens import read_token
from tests.bench.figures import Figure
from tests.bench.followers import Append, Followers, followers
from tests.bench.patterns import Shop
from tests.bench.processors import seconds_of
from tests.bench.seeding import check, fill
from tests.bench.shoppers import Party, shuffled_visits
from tests.mesh.running import RunningSystem

STORED_ORDERS = 1_000_000
SHOPS = 4
DAYS = 60
ROUNDS = 3
EVENTS_OF_A_ROUND = 100_000
WARM_UP_EVENTS = 20_000
WANTED_RATE = 5_000
WANTED_RATIO = 0.8
EXPLAINED_OF_A_SHOP = 10
WAIT_SECONDS = 600.0

_DAY = 86_400
_EVENTS_OF_A_VISIT = 10
_AHEAD = 1_000_000
"""Between the numbers of stored parties and of those who come now."""


def shops(parties: int) -> list[Shop]:
    """Tenants whose parties came over the last weeks."""
    each = parties // SHOPS
    begin = int(time.time()) // 3_600 * 3_600 - DAYS * _DAY
    return [
        Shop(f"bench-shop-{number}", number, 8 * number, each, begin, DAYS * _DAY // each) for number in range(SHOPS)
    ]


def arriving(stored: Sequence[Shop], first: int, count: int) -> list[Append]:
    """So many events of people who come now; one in ten is of somebody stored. The same for the same `first`."""
    return [
        Append(shop.partition, [logged.SerializeToString() for logged in _of_shop(shop, first, count // len(stored))])
        for shop in stored
    ]


def _of_shop(shop: Shop, first: int, count: int) -> Any:
    end = shop.begin + shop.parties * shop.pause
    visits = range(first // _EVENTS_OF_A_VISIT, (first + count) // _EVENTS_OF_A_VISIT)
    fresh = [Party(shop.tenant_id, shop.number, _AHEAD + visit, end + visit) for visit in visits]
    # Anybody may come back; what is late is late by days.
    again = [shop.party(visit * 7_919 % shop.parties) for visit in visits]
    recent = max(1, shop.parties // 20)
    late = [shop.party(shop.parties - 1 - visit * 104_729 % recent) for visit in visits]
    return shuffled_visits(fresh, again, late)


def measure(running: Followers, stored: Sequence[Shop], first: int, count: int, postgres: int) -> dict[str, Any]:
    """Appends events and waits until their credits are committed; events a second, and processor time an event.

    Beside them, the pages an event that were written whole to Postgres' log: many tell of a checkpoint not long before.
    """
    appends = arriving(stored, first, count)
    pids = {**running.pids, "postgres": postgres}
    pages, before = whole_pages(running.database_url), seconds_of(pids)
    running.append(appends)
    began = time.monotonic()
    took = running.wait(WAIT_SECONDS) - began
    spent = {name: round((used - before[name]) * 1e6 / count, 1) for name, used in seconds_of(pids).items()}
    return {
        "events/s": count / took,
        "us an event": spent,
        "us in all": round(sum(spent.values()), 1),
        "whole pages an event": round((whole_pages(running.database_url) - pages) / count, 2),
    }


def whole_pages(database_url: str) -> int:
    """How many pages the write-ahead log of all databases has taken whole so far."""
    with psycopg.connect(database_url) as connection:
        return int(connection.execute("SELECT wal_fpi FROM pg_stat_wal").fetchall()[0][0])


def log_to_credits(running: RunningSystem) -> Figure:
    """Both sides in turn, three times, on the Postgres of the running system, which is as one that has run for a while.

    That is: both begin with events that aren't measured; what fits is in memory; and the pages of the filled side's
    indexes were written after the last checkpoint. Right behind a checkpoint it is slower: the whole pages are told. The
    figure is each side's median: what else the machine does meets both alike.
    """
    server = running.state()["database_url"].rpartition("/")[0]
    postgres = running.state()["programs"]["postgres"]["pid"]
    stored, empty = (f"{server}/log_to_credits_{uuid4().hex}" for _ in range(2))
    for url in (stored, empty):
        engines.create_database(url)
    filled = shops(STORED_ORDERS)
    fill(stored, filled)
    for shop in filled:
        check(stored, shop, shop.parties - 1)
    warm(stored)
    runs = run_sides({"empty": empty, "stored": stored}, filled, running.data_dir, postgres)
    beside, value = (median(run["events/s"] for run in runs if run.get("side") == side) for side in ("empty", "stored"))
    return Figure(
        value=value,
        unit="events/s",
        reference=beside,
        ratio=value / beside,
        target=f"{WANTED_RATE}/s and {WANTED_RATIO} of the rate on an empty database",
        met=value >= WANTED_RATE and value / beside >= WANTED_RATIO,
        runs=runs,
    )


def warm(database_url: str) -> None:
    """Reads tables and then indexes into memory, where a server that has run for a while has them, as far as they fit.

    What was just filled would be in the file system's cache, but there are machines whose kernel soon takes it away.
    """
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_prewarm")
        connection.execute(
            """SELECT pg_prewarm(oid) FROM (
                   SELECT oid FROM pg_class
                   WHERE relnamespace IN ('identity_1'::regnamespace, 'attribution_1'::regnamespace)
                     AND relkind IN ('r', 'i') AND relname NOT LIKE 'log_entry%'
                   ORDER BY relkind DESC, relpages) AS kept"""
        )


def run_sides(sides: Mapping[str, str], filled: Sequence[Shop], directory: Path, postgres: int) -> list[dict[str, Any]]:
    """Starts the services on each side's database, lets them warm up, and measures in rounds; the last run explains."""
    with ExitStack() as stack:
        running = {}
        for side, url in sides.items():
            (directory / side).mkdir(exist_ok=True)
            running[side] = stack.enter_context(followers(url, directory / side))
            measure(running[side], filled, 0, WARM_UP_EVENTS, postgres)
        runs = [
            {"side": side, **measure(following, filled, first, EVENTS_OF_A_ROUND, postgres)}
            for first in range(WARM_UP_EVENTS, WARM_UP_EVENTS + ROUNDS * EVENTS_OF_A_ROUND, EVENTS_OF_A_ROUND)
            for side, following in running.items()
        ]
        explained = {side: asyncio.run(explain(one, filled, directory / side)) for side, one in running.items()}
    return [*runs, {"orders explained": explained}]


async def explain(running: Followers, filled: Sequence[Shop], directory: Path) -> int:
    """Asks why some orders' credits are what they are, where they are stored; fails when one doesn't agree."""
    token = read_token(directory / keys.ADMIN_TOKEN)
    agreed = 0
    async with open_channel(running.addresses["attribution"], token=token) as channel:
        for shop in filled:
            for number in range(0, shop.parties, max(1, shop.parties // EXPLAINED_OF_A_SHOP)):
                request = ExplainOrderRequest(order_id=shop.party(number).order_id)
                try:
                    answer = await CreditServiceStub(channel).ExplainOrder(request, metadata=about(shop.tenant_id))
                except grpc.aio.AioRpcError as error:
                    if error.code() is grpc.StatusCode.NOT_FOUND:
                        return 0
                    raise
                assert answer.evidence.agrees_with_stored, f"{request.order_id}: not what is stored"
                agreed += 1
    return agreed
