"""Deliveries: read from a request, split by partition, and what became of them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from google.protobuf import json_format
from touchstone.ingest.v1 import event_pb2
from touchstone.ingest.v1 import event_service_pb2 as pb

from services.ingest.domain.deduplication import CONFLICT, Entry, Status
from services.ingest.domain.deliveries import Batch, Heard, UnusablePart
from services.ingest.domain.events import NANOS, OWN_SOURCE, invalid_field
from services.ingest.domain.sources import SourceKind
from services.ingest.domain.tenants import TenantTerms
from services.ingest.wire.events import (
    Refused,
    Sender,
    Typed,
    entry_of,
    restore_addresses,
    sender_of,
    typed_addresses,
)
from services.ingest.wire.shape import fit
from services.ingest.wire.times import timestamp_of, utc

UNKNOWN_SOURCE = "UNKNOWN_SOURCE"
"""The reason for refusing what comes from a tenant or source that doesn't exist: there is no list to park it in."""

EVENTS_HEADERS = {"content-type": "application/json", "touchstone-body": "events"}
"""The headers of a parked event: its body is a list of events, whatever its source usually sends."""

EVENT_BYTES_HEADERS = {"content-type": "application/x-protobuf", "touchstone-body": "event"}
"""The headers of a parked event that JSON can't express: its body is the Event itself."""


class _Part(NamedTuple):
    """What is needed to park an event after all."""

    delivery: pb.Delivery
    event: event_pb2.Event
    typed: Typed | None


class _Partition:
    """What is to be appended to one partition."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.parts: list[_Part] = []
        self.unusable: list[UnusablePart] = []
        self.heard: list[Heard] = []

    def part_of(self, index: int) -> UnusablePart:
        return _unusable_event(self.parts[index], CONFLICT)


class _Read(NamedTuple):
    """A delivery that was read."""

    delivery: pb.Delivery
    sender: Sender | None
    """None where the tenant or its source doesn't exist."""
    fates: Sequence[int | Refused]
    """What becomes of each event: its place among the partition's entries, or why it is refused."""


class Deliveries:
    """The deliveries of a request as batches, one for each partition that they concern."""

    def __init__(self, deliveries: Sequence[pb.Delivery], tenants: Mapping[str, TenantTerms], *, now: int) -> None:
        self._tenants = tenants
        self._now = now
        self._received_now = timestamp_of(now)
        self._senders: dict[tuple[str, str], Sender | None] = {}
        self._partitions: dict[int, _Partition] = defaultdict(_Partition)
        # Most requests hold nothing wrong: one look at all of their events costs half of a look at each.
        self._all_fit = fit([event for delivery in deliveries for event in delivery.events])
        self._deliveries = [self._read(delivery) for delivery in deliveries]

    def batches(self) -> list[Batch]:
        """What is to be appended."""
        return [
            Batch(partition, read.entries, read.unusable, read.heard, read.part_of)
            for partition, read in self._partitions.items()
        ]

    def response(self, statuses: Mapping[int, Sequence[Status]]) -> pb.AppendDeliveriesResponse:
        """What became of each delivery, given what became of each partition's entries."""
        response = pb.AppendDeliveriesResponse()
        for delivery, sender, fates in self._deliveries:
            of_partition = () if sender is None else statuses[sender.tenant.partition]
            result = response.results.add()
            parked = len(delivery.unusable)
            for event, fate in zip(delivery.events, fates, strict=True):
                told = result.events.add()
                told.event_id = event.event_id
                status = Status.REJECTED if isinstance(fate, Refused) else of_partition[fate]
                told.status = pb.EventResult.Status.ValueType(status)
                if status is Status.REJECTED:
                    told.reason = fate.reason if isinstance(fate, Refused) else CONFLICT
                    parked += 1
            if parked and sender is not None and not sender.terms.is_own:
                result.parked = parked
        return response

    def _read(self, delivery: pb.Delivery) -> _Read:
        sender = self._sender(delivery.tenant_id, delivery.source)
        events = delivery.events
        if sender is None:
            return _Read(delivery, None, [Refused(UNKNOWN_SOURCE)] * len(events))
        if not delivery.HasField("receive_time"):
            delivery.receive_time.CopyFrom(self._received_now)
        partition = self._partitions[sender.tenant.partition]
        origin = sender.at(delivery.receive_time, delivery.trace_parent)
        is_own = sender.terms.is_own
        fates: list[int | Refused] = []
        for event in events:
            part = _Part(delivery, event, typed_addresses(event))
            if is_own and event.HasField("settings"):
                entry: Entry | Refused = Refused(invalid_field("settings", "are changed by UpdateSettings only"))
            else:
                entry = entry_of(event, origin, fits=self._all_fit)
            if isinstance(entry, Refused):
                fates.append(entry)
                if not is_own:
                    partition.unusable.append(_unusable_event(part, entry.reason))
                continue
            fates.append(len(partition.entries))
            partition.entries.append(entry)
            partition.parts.append(part)
        if not is_own:
            self._account(partition, delivery)
        return _Read(delivery, sender, fates)

    def _sender(self, tenant_id: str, source: str) -> Sender | None:
        """The source, or None where it doesn't exist."""
        name = (tenant_id, source)
        if name not in self._senders:
            tenant = self._tenants.get(tenant_id)
            kind = None if tenant is None else SourceKind.CUSTOM if source == OWN_SOURCE else tenant.sources.get(source)
            self._senders[name] = (
                None if tenant is None or kind is None else sender_of(tenant, source, kind, now=self._now)
            )
        return self._senders[name]

    @staticmethod
    def _account(partition: _Partition, delivery: pb.Delivery) -> None:
        time, unusable = delivery.receive_time, delivery.unusable
        counted = bool(delivery.events or unusable)
        partition.heard.append(Heard(delivery.tenant_id, delivery.source, time.seconds * NANOS + time.nanos, counted))
        for part in unusable:
            partition.unusable.append(_part(delivery, part.reason, part.body, dict(part.headers)))


def _unusable_event(part: _Part, reason: str) -> UnusablePart:
    """A refused event as it was sent, so that it can be sent again once the cause is mended."""
    restore_addresses(part.event, part.typed)
    try:
        body = json_format.MessageToJson(part.event, indent=None).encode()
    except (json_format.Error, ValueError, OverflowError):
        return _part(part.delivery, reason, part.event.SerializeToString(), EVENT_BYTES_HEADERS)
    return _part(part.delivery, reason, b'{"events": [%b]}' % body, EVENTS_HEADERS)


def _part(delivery: pb.Delivery, reason: str, body: bytes, headers: Mapping[str, str]) -> UnusablePart:
    received = utc(delivery.receive_time)
    return UnusablePart(delivery.tenant_id, delivery.source, delivery.topic, reason, received, body, headers)
