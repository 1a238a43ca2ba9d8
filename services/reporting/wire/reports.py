"""Reports, and the catalogue that they are made by."""

from collections.abc import Iterable

from touchstone.reporting.v1 import report_pb2, report_service_pb2

from services.reporting.domain import reports
from services.reporting.domain.definitions import CURRENCY, Metric, Quotient, Unit
from services.reporting.domain.figures import AsOf, Report, Row, change, value
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
        rows=[
            _row_message(plan, row, dict(zip(plan.dimensions, row.dimensions, strict=True)), total_currency)
            for row in report.rows
        ],
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
        daily=_section_message(_DAILY, plan.daily, (answer.daily, len(answer.daily)), currency),
        tables=[
            _section_message((table.name, table.label), planned, found, currency)
            for (table, planned), found in zip(plan.tables, answer.tables, strict=True)
        ],
        metadata=metadata_message(tenant, plan.model, plan.whole.period, answer.others, parked_events),
        year_trend=_row_message(plan.year, answer.year, {}, currency) if plan.year and answer.year else None,
    )
    _fill_compared(response.metadata, plan.whole)
    _fill_as_of(response.metadata.as_of, answer.as_of)
    return response


def _section_message(
    names: tuple[str, str], plan: reports.Plan, found: tuple[Iterable[Row], int], currency: str
) -> report_pb2.ReportSection:
    (name, label), (rows, total_size) = names, found
    return report_pb2.ReportSection(
        name=name,
        label=label,
        metrics=[metric.name for metric in plan.metrics],
        dimensions=plan.dimensions,
        rows=[
            _row_message(plan, row, dict(zip(plan.dimensions, row.dimensions, strict=True)), currency) for row in rows
        ],
        total_size=total_size,
    )


def _fill_compared(message: report_pb2.ReportMetadata, plan: reports.Plan) -> None:
    if plan.compared:
        message.compared_start_date = plan.compared.start.isoformat()
        message.compared_end_date = plan.compared.end.isoformat()


def _row_message(plan: reports.Plan, row: Row, dimensions: dict[str, str], total_currency: str) -> report_pb2.ReportRow:
    currency = dimensions.get(CURRENCY, total_currency)
    message = report_pb2.ReportRow(dimensions=dimensions)
    for metric in plan.metrics:
        now = value(metric, row.sums)
        if now is not None:
            _fill_value(message.metrics[metric.name], metric.unit, now, currency)
        if row.compared is None:
            continue
        then = value(metric, row.compared)
        if then is not None:
            _fill_value(message.compared[metric.name], metric.unit, then, currency)
        changed = change(now, then)
        if changed is not None:
            message.change[metric.name] = changed
    return message


def _fill_value(message: report_pb2.MetricValue, unit: Unit, figure: float, currency_code: str) -> None:
    if unit is Unit.RATIO:
        message.ratio = figure
    elif unit is Unit.MONEY:
        message.money.micros = int(figure)
        message.money.currency_code = currency_code
    elif unit is Unit.SECONDS:
        message.seconds = figure
    else:
        message.count = int(figure)


def metadata_message(
    tenant: Tenant, model: str, period: Period, others: Iterable[tuple[str, Amounts]], parked_events: int
) -> report_pb2.ReportMetadata:
    """What figures stand for; `others` are orders that were left out, by currency."""
    return report_pb2.ReportMetadata(
        time_zone=tenant.time_zone,
        currency_code=tenant.currency_code,
        start_date=period.start.isoformat(),
        end_date=period.end.isoformat(),
        model=model,
        model_version=tenant.model_version(model),
        unconverted=[
            report_pb2.UnconvertedAmount(orders=amounts.orders, amount=money(currency, amounts.gross_micros))
            for currency, amounts in others
        ],
        parked_events=parked_events,
    )


def _fill_as_of(message: report_pb2.AsOf, as_of: AsOf) -> None:
    message.partition = as_of.partition
    message.event_position = as_of.event_position
    message.credit_position = as_of.credit_position
    if as_of.apply_time:
        message.apply_time.FromDatetime(as_of.apply_time)
