"""Answers `touchstone.reporting.v1.ExperimentService`."""

import asyncio
import time
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import grpc
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.ingest.v1 import event_service_pb2, experiment_pb2
from touchstone.reporting.v1 import experiment_service_pb2 as pb
from touchstone.reporting.v1 import experiment_service_pb2_grpc as pb_grpc

from services.chassis import callers, follow
from services.kernel.failures import InvalidArgumentError, TooLateError
from services.kernel.identifiers import LONGEST_VALUE
from services.reporting import answers
from services.reporting.domain.experiments.definition import Experiment
from services.reporting.domain.paging import page_size, read_token, write_token
from services.reporting.domain.periods import read_period
from services.reporting.domain.tenants import DEFAULT_MODEL
from services.reporting.experiments import asking, writing
from services.reporting.experiments.reading import checked_set, experiments_of
from services.reporting.store import experiments

if TYPE_CHECKING:
    from touchstone.ingest.v1.event_service_pb2_grpc import EventServiceAsyncStub

Context = grpc.aio.ServicerContext[Any, Any]

PATIENCE: Final = 8.0
"""Seconds for which a new set of experiments is waited for."""

_LOOKS: Final = (0.01, 0.02, 0.05, 0.1)
"""Seconds between looks whether a new set is there, the last of them again and again."""


class ExperimentServicer(pb_grpc.ExperimentServiceServicer):
    """Experiments. `engine_of` answers the state to read; new sets go to the event log through `events`."""

    def __init__(self, engine_of: Callable[[], AsyncEngine], events: "EventServiceAsyncStub") -> None:
        self._engine_of = engine_of
        self._events = events
        self._reports = asking.Remembered()

    async def ListExperiments(
        self,
        request: pb.ListExperimentsRequest,
        context: Context,
    ) -> pb.ListExperimentsResponse:
        """A page of the tenant's experiments."""
        tenant_id = callers.tenant_id()
        listed_by = f"{tenant_id}\0experiments".encode()
        start = read_token(request.page_token, listed_by)
        end = start + page_size(request.page_size, default=100, largest=1_000)
        async with self._engine_of().connect() as connection:
            newest = await experiments.read_newest(connection, tenant_id)
        told = experiment_pb2.ExperimentSet.FromString(newest.document if newest else b"").experiments
        return pb.ListExperimentsResponse(
            experiments=told[start:end],
            next_page_token=write_token(end, listed_by) if end < len(told) else "",
        )

    async def ReplaceExperiments(
        self,
        request: pb.ReplaceExperimentsRequest,
        context: Context,
    ) -> pb.ReplaceExperimentsResponse:
        """Appends the set to the event log, and answers once this service has followed it."""
        tenant_id, told = callers.tenant_id(), checked_set(request.experiments)
        event_id = f"experiments-{uuid4()}"
        delivery = writing.set_event(tenant_id, event_id, told, time.time_ns())
        answer = await self._events.AppendDeliveries(event_service_pb2.AppendDeliveriesRequest(deliveries=[delivery]))
        for event in (event for result in answer.results for event in result.events):
            if event.status == event_service_pb2.EventResult.REJECTED:
                raise RuntimeError(f"ingest refused a set of experiments: {event.reason}")
        await self._followed(tenant_id, event_id)
        return pb.ReplaceExperimentsResponse(experiments=told.experiments)

    async def _followed(self, tenant_id: str, event_id: str) -> None:
        left = callers.seconds_left()
        give_up = time.monotonic() + (PATIENCE if left is None else min(PATIENCE, left - 0.5))
        looks = iter(_LOOKS)
        while True:
            async with self._engine_of().connect() as connection:
                if await experiments.is_told(connection, tenant_id, event_id):
                    return
            if time.monotonic() > give_up:
                message = "The experiments are accepted and hold soon: list them in a moment."
                raise TooLateError("EXPERIMENTS_NOT_READY", message)
            await asyncio.sleep(next(looks, _LOOKS[-1]))

    async def GetAssignment(
        self,
        request: pb.GetAssignmentRequest,
        context: Context,
    ) -> pb.GetAssignmentResponse:
        """A visitor's variant."""
        if not 0 < len(request.visitor_id) <= LONGEST_VALUE:
            raise InvalidArgumentError.of("visitorId", f"must be 1 to {LONGEST_VALUE} characters")
        async with self._engine_of().connect() as connection:
            newest = await experiments.read_newest(connection, callers.tenant_id())
        known = _experiments_of(newest.document) if newest else {}
        if request.experiment_id not in known:
            raise asking.not_found(request.experiment_id)
        experiment = known[request.experiment_id]
        return pb.GetAssignmentResponse(assignment=writing.assignment(experiment, request.visitor_id, time.time_ns()))

    async def GetExperimentReport(
        self,
        request: pb.GetExperimentReportRequest,
        context: Context,
    ) -> pb.GetExperimentReportResponse:
        """What an experiment came to."""
        if not request.experiment_id:
            raise InvalidArgumentError.of("experimentId", "is required")
        dated = request.start_date or request.end_date
        period = read_period(request.start_date, request.end_date) if dated else None
        asked, engine = asking.Asked(request.experiment_id, request.model or DEFAULT_MODEL, period), self._engine_of()
        async with answers.moment(engine) as connection:
            tenant = await answers.read_tenant(connection, callers.tenant_id())
            as_of = await answers.as_of(connection, tenant.partition)
            parked = await experiments.count_parked(connection, tenant.partition)
            followed = await follow.applied(connection, tenant.partition)
            state = (engine, *sorted((log, applied.position) for log, applied in followed.items()), parked)
            found = await self._reports.report(connection, tenant, asked, state)
        return pb.GetExperimentReportResponse(report=writing.report_message(found, tenant, asked, as_of))


@lru_cache(maxsize=256)
def _experiments_of(document: bytes) -> dict[str, Experiment]:
    """A set that was read lately; visitors ask again and again."""
    return experiments_of(document)
