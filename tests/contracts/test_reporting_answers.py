"""What reporting answers on a real Postgres, from credits told to figures read."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.attribution.v1 import credit_pb2
from touchstone.ingest.v1 import event_pb2, settings_pb2
from touchstone.reporting.v1 import report_service_pb2 as pb

from services.chassis.callers import Caller, set_caller
from services.chassis.database import open_database
from services.chassis.follow import Entry
from services.chassis.migrations import migrate
from services.kernel.failures import InvalidArgumentError
from services.reporting import background, follower
from services.reporting.domain.cells import ORDER_FAMILIES
from services.reporting.servicer import ReportServicer
from services.reporting.store import tenants
from services.reporting.store.tables import CELLS
from tests.reporting.settling import TABLES, settle

MIGRATIONS = Path(follower.__file__).parent / "migrations"
EUR = 1_000_000
PARKED = {"acme": 3}
PARTITION = 5


@pytest.fixture(scope="module")
async def engine(new_database: Callable[[], str]) -> AsyncEngine:
    url = new_database()
    await migrate(url, schema="reporting_1", scripts=MIGRATIONS)
    engine = open_database(url, schema="reporting_1")
    yield engine
    await engine.dispose()


@pytest.fixture(autouse=True)
async def nothing_told(engine):
    async with engine.begin() as connection:
        for table in (
            "tenant",
            "order_fact",
            "activity_fact",
            "checkpoint",
            *TABLES,
            *(cells.name for cells in CELLS.values()),
        ):
            await connection.execute(text(f"DELETE FROM {table}"))


@pytest.fixture
def servicer(engine) -> ReportServicer:
    async def parked_of(tenant_id: str) -> int:
        return PARKED.get(tenant_id, 0)

    return ReportServicer(lambda: engine, parked_of)


def acting(tenant_id: str = "acme") -> None:
    set_caller(Caller(subject="test", tenant_id=tenant_id, scopes=frozenset({"reports:read"})))


def order(
    order_id: str,
    at: str,
    gross: int,
    *,
    channel: str = "",
    currency: str = "EUR",
    net: int | None = None,
    excluded: str = "REASON_UNSPECIFIED",
    sku: str = "",
    tenant_id: str = "acme",
) -> credit_pb2.OrderCredits:
    """An order of so many units of money, with credit to one touch where a channel is named."""
    told = credit_pb2.OrderCredits(tenant_id=tenant_id)
    told.order.source, told.order.order_id, told.order.currency_code = "shop", order_id, currency
    told.order.order_time.FromDatetime(datetime.fromisoformat(at).replace(tzinfo=UTC))
    told.order.gross_micros, told.order.net_micros = gross * EUR, (gross if net is None else net) * EUR
    told.order.excluded_reason = excluded
    if sku:
        told.order.lines.add(sku=sku, quantity=1, gross_micros=gross * EUR, net_micros=told.order.net_micros)
    said = told.attributions.add(model="conversations", model_version=1, excluded_reason=excluded)
    if channel:
        said.matched_by = credit_pb2.MatchBasis.SESSION
        touch = credit_pb2.Touch(event_id="t", channel=channel, touchpoint="website")
        said.credits.add(touch=touch, gross_micros=told.order.gross_micros, net_micros=told.order.net_micros)
    return told


async def tell(engine: AsyncEngine, *told: credit_pb2.OrderCredits, first: int = 1) -> None:
    async with engine.begin() as connection:
        entries = [Entry(position, one) for position, one in enumerate(told, start=first)]
        await follower.apply_credits(connection, PARTITION, entries)


def complete(edition: int, **models: int) -> credit_pb2.OrderCredits:
    """The entry that puts an edition into force, with its models' versions."""
    told = credit_pb2.OrderCredits(tenant_id="acme", edition=edition, complete=True)
    for model, version in models.items():
        told.attributions.add(model=model, model_version=version)
    return told


def in_edition(edition: int, told: credit_pb2.OrderCredits) -> credit_pb2.OrderCredits:
    told.edition = edition
    return told


async def tell_settings(engine: AsyncEngine, position: int, zone: str, currency: str) -> None:
    told = event_pb2.Event(settings=settings_pb2.TenantSettings(time_zone=zone, currency_code=currency))
    async with engine.begin() as connection:
        entry = Entry(position, event_pb2.LoggedEvent(tenant_id="acme", event=told))
        await follower.apply_events(connection, PARTITION, [entry])


async def report(servicer: ReportServicer, **asked) -> pb.RunReportResponse:
    acting()
    request = pb.RunReportRequest(**({"start_date": "2026-11-01", "end_date": "2026-11-30"} | asked))
    return await servicer.RunReport(request, None)


