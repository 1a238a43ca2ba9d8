"""Real shops' orders, replayed: what the system says was sold equals a count of the file by a database's own rules."""

from collections import Counter
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.ingest.v1 import event_pb2, settings_pb2
from touchstone.reporting.v1 import report_service_pb2 as pb

from services.chassis.callers import Caller, set_caller
from services.chassis.database import open_database
from services.chassis.follow import Entry
from services.chassis.migrations import migrate
from services.reporting import follower
from services.reporting.servicer import ReportServicer
from tests.realdata import cdnow, online_retail, replay

MIGRATIONS = Path(follower.__file__).parent / "migrations"
DATASETS = Path(__file__).parents[3] / "shared" / "datasets"
INVOICES = DATASETS / "uci_online_retail" / "online_retail.csv.gz"
RECORDS = DATASETS / "cdnow" / "CDNOW_sample.txt"
BATCH = 1_000
LAST_MONTHS = date(2011, 7, 1)
LAST_WEEKS = date(2011, 11, 14)
"""The whole of the files is replayed by `python -m tests.realdata`."""

pytestmark = pytest.mark.skipif(not DATASETS.is_dir(), reason="the public data sets are not here")


@pytest.fixture
async def engine(database_url: str) -> AsyncEngine:
    await migrate(database_url, schema="reporting_1", scripts=MIGRATIONS)
    engine = open_database(database_url, schema="reporting_1")
    yield engine
    await engine.dispose()


@pytest.fixture
def servicer(engine) -> ReportServicer:
    async def parked_of(_tenant_id: str) -> int:
        return 0

    set_caller(Caller(subject="test", tenant_id=replay.TENANT, scopes=frozenset({"reports:read"})))
    return ReportServicer(lambda: engine, parked_of)


def test_the_wholesalers_invoices():
    """What `online_retail` says of cancellations is kept: refunds where the order is known, else cancelled orders."""
    counted = replay.counted(
        replay.decided(replay.logged(online_retail.events(INVOICES, LAST_MONTHS))), online_retail.ZONE
    )
    expected = online_retail.counted(INVOICES, LAST_MONTHS)
    assert counted.sold == expected.sold
    assert counted.cancelled == expected.cancelled
    assert counted.products == expected.products
    assert counted.customers == expected.customers
    # There was something to get wrong.
    assert sum(units for _, units, _, _ in counted.products.values()) > 0
    assert counted.total[2] < counted.total[1]


def test_the_record_shops_customers():
    counted = replay.counted(replay.decided(replay.logged(cdnow.events(RECORDS))), cdnow.ZONE)
    expected = cdnow.counted(RECORDS)
    assert counted == expected
    assert (len(counted.customers), counted.total[0]) == (2357, 6919)


async def test_reports_over_the_last_weeks_of_the_wholesaler(engine, servicer):
    settings = settings_pb2.TenantSettings(time_zone=online_retail.ZONE.key, currency_code=online_retail.CURRENCY)
    told = event_pb2.LoggedEvent(tenant_id=replay.TENANT, event=event_pb2.Event(settings=settings))
    credits_ = replay.decided(replay.logged(online_retail.events(INVOICES, LAST_WEEKS)))
    async with engine.begin() as connection:
        await follower.apply_events(connection, 0, [Entry(1, told)])
    entries = [Entry(position, one) for position, one in enumerate(credits_, start=1)]
    for start in range(0, len(entries), BATCH):
        async with engine.begin() as connection:
            await follower.apply_credits(connection, 0, entries[start : start + BATCH])
    expected = online_retail.counted(INVOICES, LAST_WEEKS)

    days = await _rows(servicer, "day", "store_orders", "store_revenue", "store_net_revenue")
    assert {date.fromisoformat(day): row for day, row in days.items()} == expected.sold
    excluded = await _rows(servicer, "day", "excluded_orders", "excluded_amount")
    cancelled = {day: row[:2] for day, row in expected.cancelled.items()}
    assert {date.fromisoformat(day): row for day, row in excluded.items()} == cancelled
    products = await _rows(servicer, "sku", "units", "refunded_units", "product_revenue", "product_net_revenue")
    assert products == expected.products

    request = pb.GetStatementRequest(start_date=str(LAST_WEEKS), end_date="2011-12-31")
    statement = (await servicer.GetStatement(request, None)).statement
    orders, gross, net = expected.total
    assert (statement.unattributed.orders, statement.unattributed.amount.micros) == (orders, gross)
    assert statement.unattributed.net.micros == net
    excluded_orders = Counter({one.reason: one.orders for one in statement.excluded})
    assert excluded_orders == {"CANCELLED": sum(orders for orders, _, _ in expected.cancelled.values())}
    assert (statement.difference.orders, statement.difference.amount.micros, statement.difference.net.micros) == (
        0,
        0,
        0,
    )


async def _rows(servicer: ReportServicer, dimension: str, *metrics: str) -> dict[str, tuple[int, ...]]:
    """The rows of a report, all pages of it."""
    rows: dict[str, tuple[int, ...]] = {}
    request = pb.RunReportRequest(
        metrics=metrics, dimensions=[dimension], start_date=str(LAST_WEEKS), end_date="2011-12-31", page_size=2_000
    )
    while True:
        page = await servicer.RunReport(request, None)
        for row in page.rows:
            values = (row.metrics[name] for name in metrics)
            rows[row.dimensions[dimension]] = tuple(one.money.micros or one.count for one in values)
        request.page_token = page.next_page_token
        if not page.next_page_token:
            return rows


def test_what_only_one_of_the_counts_is_told_makes_them_differ(tmp_path):
    lines = RECORDS.read_text().splitlines(keepends=True)[:300]
    one, other = tmp_path / "one.txt", tmp_path / "other.txt"
    one.write_text("".join(lines))
    other.write_text("".join([*lines[:-1], lines[0]]))
    counted = replay.counted(replay.decided(replay.logged(cdnow.events(one))), cdnow.ZONE)
    assert counted == cdnow.counted(one)
    assert counted.sold != cdnow.counted(other).sold
    assert counted.customers != cdnow.counted(other).customers
