"""What is asked of reports."""

from touchstone.reporting.v1 import report_service_pb2

from services.reporting.domain import reports
from services.reporting.domain.named import NamedRequest
from services.reporting.domain.paging import page_size
from services.reporting.domain.periods import Comparison
from services.reporting.domain.presets import Preset

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
        filters=tuple(reports.Filter(dimension=name, values=values) for name, values in told if values),
        limit=page_size(request.page_size, default=100, largest=2_000),
    )


def listed_by(request: report_service_pb2.RunReportRequest, tenant_id: str) -> bytes:
    """All of a request, and whose it is, that decides which rows there are and in which sequence."""
    asked = report_service_pb2.RunReportRequest()
    asked.CopyFrom(request)
    asked.ClearField("page_size")
    asked.ClearField("page_token")
    return tenant_id.encode() + b"\0" + asked.SerializeToString(deterministic=True)
