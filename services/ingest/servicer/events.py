"""Answers `touchstone.ingest.v1.EventService`, but for FollowEvents, which the log itself serves."""

import asyncio
import time
from typing import Any

import grpc
from touchstone.ingest.v1 import event_pb2
from touchstone.ingest.v1 import event_service_pb2 as pb
from touchstone.ingest.v1 import event_service_pb2_grpc as pb_grpc

from services.chassis import callers, telemetry
from services.ingest.domain.deduplication import CONFLICT, Entry, Status
from services.ingest.domain.deliveries import Batch
from services.ingest.domain.events import API_SOURCE, OWN_SOURCE
from services.ingest.domain.sources import SourceKind
from services.ingest.domain.tenants import TenantTerms
from services.ingest.store.directory import TenantDirectory
from services.ingest.store.event_log import EventLog
from services.ingest.wire.deliveries import Deliveries
from services.ingest.wire.events import Refused, entry_of, hash_addresses, origin
from services.ingest.wire.shape import fit
from services.ingest.wire.times import timestamp_of
from services.kernel.failures import InvalidArgumentError, NotFoundError

Context = grpc.aio.ServicerContext[Any, Any]

_MOST_EVENTS = 1_000


class EventServicer(pb_grpc.EventServiceServicer):
    """Takes events in."""

    def __init__(self, event_log: EventLog, directory: TenantDirectory) -> None:
        self._event_log = event_log
        self._directory = directory

    async def AppendEvents(  # noqa: N802 - gRPC's name
        self,
        request: pb.AppendEventsRequest,
        context: Context,  # noqa: ARG002 - gRPC's signature
    ) -> pb.AppendEventsResponse:
        """Appends the tenant's own events; each is taken or refused by itself."""
        if len(request.events) > _MOST_EVENTS:
            raise InvalidArgumentError.of("events", f"more than {_MOST_EVENTS}")
        tenant = await self._tenant(callers.tenant_id())
        now = time.time_ns()
        trace_parent = telemetry.current_trace_parent()
        told = origin(
            tenant, API_SOURCE, SourceKind.CUSTOM, receive_time=timestamp_of(now), trace_parent=trace_parent, now=now
        )
        all_fit = fit(request.events)
        read = [entry_of(event, told, fits=all_fit) for event in request.events]
        entries = [entry for entry in read if isinstance(entry, Entry)]
        statuses = iter(await self._event_log.append(Batch(tenant.partition, entries)) if entries else ())
        return pb.AppendEventsResponse(
            results=[
                _result(event, entry if isinstance(entry, Refused) else next(statuses))
                for event, entry in zip(request.events, read, strict=True)
            ]
        )

    async def AppendDeliveries(  # noqa: N802 - gRPC's name
        self,
        request: pb.AppendDeliveriesRequest,
        context: Context,  # noqa: ARG002 - gRPC's signature
    ) -> pb.AppendDeliveriesResponse:
        """Appends what verified deliveries brought, and parks what can't be used."""
        named = {
            (delivery.tenant_id, "" if delivery.source == OWN_SOURCE else delivery.source)
            for delivery in request.deliveries
        }
        deliveries = Deliveries(request.deliveries, await self._directory.find(named), now=time.time_ns())
        batches = deliveries.batches()
        statuses = await asyncio.gather(*map(self._event_log.append, batches))
        of_partitions = {batch.partition: of_batch for batch, of_batch in zip(batches, statuses, strict=True)}
        return deliveries.response(of_partitions)

    async def HashAddresses(  # noqa: N802 - gRPC's name
        self,
        request: pb.HashAddressesRequest,
        context: Context,  # noqa: ARG002 - gRPC's signature
    ) -> pb.HashAddressesResponse:
        """Hashes addresses as they would stand in the log."""
        tenant = await self._tenant(request.tenant_id)
        hash_addresses(request.identifiers, tenant.hash_key)
        return pb.HashAddressesResponse(identifiers=request.identifiers)

    async def _tenant(self, tenant_id: str) -> TenantTerms:
        found = await self._directory.find([(tenant_id, "")])
        if tenant_id not in found:
            raise NotFoundError("TENANT_NOT_FOUND", "there is no such tenant")
        return found[tenant_id]


def _result(event: event_pb2.Event, fate: Refused | Status) -> pb.EventResult:
    if isinstance(fate, Refused):
        return pb.EventResult(event_id=event.event_id, status=pb.EventResult.REJECTED, reason=fate.reason)
    reason = CONFLICT if fate is Status.REJECTED else ""
    return pb.EventResult(event_id=event.event_id, status=pb.EventResult.Status.ValueType(fate), reason=reason)
