"""Columns of a report's rows: the figures of one metric, in one period or their change, and how one is told."""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from touchstone.reporting.v1 import report_pb2

from services.reporting.domain.catalogue import METRICS
from services.reporting.domain.definitions import Unit
from services.reporting.domain.figures import Rows, Values, changes, computed
from services.reporting.domain.reports import Plan

_METRICS, _COMPARED, _CHANGE = "metrics", "compared", "change"


class Title(NamedTuple):
    """The field of a row that a column's figures stand in, their name there, and whether they are whole numbers."""

    field: str
    name: str
    whole: bool


class Column(NamedTuple):
    """A figure of each row; None where there is none."""

    title: Title
    values: Values


def columns_of(plan: Plan, rows: Rows) -> Iterator[Column]:
    """Every metric now, compared, and how it changed."""
    for metric in plan.metrics:
        name, compute = metric.name, computed(metric.name)
        now = compute(rows.sums)
        yield Column(_TITLES[_METRICS, name], now)
        if rows.compared is not None:
            then = compute(rows.compared)
            yield Column(_TITLES[_COMPARED, name], then)
            yield Column(_TITLES[_CHANGE, name], changes(now, then))


def put(message: report_pb2.ReportRow, title: Title, figure: float, currency: str) -> None:
    """Writes a figure into a row; an amount is in `currency`."""
    if title.field == _CHANGE:
        message.change[title.name] = figure
    else:
        told = message.metrics if title.field == _METRICS else message.compared
        _FILL[METRICS[title.name].unit](told[title.name], figure, currency)


def _fill_ratio(message: report_pb2.MetricValue, figure: float, _: str) -> None:
    message.ratio = figure


def _fill_money(message: report_pb2.MetricValue, figure: float, currency_code: str) -> None:
    money = message.money
    money.micros = int(figure)
    money.currency_code = currency_code


def _fill_seconds(message: report_pb2.MetricValue, figure: float, _: str) -> None:
    message.seconds = figure


def _fill_count(message: report_pb2.MetricValue, figure: float, _: str) -> None:
    message.count = int(figure)


_FILL: Final[dict[Unit, Callable[[report_pb2.MetricValue, float, str], None]]] = {
    Unit.RATIO: _fill_ratio,
    Unit.MONEY: _fill_money,
    Unit.SECONDS: _fill_seconds,
    Unit.COUNT: _fill_count,
}
_TITLES: Final = {
    (field, name): Title(field, name, field != _CHANGE and metric.unit in (Unit.COUNT, Unit.MONEY))
    for field in (_METRICS, _COMPARED, _CHANGE)
    for name, metric in METRICS.items()
}
