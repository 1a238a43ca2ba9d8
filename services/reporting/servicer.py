"""Answers `touchstone.reporting.v1.ReportService`."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.reporting.v1 import report_service_pb2 as pb
from touchstone.reporting.v1 import report_service_pb2_grpc as pb_grpc

from services.chassis import callers
from services.reporting import answers
from services.reporting.domain.catalogue import METRICS
from services.reporting.domain.paging import page_size, read_token, write_token
from services.reporting.domain.periods import read_period
from services.reporting.domain.reports import plan
from services.reporting.domain.tenants import DEFAULT_MODEL
from services.reporting.experiments.asking import differing
from services.reporting.recount import verify
from services.reporting.remembered import Remembered
from services.reporting.wire.reports import metric_message, named_report_message, report_message
from services.reporting.wire.requests import listed_by, named_request_of, request_of
from services.reporting.wire.statements import whole_statement_message

Context = grpc.aio.ServicerContext[Any, Any]

_CATALOGUE = b"metrics"


class ReportServicer(pb_grpc.ReportServiceServicer):
    """The figures. `engine_of` answers the state to read; `parked_of` how many of a tenant's deliveries are parked.

    `clock`, in seconds of Unix time, says which day is the present one.
    """

    def __init__(
        self,
        engine_of: Callable[[], AsyncEngine],
        parked_of: Callable[[str], Awaitable[int]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine_of = engine_of
        self._parked_of = parked_of
        self._clock = clock
        self._remembered = Remembered[answers.Question]()

    async def ListMetrics(self, request: pb.ListMetricsRequest, context: Context) -> pb.ListMetricsResponse:
        """A page of the catalogue."""
        start = read_token(request.page_token, _CATALOGUE)
        end = start + page_size(request.page_size, default=100, largest=1_000)
        return pb.ListMetricsResponse(
            metrics=[metric_message(metric) for metric in list(METRICS.values())[start:end]],
            next_page_token=write_token(end, _CATALOGUE) if end < len(METRICS) else "",
        )

    async def RunReport(self, request: pb.RunReportRequest, context: Context) -> pb.RunReportResponse:
        """A page of a report's rows, and the totals over all of them."""
        tenant_id, model = callers.tenant_id(), request.model or DEFAULT_MODEL
        planned, asked = plan(request_of(request)), listed_by(request, tenant_id)
        offset = read_token(request.page_token, asked)
        limit = page_size(request.page_size, default=100, largest=2_000)
        report, parked = await asyncio.gather(
            answers.report(self._engine_of(), tenant_id, planned, model, offset=offset, limit=limit),
            self._parked_of(tenant_id),
        )
        response = report_message(planned, model, report, parked)
        if (end := offset + len(response.rows)) < report.total_size:
            response.next_page_token = write_token(end, asked)
        return response

    async def GetReport(self, request: pb.GetReportRequest, context: Context) -> pb.GetReportResponse:
        """A report by its name."""
        tenant_id = callers.tenant_id()
        answer, parked = await asyncio.gather(
            answers.named(self._engine_of(), self._remembered, tenant_id, named_request_of(request), self._clock()),
            self._parked_of(tenant_id),
        )
        return named_report_message(answer, parked)

    async def GetStatement(self, request: pb.GetStatementRequest, context: Context) -> pb.GetStatementResponse:
        """The statement."""
        tenant_id, model = callers.tenant_id(), request.model or DEFAULT_MODEL
        period = read_period(request.start_date, request.end_date)
        whole, parked = await asyncio.gather(
            answers.statement(self._engine_of(), tenant_id, period, model), self._parked_of(tenant_id)
        )
        statement = whole_statement_message(whole, model, period, parked)
        return pb.GetStatementResponse(statement=statement)

    async def VerifyRollups(
        self,
        request: pb.VerifyRollupsRequest,
        context: Context,
    ) -> AsyncIterator[pb.VerifyRollupsResponse]:
        """A recount of the caller's rollups."""
        async with answers.moment(self._engine_of()) as connection:
            tenant = await answers.read_tenant(connection, callers.tenant_id())
            async for checked, total, cells in verify(connection, tenant):
                others = await differing(connection, tenant) if checked == total else 0
                yield pb.VerifyRollupsResponse(checked=checked, total=total, different_cells=cells + others)