def table(answer: pb.RunReportResponse, dimensions: list[str], *, compared: bool = False) -> list[tuple]:
    def plain(value):
        kind = value.WhichOneof("value")
        return value.money.micros / EUR if kind == "money" else getattr(value, kind)

    rows = []
    for row in answer.rows:
        metrics = row.compared if compared else row.metrics
        values = tuple(plain(metrics[name]) for name in sorted(metrics))
        rows.append((*(row.dimensions[name] for name in dimensions), *values))
    return rows


async def test_the_statement_puts_every_order_in_one_place(engine, servicer):
    await tell_settings(engine, 1, "Europe/Madrid", "EUR")
    await tell(
        engine,
        order("1", "2026-11-01T10:00:00", 100, channel="CHAT", net=90),
        order("2", "2026-11-02T10:00:00", 50, channel="FAQ"),
        order("3", "2026-11-03T10:00:00", 30),
        order("4", "2026-11-04T10:00:00", 20, excluded="CANCELLED"),
        order("5", "2026-11-05T10:00:00", 10, excluded="TEST"),
        order("6", "2026-11-06T10:00:00", 7_000, currency="JPY", channel="CHAT"),
        order("7", "2026-12-01T10:00:00", 99),
        order("8", "2026-11-02T10:00:00", 99, tenant_id="basalt"),
    )
    acting()
    request = pb.GetStatementRequest(start_date="2026-11-01", end_date="2026-11-30")
    statement = (await servicer.GetStatement(request, None)).statement

    def shown(bucket) -> tuple[int, float, float]:
        return bucket.orders, bucket.amount.micros / EUR, bucket.net.micros / EUR

    assert shown(statement.store) == (5, 210, 200)
    assert shown(statement.attributed) == (2, 150, 140)
    assert [(one.channel, *shown(one)) for one in statement.attributed.by_channel] == [
        ("CHAT", 1, 100, 90),
        ("FAQ", 1, 50, 50),
    ]
    assert [(one.tier, *shown(one)) for one in statement.attributed.by_tier] == [("SESSION", 2, 150, 140)]
    assert shown(statement.unattributed) == (1, 30, 30)
    assert [(one.reason, *shown(one)) for one in statement.excluded] == [("CANCELLED", 1, 20, 20), ("TEST", 1, 10, 10)]
    assert shown(statement.difference) == (0, 0, 0)
    assert statement.difference.amount.currency_code == "EUR"
    assert statement.parked_events == 3
    [yen] = statement.unconverted
    assert yen.store.amount.currency_code == "JPY"
    assert shown(yen.store) == shown(yen.attributed) == (1, 7_000, 7_000)
    assert (statement.metadata.time_zone, statement.metadata.currency_code) == ("Europe/Madrid", "EUR")
    assert (statement.metadata.model, statement.metadata.model_version) == ("conversations", 1)
    assert [(one.orders, one.amount.micros) for one in statement.metadata.unconverted] == [(1, 7_000 * EUR)]
    assert not statement.metadata.HasField("as_of")


async def test_a_statement_of_a_tenant_without_orders_is_all_zero(servicer):
    acting("nobody")
    request = pb.GetStatementRequest(start_date="2026-11-01", end_date="2026-11-30")
    statement = (await servicer.GetStatement(request, None)).statement

    assert (statement.store.orders, statement.store.amount.micros) == (0, 0)
    assert statement.difference.HasField("net")
    assert not statement.unconverted
    assert statement.metadata.time_zone == "UTC"


async def test_another_zone_dates_orders_anew_and_all_at_once(engine, servicer):
    await tell_settings(engine, 1, "UTC", "EUR")
    await tell(engine, order("1", "2026-11-01T23:30:00", 100, channel="CHAT", sku="a"))
    asked = {"metrics": ["store_orders", "attributed_orders", "share_of_store_orders"], "dimensions": ["day"]}
    assert table(await report(servicer, **asked), ["day"]) == [("2026-11-01", 1, 1.0, 1)]

    await tell_settings(engine, 2, "Europe/Madrid", "EUR")
    answer = await report(servicer, **asked)
    assert table(answer, ["day"]) == [("2026-11-01", 1, 1.0, 1)]
    assert answer.metadata.time_zone == "UTC"
    await settle(engine)
    answer = await report(servicer, **asked)
    assert table(answer, ["day"]) == [("2026-11-02", 1, 1.0, 1)]
    assert answer.metadata.time_zone == "Europe/Madrid"

    await tell_settings(engine, 1, "UTC", "EUR")
    assert table(await report(servicer, **asked), ["day"]) == [("2026-11-02", 1, 1.0, 1)]
    await tell(engine, order("1", "2026-11-01T23:30:00", 100, excluded="CANCELLED", sku="a"), first=5)
    assert table(await report(servicer, **asked), ["day"]) == []
    assert table(await report(servicer, metrics=["units"], dimensions=["sku"]), ["sku"]) == []


