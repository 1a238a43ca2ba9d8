"""The named reports on a real Postgres: totals, days, tables and what narrows them."""

import asyncio
from datetime import UTC, datetime

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError
from touchstone.attribution.v1 import credit_pb2
from touchstone.ingest.v1 import event_pb2, settings_pb2
from touchstone.reporting.v1 import report_service_pb2 as pb
from touchstone.type.v1 import money_pb2

from services.chassis.database import is_transient
from services.chassis.follow import Entry
from services.kernel.failures import InvalidArgumentError, NotFoundError
from services.reporting import follower
from services.reporting.domain.catalogue import METRICS
from services.reporting.domain.definitions import Sum
from services.reporting.domain.named_reports import REPORTS
from services.reporting.servicer import ReportServicer
from services.reporting.store import moments
from tests.contracts.test_reporting_answers import EUR, PARTITION, acting, complete, engine, nothing_told, tell

__all__ = ["engine", "nothing_told"]

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()


@pytest.fixture
def servicer(engine) -> ReportServicer:
    async def parked_of(_: str) -> int:
        return 0

    return ReportServicer(lambda: engine, parked_of, lambda: NOW)


async def ask(servicer: ReportServicer, name: str, **asked) -> pb.GetReportResponse:
    acting()
    return await servicer.GetReport(pb.GetReportRequest(report=name, **asked), None)


async def tell_settings(engine, **told) -> None:
    settings = settings_pb2.TenantSettings(**({"time_zone": "Europe/Madrid", "currency_code": "EUR"} | told))
    async with engine.begin() as connection:
        logged = event_pb2.LoggedEvent(tenant_id="acme", event=event_pb2.Event(settings=settings))
        await follower.apply_events(connection, PARTITION, [Entry(1, logged)])


def sale(order_id: str, at: str, gross: int, *, net: int | None = None, **credited: dict) -> credit_pb2.OrderCredits:
    """An order of one product; each model named credits it to a touch with the fields given."""
    told = credit_pb2.OrderCredits(tenant_id="acme")
    told.order.source, told.order.order_id, told.order.currency_code = "shop", order_id, "EUR"
    told.order.order_time.FromDatetime(datetime.fromisoformat(at).replace(tzinfo=UTC))
    told.order.gross_micros, told.order.net_micros = gross * EUR, (gross if net is None else net) * EUR
    told.order.lines.add(sku="MUG", quantity=2, gross_micros=gross * EUR, net_micros=told.order.net_micros)
    for model in ("contact", "conversations", "personalization", "recommendation_assisted", "recommendation_direct"):
        said = told.attributions.add(model=model, model_version=1)
        if model in credited:
            said.matched_by = credit_pb2.MatchBasis.SESSION
            touch = credit_pb2.Touch(event_id="t", **credited[model])
            said.credits.add(touch=touch, gross_micros=told.order.gross_micros, net_micros=told.order.net_micros)
    return told


CHAT = {"channel": "CHAT", "touchpoint": "website", "agent_id": "ana"}
WHATSAPP = {"channel": "MESSAGING", "touchpoint": "whatsapp", "agent_id": "leo"}


@pytest.fixture
async def november(engine) -> None:
    """Four orders of November, one of October, and two of the November before."""
    await tell_settings(engine, assistant_monthly_cost=money_pb2.Money(currency_code="EUR", micros=300 * EUR))
    await tell(
        engine,
        sale("1", "2026-11-02T10:00:00", 100, contact=CHAT, conversations=CHAT),
        sale("2", "2026-11-02T23:30:00", 50, net=20, contact=WHATSAPP, conversations=WHATSAPP),
        sale("3", "2026-11-10T10:00:00", 30, contact=CHAT),
        sale("4", "2026-11-20T10:00:00", 70),
        sale("5", "2026-10-20T10:00:00", 60, contact=CHAT, conversations=CHAT),
        sale("6", "2025-11-05T10:00:00", 500, conversations=CHAT),
        sale("7", "2025-11-05T11:00:00", 100),
    )


