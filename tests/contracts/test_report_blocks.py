"""Figures put together from weeks, months and single days, on a real Postgres: those of any period, however it is cut."""

import importlib.util
import random
from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from sqlalchemy import text
from touchstone.reporting.v1 import report_service_pb2 as pb

from services.reporting.domain import purchases
from services.reporting.domain.catalogue import METRICS
from services.reporting.domain.cells import ActivityCell, Cell, Cut, Measures, MemberCell
from services.reporting.domain.named_reports import REPORTS
from services.reporting.domain.periods import Comparison, Period, compared
from services.reporting.domain.uniques import unique_cells
from services.reporting.store import rollups
from tests.contracts.test_reporting_answers import MIGRATIONS, acting, engine, nothing_told
from tests.contracts.test_reporting_named import CHAT, WHATSAPP, ask, figures, november, sale, servicer, tell

__all__ = ["engine", "nothing_told", "november", "servicer"]

FIRST = date(2026, 9, 1)
DAYS = 60
UNIQUE, STANDING = "recommendation_unique_customers", "active_experiences"


def bought() -> set[tuple[str, date]]:
    """Customers and the days on which they bought: some of them seldom, some nearly each day."""
    drawn = random.Random(5)
    customers = [(str(number), drawn.random() ** 3) for number in range(40)]
    days = [FIRST + timedelta(days=number) for number in range(DAYS)]
    return {(name, day) for name, often in customers for day in days if drawn.random() < often}


def switched() -> dict[date, int]:
    """How many more experiences were on at the end of some days than before, over a year."""
    drawn = random.Random(6)
    return {FIRST - timedelta(days=drawn.randrange(-DAYS, 365)): drawn.randint(-2, 3) for _ in range(60)}


def periods() -> Iterator[tuple[Period, Comparison]]:
    drawn = random.Random(7)
    for comparison in Comparison:
        for _ in range(25):
            start = FIRST + timedelta(days=drawn.randrange(20, DAYS - 1))
            end = min(start + timedelta(days=drawn.choice([0, 1, 2, 4, 6, 8, 13, 29])), FIRST + timedelta(days=DAYS))
            yield Period(start=start, end=end), comparison


async def put(engine, cells: dict[Cell, Measures]) -> None:
    # In two parts, as they come: sums are added to what is there.
    for number in range(2):
        async with engine.begin() as connection:
            await rollups.add(connection, dict(list(cells.items())[number::2]))


@pytest.fixture
async def cells(engine) -> None:
    await put(engine, unique_cells(MemberCell("acme", 0, purchases.CUSTOMERS, name, day) for name, day in bought()))
    await put(
        engine,
        {ActivityCell.of("acme", STANDING, day, Cut()): (change,) for day, change in switched().items() if change},
    )


@pytest.mark.usefixtures("cells")
async def test_a_period_of_whatever_weeks_and_months_counts_everybody_once_and_what_stands_at_its_end(servicer):
    days, changes = bought(), switched()

    def different(period: Period | None) -> int:
        return len({name for name, day in days if period and period.start <= day <= period.end})

    for period, comparison in periods():
        acting()
        answer = await servicer.RunReport(
            pb.RunReportRequest(
                metrics=[UNIQUE, STANDING],
                start_date=period.start.isoformat(),
                end_date=period.end.isoformat(),
                compare_to=comparison,
            ),
            None,
        )
        then = compared(period, comparison)
        assert figures(answer.totals.metrics, UNIQUE, STANDING) == [different(period), sum(changes.values())], period
        if then:
            stood = sum(change for day, change in changes.items() if day <= then.end)
            assert figures(answer.totals.compared, UNIQUE, STANDING) == [different(then), stood], (period, then)


@pytest.mark.usefixtures("cells")
async def test_what_was_stored_before_there_were_such_sums_is_summed_as_it_would_have_been(engine):
    script = MIGRATIONS / "versions" / "0008_standing_and_known.py"
    spec = importlib.util.spec_from_file_location("standing_and_known", script)
    migration = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(migration)
    summed = (
        ("unique_summary", "true", "tenant_id, edition, figure, cut, previous_day, day, people"),
        (
            "activity_summary",
            "cut = 'month'",
            "tenant_id, figure, cut, day, name, currency_code, value, detail, amount",
        ),
    )

    async def read() -> list[set]:
        async with engine.connect() as connection:
            return [
                {tuple(row) for row in await connection.execute(text(f"SELECT {columns} FROM {table} WHERE {which}"))}
                for table, which, columns in summed
            ]

    found = await read()
    assert all(found)
    async with engine.begin() as connection:
        for table, which, _ in summed:
            await connection.execute(text(f"DELETE FROM {table} WHERE {which}"))
        for statement in migration.SUMS:
            await connection.execute(text(statement))
    assert await read() == found


@pytest.mark.usefixtures("november")
@pytest.mark.parametrize("comparison", [Comparison.PREVIOUS_PERIOD, Comparison.PREVIOUS_YEAR])
@pytest.mark.parametrize("narrowed", [{}, {"touchpoint": ["website"]}])
@pytest.mark.parametrize("name", ["sales", "revenue-impact"])
async def test_the_days_of_a_report_by_name_are_those_of_a_report_cut_by_days(
    engine, servicer, name, narrowed, comparison
):
    await tell(
        engine,
        sale("8", "2026-10-31T10:00:00", 40, contact=WHATSAPP, conversations=WHATSAPP),
        sale("9", "2026-10-30T10:00:00", 80, contact=CHAT, conversations=CHAT),
        first=8,
    )
    days = {"start_date": "2026-11-01", "end_date": "2026-11-20"}

    answer = await ask(servicer, name, **days, **narrowed, compare_to=comparison)
    told = [metric for metric in answer.daily.metrics if "day" in METRICS[metric].dimensions]
    alike = [one for one in told if set(narrowed) <= set(METRICS[one].dimensions)]
    asked = pb.RunReportRequest(
        metrics=alike,
        dimensions=["day"],
        model=REPORTS[name].model,
        compare_to=comparison,
        page_size=100,
        filters=[{"dimension": dimension, "values": values} for dimension, values in narrowed.items()],
        **days,
    )
    rows = {row.dimensions["day"]: row for row in (await servicer.RunReport(asked, None)).rows}

    assert len(rows) > 1
    for row in answer.daily.rows:
        same = rows.get(row.dimensions["day"])
        for now, of_day in ((row.metrics, same and same.metrics), (row.compared, same and same.compared)):
            # Where nothing was sold, a report cut by days has no row.
            expected = {metric: of_day[metric] for metric in alike if metric in of_day} if same else {}
            found = {metric: now[metric] for metric in alike if metric in now}
            assert found == expected or (not same and not any(_plain(value) for value in found.values()))


def _plain(value) -> float:
    kind = value.WhichOneof("value")
    return value.money.micros if kind == "money" else getattr(value, kind)
