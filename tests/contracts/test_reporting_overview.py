"""The overview's figures on a real Postgres, counted by hand, in whatever sequence events and orders are told."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random

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
from services.reporting import follower
from services.reporting.servicer import ReportServicer
from services.reporting.store.tables import CELLS
from tests.reporting.settling import TABLES, settle

MIGRATIONS = Path(follower.__file__).parent / "migrations"
PARTITION = 5
EUR = 1_000_000
Told = event_pb2.LoggedEvent | credit_pb2.OrderCredits


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
        cells = (cells.name for cells in CELLS.values())
        for table in ("tenant", "order_fact", "activity_fact", *TABLES, *cells):
            await connection.execute(text(f"DELETE FROM {table}"))
    await tell_zone(engine, 1, "Europe/Madrid")


async def tell_zone(engine: AsyncEngine, position: int, zone: str) -> None:
    told = event_pb2.Event(settings=settings_pb2.TenantSettings(time_zone=zone, currency_code="EUR"))
    async with engine.begin() as connection:
        entry = Entry(position, event_pb2.LoggedEvent(tenant_id="acme", event=told))
        await follower.apply_events(connection, PARTITION, [entry])


@pytest.fixture
def servicer(engine) -> ReportServicer:
    async def parked_of(_tenant_id: str) -> int:
        return 0

    return ReportServicer(lambda: engine, parked_of)


def event(event_id: str, at: str, session_id: str = "", **payload) -> event_pb2.LoggedEvent:
    told = event_pb2.Event(event_id=event_id, **payload)
    told.occur_time.FromDatetime(datetime.fromisoformat(at).replace(tzinfo=UTC))
    if session_id:
        told.identifiers.session_id = session_id
    return event_pb2.LoggedEvent(tenant_id="acme", source="api", event=told)


def shown(channel: str, *products: str, user_agent: str = "") -> dict:
    told = {"channel": channel, "action": "VIEW", "product_ids": products, "user_agent": user_agent}
    return {"interaction": told}


def seen(*products: str, experience: str = "") -> dict:
    action = "PRODUCT_VIEWED" if products else "SESSION_STARTED"
    return {
        "storefront": {"action": action, "product_ids": products, "experience_ids": [experience] if experience else []}
    }


def step(run: str, name: str, channel: str = "") -> dict:
    return {"journey": {"journey_id": "welcome", "run_id": run, "step": name, "notification_channel": channel}}


def switch(name: str, kind: str, *, active: bool) -> dict:
    return {"experience": {"experience_id": name, "kind": kind, "active": active}}


def order(
    order_id: str,
    at: str,
    session_id: str,
    customer: str,
    *sold: tuple[str, str, str],
    sku: str = "p1",
    excluded: str = "",
) -> credit_pb2.OrderCredits:
    """An order of 100 EUR; `sold` are the model, the session and the product of each touch that is credited."""
    told = credit_pb2.OrderCredits(tenant_id="acme")
    told.order.source, told.order.order_id, told.order.currency_code = "shop", order_id, "EUR"
    told.order.order_time.FromDatetime(datetime.fromisoformat(at).replace(tzinfo=UTC))
    told.order.gross_micros = told.order.net_micros = 100 * EUR
    told.order.session_id, told.order.customer_key = session_id, customer
    told.order.excluded_reason = excluded or "REASON_UNSPECIFIED"
    told.order.lines.add(sku=f"sku-{sku}", product_id=sku, quantity=1, gross_micros=100 * EUR, net_micros=100 * EUR)
    for model in ("personalization", "recommendation_assisted", "recommendation_direct"):
        said = told.attributions.add(model=model, model_version=1, excluded_reason=told.order.excluded_reason)
        for name, session, product in sold:
            if name == model and not excluded:
                touch = credit_pb2.Touch(event_id="t", channel="RECOMMENDATION", product_ids=[product])
                touch.experience_id = "hero" if model == "personalization" else ""
                said.credits.add(touch=touch, gross_micros=100 * EUR, net_micros=100 * EUR, session_id=session)
    return told


EVENTS = (
    # A session that saw a recommendation, followed it, saw personalised content, and bought.
    event("1", "2026-11-01T10:00:00", "s1", **seen()),
    event("2", "2026-11-01T10:01:00", "s1", **shown("RECOMMENDATION", "p1", "p2")),
    event("3", "2026-11-01T10:02:00", "s1", **seen("p1")),
    event("4", "2026-11-01T10:03:00", "s1", **shown("PERSONALIZATION")),
    # One after midnight in Madrid, whose product was seen before it was recommended.
    event("5", "2026-11-01T23:30:00", "s2", **seen("p1")),
    event("6", "2026-11-01T23:31:00", "s2", **shown("RECOMMENDATION", "p1")),
    # Personalised ones: a journey's goal is met in one, and nothing in the other; and one has both goal and order.
    event("7", "2026-11-02T09:00:00", "s3", **seen(experience="hero")),
    event("8", "2026-11-02T09:05:00", "s3", **step("run-1", "GOAL_MET")),
    event("9", "2026-11-02T12:00:00", "s4", **shown("PERSONALIZATION")),
    event("10", "2026-11-03T12:00:00", "s5", **shown("PERSONALIZATION")),
    event("11", "2026-11-03T12:01:00", "s5", **step("run-2", "GOAL_MET")),
    # A crawler is nobody, and neither is who has no session.
    event("12", "2026-11-02T12:00:00", "s6", **shown("RECOMMENDATION", "p1", user_agent="Googlebot/2.1")),
    event("13", "2026-11-02T12:00:00", "", **shown("RECOMMENDATION", "p1")),
    event("14", "2026-11-02T12:00:00", "null", **seen()),
    event("15", "2026-11-01T08:00:00", **step("run-1", "STARTED")),
    event("16", "2026-11-02T08:00:00", **step("run-2", "STARTED")),
    event("17", "2026-11-02T08:00:00", **step("run-3", "STARTED")),
    event("18", "2026-11-01T08:01:00", **step("run-1", "NOTIFIED", "email")),
    event("19", "2026-11-02T08:01:00", **step("run-2", "NOTIFIED", "email")),
    event("20", "2026-11-02T08:02:00", **step("run-2", "NOTIFIED", "sms")),
    event("21", "2026-11-04T08:00:00", **step("run-1", "COMPLETED")),
    event("22", "2026-11-03T08:00:00", **step("run-3", "CANCELLED")),
    event("23", "2026-10-20T08:00:00", **switch("hero", "EXPERIENCE", active=True)),
    event("24", "2026-10-25T08:00:00", **switch("old", "EXPERIENCE", active=True)),
    event("25", "2026-11-02T08:00:00", **switch("old", "EXPERIENCE", active=False)),
    event("26", "2026-11-02T08:00:00", **switch("button", "AB_TEST", active=True)),
    event("27", "2026-11-02T09:00:00", **switch("welcome", "JOURNEY", active=True)),
    event("28", "2026-11-02T08:00:00", **switch("welcome", "JOURNEY", active=False)),
)
ORDERS = (
    order(
        "o1", "2026-11-01T10:30:00", "s1", "ada", ("recommendation_direct", "s1", "p1"), ("personalization", "s1", "")
    ),
    # Through another product than the one bought: a purchase after recommendations, of none of their products.
    order("o2", "2026-11-02T10:00:00", "s2", "ada", ("recommendation_assisted", "s2", "p2")),
    order(
        "o3", "2026-11-03T10:00:00", "s5", "", ("recommendation_assisted", "s1", "p1"), ("personalization", "s5", "")
    ),
    order("o4", "2026-11-03T10:00:00", "s4", "bob"),
    order("o5", "2026-11-03T11:00:00", "s3", "bob", excluded="CANCELLED"),
    order("o6", "2026-11-03T11:00:00", "unseen", "bob"),
)
FIGURES = {
    "sessions": 5,
    "personalized_sessions": 4,
    "active_experiences": 1,
    "active_ab_tests": 1,
    "active_journeys": 1,
    "personalization_conversions": 3,
    "personalization_conversion_rate": 3 / 4,
    "recommendation_sessions": 2,
    "recommendation_click_through_rate": 1 / 2,
    "recommendation_conversion_rate": 1 / 2,
    "recommendation_unique_customers": 2,
    "recommendation_purchases": 3,
    "recommendation_share_of_purchasing_sessions": 2 / 4,
    "journeys_started": 3,
    "journeys_completed": 1,
    "journeys_cancelled": 1,
    "journey_notifications": 3,
    "journey_conversion_rate": 2 / 3,
}


async def tell(engine: AsyncEngine, told: Sequence[Told], size: int = 4) -> None:
    """Tells of events and orders in groups, each log with positions of its own."""
    positions = {event_pb2.LoggedEvent: 2, credit_pb2.OrderCredits: 1}
    for start in range(0, len(told), size):
        for kind, apply in (
            (event_pb2.LoggedEvent, follower.apply_events),
            (credit_pb2.OrderCredits, follower.apply_credits),
        ):
            group = [one for one in told[start : start + size] if isinstance(one, kind)]
            entries = [Entry(positions[kind] + number, one) for number, one in enumerate(group)]
            positions[kind] += len(group)
            async with engine.begin() as connection:
                await apply(connection, PARTITION, entries)


def acting() -> None:
    set_caller(Caller(subject="test", tenant_id="acme", scopes=frozenset({"reports:read"})))


async def report(servicer: ReportServicer, metrics: Sequence[str], **asked) -> pb.RunReportResponse:
    acting()
    period = {"start_date": "2026-11-01", "end_date": "2026-11-04"}
    return await servicer.RunReport(pb.RunReportRequest(metrics=metrics, **(period | asked)), None)


def plain(values) -> dict[str, float]:
    def of(one) -> float:
        kind = one.WhichOneof("value")
        return one.money.micros / EUR if kind == "money" else getattr(one, kind)

    return {name: of(one) for name, one in values.items()}


async def differing(servicer: ReportServicer) -> int:
    *_, last = [one async for one in servicer.VerifyRollups(pb.VerifyRollupsRequest(), None)]
    return last.different_cells


@pytest.mark.parametrize("seed", [None, 1, 2])
async def test_the_figures_are_those_counted_by_hand(engine, servicer, seed):
    told: list[Told] = [*EVENTS, *ORDERS]
    if seed is not None:
        # Some are told twice, as a log does that is read again.
        told += EVENTS[:5]
        Random(seed).shuffle(told)
    await tell(engine, told)

    read = plain((await report(servicer, list(FIGURES)[:9])).totals.metrics)
    read |= plain((await report(servicer, list(FIGURES)[9:])).totals.metrics)
    assert read == pytest.approx(FIGURES)
    assert await differing(servicer) == 0


async def test_the_report_of_the_page_shows_them_all(engine, servicer):
    await tell(engine, [*EVENTS, *ORDERS])
    request = pb.GetReportRequest(report="overview", start_date="2026-11-01", end_date="2026-11-04")

    acting()
    answer = await servicer.GetReport(request, None)

    shown_ = plain(answer.totals.metrics)
    assert {name: shown_[name] for name in FIGURES} == pytest.approx(FIGURES)
    money = {
        "personalization_revenue": 200,
        "personalization_average_order_value": 100,
        "direct_revenue": 100,
        "recommendation_assisted_revenue": 200,
    }
    assert {name: shown_[name] for name in money} == money
    days = {row.dimensions["day"]: plain(row.metrics) for row in answer.daily.rows}
    assert [days[day]["sessions"] for day in sorted(days)] == [1, 3, 1, 0]
    assert [days[day]["recommendation_unique_customers"] for day in sorted(days)] == [1, 1, 1, 0]
    notified = next(table for table in answer.tables if table.name == "notifications")
    assert [plain(row.metrics)["journey_notifications"] for row in notified.rows] == [2, 1]
    experiences = await report(servicer, ["attributed_revenue"], dimensions=["experience"], model="personalization")
    assert [(dict(row.dimensions), plain(row.metrics)) for row in experiences.rows] == [
        ({"experience": "hero"}, {"attributed_revenue": 200})
    ]


async def test_orders_that_change_change_visits_and_customers(engine, servicer):
    await tell(engine, [*ORDERS, *EVENTS])
    cancelled = [
        order("o1", "2026-11-01T10:30:00", "s1", "ada", excluded="CANCELLED"),
        order("o3", "2026-11-03T10:00:00", "", ""),
    ]
    async with engine.begin() as connection:
        await follower.apply_credits(connection, PARTITION, [Entry(100 + at, one) for at, one in enumerate(cancelled)])

    wanted = {
        "personalization_conversions": 2,
        "recommendation_conversion_rate": 0,
        "recommendation_unique_customers": 1,
        "recommendation_purchases": 1,
        "recommendation_share_of_purchasing_sessions": 1 / 2,
    }
    assert plain((await report(servicer, list(wanted))).totals.metrics) == wanted
    assert await differing(servicer) == 0


async def test_days_weeks_and_comparisons_count_customers_once_each(engine, servicer):
    sold = ("recommendation_direct", "s1", "p1")
    days = {"ada": ["2025-11-03", "2026-10-29", "2026-11-01", "2026-11-02", "2026-11-03"], "bob": ["2026-11-03"]}
    orders = [order(f"{who} {day}", f"{day}T10:00:00", "", who, sold) for who, of_who in days.items() for day in of_who]
    await tell(engine, orders, size=2)
    customers = ["recommendation_unique_customers"]

    async def rows(**asked) -> list[tuple[dict[str, str], dict, dict]]:
        answer = await report(servicer, customers, **asked)
        assert plain(answer.totals.metrics) == {customers[0]: 2}
        return [
            (list(row.dimensions.values()), plain(row.metrics)[customers[0]], plain(row.compared))
            for row in answer.rows
        ]

    assert [row[:2] for row in await rows(dimensions=["day"])] == [
        (["2026-11-01"], 1),
        (["2026-11-02"], 1),
        (["2026-11-03"], 2),
    ]
    assert [row[:2] for row in await rows(dimensions=["week"])] == [(["2026-10-26"], 1), (["2026-11-02"], 2)]
    assert [row[:2] for row in await rows(dimensions=["month"])] == [(["2026-11"], 2)]
    assert await rows(compare_to="PREVIOUS_PERIOD") == [([], 2, {customers[0]: 1})]
    assert await rows(compare_to="PREVIOUS_YEAR", dimensions=["month"]) == [(["2026-11"], 2, {customers[0]: 1})]
    with pytest.raises(InvalidArgumentError, match="counts nobody twice"):
        await report(servicer, customers, filters=[pb.Filter(dimension="day", values=["2026-11-03"])])


async def test_what_is_switched_on_is_read_at_a_moment(engine, servicer):
    await tell(engine, EVENTS)
    active = ["active_experiences", "active_ab_tests", "active_journeys"]

    answer = await report(servicer, active, compare_to="PREVIOUS_PERIOD")

    assert plain(answer.totals.metrics) == {"active_experiences": 1, "active_ab_tests": 1, "active_journeys": 1}
    assert plain(answer.totals.compared) == {"active_experiences": 2, "active_ab_tests": 0, "active_journeys": 0}
    by_channel = await report(servicer, ["journey_notifications"], dimensions=["journey", "notification_channel"])
    assert [(dict(row.dimensions), plain(row.metrics)) for row in by_channel.rows] == [
        ({"journey": "welcome", "notification_channel": "email"}, {"journey_notifications": 2}),
        ({"journey": "welcome", "notification_channel": "sms"}, {"journey_notifications": 1}),
    ]
    with pytest.raises(InvalidArgumentError, match="can't be cut by day"):
        await report(servicer, active, dimensions=["day"])


async def test_another_zone_dates_sessions_and_what_was_bought_in_them_anew(engine, servicer):
    await tell(engine, [*EVENTS[:6], *ORDERS, *EVENTS[6:]])
    figures = ["sessions", "recommendation_sessions", "purchasing_sessions", "personalization_conversions"]

    async def by_day() -> dict[str, tuple[float, ...]]:
        answer = await report(servicer, figures, dimensions=["day"])
        return {row.dimensions["day"]: tuple(plain(row.metrics)[name] for name in figures) for row in answer.rows}

    madrid = {"2026-11-01": (1, 1, 1, 1), "2026-11-02": (3, 1, 2, 1), "2026-11-03": (1, 0, 1, 1)}
    assert await by_day() == madrid
    await tell_zone(engine, 500, "America/St_Johns")
    # Told while all is counted anew: the day of a session in both countings.
    async with engine.begin() as connection:
        late = event("29", "2026-11-02T02:00:00", "s4", **seen())
        await follower.apply_events(connection, PARTITION, [Entry(501, late)])
    await settle(engine)

    assert await by_day() == {"2026-11-01": (3, 2, 3, 1), "2026-11-02": (1, 0, 0, 1), "2026-11-03": (1, 0, 1, 1)}
    assert await differing(servicer) == 0


async def test_an_edition_of_credits_has_visits_and_customers_of_its_own(engine, servicer):
    await tell(engine, [*EVENTS[:4], *ORDERS])
    coming = [order("o1", "2026-11-01T10:30:00", "s1", "ada"), order("o4", "2026-11-03T10:00:00", "s4", "bob")]
    complete = credit_pb2.OrderCredits(tenant_id="acme", complete=True)
    for model in ("conversations", "recommendation_direct"):
        complete.attributions.add(model=model, model_version=2)
    async with engine.begin() as connection:
        for position, one in enumerate([*coming, complete], start=100):
            one.edition = 9
            await follower.apply_credits(connection, PARTITION, [Entry(position, one)])
    await tell(engine, EVENTS[4:])
    await settle(engine)

    figures = ["purchasing_sessions", "recommendation_purchases", "recommendation_unique_customers"]
    assert plain((await report(servicer, figures)).totals.metrics) == dict(zip(figures, (2, 0, 0), strict=True))
    assert await differing(servicer) == 0


@pytest.mark.parametrize(
    "changed",
    [
        "UPDATE visit_cell SET placed = 2 WHERE session_id = 's1'",
        "DELETE FROM member_cell WHERE member = 'ada'",
        "UPDATE tally_cell SET amount = amount + 1 WHERE figure = 'purchasing_sessions' AND day = '2026-11-01'",
        "UPDATE unique_cell SET people = 0 WHERE day = '2026-11-01'",
    ],
)
async def test_what_was_changed_is_found(engine, servicer, changed):
    await tell(engine, [*EVENTS, *ORDERS])
    acting()
    assert await differing(servicer) == 0
    async with engine.begin() as connection:
        await connection.execute(text(changed))

    assert await differing(servicer) > 0
