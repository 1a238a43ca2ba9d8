"""Protobuf to domain and back."""

from collections.abc import Iterable
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from touchstone.attribution.v1 import credit_pb2
from touchstone.ingest.v1 import event_pb2, interaction_pb2, settings_pb2
from touchstone.reporting.v1 import product_pb2, report_pb2, report_service_pb2, statement_pb2
from touchstone.type.v1 import money_pb2

from services.reporting.domain import reports
from services.reporting.domain.conversion import ToldRate
from services.reporting.domain.definitions import CURRENCY, Metric, Quotient, Unit
from services.reporting.domain.facts import Attribution, Contact, Credit, Line, OrderFact
from services.reporting.domain.figures import AsOf, Report, Row, change, value
from services.reporting.domain.named import NamedAnswer, NamedRequest
from services.reporting.domain.paging import page_size
from services.reporting.domain.periods import Comparison, Period
from services.reporting.domain.popularity import SPANS, Popularity, Ranking, best_seller
from services.reporting.domain.presets import Preset
from services.reporting.domain.statement import Amounts, Statement, WholeStatement
from services.reporting.domain.tenants import UTC, Cost, Tenant

# A number that is not here is newer than this code: its entry is parked until it is known.
_CHANNELS = {number: name for name, number in interaction_pb2.Interaction.Channel.items() if number}
_TIERS = {number: name if number else "" for name, number in credit_pb2.MatchBasis.Tier.items()}
_REASONS = {number: name if number else "" for name, number in credit_pb2.Exclusion.Reason.items()}


def payload_of(credits_: credit_pb2.OrderCredits) -> bytes:
    """An order as it is stored."""
    return credits_.SerializeToString(deterministic=True)


def stored_fact_of(payload: bytes) -> OrderFact:
    """A stored order as a fact."""
    return fact_of(credit_pb2.OrderCredits.FromString(payload))


def fact_of(credits_: credit_pb2.OrderCredits) -> OrderFact:
    """An entry of the credit log as a fact."""
    order = credits_.order
    return OrderFact(
        credits_.tenant_id,
        credits_.edition,
        order.source,
        order.order_id,
        order.order_time.seconds if order.HasField("order_time") else None,
        order.currency_code,
        order.gross_micros,
        order.net_micros,
        _REASONS[order.excluded_reason],
        tuple(
            [
                Line(
                    line.sku,
                    line.quantity,
                    line.refunded_quantity,
                    line.gross_micros,
                    line.net_micros,
                    line.product_id,
                )
                for line in order.lines
            ]
        ),
        tuple(
            [
                Attribution(
                    said.model,
                    _TIERS[said.matched_by],
                    tuple([_credit(credit) for credit in said.credits]),
                    _REASONS[said.excluded_reason],
                )
                for said in credits_.attributions
            ]
        ),
        order.customer_key,
        order.session_id,
    )


def _credit(credit: credit_pb2.Credit) -> Credit:
    touch = credit.touch
    contact = Contact(
        _CHANNELS[touch.channel],
        touch.touchpoint,
        touch.bot_name,
        touch.agent_id,
        touch.campaign,
        touch.experience_id,
    )
    asked = touch.visitor_time.seconds if touch.HasField("visitor_time") else None
    return Credit(
        contact,
        credit.gross_micros,
        credit.net_micros,
        credit.session_id,
        tuple(touch.product_ids),
        visitor_seconds=asked,
    )


def settings_of(settings: settings_pb2.TenantSettings) -> tuple[str, str]:
    """The zone and the reporting currency; raises `ZoneInfoNotFoundError` for a zone that this machine doesn't know."""
    return ZoneInfo(settings.time_zone or UTC).key, settings.currency_code


def cost_of(tenant: Tenant) -> Cost | None:
    """What the tenant's assistant costs; None when it was not told."""
    told = settings_pb2.TenantSettings.FromString(tenant.settings)
    if not told.HasField("assistant_monthly_cost"):
        return None
    return Cost(told.assistant_monthly_cost.currency_code, told.assistant_monthly_cost.micros)


def language_of(settings: bytes) -> str:
    """The language tag in a settings document as the tenant's row holds it; empty for none."""
    return settings_pb2.TenantSettings.FromString(settings).language_code


def rates_of(logged: event_pb2.LoggedEvent, position: int) -> list[ToldRate]:
    """The exchange rates that an event tells of, which stands at a position of its log."""
    told = logged.event.exchange_rates
    day = date.fromisoformat(told.date)
    return [
        ToldRate(logged.tenant_id, told.base_currency_code, one.currency_code, day, one.rate, position)
        for one in told.rates
    ]


def models_of(complete: credit_pb2.OrderCredits) -> dict[str, int]:
    """The versions of the models of an edition, as the entry tells that says that it is complete."""
    return {said.model: said.model_version for said in complete.attributions}


def request_of(request: report_service_pb2.RunReportRequest) -> reports.Request:
    """What is asked for."""
    return reports.Request(
        metrics=list(request.metrics),
        dimensions=list(request.dimensions),
        start_date=request.start_date,
        end_date=request.end_date,
        comparison=Comparison(request.compare_to),
        filters=[reports.Filter(dimension=asked.dimension, values=tuple(asked.values)) for asked in request.filters],
        order_by=[
            reports.Order(
                metric=order.metric if order.HasField("metric") else None,
                dimension=order.dimension if order.HasField("dimension") else None,
                descending=order.descending,
            )
            for order in request.order_by
        ],
    )