def figure(values, name: str):
    value = values[name]
    kind = value.WhichOneof("value")
    return value.money.micros / EUR if kind == "money" else getattr(value, kind)


def figures(values, *names: str) -> list:
    return [figure(values, name) for name in names]


@pytest.mark.usefixtures("november")
async def test_sales_counts_what_followed_contacts_beside_the_whole_shop(servicer):
    answer = await ask(servicer, "sales", start_date="2026-11-01", end_date="2026-11-20")

    turnover, transactions = "turnover_after_contact", "transactions_after_contact"
    assert figures(answer.totals.metrics, turnover, transactions, "website_turnover") == [180, 3, 250]
    assert figure(answer.totals.metrics, "average_order_value_after_contact") == 60
    # The twenty days before are those from 12 to 31 October.
    assert figures(answer.totals.compared, turnover, "website_turnover") == [60, 60]
    assert answer.totals.change[turnover] == 2
    by_touchpoint, by_agent = answer.tables
    assert [(row.dimensions["touchpoint"], *figures(row.metrics, turnover)) for row in by_touchpoint.rows] == [
        ("website", 130),
        ("whatsapp", 50),
    ]
    assert [(row.dimensions["agent"], *figures(row.metrics, transactions)) for row in by_agent.rows] == [
        ("ana", 2),
        ("leo", 1),
    ]
    assert (answer.metadata.model, answer.metadata.currency_code) == ("contact", "EUR")
    assert answer.metadata.compared_start_date == "2026-10-12"


@pytest.mark.usefixtures("november")
async def test_a_filter_narrows_what_it_can_and_leaves_the_shop_as_it_is(servicer):
    answer = await ask(servicer, "sales", start_date="2026-11-01", end_date="2026-11-20", agent=["leo"])

    assert figures(answer.totals.metrics, "turnover_after_contact", "website_turnover") == [50, 250]


@pytest.mark.usefixtures("november")
async def test_every_day_has_its_row_and_days_are_the_tenants(servicer):
    answer = await ask(servicer, "sales", start_date="2026-11-01", end_date="2026-11-20")

    days = {row.dimensions["day"]: figure(row.metrics, "website_turnover") for row in answer.daily.rows}
    assert list(days) == [f"2026-11-{day:02}" for day in range(1, 21)]
    # Half past eleven at night in UTC is after midnight in Madrid.
    assert {day: amount for day, amount in days.items() if amount} == {
        "2026-11-02": 100,
        "2026-11-03": 50,
        "2026-11-10": 30,
        "2026-11-20": 70,
    }


@pytest.mark.usefixtures("november")
async def test_revenue_impact_also_compares_with_a_year_ago(servicer):
    answer = await ask(servicer, "revenue-impact", preset="THIS_MONTH")

    names = ("attributed_revenue", "attributed_net_revenue", "attributed_orders", "share_of_store_revenue")
    assert figures(answer.totals.metrics, *names) == [150, 120, 2, 0.6]
    assert figures(answer.totals.compared, *names) == [60, 60, 1, 1]
    assert figures(answer.year_trend.metrics, "attributed_revenue") == [150]
    assert figures(answer.year_trend.compared, *names) == [500, 500, 1, 500 / 600]
    assert answer.year_trend.change["attributed_revenue"] == pytest.approx(-0.7)
    [by_channel] = answer.tables
    assert [(row.dimensions["channel"], *figures(row.metrics, *names[:3])) for row in by_channel.rows] == [
        ("CHAT", 100, 100, 1),
        ("MESSAGING", 50, 20, 1),
    ]
    assert (answer.metadata.start_date, answer.metadata.end_date) == ("2026-11-01", "2026-11-21")