async def test_a_product_that_was_sold_on_other_days_of_a_week_only_makes_no_row(engine, servicer):
    await tell_settings(engine, 1, "UTC", "EUR")
    sold = (("1", "03", "a"), ("2", "08", "b"), ("3", "01", "c"))
    await tell(engine, *(order(name, f"2026-11-{day}T10:00:00", 10, sku=sku) for name, day, sku in sold))
    asked = {"metrics": ["units"], "dimensions": ["sku"]}

    # Monday to Saturday: what was sold on Sunday is in the sums of the week.
    week = await report(servicer, **asked, start_date="2026-11-02", end_date="2026-11-07")
    assert (table(week, ["sku"]), week.total_size) == ([("a", 1)], 1)


async def test_an_entry_told_again_late_does_not_undo_a_newer_one(engine, servicer):
    await tell_settings(engine, 1, "UTC", "EUR")
    await tell(engine, order("1", "2026-11-01T10:00:00", 100), order("1", "2026-11-01T10:00:00", 60))
    await tell(engine, order("1", "2026-11-01T10:00:00", 100))

    assert table(await report(servicer, metrics=["store_revenue", "store_orders"]), []) == [(1, 60)]


async def test_weeks_months_filters_and_order(engine, servicer):
    await tell_settings(engine, 1, "UTC", "EUR")
    await tell(
        engine,
        order("1", "2026-11-01T10:00:00", 10, channel="CHAT"),
        order("2", "2026-11-02T10:00:00", 20, channel="FAQ"),
        order("3", "2026-11-08T10:00:00", 40, channel="CHAT"),
        order("4", "2026-11-09T10:00:00", 80, channel="NUDGE"),
    )
    revenue = ["attributed_revenue"]

    weeks = await report(servicer, metrics=revenue, dimensions=["week"])
    assert table(weeks, ["week"]) == [("2026-10-26", 10), ("2026-11-02", 60), ("2026-11-09", 80)]
    months = await report(servicer, metrics=revenue, dimensions=["month"])
    assert table(months, ["month"]) == [("2026-11", 150)]
    by_revenue = [pb.OrderBy(metric="attributed_revenue", descending=True)]
    channels = await report(servicer, metrics=revenue, dimensions=["channel"], order_by=by_revenue)
    assert table(channels, ["channel"]) == [("NUDGE", 80), ("CHAT", 50), ("FAQ", 20)]
    filters = [pb.Filter(dimension="channel", values=["CHAT"]), pb.Filter(dimension="week", values=["2026-11-02"])]
    chats = await report(servicer, metrics=revenue, dimensions=["day", "channel"], filters=filters)
    assert table(chats, ["day", "channel"]) == [("2026-11-08", "CHAT", 40)]
    assert chats.totals.metrics["attributed_revenue"].money.micros == 40 * EUR


async def test_pages_meet_and_totals_speak_for_all_of_them(engine, servicer):
    await tell_settings(engine, 1, "UTC", "EUR")
    await tell(engine, *(order(str(n), "2026-11-05T10:00:00", n, sku=f"sku {n:02}") for n in range(1, 12)))
    asked = {
        "metrics": ["product_revenue", "units"],
        "dimensions": ["sku"],
        "order_by": [pb.OrderBy(metric="product_revenue", descending=True)],
    }

    rows, token = [], ""
    while not rows or token:
        page = await report(servicer, **asked, page_size=4, page_token=token)
        assert page.total_size == 11
        assert page.totals.metrics["units"].count == 11
        rows, token = rows + table(page, ["sku"]), page.next_page_token
    assert rows == [(f"sku {n:02}", n, 1) for n in range(11, 0, -1)]

    token = (await report(servicer, **asked, page_size=4)).next_page_token
    with pytest.raises(InvalidArgumentError, match="pageToken"):
        await report(servicer, **(asked | {"metrics": ["product_revenue"]}), page_token=token)


