"""Live figures on a real Postgres: what is committed is pushed, with and without wake-ups."""

import asyncio
import math
from collections.abc import Callable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.attribution.v1 import credit_pb2
from touchstone.ingest.v1 import event_pb2, settings_pb2
from touchstone.reporting.v1 import live_service_pb2 as pb

from services.chassis.callers import Caller, set_caller
from services.chassis.database import open_database
from services.chassis.follow import Entry
from services.chassis.migrations import migrate
from services.chassis.wakeups import Wakeups
from services.kernel.failures import InvalidArgumentError, UnauthenticatedError
from services.reporting import answers, background, follower
from services.reporting import live as live_module
from services.reporting.live import Live
from services.reporting.live_servicer import LiveServicer

MIGRATIONS = Path(follower.__file__).parent / "migrations"
EUR = 1_000_000
PARTITION = 5
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()


@pytest.fixture(scope="module")
async def database(new_database: Callable[[], str]) -> AsyncEngine:
    url = new_database()
    await migrate(url, schema="reporting_1", scripts=MIGRATIONS)
    engine = open_database(url, schema="reporting_1")
    yield engine
    await engine.dispose()


@pytest.fixture
async def engine(database: AsyncEngine) -> AsyncEngine:
    told = settings_pb2.TenantSettings(time_zone="Europe/Madrid", currency_code="EUR")
    async with database.begin() as connection:
        found = await connection.execute(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'reporting_1' AND tablename NOT LIKE 'alembic%'")
        )
        tables = [name for (name,) in found if name not in {"claim", "log_identity"}]
        await connection.execute(text(f"TRUNCATE {', '.join(tables)}"))
        logged = event_pb2.LoggedEvent(tenant_id="acme", event=event_pb2.Event(settings=told))
        await follower.apply_events(connection, PARTITION, [Entry(1, logged)])
    return database


@asynccontextmanager
async def live_of(engine, redis_url=None):
    wakeups = Wakeups(redis_url)
    live = Live(wakeups, lambda partitions: answers.positions(engine, partitions), lambda: NOW)
    yield live
    await live.close()
    await wakeups.close()


@asynccontextmanager
async def watching(engine, live, *, expire_time=math.inf, **asked):
    async def parked_of(_tenant_id):
        return 2

    set_caller(Caller(subject="test", tenant_id="acme", scopes=frozenset({"reports:read"}), expire_time=expire_time))
    servicer = LiveServicer(lambda: engine, parked_of, live, lambda: NOW)
    async with aclosing(servicer.WatchFigures(pb.WatchFiguresRequest(**asked), None)) as told:

        async def following():
            while True:
                response = await asyncio.wait_for(anext(told), 5)
                if response.HasField("figures"):
                    return response

        yield following


async def sell(engine, live, position, *, day=20, channel=4):
    """An order of ten euros at eleven o'clock, committed as the chassis does."""
    told = credit_pb2.OrderCredits(tenant_id="acme")
    told.order.source, told.order.order_id, told.order.currency_code = "shop", str(position), "EUR"
    told.order.order_time.CopyFrom(Timestamp(seconds=int(datetime(2026, 11, day, 11, tzinfo=UTC).timestamp())))
    told.order.gross_micros = told.order.net_micros = 10 * EUR
    said = told.attributions.add(model="conversations", model_version=1, matched_by=1)
    said.credits.add(touch=credit_pb2.Touch(channel=channel), gross_micros=10 * EUR, net_micros=10 * EUR)
    async with engine.begin() as connection:
        apply = live.noting(follower.apply_credits) if live else follower.apply_credits
        await apply(connection, PARTITION, [Entry(position, told)])
        await connection.execute(
            text(
                "INSERT INTO checkpoint (partition_id, log, log_id, position) VALUES (:partition, 'credits', 'c', :position)"
                " ON CONFLICT (partition_id, log) DO UPDATE SET position = excluded.position"
            ),
            {"partition": PARTITION, "position": position},
        )
    if live:
        live.committed(PARTITION)


def shown(response):
    metrics = response.figures.totals.metrics
    by_channel = {row.dimensions["channel"]: row.metrics["attributed_orders"].count for row in response.by_channel}
    return metrics["store_orders"].count, metrics["attributed_revenue"].money.micros // EUR, by_channel