@pytest.mark.usefixtures("november")
async def test_roi_counts_the_cost_of_the_days_and_what_came_of_it(servicer):
    answer = await ask(servicer, "roi", start_date="2026-10-31", end_date="2026-11-15")

    # A day of October's 31, and 15 of November's 30.
    cost = round(300 / 31, 6) + 150
    assert figure(answer.totals.metrics, "assistant_cost") == pytest.approx(cost)
    assert figure(answer.totals.metrics, "roi") == pytest.approx((150 - cost) / cost)
    assert figure(answer.daily.rows[1].metrics, "assistant_cost") == 10
    [by_tier] = answer.tables
    assert [(row.dimensions["tier"], *figures(row.metrics, "attributed_orders")) for row in by_tier.rows] == [
        ("SESSION", 2)
    ]


async def test_without_a_cost_there_is_no_return_on_it(servicer, engine):
    await tell_settings(engine)
    await tell(engine, sale("1", "2026-11-02T10:00:00", 100, conversations=CHAT))

    totals = (await ask(servicer, "roi", start_date="2026-11-01", end_date="2026-11-15")).totals

    assert figure(totals.metrics, "attributed_revenue") == 100
    assert {"assistant_cost", "attributed_revenue_after_cost", "roi"}.isdisjoint(totals.metrics)


@pytest.mark.usefixtures("november")
async def test_products_tell_assisted_beside_all(servicer):
    answer = await ask(servicer, "products", start_date="2026-11-01", end_date="2026-11-30")

    [by_product] = answer.tables
    [mug] = by_product.rows
    assert mug.dimensions["sku"] == "MUG"
    assert dict(mug.display_names) == {}
    assert figures(mug.metrics, "assisted_units", "assisted_revenue", "units", "product_revenue") == [4, 150, 8, 250]
    assert figure(answer.totals.metrics, "assistant_cost") == 300


async def test_products_are_told_the_same_in_every_period_whatever_weeks_are_in_it(engine, servicer):
    await tell_settings(engine)
    days = [f"2026-11-{day:02}" for day in range(1, 22)]
    await tell(engine, *(sale(day, f"{day}T10:00:00", 2**place) for place, day in enumerate(days)))

    for start in range(8):
        for end in {start, start + 3, start + 6, start + 7, start + 12, 20}:
            answer = await ask(servicer, "products", start_date=days[start], end_date=days[end])
            [by_product] = answer.tables
            sold = [
                (row.dimensions["sku"], *figures(row.metrics, "product_revenue", "units")) for row in by_product.rows
            ]
            assert sold == [("MUG", 2 ** (end + 1) - 2**start, 2 * (end + 1 - start))]
            earlier = [figure(row.compared, "units") for row in by_product.rows]
            assert earlier == [2 * min(start, end + 1 - start)]


@pytest.mark.usefixtures("november")
async def test_products_are_told_by_their_newest_names(engine, servicer):
    told = [
        event_pb2.Event(
            event_id=name, occur_time={"seconds": at}, product={"product_id": "7", "sku": "MUG", "display_name": name}
        )
        for at, name in ((2, "Mug, large"), (1, "Mug"))
    ]
    async with engine.begin() as connection:
        entries = [
            Entry(place, event_pb2.LoggedEvent(tenant_id="acme", source="shop", event=one))
            for place, one in enumerate(told, start=100)
        ]
        await follower.apply_events(connection, PARTITION, entries)

    answer = await ask(servicer, "products", start_date="2026-11-01", end_date="2026-11-30")
    [mug] = answer.tables[0].rows
    assert dict(mug.display_names) == {"sku": "Mug, large"}
    request = pb.RunReportRequest(
        metrics=["units"], dimensions=["month", "sku"], start_date="2026-11-01", end_date="2026-11-30"
    )
    [row] = (await servicer.RunReport(request, None)).rows
    assert dict(row.display_names) == {"sku": "Mug, large"}
    assert all(not row.display_names for row in answer.daily.rows)


