"""Answers `touchstone.ingest.v1.SourceService`."""

from datetime import UTC, datetime
from typing import Any

import grpc
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.ingest.v1 import source_service_pb2 as pb
from touchstone.ingest.v1 import source_service_pb2_grpc as pb_grpc

from services.chassis import callers
from services.ingest.domain.deliveries import is_parked_id
from services.ingest.domain.paging import cut, page_size, page_start
from services.ingest.domain.sources import Source, check_secret, check_terms, is_slug
from services.ingest.store import parked as parked_store
from services.ingest.store import sources as source_store
from services.ingest.store.directory import TenantDirectory
from services.ingest.store.vault import Vault
from services.ingest.wire.sources import parked_message, source_message
from services.kernel.failures import NotFoundError

Context = grpc.aio.ServicerContext[Any, Any]

_READ_AT_ONCE = 100


class SourceServicer(pb_grpc.SourceServiceServicer):
    """Sources and what they brought that can't be used."""

    def __init__(self, engine: AsyncEngine, vault: Vault, directory: TenantDirectory) -> None:
        self._engine = engine
        self._vault = vault
        self._directory = directory

    async def CreateSource(self, request: pb.CreateSourceRequest, context: Context) -> pb.CreateSourceResponse:
        """Creates a source, or adds a secret to it."""
        tenant_id, now = callers.tenant_id(), datetime.now(UTC)
        terms = check_terms(
            source=request.source,
            kind=request.kind,
            id_prefix=request.id_prefix,
            require_signed_ids=request.require_signed_ids,
        )
        secret = check_secret(request.secret)
        await self._directory.find_one(tenant_id)
        await source_store.create_source(
            self._engine, self._vault, tenant_id=tenant_id, terms=terms, secret=secret, now=now
        )
        self._directory.forget(tenant_id)
        source, _ = await self._find(tenant_id, terms.source)
        return pb.CreateSourceResponse(source=source_message(source))

    async def ListSources(self, request: pb.ListSourcesRequest, context: Context) -> pb.ListSourcesResponse:
        """A page of the tenant's sources by name, with their health."""
        size = page_size(request.page_size)
        found = await source_store.list_sources(
            self._engine,
            tenant_id=callers.tenant_id(),
            after=page_start(request.page_token),
            count=size + 1,
            now=datetime.now(UTC),
        )
        page, last = cut(found, size)
        return pb.ListSourcesResponse(
            sources=map(source_message, page), next_page_token=last.terms.source if last else ""
        )

    async def ResolveSource(self, request: pb.ResolveSourceRequest, context: Context) -> pb.ResolveSourceResponse:
        """A source and the secrets that hold."""
        source, secrets = await self._find(request.tenant_id, request.source)
        return pb.ResolveSourceResponse(source=source_message(source), secrets=secrets)

    async def ListParkedDeliveries(
        self,
        request: pb.ListParkedDeliveriesRequest,
        context: Context,
    ) -> pb.ListParkedDeliveriesResponse:
        """A page of what a source brought that can't be used, newest first."""
        tenant_id, size = callers.tenant_id(), page_size(request.page_size)
        await self._find(tenant_id, request.source)
        found = await parked_store.list_parked(
            self._engine,
            tenant_id=tenant_id,
            source=request.source,
            before=page_start(request.page_token),
            count=size + 1,
            now=datetime.now(UTC),
        )
        page, last = cut(found, size)
        return pb.ListParkedDeliveriesResponse(
            parked_deliveries=map(parked_message, page), next_page_token=last.parked_id if last else ""
        )

    async def GetParkedDelivery(
        self,
        request: pb.GetParkedDeliveryRequest,
        context: Context,
    ) -> pb.GetParkedDeliveryResponse:
        """One parked delivery with its body."""
        tenant_id = callers.tenant_id()
        await self._find(tenant_id, request.source)
        found = await self._read(tenant_id, request.source, [request.parked_id], after="", count=1)
        if not found:
            raise NotFoundError("PARKED_DELIVERY_NOT_FOUND", "there is no such parked delivery, or no longer")
        return pb.GetParkedDeliveryResponse(parked_delivery=found[0])

    async def ReadParkedDeliveries(
        self,
        request: pb.ReadParkedDeliveriesRequest,
        context: Context,
    ) -> pb.ReadParkedDeliveriesResponse:
        """Some parked deliveries with their bodies, by id."""
        found = await self._read(
            request.tenant_id,
            request.source,
            list(request.parked_ids),
            after=request.after_parked_id,
            count=_READ_AT_ONCE,
        )
        return pb.ReadParkedDeliveriesResponse(parked_deliveries=found)

    async def ResolveParkedDeliveries(
        self,
        request: pb.ResolveParkedDeliveriesRequest,
        context: Context,
    ) -> pb.ResolveParkedDeliveriesResponse:
        """Takes deliveries that were read with success off the list."""
        resolved = await parked_store.resolve_parked(
            self._engine,
            tenant_id=request.tenant_id,
            parked_ids=[name for name in request.parked_ids if is_parked_id(name)],
        )
        return pb.ResolveParkedDeliveriesResponse(resolved=resolved)

    async def _find(self, tenant_id: str, source: str) -> tuple[Source, list[str]]:
        found = None
        if is_slug(tenant_id) and is_slug(source):
            found = await source_store.find_source(
                self._engine, self._vault, tenant_id=tenant_id, source=source, now=datetime.now(UTC)
            )
        if found is None:
            raise NotFoundError("SOURCE_NOT_FOUND", "there is no such source")
        return found

    async def _read(
        self, tenant_id: str, source: str, parked_ids: list[str], *, after: str, count: int
    ) -> list[pb.ParkedDelivery]:
        known = [parked_id for parked_id in parked_ids if is_parked_id(parked_id)]
        if parked_ids and not known:
            return []
        found = await parked_store.read_parked(
            self._engine,
            self._vault,
            tenant_id=tenant_id,
            source=source,
            parked_ids=known,
            after=page_start(after),
            count=count,
            now=datetime.now(UTC),
        )
        return [parked_message(parked) for parked in found]
