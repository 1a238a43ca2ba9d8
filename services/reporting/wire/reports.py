"""Reports, and the catalogue that they are made by."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from touchstone.reporting.v1 import report_pb2, report_service_pb2

from services.reporting.domain import reports
from services.reporting.domain.catalogue import METRICS
from services.reporting.domain.definitions import CURRENCY, SKU, Metric, Quotient, Unit
from services.reporting.domain.figures import AsOf, Report, Row, change, computed
from services.reporting.domain.named import NamedAnswer
from services.reporting.domain.periods import Period
from services.reporting.domain.statement import Amounts
from services.reporting.domain.tenants import Tenant
from services.reporting.wire.amounts import money

_DAILY = ("daily", "By day")


def metric_message(metric: Metric) -> report_pb2.Metric:
    """A metric of the catalogue."""
    quotient = metric.formula if isinstance(metric.formula, Quotient) else None
    return report_pb2.Metric(
        name=metric.name,
        label=metric.label,
        unit=report_pb2.Metric.Unit.ValueType(metric.unit),
        description=metric.description,
        numerator=quotient.numerator if quotient else "",
        denominator=quotient.denominator if quotient else "",
        dimensions=metric.dimensions,
        depends_on_model=metric.depends_on_model,
    )


def report_message(
    plan: reports.Plan, model: str, report: Report, parked_events: int
) -> report_service_pb2.RunReportResponse:
    """A report."""
    tenant = report.tenant
    total_currency = plan.total_currency(tenant.currency_code) or ""
    response = report_service_pb2.RunReportResponse(
        rows=[_named_row_message(plan, row, total_currency, report.names) for row in report.rows],
        totals=_row_message(plan, report.totals, {}, total_currency) if report.totals else None,
        total_size=report.total_size,
        metadata=metadata_message(tenant, model, plan.period, report.others, parked_events),
    )
    _fill_compared(response.metadata, plan)
    _fill_as_of(response.metadata.as_of, report.as_of)
    return response


def named_report_message(answer: NamedAnswer, parked_events: int) -> report_service_pb2.GetReportResponse:
    """A named report."""
    tenant, plan = answer.tenant, answer.plan
    currency = plan.whole.total_currency(tenant.currency_code) or ""
    response = report_service_pb2.GetReportResponse(
        report=plan.report.name,
        totals=_row_message(plan.whole, answer.totals, {}, currency),
        daily=_section_message(_DAILY, plan.daily, (answer.daily, len(answer.daily)), currency, {}),
        tables=[
            _section_message((table.name, table.label), planned, found, currency, answer.names)
            for (table, planned), found in zip(plan.tables, answer.tables, strict=True)
        ],
        metadata=metadata_message(tenant, plan.model, plan.whole.period, answer.others, parked_events),
        year_trend=_row_message(plan.year, answer.year, {}, currency) if plan.year and answer.year else None,
    )
    for model, names in plan.untold.items():
        response.metadata.inactive_models.add(model=model, metrics=names)
    _fill_compared(response.metadata, plan.whole)
    _fill_as_of(response.metadata.as_of, answer.as_of)
    return response


def _section_message(
    titles: tuple[str, str],
    plan: reports.Plan,
    found: tuple[Iterable[Row], int],
    currency: str,
    names: Mapping[str, str],
) -> report_pb2.ReportSection:
    (name, label), (rows, total_size) = titles, found
    return report_pb2.ReportSection(
        name=name,
        label=label,
        metrics=[metric.name for metric in plan.metrics],
        dimensions=plan.dimensions,
        rows=[_named_row_message(plan, row, currency, names) for row in rows],
        total_size=total_size,
    )


def _fill_compared(message: report_pb2.ReportMetadata, plan: reports.Plan) -> None:
    if plan.compared:
        message.compared_start_date = plan.compared.start.isoformat()
        message.compared_end_date = plan.compared.end.isoformat()


def _named_row_message(
    plan: reports.Plan, row: Row, total_currency: str, names: Mapping[str, str]
) -> report_pb2.ReportRow:
    """A row with its dimensions; `names` are those of products, by SKU."""
    dimensions = dict(zip(plan.dimensions, row.dimensions, strict=True))
    message = _row_message(plan, row, dimensions, total_currency)
    if name := names.get(dimensions.get(SKU, "")):
        message.display_names[SKU] = name
    return message


def _row_message(plan: reports.Plan, row: Row, dimensions: dict[str, str], total_currency: str) -> report_pb2.ReportRow:
    currency = dimensions.get(CURRENCY, total_currency)
    message = report_pb2.ReportRow(dimensions=dimensions)
    metrics, compared, changes = message.metrics, message.compared, message.change
    for name, compute, fill in [_COLUMNS[metric.name] for metric in plan.metrics]:
        now = compute(row.sums)
        if now is not None:
            fill(metrics[name], now, currency)
        if row.compared is None:
            continue
        then = compute(row.compared)
        if then is not None:
            fill(compared[name], then, currency)
        changed = change(now, then)
        if changed is not None:
            changes[name] = changed
    return message


def _fill_ratio(message: report_pb2.MetricValue, figure: float, _: str) -> None:
    message.ratio = figure


def _fill_money(message: report_pb2.MetricValue, figure: float, currency_code: str) -> None:
    money_ = message.money
    money_.micros = int(figure)
    money_.currency_code = currency_code


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
_COLUMNS: Final = {name: (name, computed(name), _FILL[metric.unit]) for name, metric in METRICS.items()}


def metadata_message(
    tenant: Tenant, model: str, period: Period, others: Iterable[tuple[str, Amounts]], parked_events: int
) -> report_pb2.ReportMetadata:
    """What figures stand for; `others` are orders that were left out, by currency."""
    message = report_pb2.ReportMetadata(
        time_zone=tenant.time_zone,
        currency_code=tenant.currency_code,
        start_date=period.start.isoformat(),
        end_date=period.end.isoformat(),
        model=model,
        model_version=tenant.models.get(model, 0),
        unconverted=[
            report_pb2.UnconvertedAmount(orders=amounts.orders, amount=money(currency, amounts.gross_micros))
            for currency, amounts in others
        ],
        parked_events=parked_events,
    )
    fill_recount(message, tenant)
    return message


def fill_recount(message: report_pb2.ReportMetadata, tenant: Tenant) -> None:
    """Tells how far the tenant's figures are counted anew, where they are."""
    if tenant.coming is None:
        return
    coming, told = tenant.coming, message.recount
    told.total = 0 if coming.total is None else max(coming.total, 1)
    # What is told meanwhile is gone through, too.
    told.done = min(coming.done, told.total)
    told.time_zone, told.currency_code = coming.time_zone, coming.currency_code


def _fill_as_of(message: report_pb2.AsOf, as_of: AsOf) -> None:
    message.partition = as_of.partition
    message.event_position = as_of.event_position
    message.credit_position = as_of.credit_position
    if as_of.apply_time:
        message.apply_time.FromDatetime(as_of.apply_time)