@pytest.mark.parametrize("name", sorted(REPORTS))
async def test_a_shop_without_anything_has_every_report_of_the_last_30_days(servicer, name):
    answer = await ask(servicer, name)

    assert (answer.metadata.start_date, answer.metadata.end_date) == ("2026-10-23", "2026-11-21")
    assert len(answer.daily.rows) == 30
    assert [table.total_size for table in answer.tables] == [0] * len(answer.tables)
    sums = {name for name in REPORTS[name].totals if isinstance(METRICS[name].formula, Sum)} - {"assistant_cost"}
    assert {figure(answer.totals.metrics, name) for name in sums} == {0}


async def test_what_a_model_that_is_not_active_would_say_is_left_out_and_the_rest_is_told(servicer, engine):
    await tell_settings(engine)
    sold = [sale("1", "2026-11-02T10:00:00", 100, conversations=CHAT), complete(5, conversations=2, personalization=1)]
    sold[0].edition = 5
    await tell(engine, *sold)

    answer = await ask(servicer, "sales", start_date="2026-11-01", end_date="2026-11-20")

    shop = {"website_turnover", "website_transactions", "website_average_order_value", "contacts_handled"}
    assert set(answer.totals.metrics) == shop
    assert figure(answer.totals.metrics, "website_turnover") == 100
    assert [set(table.metrics) for table in answer.tables] == [
        {"contacts_handled"},
        {"contacts_handled", "production_seconds"},
    ]
    assert (answer.metadata.model, answer.metadata.model_version) == ("contact", 0)
    [untold] = answer.metadata.inactive_models
    assert untold.model == "contact"
    assert {"turnover_after_contact", "conversion_rate_after_contact", "time_before_purchase"} <= set(untold.metrics)
    assert not shop & set(untold.metrics)
    # One of another model is not concerned.
    answer = await ask(servicer, "revenue-impact", start_date="2026-11-01", end_date="2026-11-20")
    assert figure(answer.totals.metrics, "attributed_revenue") == 100
    assert not answer.metadata.inactive_models


async def test_a_figure_that_two_models_lead_to_is_told_while_one_is_active(servicer, engine):
    await tell(engine, complete(5, conversations=2, recommendation_assisted=1))
    led_to, direct = "recommendation_purchases", "direct_revenue"
    metrics = (await ask(servicer, "overview")).totals.metrics
    assert led_to in metrics
    assert direct not in metrics

    await tell(engine, complete(6, conversations=2, personalization=1), first=2)
    answer = await ask(servicer, "overview")

    assert {"sessions", "recommendation_sessions", "personalization_revenue"} <= set(answer.totals.metrics)
    assert led_to not in answer.totals.metrics
    untold = {one.model: set(one.metrics) for one in answer.metadata.inactive_models}
    assert {model for model, names in untold.items() if led_to in names} == {
        "recommendation_assisted",
        "recommendation_direct",
    }
    assert direct in untold["recommendation_direct"] - untold["recommendation_assisted"]
    request = pb.RunReportRequest(metrics=["sessions", led_to], start_date="2026-11-01", end_date="2026-11-30")
    with pytest.raises(InvalidArgumentError, match=r"metrics\[1\]: .*none of which is active; there are: conv"):
        await servicer.RunReport(request, None)


