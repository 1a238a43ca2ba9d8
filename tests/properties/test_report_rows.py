"""Figures that are written all at once are those that are written one by one."""

from hypothesis import given, settings
from hypothesis import strategies as st
from touchstone.reporting.v1 import report_pb2

from services.reporting.domain.catalogue import METRICS
from services.reporting.domain.definitions import Unit
from services.reporting.domain.figures import Rows
from services.reporting.domain.periods import Comparison, Period, compared, read_date
from services.reporting.domain.reports import Plan
from services.reporting.wire.report_blocks import blocks
from services.reporting.wire.report_columns import columns_of, put
from services.reporting.wire.report_rows import fill_rows

PERIOD = Period(start=read_date("", "2026-11-01"), end=read_date("", "2026-11-30"))
BY_UNIT = {unit: [name for name, metric in METRICS.items() if metric.unit is unit] for unit in Unit}

sums = st.none() | st.integers(-3, 3) | st.integers(-(2**40), 2**40)


@st.composite
def reports(draw: st.DrawFn) -> tuple[Plan, Rows]:
    """Some metrics, one of each unit among them, cut by product or not, compared or not; any sum may be absent."""
    names = [draw(st.sampled_from(BY_UNIT[unit])) for unit in Unit]
    comparison = draw(st.sampled_from(Comparison))
    plan = Plan(
        metrics=tuple(METRICS[name] for name in dict.fromkeys(names)),
        dimensions=("sku",),
        period=PERIOD,
        comparison=comparison,
        compared=compared(PERIOD, comparison),
        filters=(),
        order_by=(),
    )
    count = draw(st.integers(1, 30))
    now, then = ({name: draw(st.lists(sums, min_size=count, max_size=count)) for name in plan.sums} for _ in range(2))
    return plan, Rows([(f"SKU {number}",) for number in range(count)], now, then if plan.compared else None)


@settings(max_examples=60)
@given(reports(), st.sampled_from(["", "EUR"]))
def test_figures_written_all_at_once_are_those_written_one_by_one(report, currency):
    plan, rows = report
    columns = list(columns_of(plan, rows))
    for place, written in enumerate(blocks(columns, currency)):
        one_by_one = report_pb2.ReportRow()
        for title, values in columns:
            if values[place] is not None:
                put(one_by_one, title, values[place], currency)
        assert report_pb2.ReportRow.FromString(written) == one_by_one


@settings(max_examples=30)
@given(reports())
def test_many_rows_are_written_as_each_of_them_is(report):
    plan, rows = report
    names = {"SKU 0": "A mug"}
    section = report_pb2.ReportSection()
    fill_rows(section, plan, rows, "EUR", names)
    for place, message in enumerate(section.rows):
        sums_ = {name: of_name[place : place + 1] for name, of_name in rows.sums.items()}
        then = rows.compared and {name: of_name[place : place + 1] for name, of_name in rows.compared.items()}
        alone = report_pb2.ReportSection()
        fill_rows(alone, plan, Rows(rows.dimensions[place : place + 1], sums_, then), "EUR", names)
        assert [message] == list(alone.rows)
        assert message.dimensions["sku"] == rows.dimensions[place][0]
    assert len(section.rows) == len(rows.dimensions)
    assert [message.display_names["sku"] for message in section.rows if message.display_names] == ["A mug"]
