"""Answers `touchstone.ingest.v1.TenantService`."""

import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import grpc
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from touchstone.ingest.v1 import settings_pb2
from touchstone.ingest.v1 import tenant_service_pb2 as pb
from touchstone.ingest.v1 import tenant_service_pb2_grpc as pb_grpc

from services.chassis import callers, telemetry, tokens
from services.ingest.domain.deduplication import Entry
from services.ingest.domain.paging import cut, page_size, page_start
from services.ingest.domain.sources import check_slug
from services.ingest.domain.tenants import TOKEN_LIFETIME, Tenant, TenantTerms, check_scopes, existing
from services.ingest.store import tenants as store
from services.ingest.store.directory import TenantDirectory
from services.ingest.store.event_log import EventLog
from services.ingest.store.vault import Vault
from services.ingest.wire import settings as settings_wire
from services.ingest.wire.tenants import settings_of, tenant_message
from services.ingest.wire.times import timestamp
from services.kernel.failures import AlreadyExistsError, FailedPreconditionError
from services.kernel.partitions import proposed_partition

Context = grpc.aio.ServicerContext[Any, Any]

_HASH_KEY_BYTES = 32


class TenantServicer(pb_grpc.TenantServiceServicer):
    """Tenants, their settings and their tokens. `signing_key` is None where no tokens are issued."""

    def __init__(
        self,
        engine: AsyncEngine,
        vault: Vault,
        event_log: EventLog,
        directory: TenantDirectory,
        signing_key: tokens.SigningKey | None,
    ) -> None:
        self._engine = engine
        self._vault = vault
        self._event_log = event_log
        self._directory = directory
        self._signing_key = signing_key

    async def CreateTenant(self, request: pb.CreateTenantRequest, context: Context) -> pb.CreateTenantResponse:
        """Creates a tenant, and appends its first settings in the same transaction."""
        tenant_id = check_slug("tenantId", request.tenant_id)
        settings_wire.check(request.settings)

        async def create(connection: AsyncConnection) -> tuple[Tenant, Sequence[Entry]]:
            return await self._create(connection, tenant_id, request.settings)

        tenant = await self._event_log.change(proposed_partition(tenant_id), create)
        self._directory.forget(tenant_id)
        return pb.CreateTenantResponse(tenant=tenant_message(tenant))

    async def ListTenants(self, request: pb.ListTenantsRequest, context: Context) -> pb.ListTenantsResponse:
        """A page of the tenants by id."""
        size = page_size(request.page_size)
        after = page_start(request.page_token)
        page, last = cut(await store.list_tenants(self._engine, after=after, count=size + 1), size)
        token = last.tenant_id if last else ""
        return pb.ListTenantsResponse(tenants=map(tenant_message, page), next_page_token=token)

    async def GetSettings(self, request: pb.GetSettingsRequest, context: Context) -> pb.GetSettingsResponse:
        """The settings of the token's tenant."""
        async with self._engine.connect() as connection:
            found = await store.find_tenant(connection, callers.tenant_id())
        return pb.GetSettingsResponse(settings=settings_of(existing(found).tenant))

    async def UpdateSettings(self, request: pb.UpdateSettingsRequest, context: Context) -> pb.UpdateSettingsResponse:
        """Changes settings, and appends the whole document in the same transaction."""
        tenant_id = callers.tenant_id()
        terms = await self._directory.find_one(tenant_id)

        async def change(connection: AsyncConnection) -> tuple[settings_pb2.TenantSettings, Sequence[Entry]]:
            return await self._change(connection, terms, request)

        settings = await self._event_log.change(terms.partition, change)
        self._directory.forget(tenant_id)
        return pb.UpdateSettingsResponse(settings=settings)

    async def IssueToken(self, request: pb.IssueTokenRequest, context: Context) -> pb.IssueTokenResponse:
        """Issues a token for a tenant that exists."""
        scopes = check_scopes(request.scopes)
        tenant_id = request.tenant_id
        await self._directory.find_one(tenant_id)
        if self._signing_key is None:
            raise FailedPreconditionError("NO_SIGNING_KEY", "this installation issues no tokens: ask its token issuer")
        expire_time = datetime.now(UTC) + TOKEN_LIFETIME
        token = tokens.issue(self._signing_key, f"tenant:{tenant_id}", tenant_id, scopes, TOKEN_LIFETIME)
        return pb.IssueTokenResponse(token=token, expire_time=timestamp(expire_time))

    async def _create(
        self, connection: AsyncConnection, tenant_id: str, settings: settings_pb2.TenantSettings
    ) -> tuple[Tenant, Sequence[Entry]]:
        asked = settings.SerializeToString(deterministic=True)
        create_fingerprint = self._vault.fingerprint(asked, "created as", tenant_id)
        found = await store.find_tenant(connection, tenant_id)
        if found is not None:
            if found.create_fingerprint != create_fingerprint:
                raise AlreadyExistsError("TENANT_EXISTS", f"tenant {tenant_id} was created with other settings")
            return found.tenant, ()
        now = time.time_ns()
        limits = settings_wire.limits_of(settings)
        terms = TenantTerms(
            tenant_id, proposed_partition(tenant_id), secrets.token_bytes(_HASH_KEY_BYTES), limits, sources={}
        )
        settings_wire.hash_blocked(settings, terms.hash_key)
        tenant = Tenant(
            tenant_id=tenant_id,
            partition=terms.partition,
            settings=settings.SerializeToString(deterministic=True),
            create_time=datetime.fromtimestamp(now // 1_000_000_000, UTC),
        )
        await store.insert_tenant(
            connection,
            self._vault,
            tenant,
            hash_key=terms.hash_key,
            create_fingerprint=create_fingerprint,
            limits=limits,
        )
        return tenant, [_entry(terms, settings, revision=1, now=now)]

    async def _change(
        self, connection: AsyncConnection, terms: TenantTerms, request: pb.UpdateSettingsRequest
    ) -> tuple[settings_pb2.TenantSettings, Sequence[Entry]]:
        found = existing(await store.find_tenant(connection, terms.tenant_id))
        mask = request.update_mask if request.HasField("update_mask") else None
        settings = settings_wire.changed(settings_of(found.tenant), request.settings, mask)
        settings_wire.check(settings)
        settings_wire.hash_blocked(settings, terms.hash_key)
        document = settings.SerializeToString(deterministic=True)
        if document == found.tenant.settings:
            return settings, ()
        revision = found.revision + 1
        await store.change_settings(
            connection,
            tenant_id=terms.tenant_id,
            settings=document,
            revision=revision,
            limits=settings_wire.limits_of(settings),
        )
        return settings, [_entry(terms, settings, revision=revision, now=time.time_ns())]


def _entry(terms: TenantTerms, settings: settings_pb2.TenantSettings, *, revision: int, now: int) -> Entry:
    trace_parent = telemetry.current_trace_parent()
    return settings_wire.settings_entry(terms, settings, revision=revision, trace_parent=trace_parent, now=now)
