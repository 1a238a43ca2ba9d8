"""Requests about personal data: demands read from messages, records written as messages."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from touchstone.ingest.v1 import event_pb2, event_service_pb2, privacy_pb2
from touchstone.ingest.v1 import privacy_service_pb2 as pb
from touchstone.type.v1 import identifier_pb2

from services.ingest.domain.addresses import hashed_email, hashed_phone
from services.ingest.domain.events import API_SOURCE
from services.ingest.domain.privacy import Demand, DemandKind, Named, Request, check_one_named, check_value
from services.ingest.domain.tenants import TenantTerms
from services.ingest.wire.rewriting import IDENTIFIER_FIELDS
from services.ingest.wire.times import timestamp
from services.kernel.failures import InvalidArgumentError
from services.kernel.identifiers import Identifier, Kind

_KINDS = frozenset(map(int, DemandKind))
_FIELDS = {**IDENTIFIER_FIELDS, "conversation_id": Kind.CONVERSATION}


def demands_by_partition(
    deliveries: Sequence[event_service_pb2.Delivery], tenants: Mapping[str, TenantTerms], ask_time: datetime
) -> dict[int, list[Demand]]:
    """What deliveries of sources that exist ask, by the tenants' partitions."""
    demands: dict[int, list[Demand]] = {}
    for delivery in deliveries:
        tenant = tenants.get(delivery.tenant_id) if delivery.privacy_demands else None
        if tenant is not None and delivery.source in tenant.sources:
            of_partition = demands.setdefault(tenant.partition, [])
            of_partition += (
                _demand(told, tenant, delivery.source, ask_time)
                for told in delivery.privacy_demands
                if int(told.kind) in _KINDS
            )
    return demands


def _demand(told: privacy_pb2.PrivacyDemand, tenant: TenantTerms, source: str, ask_time: datetime) -> Demand:
    named = Named(tuple(_identifiers(told.identifiers, tenant.hash_key)), tuple(told.order_ids))
    return Demand(tenant.tenant_id, source, told.demand_id, DemandKind(told.kind), named, ask_time)


def erasure_of(request: pb.ErasePersonRequest, tenant: TenantTerms, ask_time: datetime) -> Demand:
    """The erasure that is asked for by hand. Raises InvalidArgumentError unless one valid value names somebody."""
    name = check_one_named([field.name for field, _ in request.ListFields()])
    field = request.DESCRIPTOR.fields_by_name[name].json_name
    value, kind = check_value(field, getattr(request, name)), _FIELDS[name]
    if kind is Kind.EMAIL:
        value = hashed_email(tenant.hash_key, value)
    elif kind is Kind.PHONE:
        value = hashed_phone(tenant.hash_key, value, "")
    if not value:
        raise InvalidArgumentError.of(field, "is no valid address")
    named = Named((Identifier(kind, value),))
    return Demand(tenant.tenant_id, API_SOURCE, "", DemandKind.ERASURE, named, ask_time)


def request_message(request: Request) -> privacy_pb2.PrivacyRequest:
    """The record as callers see it."""
    return privacy_pb2.PrivacyRequest(
        request_id=request.request_id,
        kind=privacy_pb2.PrivacyDemand.Kind.ValueType(request.kind),
        source=request.source,
        state=privacy_pb2.PrivacyRequest.State.ValueType(request.state),
        create_time=timestamp(request.create_time),
        done_time=timestamp(request.done_time),
        due_time=timestamp(request.due_time),
        latest_begin_time=timestamp(request.latest_begin_time),
        erased_identifiers=request.erased_identifiers,
        rewritten_events=request.rewritten_events,
        forgotten_bodies=request.forgotten_bodies,
    )


def identifier_message(identifier: Identifier) -> identifier_pb2.Identifier:
    """The identifier as a message."""
    return identifier_pb2.Identifier(
        kind=identifier_pb2.Identifier.Kind.ValueType(identifier.kind), value=identifier.value
    )


def _identifiers(ids: event_pb2.Identifiers, hash_key: bytes) -> Iterator[Identifier]:
    for field, kind in IDENTIFIER_FIELDS.items():
        value = getattr(ids, field)
        if kind is Kind.EMAIL:
            value = hashed_email(hash_key, value)
        elif kind is Kind.PHONE:
            value = hashed_phone(hash_key, value, ids.phone_country)
        if value:
            yield Identifier(kind, value)
