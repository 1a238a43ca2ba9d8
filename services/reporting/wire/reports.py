"""Reports, and the catalogue that they are made by."""

from collections.abc import Iterable, Mapping

from touchstone.reporting.v1 import report_pb2, report_service_pb2

from services.reporting.domain import reports
from services.reporting.domain.definitions import Metric, Quotient
from services.reporting.domain.figures import AsOf, Report, Rows
from services.reporting.domain.named import NamedAnswer
from services.reporting.domain.periods import Period
from services.reporting.domain.statement import Amounts
from services.reporting.domain.tenants import Tenant
from services.reporting.wire.amounts import money
from services.reporting.wire.report_rows import fill_row, fill_rows

_DAILY = report_pb2.ReportSection(name="daily", label="By day")


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
        total_size=report.total_size,
        metadata=metadata_message(tenant, model, plan.period, report.others, parked_events),
    )
    fill_rows(response, plan, report.rows, total_currency, report.names)
    if report.totals:
        fill_row(response.totals, plan, report.totals, total_currency)
    _fill_compared(response.metadata, plan)
    _fill_as_of(response.metadata.as_of, report.as_of)
    return response


def named_report_message(answer: NamedAnswer, parked_events: int) -> report_service_pb2.GetReportResponse:
    """A named report."""
    tenant, plan = answer.tenant, answer.plan
    currency = plan.whole.total_currency(tenant.currency_code) or ""
    response = report_service_pb2.GetReportResponse(
        report=plan.report.name,
        daily=_DAILY,
        metadata=metadata_message(tenant, plan.model, plan.whole.period, answer.others, parked_events),
    )
    fill_row(response.totals, plan.whole, answer.totals, currency)
    _fill_section(response.daily, plan.daily, (answer.daily, len(answer.daily.dimensions)), currency, {})
    for (table, planned), found in zip(plan.tables, answer.tables, strict=True):
        section = response.tables.add(name=table.name, label=table.label)
        _fill_section(section, planned, found, currency, answer.names)
    if plan.year and answer.year:
        fill_row(response.year_trend, plan.year, answer.year, currency)
    for model, names in plan.untold.items():
        response.metadata.inactive_models.add(model=model, metrics=names)
    _fill_compared(response.metadata, plan.whole)
    _fill_as_of(response.metadata.as_of, answer.as_of)
    return response


def _fill_section(
    message: report_pb2.ReportSection,
    plan: reports.Plan,
    found: tuple[Rows, int],
    currency: str,
    names: Mapping[str, str],
) -> None:
    rows, message.total_size = found
    message.metrics.extend(metric.name for metric in plan.metrics)
    message.dimensions.extend(plan.dimensions)
    fill_rows(message, plan, rows, currency, names)


def _fill_compared(message: report_pb2.ReportMetadata, plan: reports.Plan) -> None:
    if plan.compared:
        message.compared_start_date = plan.compared.start.isoformat()
        message.compared_end_date = plan.compared.end.isoformat()


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