_NARROWING = (
    "channel",
    "touchpoint",
    "agent",
    "bot",
    "origin_type",
    "campaign",
    "tier",
    "sku",
    "experience",
    "journey",
)


def named_request_of(request: report_service_pb2.GetReportRequest) -> NamedRequest:
    """What is asked for."""
    told = ((name, tuple(getattr(request, name))) for name in _NARROWING)
    return NamedRequest(
        report=request.report,
        start_date=request.start_date,
        end_date=request.end_date,
        preset=Preset(request.preset),
        comparison=Comparison(request.compare_to),
        model=request.model,
        filters=[reports.Filter(dimension=name, values=values) for name, values in told if values],
        limit=page_size(request.page_size, default=100, largest=2_000),
    )


def listed_by(request: report_service_pb2.RunReportRequest, tenant_id: str) -> bytes:
    """All of a request, and whose it is, that decides which rows there are and in which sequence."""
    asked = report_service_pb2.RunReportRequest()
    asked.CopyFrom(request)
    asked.ClearField("page_size")
    asked.ClearField("page_token")
    return tenant_id.encode() + b"\0" + asked.SerializeToString(deterministic=True)


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
        metadata=_metadata_message(tenant, model, plan.period, report.others, parked_events),
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
        metadata=_metadata_message(tenant, plan.model, plan.whole.period, answer.others, parked_events),
        year_trend=_row_message(plan.year, answer.year, {}, currency) if plan.year and answer.year else None,
    )
    _fill_compared(response.metadata, plan.whole)
    _fill_as_of(response.metadata.as_of, answer.as_of)
    return response


_DAILY = ("daily", "By day")


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


def _metadata_message(
    tenant: Tenant, model: str, period: Period, others: Iterable[tuple[str, Amounts]], parked_events: int
) -> report_pb2.ReportMetadata:
    return report_pb2.ReportMetadata(
        time_zone=tenant.time_zone,
        currency_code=tenant.currency_code,
        start_date=period.start.isoformat(),
        end_date=period.end.isoformat(),
        model=model,
        model_version=tenant.model_version(model),
        unconverted=[
            report_pb2.UnconvertedAmount(orders=amounts.orders, amount=_money(currency, amounts.gross_micros))
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


def whole_statement_message(
    whole: WholeStatement, model: str, period: Period, parked_events: int
) -> statement_pb2.Statement:
    """The statement in the reporting currency, with those of the other currencies.

    It tells no log positions: the same orders give the same statement, byte for byte, however they came.
    """
    message = _statement_message(whole.ours)
    message.parked_events = parked_events
    message.unconverted.extend(_statement_message(other) for other in whole.others)
    left_out = [(other.currency_code, other.store) for other in whole.others]
    message.metadata.CopyFrom(_metadata_message(whole.tenant, model, period, left_out, parked_events))
    return message


def _statement_message(statement: Statement) -> statement_pb2.Statement:
    currency = statement.currency_code
    return statement_pb2.Statement(
        store=statement_pb2.Bucket(**_amounts(currency, statement.store)),
        attributed=statement_pb2.AttributedBucket(
            **_amounts(currency, statement.attributed),
            by_channel=[
                statement_pb2.ChannelBucket(channel=name, **_amounts(currency, amounts))
                for name, amounts in statement.by_channel
            ],
            by_tier=[
                statement_pb2.TierBucket(tier=name, **_amounts(currency, amounts))
                for name, amounts in statement.by_tier
            ],
        ),
        unattributed=statement_pb2.Bucket(**_amounts(currency, statement.unattributed)),
        excluded=[
            statement_pb2.ExcludedBucket(reason=name, **_amounts(currency, amounts))
            for name, amounts in statement.excluded
        ],
        difference=statement_pb2.Bucket(**_amounts(currency, statement.difference)),
    )


def _amounts(currency_code: str, amounts: Amounts) -> dict[str, Any]:
    """The fields that all buckets have."""
    return {
        "orders": amounts.orders,
        "amount": _money(currency_code, amounts.gross_micros),
        "net": _money(currency_code, amounts.net_micros),
    }


def popular_product_message(popularity: Popularity) -> product_pb2.PopularProduct:
    """A product of a ranked list."""
    product = popularity.product
    return product_pb2.PopularProduct(
        sku=product.sku,
        product_id=product.product_id,
        display_name=product.display_name,
        total_sales=product.total_sales,
        ranking=_ranking_message(popularity.rankings[0]),
        **_units(product.units),
    )


def social_proof_message(sku: str, popularity: Popularity) -> product_pb2.SocialProof:
    """What was asked for by a name, without a sentence."""
    product = popularity.product
    return product_pb2.SocialProof(
        sku=sku,
        product_sku=product.sku,
        display_name=product.display_name,
        best_seller=best_seller(popularity.rankings) is not None,
        total_sales=product.total_sales,
        rankings=map(_ranking_message, popularity.rankings),
        **_units(product.units),
    )


def _units(units: tuple[int, ...]) -> dict[str, Any]:
    """The fields that tell units over each span."""
    return {f"units_{days}_days": count for days, count in zip(SPANS, units, strict=True)}


def _ranking_message(ranking: Ranking) -> product_pb2.Ranking:
    return product_pb2.Ranking(
        by=product_pb2.Ranking.By.ValueType(ranking.by),
        days=ranking.days,
        sold=ranking.sold,
        rank=ranking.rank,
        ranked=ranking.ranked,
        percentile=ranking.percentile,
    )


def _money(currency_code: str, micros: int) -> money_pb2.Money:
    return money_pb2.Money(currency_code=currency_code, micros=micros)
