"""Tenants as messages."""

from touchstone.ingest.v1 import settings_pb2
from touchstone.ingest.v1 import tenant_service_pb2 as pb

from services.ingest.domain.tenants import Tenant
from services.ingest.wire.times import timestamp


def settings_of(tenant: Tenant) -> settings_pb2.TenantSettings:
    """The tenant's whole settings document."""
    return settings_pb2.TenantSettings.FromString(tenant.settings)


def tenant_message(tenant: Tenant) -> pb.Tenant:
    """The tenant with its settings."""
    return pb.Tenant(
        tenant_id=tenant.tenant_id,
        partition=tenant.partition,
        create_time=timestamp(tenant.create_time),
        settings=settings_of(tenant),
    )
