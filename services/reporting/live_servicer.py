"""Answers `touchstone.reporting.v1.LiveService`."""

import asyncio
import hashlib
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from datetime import date, datetime
from typing import Any, Final

import grpc
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from touchstone.reporting.v1 import live_service_pb2 as pb
from touchstone.reporting.v1 import live_service_pb2_grpc as pb_grpc
from touchstone.reporting.v1 import report_pb2, report_service_pb2

from services.chassis import callers
from services.chassis.tokens import expired
from services.kernel.failures import InvalidArgumentError
from services.reporting import answers
from services.reporting.domain import watching
from services.reporting.domain.definitions import CHANNEL
from services.reporting.domain.paging import page_size
from services.reporting.domain.reports import plan
from services.reporting.domain.tenants import DEFAULT_MODEL, Tenant
from services.reporting.live import Live, Seen
from services.reporting.wire.reports import report_message
from services.reporting.wire.requests import request_of

Context = grpc.aio.ServicerContext[Any, Any]

_LONGEST_AFTER: Final = 256
_PARKED_SECONDS: Final = 10.0
"""Seconds for which the number of parked deliveries is not asked for again."""


class LiveServicer(pb_grpc.LiveServiceServicer):
    """Figures as they change. `engine_of` and `parked_of` are those of `ReportServicer`."""

    def __init__(
        self,
        engine_of: Callable[[], AsyncEngine],
        parked_of: Callable[[str], Awaitable[int]],
        live: Live,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine_of = engine_of
        self._parked_of = parked_of
        self._live = live
        self._clock = clock

    async def WatchFigures(
        self,
        request: pb.WatchFiguresRequest,
        context: Context,
    ) -> AsyncIterator[pb.WatchFiguresResponse]:
        """All the figures, and then those after every change, until the caller's token expires."""
        tenant_id, after, ends = callers.tenant_id(), request.after, callers.caller().expire_time
        _check(request)
        asked = pb.WatchFiguresRequest()
        asked.CopyFrom(request)
        asked.ClearField("after")
        computation = _Computation(self._engine_of, self._parked_of, self._clock, tenant_id, asked)
        key = (tenant_id, asked.SerializeToString(deterministic=True))
        async with aclosing(self._live.watch(key, computation.compute, after)) as told:
            while True:
                left = None if math.isinf(ends) else max(ends - self._clock(), 0.0)
                try:
                    yield await asyncio.wait_for(anext(told), left)
                except TimeoutError:
                    raise expired() from None


def _check(request: pb.WatchFiguresRequest) -> None:
    """Refuses what no plan would ever be made of; whether there is such a model is only known of the tenant."""
    if len(request.after) > _LONGEST_AFTER:
        raise InvalidArgumentError.of("after", f"is longer than {_LONGEST_AFTER} characters")
    if not request.metrics:
        for field, given in (("dimensions", request.dimensions), ("filters", request.filters)):
            if given:
                raise InvalidArgumentError.of(field, "stand beside metrics only")
    page_size(request.page_size, default=100, largest=2_000)


class _Computation:
    """The figures that some watchers share."""

    def __init__(
        self,
        engine_of: Callable[[], AsyncEngine],
        parked_of: Callable[[str], Awaitable[int]],
        clock: Callable[[], float],
        tenant_id: str,
        request: pb.WatchFiguresRequest,
    ) -> None:
        self._engine_of = engine_of
        self._parked_of = parked_of
        self._clock = clock
        self._tenant_id = tenant_id
        self._request = request
        self._parked = 0
        self._parked_until = 0.0

    async def compute(self) -> Seen:
        """The figures as they are now, all of one moment."""
        request, now = self._request, self._clock()
        parked = await self._read_parked()
        async with answers.moment(self._engine_of()) as connection:
            tenant = await answers.read_tenant(connection, self._tenant_id)
            today = datetime.fromtimestamp(now, tenant.zone).date()
            start, end = watching.days(watching.Preset(request.preset), request.start_date, request.end_date, today)
            figures = await _figures(connection, tenant, self._asked(start, end), parked)
            by_channel: list[report_pb2.ReportRow] = []
            if not request.metrics:
                beside = report_service_pb2.RunReportRequest(
                    metrics=watching.BY_CHANNEL,
                    dimensions=[CHANNEL],
                    start_date=start,
                    end_date=end,
                    compare_to=request.compare_to,
                    model=request.model,
                )
                by_channel.extend((await _figures(connection, tenant, beside, parked)).rows)
        response = pb.WatchFiguresResponse(figures=figures, by_channel=by_channel)
        digest, as_of = _digest(response), figures.metadata.as_of
        response.event_id = f"{as_of.event_position}-{as_of.credit_position}-{digest}"
        return Seen(
            response,
            digest,
            tenant.partition,
            (as_of.event_position, as_of.credit_position),
            self._until(tenant, today, now),
        )

    def _until(self, tenant: Tenant, today: date, now: float) -> float:
        """Until when nothing but what is followed changes the figures: while they are counted anew, not at all."""
        if tenant.coming is not None:
            return now
        return math.inf if self._request.start_date else watching.next_midnight(today, tenant.zone)

    def _asked(self, start: str, end: str) -> report_service_pb2.RunReportRequest:
        request = self._request
        return report_service_pb2.RunReportRequest(
            metrics=request.metrics or watching.TOTALS,
            dimensions=request.dimensions,
            start_date=start,
            end_date=end,
            compare_to=request.compare_to,
            model=request.model,
            filters=request.filters,
            order_by=request.order_by,
            page_size=request.page_size,
        )

    async def _read_parked(self) -> int:
        """Deliveries that are parked: asked for now and then, for it is another service that knows."""
        if time.monotonic() >= self._parked_until:
            try:
                self._parked = await self._parked_of(self._tenant_id)
            except grpc.aio.AioRpcError:
                if not self._parked_until:
                    raise
            self._parked_until = time.monotonic() + _PARKED_SECONDS
        return self._parked


async def _figures(
    connection: AsyncConnection, tenant: Tenant, asked: report_service_pb2.RunReportRequest, parked: int
) -> report_service_pb2.RunReportResponse:
    planned, model = plan(request_of(asked)), asked.model or DEFAULT_MODEL
    limit = page_size(asked.page_size, default=100, largest=2_000)
    report = await answers.report_at(connection, tenant, planned, model, offset=0, limit=limit)
    return report_message(planned, model, report, parked)


def _digest(response: pb.WatchFiguresResponse) -> str:
    """Names figures: the same for the same ones, whatever log positions they speak through."""
    told = pb.WatchFiguresResponse()
    told.CopyFrom(response)
    told.figures.metadata.ClearField("as_of")
    return hashlib.sha256(told.SerializeToString(deterministic=True)).hexdigest()[:16]