async def test_what_is_committed_is_pushed_at_once(engine, monkeypatch):
    monkeypatch.setattr(live_module, "POLL", 60.0)
    async with live_of(engine) as live, watching(engine, live) as following:
        first = await following()
        assert shown(first) == (0, 0, {})
        assert (first.figures.metadata.start_date, first.figures.metadata.parked_events) == ("2026-11-20", 2)
        await sell(engine, live, 7)
        then = await following()
        assert shown(then) == (1, 10, {"MESSAGING": 1})
        assert then.event_id.startswith("0-7-")

        async with watching(engine, live, after=then.event_id) as again:
            await sell(engine, live, 8)
            assert shown(await again())[:2] == shown(await following())[:2] == (2, 20)


async def test_who_watches_is_cut_off_when_the_token_expires_and_goes_on_without_loss(engine, monkeypatch):
    monkeypatch.setattr(live_module, "POLL", 60.0)
    async with live_of(engine) as live:
        async with watching(engine, live, expire_time=NOW + 0.2) as following:
            last = await following()
            with pytest.raises(UnauthenticatedError, match="expired"):
                await following()
        await sell(engine, live, 7)
        async with watching(engine, live, after=last.event_id) as again:
            assert shown(await again())[:2] == (1, 10)


async def test_what_another_process_commits_is_seen_without_redis(engine, monkeypatch):
    monkeypatch.setattr(live_module, "POLL", 0.1)
    async with live_of(engine) as live, watching(engine, live, metrics=["store_orders"]) as following:
        await following()
        await sell(engine, None, 7)
        assert (await following()).figures.totals.metrics["store_orders"].count == 1


async def test_what_another_process_commits_wakes_through_redis(engine, redis_url, monkeypatch):
    async with live_of(engine, redis_url) as here, live_of(engine, redis_url) as there:
        monkeypatch.setattr(live_module, "POLL", 0.2)
        async with watching(engine, here, metrics=["store_orders"]) as following:
            await following()
            await asyncio.sleep(1.5)
            monkeypatch.setattr(live_module, "POLL", 60.0)
            await asyncio.sleep(0.3)
            await sell(engine, there, 7)
            assert (await following()).figures.totals.metrics["store_orders"].count == 1


async def test_how_far_figures_are_counted_anew_is_pushed_until_they_are(engine, monkeypatch):
    monkeypatch.setattr(live_module, "POLL", 0.05)
    monkeypatch.setattr(background, "COUNTED_AT_ONCE", 1)
    moved = settings_pb2.TenantSettings(time_zone="Pacific/Apia", currency_code="EUR")
    async with live_of(engine) as live, watching(engine, live, metrics=["store_orders"]) as following:
        await sell(engine, live, 7)
        while (await following()).figures.totals.metrics["store_orders"].count < 1:
            pass
        logged = event_pb2.LoggedEvent(tenant_id="acme", event=event_pb2.Event(settings=moved))
        async with engine.begin() as connection:
            await live.noting(follower.apply_events)(connection, PARTITION, [Entry(2, logged)])
        live.committed(PARTITION)
        told = []
        while not told or told[-1].HasField("recount"):
            told.append((await following()).figures.metadata)
            async with engine.begin() as connection:
                await background.count_some(connection, PARTITION)
    assert {(one.time_zone, one.recount.time_zone) for one in told[:-1]} == {("Europe/Madrid", "Pacific/Apia")}
    assert max(one.recount.done for one in told[:-1]) == 1
    assert told[-1].time_zone == "Pacific/Apia"


async def test_presets_end_today_and_dates_stand_alone(engine):
    async with live_of(engine) as live:
        await sell(engine, live, 7, day=15)
        for asked, orders in (
            ({"preset": 1}, 0),
            ({"preset": 2}, 1),
            ({"start_date": "2026-11-15", "end_date": "2026-11-15"}, 1),
        ):
            async with watching(engine, live, metrics=["store_orders"], **asked) as following:
                assert (await following()).figures.totals.metrics["store_orders"].count == orders


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"dimensions": ["day"]}, "dimensions"),
        ({"metrics": ["none"]}, "metrics"),
        ({"model": "none"}, "model"),
        ({"preset": 1, "start_date": "2026-11-15", "end_date": "2026-11-15"}, "preset"),
        ({"start_date": "2026-11-15"}, "endDate"),
        ({"page_size": -1}, "pageSize"),
        ({"after": "x" * 300}, "after"),
    ],
)
async def test_what_can_not_be_watched_is_refused(engine, asked, field):
    async with live_of(engine) as live:
        with pytest.raises(InvalidArgumentError, match=field):
            async with watching(engine, live, **asked) as following:
                await following()