@pytest.mark.parametrize(
    ("comparison", "start", "end", "rows", "then"),
    [
        ("PREVIOUS_PERIOD", "2026-11-03", "2026-11-04", [("2026-11-03", 4), ("2026-11-04", 8)], [1, 2]),
        ("PREVIOUS_YEAR", "2026-11-01", "2026-11-02", [("2026-11-01", 1), ("2026-11-02", 2)], [0, 16]),
        ("PREVIOUS_YEAR", "2024-02-28", "2024-02-29", [("2024-02-28", 64), ("2024-02-29", 128)], [32, 0]),
        ("PREVIOUS_YEAR", "2025-02-27", "2025-03-01", [("2025-02-28", 0)], [64 + 128]),
    ],
)
async def test_each_row_is_compared_with_its_own_days(engine, servicer, comparison, start, end, rows, then):
    await tell_settings(engine, 1, "UTC", "EUR")
    days = ["2026-11-01", "2026-11-02", "2026-11-03", "2026-11-04", "2025-11-02", "2023-02-28", "2024-02-28"]
    days.append("2024-02-29")
    await tell(engine, *(order(day, f"{day}T10:00:00", 1 << index) for index, day in enumerate(days)))

    answer = await report(
        servicer,
        metrics=["store_revenue"],
        dimensions=["day"],
        start_date=start,
        end_date=end,
        compare_to=comparison,
    )

    assert table(answer, ["day"]) == rows
    assert [amount for _, amount in table(answer, ["day"], compared=True)] == then
    assert answer.totals.compared["store_revenue"].money.micros == sum(then) * EUR
    assert answer.metadata.compared_start_date < answer.metadata.start_date


async def test_other_currencies_are_listed_apart(engine, servicer):
    await tell_settings(engine, 1, "UTC", "EUR")
    await tell(
        engine,
        order("1", "2026-11-01T10:00:00", 100, channel="CHAT"),
        order("2", "2026-11-01T10:00:00", 900, channel="CHAT", currency="JPY"),
    )
    metrics = ["attributed_average_order_value", "attributed_revenue", "attributed_orders"]

    plain = await report(servicer, metrics=metrics)
    assert table(plain, []) == [(100, 1, 100)]
    assert [(one.amount.currency_code, one.orders) for one in plain.metadata.unconverted] == [("JPY", 1)]
    apart = await report(servicer, metrics=metrics, dimensions=["currency"])
    assert table(apart, ["currency"]) == [("EUR", 100, 1, 100), ("JPY", 900, 1, 900)]
    assert apart.rows[1].metrics["attributed_revenue"].money.currency_code == "JPY"
    assert apart.totals.metrics["attributed_revenue"].money.micros == 100 * EUR
    assert not apart.metadata.unconverted


async def test_metadata_says_what_the_figures_stand_for(engine, servicer):
    await tell_settings(engine, 1, "Europe/Madrid", "EUR")
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO checkpoint (partition_id, log, log_id, position) VALUES (5, 'events', 'e', 7), (5, 'credits', 'c', 9)"
            )
        )

    answer = await report(servicer, metrics=["share_of_store_revenue"])

    assert not answer.rows[0].metrics
    metadata = answer.metadata
    assert (metadata.time_zone, metadata.start_date, metadata.end_date) == ("Europe/Madrid", "2026-11-01", "2026-11-30")
    assert (metadata.as_of.partition, metadata.as_of.event_position, metadata.as_of.credit_position) == (5, 7, 9)
    assert metadata.as_of.apply_time.seconds
    assert metadata.parked_events == 3


async def test_the_tenants_models_are_those_that_can_be_asked_for(engine, servicer):
    await tell(engine, complete(4, contact=2))

    answer = await report(servicer, metrics=["attributed_orders"], model="contact")
    assert (answer.metadata.model, answer.metadata.model_version) == ("contact", 2)
    for asked in ("", "conversations", "guess"):
        with pytest.raises(InvalidArgumentError, match=r"model: .*there are: contact"):
            await report(servicer, metrics=["attributed_orders"], model=asked)


async def test_a_metric_of_a_model_that_is_not_active_is_no_zero(engine, servicer):
    asked = {"metrics": ["store_orders", "direct_revenue"], "model": "contact"}
    await tell(engine, complete(4, contact=2))
    with pytest.raises(InvalidArgumentError, match=r"metrics\[1\]: .*'recommendation_direct'.*there are: contact"):
        await report(servicer, **asked)

    await tell(engine, complete(5, contact=2, recommendation_direct=1))
    assert (await report(servicer, **asked)).totals.metrics["direct_revenue"].money.micros == 0


async def attributed(servicer) -> list[tuple]:
    return table(await report(servicer, metrics=["attributed_revenue", "store_orders"]), [])


async def count_rows(engine: AsyncEngine, condition: str) -> int:
    tables = ("order_fact", *(CELLS[family].name for family in ORDER_FAMILIES))
    async with engine.connect() as connection:
        counts = [await connection.execute(text(f"SELECT count(*) FROM {one} WHERE {condition}")) for one in tables]
    return sum(one.scalar_one() for one in counts)


