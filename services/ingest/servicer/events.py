"""Answers `touchstone.ingest.v1.EventService`, but for FollowEvents, which the log itself serves."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

import grpc
from opentelemetry.trace import SpanKind
from touchstone.ingest.v1 import event_pb2
from touchstone.ingest.v1 import event_service_pb2 as pb
from touchstone.ingest.v1 import event_service_pb2_grpc as pb_grpc

from services.chassis import callers, telemetry
from services.ingest.domain.deduplication import CONFLICT, Entry, Status
from services.ingest.domain.deliveries import Batch
from services.ingest.domain.events import API_SOURCE, OWN_SOURCE
from services.ingest.domain.privacy import Demand
from services.ingest.domain.sources import SourceKind
from services.ingest.domain.tenants import TenantTerms
from services.ingest.store.directory import TenantDirectory
from services.ingest.store.event_log import EventLog
from services.ingest.wire.deliveries import Deliveries
from services.ingest.wire.events import Refused, entry_of, hash_addresses, sender_of
from services.ingest.wire.privacy import demands_by_partition
from services.ingest.wire.shape import fit
from services.ingest.wire.times import timestamp_of
from services.kernel.failures import InvalidArgumentError

Record: TypeAlias = Callable[[int, Sequence[Demand]], Awaitable[object]]
"""Commits what is asked about the data of people of tenants of a partition."""

Context = grpc.aio.ServicerContext[Any, Any]

_MOST_EVENTS = 1_000


class EventServicer(pb_grpc.EventServiceServicer):
    """Takes events in."""

    def __init__(self, event_log: EventLog, directory: TenantDirectory, record: Record) -> None:
        self._event_log = event_log
        self._directory = directory
        self._record = record

    async def AppendEvents(
        self,
        request: pb.AppendEventsRequest,
        context: Context,
    ) -> pb.AppendEventsResponse:
        """Appends the tenant's own events; each is taken or refused by itself."""
        if len(request.events) > _MOST_EVENTS:
            raise InvalidArgumentError.of("events", f"more than {_MOST_EVENTS}")
        tenant = await self._directory.find_one(callers.tenant_id())
        now = time.time_ns()
        sent = sender_of(tenant, API_SOURCE, SourceKind.CUSTOM, now=now)
        origin = sent.at(timestamp_of(now), telemetry.current_trace_parent())
        all_fit = fit(request.events)
        read = [entry_of(event, origin, fits=all_fit) for event in request.events]
        entries = [entry for entry in read if isinstance(entry, Entry)]
        batch = Batch(tenant.partition, entries)
        statuses = iter(await self._event_log.append(batch, _renamed([tenant])) if entries else ())
        return pb.AppendEventsResponse(
            results=[
                _result(event, entry if isinstance(entry, Refused) else next(statuses))
                for event, entry in zip(request.events, read, strict=True)
            ]
        )

    async def AppendDeliveries(
        self,
        request: pb.AppendDeliveriesRequest,
        context: Context,
    ) -> pb.AppendDeliveriesResponse:
        """Appends what verified deliveries brought, and parks what can't be used."""
        named = {
            (delivery.tenant_id, "" if delivery.source == OWN_SOURCE else delivery.source)
            for delivery in request.deliveries
        }
        tenants = await self._directory.find(named)
        deliveries = Deliveries(request.deliveries, tenants, now=time.time_ns())
        batches = deliveries.batches()
        renamed = _renamed(tenants.values())
        traces = (delivery.trace_parent for delivery in request.deliveries)
        with telemetry.spans("append events", traces, kind=SpanKind.PRODUCER):
            statuses = await asyncio.gather(*(self._event_log.append(batch, renamed) for batch in batches))
        # After what was delivered with them: it is reached too.
        demands = demands_by_partition(request.deliveries, tenants, datetime.now(UTC))
        await asyncio.gather(*(self._record(partition, asked) for partition, asked in demands.items()))
        of_partitions = {batch.partition: of_batch for batch, of_batch in zip(batches, statuses, strict=True)}
        return deliveries.response(of_partitions)

    async def HashAddresses(
        self,
        request: pb.HashAddressesRequest,
        context: Context,
    ) -> pb.HashAddressesResponse:
        """Hashes addresses as they would stand in the log."""
        tenant = await self._directory.find_one(request.tenant_id)
        hash_addresses(request.identifiers, tenant.hash_key)
        return pb.HashAddressesResponse(identifiers=request.identifiers)


def _renamed(tenants: Iterable[TenantTerms]) -> list[str]:
    return [tenant.tenant_id for tenant in tenants if tenant.has_renamed_events]


def _result(event: event_pb2.Event, fate: Refused | Status) -> pb.EventResult:
    if isinstance(fate, Refused):
        return pb.EventResult(event_id=event.event_id, status=pb.EventResult.REJECTED, reason=fate.reason)
    reason = CONFLICT if fate is Status.REJECTED else ""
    return pb.EventResult(event_id=event.event_id, status=pb.EventResult.Status.ValueType(fate), reason=reason)
