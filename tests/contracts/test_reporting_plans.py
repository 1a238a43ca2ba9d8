"""Which indexes statements go by that must be quick however large a shop has grown: Postgres tells its plans as it runs.

Plans are kept, so they are looked at where they were made while Postgres took every table for an empty one.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from functools import partial

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.attribution.v1 import credit_pb2
from touchstone.ingest.v1 import conversation_pb2, event_pb2, experiment_pb2, settings_pb2
from touchstone.reporting.v1 import report_service_pb2 as pb

from services.chassis.database import open_database
from services.chassis.follow import Entry, Follower
from services.chassis.migrations import migrate
from services.reporting.domain.conversion import NO_RATE
from services.reporting.domain.named_reports import REPORTS
from services.reporting.domain.rate_history import RateChange
from services.reporting.domain.tenants import Tenant
from services.reporting.experiments.summing import count_some
from services.reporting.follower import apply_credits, apply_events
from services.reporting.servicer import ReportServicer
from services.reporting.store import conversions, ledger_reading
from tests.contracts.experimenting import experiment, exposure
from tests.contracts.experimenting import order as bought_by
from tests.contracts.test_reporting_answers import MIGRATIONS, PARTITION, acting, order, tell

SCHEMA = "reporting_1"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
TOLD = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_level": "notice",
    "auto_explain.log_format": "json",
}
BY = {"activity_pending": "activity_pending_by_due"}
"""The index of a table that isn't its primary key's."""


@pytest.fixture
async def plans() -> list[dict]:
    """The plans of the statements that were run, each beside its text."""
    return []


@pytest.fixture
def analysed() -> bool:
    """Whether Postgres knows that the tables are empty; else it knows nothing of them."""
    return True


@pytest.fixture
async def engine(new_database: Callable[[], str], plans: list[dict], analysed: bool) -> AsyncEngine:
    """An engine of one connection, in a schema in which nothing is stored."""
    url = new_database()
    await migrate(url, schema=SCHEMA, scripts=MIGRATIONS)
    with psycopg.connect(url, autocommit=True) as connection:
        if analysed:
            connection.execute("VACUUM ANALYZE")
        for name, value in TOLD.items():
            database = sql.Identifier(connection.info.dbname)
            setting = sql.SQL(name)
            connection.execute(sql.SQL("ALTER DATABASE {} SET {} = {}").format(database, setting, value))
    engine = open_database(url, schema=SCHEMA, pool_size=1)

    def listen(connection, _):
        connection.driver_connection.add_notice_handler(
            lambda notice: plans.append(json.loads(notice.message_primary.partition("plan:")[2]))
        )

    event.listen(engine.sync_engine, "connect", listen)
    yield engine
    await engine.dispose()


def scans(plan: dict) -> Iterator[dict]:
    """The parts of a plan that read a table or an index."""
    if plan["Node Type"].endswith("Scan") and plan.keys() & {"Relation Name", "Index Name"}:
        yield plan
    for part in plan.get("Plans", ()):
        yield from scans(part)


def sold(first: int, count: int) -> list[credit_pb2.OrderCredits]:
    return [
        order(str(number), "2026-11-20T10:00:00", 100, channel="CHAT", sku="MUG")
        for number in range(first, first + count)
    ]


async def test_reports_by_name_read_a_tenants_days_of_each_table(engine, plans):
    async def parked_of(_: str) -> int:
        return 0

    async def ask(name: str) -> list[dict]:
        acting()
        plans.clear()
        await servicer.GetReport(pb.GetReportRequest(report=name), None)
        return [scan for told in plans for scan in scans(told["Plan"])]

    servicer = ReportServicer(lambda: engine, parked_of, lambda: NOW)
    for name in REPORTS:
        await ask(name)
    await tell(engine, *sold(0, 2))
    for name in REPORTS:
        found = await ask(name)
        tables = {scan["Relation Name"] for scan in found}
        assert tables & {"credit_summary", "product_summary", "activity_summary"}, name
        for scan in found:
            table = scan["Relation Name"]
            wanted = BY.get(table, f"{table}_pkey")
            assert (scan.get("Index Name"), name) == (wanted, name), scan
            bound = scan.get("Index Cond", "")
            if table == "activity_pending":
                assert "due_nanos" in bound, bound
            elif table.endswith(("_cell", "_summary")):
                assert "tenant_id" in bound, bound
                # What stands at a moment is summed from the first day on.
                assert "day" in bound or table == "activity_summary", bound


async def test_facts_told_again_are_found_by_their_key_once_there_are_some(engine, plans):
    await tell(engine, *sold(0, 300))
    plans.clear()
    for number in range(12):
        await tell(engine, *sold(10 * number, 2), first=1_000 + 2 * number)

    told = [plan for plan in plans if "INSERT INTO order_fact" in plan["Query Text"]]
    assert len(told) == 12
    for plan in told:
        found = [scan for scan in scans(plan["Plan"]) if scan.get("Relation Name") == "order_fact"]
        assert found
        for scan in found:
            assert scan.get("Index Name") == "order_fact_pkey", scan
            assert "order_id" in scan["Index Cond"], scan


def happened() -> list[event_pb2.Event]:
    """What a shop's first minute tells beside orders: rules, an experiment, conversations, visits, exposures."""
    at = datetime(2026, 11, 20, 10, tzinfo=UTC)
    rules = settings_pb2.TenantSettings(time_zone="Europe/Madrid", currency_code="EUR")
    experiments = experiment_pb2.ExperimentSet(experiments=[experiment()])
    told = [event_pb2.Event(settings=rules), event_pb2.Event(experiments=experiments)]
    for number in range(3):
        said = conversation_pb2.Conversation(conversation_id=f"c{number}", step="MESSAGE", actor="VISITOR")
        told.append(event_pb2.Event(conversation=said))
        told.append(exposure(f"{number}", "plain", 1, visitor=f"v{number}"))
        told.append(event_pb2.Event(storefront={"action": "SESSION_STARTED"}, identifiers={"session_id": f"s{number}"}))
    for number, one in enumerate(told):
        one.event_id = f"e{number}"
        one.occur_time.FromDatetime(at)
    return told