async def test_a_coming_edition_is_served_when_it_is_complete_and_all_at_once(engine, servicer):
    await tell_settings(engine, 1, "UTC", "EUR")
    await tell(
        engine,
        order("1", "2026-11-01T10:00:00", 100, channel="CHAT", sku="a"),
        order("2", "2026-11-02T10:00:00", 50, sku="a"),
    )
    await tell(engine, in_edition(9, order("1", "2026-11-01T10:00:00", 100, sku="a")), first=3)
    await tell(engine, in_edition(9, order("2", "2026-11-02T10:00:00", 50, channel="FAQ", sku="a")), first=4)
    assert await attributed(servicer) == [(100, 2)]
    # Another zone while it is coming dates both.
    await tell_settings(engine, 2, "Europe/Madrid", "EUR")
    await tell(engine, order("3", "2026-11-01T23:30:00", 7, channel="CHAT"), first=5)
    await tell(engine, in_edition(9, order("3", "2026-11-01T23:30:00", 7)), complete(9, conversations=2), first=6)

    assert await attributed(servicer) == [(50, 3)]
    await settle(engine)
    assert await attributed(servicer) == [(50, 3)]
    answer = await report(servicer, metrics=["store_orders"], dimensions=["day"])
    assert table(answer, ["day"]) == [("2026-11-01", 1), ("2026-11-02", 2)]
    assert answer.metadata.model_version == 2
    await tell(engine, complete(9, conversations=2), order("2", "2026-11-02T10:00:00", 99, channel="CHAT"), first=7)
    assert await attributed(servicer) == [(50, 3)]
    acting()
    *_, last = [one async for one in servicer.VerifyRollups(pb.VerifyRollupsRequest(), None)]
    assert (last.checked, last.total, last.different_cells) == (3, 3, 0)


async def test_an_edition_that_another_overtakes_has_no_part_in_figures(engine, servicer):
    await tell(engine, order("1", "2026-11-01T10:00:00", 100), in_edition(4, order("1", "2026-11-01T10:00:00", 1)))
    await tell(engine, in_edition(6, order("1", "2026-11-01T10:00:00", 30, channel="CHAT")), first=3)
    await tell_settings(engine, 1, "UTC", "EUR")
    await tell(engine, complete(6, conversations=3), first=4)
    await settle(engine)
    assert await attributed(servicer) == [(30, 1)]


async def test_rows_of_editions_out_of_force_are_deleted_in_pages(engine, servicer, monkeypatch):
    monkeypatch.setattr(background, "_PAGE", 2)
    await tell_settings(engine, 1, "UTC", "EUR")
    for edition, first in ((0, 1), (3, 6), (8, 11)):
        told = [order(str(number), "2026-11-01T10:00:00", 10, channel="CHAT", sku=str(number)) for number in range(5)]
        await tell(engine, *(in_edition(edition, one) for one in told), first=first)
    await tell(engine, complete(8, conversations=1), first=16)
    pages = 0
    while True:
        async with engine.begin() as connection:
            if not await tenants.outdated(connection):
                break
            assert await background.clear_some(connection, PARTITION) == ()
            pages += 1
    assert pages > 3
    assert await count_rows(engine, "edition < 8") == 0
    assert await attributed(servicer) == [(50, 5)]


async def test_the_catalogue_is_listed_in_pages(servicer):
    names, token = [], ""
    while not names or token:
        page = await servicer.ListMetrics(pb.ListMetricsRequest(page_size=10, page_token=token), None)
        names, token = names + [metric.name for metric in page.metrics], page.next_page_token

    assert names == sorted(set(names))
    assert {"store_revenue", "attributed_orders", "assisted_units", "share_of_store_revenue"} <= set(names)


async def test_a_cell_that_is_wrong_is_found(engine, servicer):
    await tell_settings(engine, 1, "UTC", "EUR")
    await tell(engine, order("1", "2026-11-01T10:00:00", 100, channel="CHAT", sku="a"))
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE store_cell SET gross_micros = gross_micros + 1"))
        await connection.execute(text("DELETE FROM credit_cell"))
    acting()

    *_, last = [answer async for answer in servicer.VerifyRollups(pb.VerifyRollupsRequest(), None)]

    assert (last.checked, last.total, last.different_cells) == (1, 1, 2)
    request = pb.GetStatementRequest(start_date="2026-11-01", end_date="2026-11-30")
    statement = (await servicer.GetStatement(request, None)).statement
    assert statement.difference.amount.micros == 1