async def test_what_is_remembered_of_a_tenant_spares_a_look_and_never_answers(servicer, engine, monkeypatch):
    looks = []

    async def looked(engine, asked):
        looks.append(asked)
        return await read(engine, asked)

    read = moments.read
    monkeypatch.setattr(moments, "read", looked)
    days = {"start_date": "2026-11-01", "end_date": "2026-11-20"}

    async def asked_in(looks_taken: int) -> tuple[str, float, list[str]]:
        looks.clear()
        answer = await ask(servicer, "sales", **days)
        assert len(looks) == looks_taken
        sold = [
            row.dimensions["day"] for row in answer.daily.rows if row.metrics["turnover_after_contact"].money.micros
        ]
        return answer.metadata.time_zone, figure(answer.totals.metrics, "turnover_after_contact"), sold

    assert await asked_in(2) == ("UTC", 0, [])
    assert await asked_in(1) == ("UTC", 0, [])

    await tell_settings(engine)
    await tell(engine, sale("1", "2026-11-02T23:30:00", 100, contact=CHAT))
    assert await asked_in(2) == ("Europe/Madrid", 100, ["2026-11-03"])
    await tell(engine, sale("2", "2026-11-05T10:00:00", 50, contact=CHAT), first=2)
    assert await asked_in(1) == ("Europe/Madrid", 150, ["2026-11-03", "2026-11-05"])

    again = sale("1", "2026-11-02T23:30:00", 70, contact=CHAT)
    again.edition = 5
    await tell(engine, again, complete(5, contact=2), first=3)
    assert await asked_in(2) == ("Europe/Madrid", 70, ["2026-11-03"])
    # What can't be asked by what is remembered may be by what is so now, and the other way round.
    with pytest.raises(InvalidArgumentError, match="no active model 'conversations'"):
        await ask(servicer, "roi", model="conversations", **days)
    await tell(engine, complete(6, conversations=1), first=5)
    assert (await ask(servicer, "roi", model="conversations", **days)).metadata.model_version == 1
    with pytest.raises(InvalidArgumentError, match="no active model 'contact'"):
        await ask(servicer, "roi", model="contact", **days)


@pytest.mark.parametrize("name", sorted(REPORTS))
async def test_without_any_model_every_figure_of_every_report_is_told_or_accounted_for(servicer, engine, name):
    await tell(engine, credit_pb2.OrderCredits(tenant_id="acme", edition=5, complete=True))

    answer = await ask(servicer, name)

    report = REPORTS[name]
    told = {metric for table in (answer.daily, *answer.tables) for metric in table.metrics} | set(answer.totals.metrics)
    untold = {metric for one in answer.metadata.inactive_models for metric in one.metrics}
    assert not told & untold
    asked = {*report.totals, *(metric for table in report.tables for metric in table.metrics)}
    assert asked == told | untold | {name for name in asked if METRICS[name].formula.operands}
    with pytest.raises(InvalidArgumentError, match="there is no active model 'contact'; there are: none"):
        await ask(servicer, "roi", model="contact")


@pytest.mark.parametrize(
    ("name", "asked", "field", "said"),
    [
        (
            "sales",
            {"model": "conversations"},
            "model",
            "sales is under contact only; another goes with: revenue-impact",
        ),
        ("roi", {"model": "guess"}, "model", "there is no active model 'guess'"),
        ("sales", {"sku": ["MUG"]}, "sku", "does not narrow sales; what does: channel, touchpoint"),
        ("sales", {"channel": ["SMOKE"]}, "channel[0]", "there is no channel 'SMOKE'; there are: CHAT"),
        ("sales", {"start_date": "2026-11-01", "end_date": "2026-11-02", "preset": "TODAY"}, "preset", "beside"),
        ("sales", {"start_date": "2026-11-01"}, "endDate", "is not a date"),
        ("sales", {"start_date": "2020-01-01", "end_date": "2026-11-02"}, "endDate", "at most 1100"),
    ],
)
async def test_a_wrong_question_is_told_what_would_be_right(servicer, name, asked, field, said):
    with pytest.raises(InvalidArgumentError) as refused:
        await ask(servicer, name, **asked)

    [violation] = refused.value.violations
    assert violation.field == field
    assert said in violation.description


async def test_a_report_that_is_not_there_is_told_which_are(servicer):
    with pytest.raises(
        NotFoundError, match="there are: sales, revenue-impact, roi, products, bots, bot-flow, overview"
    ):
        await ask(servicer, "profits")


async def test_connections_that_postgres_has_ended_are_all_given_up_at_once(servicer, engine):
    await asyncio.gather(ask(servicer, "sales"), ask(servicer, "sales"))
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    with pytest.raises((DBAPIError, psycopg.OperationalError)) as failed:
        await ask(servicer, "sales")
    assert is_transient(failed.value)
    await asyncio.gather(ask(servicer, "sales"), ask(servicer, "sales"))