async def applied(apply, entries, connection, partition):
    return await apply(connection, partition, entries)


@pytest.mark.parametrize("analysed", [True, False], ids=["known to be empty", "not known"])
async def test_orders_of_a_changed_rate_are_found_by_their_key(engine, plans):
    tenant = Tenant(tenant_id="acme", partition=PARTITION)
    day, change = (date(2026, 11, 20), 0, 86_400), RateChange("USD", 0, 0, 1, NO_RATE, NO_RATE)
    await tell(engine, *sold(0, 300))
    plans.clear()
    async with engine.connect() as connection:
        for _ in range(12):
            await conversions.read_placed(
                connection, tenant_id="acme", currency_code="USD", after=(0, 0, "", ""), last_seconds=86_400, count=100
            )
            await ledger_reading.read_rated(connection, tenant, [day], [change], after=(0, 0, "", "", 0), count=100)

    found = [scan for told in plans for scan in scans(told["Plan"]) if scan.get("Relation Name") == "order_fact"]
    assert len(found) == 24
    for scan in found:
        assert scan.get("Index Name") == "order_fact_pkey", scan
        assert "order_id" in scan["Index Cond"], scan


@pytest.mark.parametrize("analysed", [True, False], ids=["known to be empty", "not known"])
async def test_in_a_new_shop_nothing_that_is_followed_reads_a_whole_table(engine, plans):
    chassis = Follower(engine=engine, subscriptions=(), on_published=lambda *_: None)
    logged = [event_pb2.LoggedEvent(tenant_id="acme", source="api", event=one) for one in happened()]
    bought = [bought_by(f"{number}", 10, 2, currency="USD", visitor=f"v{number}") for number in range(3)]

    for first in range(1, 800, 100):
        told = [Entry(position, one) for position, one in enumerate(logged, start=first)]
        await chassis.take_turn(PARTITION, partial(applied, apply_events, told))
        for _ in range(2):
            await chassis.take_turn(PARTITION, count_some)
        told = [Entry(position, one) for position, one in enumerate(bought, start=first)]
        await chassis.take_turn(PARTITION, partial(applied, apply_credits, told))
    read = {}
    for told in plans:
        for scan in scans(told["Plan"]):
            read.setdefault(scan.get("Relation Name"), set()).add(scan["Node Type"])
    assert {"order_fact", "activity_fact", "exposure_unit", "person_key", "foreign_order"} <= read.keys()
    # That one has a row for each partition, and is read before anything else.
    assert {table for table, kinds in read.items() if "Seq Scan" in kinds} <= {"claim"}
    looked_up = [told for told in plans if "payload FROM order_fact" in told["Query Text"]]
    named = [told for told in looked_up if "order_identifier" in told["Query Text"]]
    assert named
    for told in looked_up:
        for scan in scans(told["Plan"]):
            if scan.get("Relation Name") == "order_fact":
                assert scan["Index Name"] == "order_fact_pkey", told["Query Text"]
                assert "order_id" in scan["Index Cond"], told["Query Text"]
