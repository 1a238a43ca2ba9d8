"""Answers `touchstone.ingest.v1.PrivacyService`."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import grpc
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.identity.v1 import people_service_pb2_grpc
from touchstone.ingest.v1 import privacy_service_pb2 as pb
from touchstone.ingest.v1 import privacy_service_pb2_grpc as pb_grpc

from services.chassis import callers
from services.ingest.domain.paging import cut, page_size, page_start
from services.ingest.domain.privacy import Asked, DemandKind, Request, State, is_request_id
from services.ingest.erasing import planning
from services.ingest.erasing.planning import Place
from services.ingest.store import privacy as store
from services.ingest.store.directory import TenantDirectory
from services.ingest.store.vault import Vault
from services.ingest.wire.privacy import erasure_of, identifier_message, request_message
from services.ingest.wire.rewriting import named_by
from services.kernel.failures import FailedPreconditionError, NotFoundError

Context = grpc.aio.ServicerContext[Any, Any]


class PrivacyServicer(pb_grpc.PrivacyServiceServicer):
    """Requests about personal data. `asked` is called when an erasure was asked for."""

    def __init__(
        self,
        engine: AsyncEngine,
        vault: Vault,
        directory: TenantDirectory,
        people: "people_service_pb2_grpc.PeopleServiceAsyncStub",
        asked: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._vault = vault
        self._directory = directory
        self._people = people
        self._asked = asked

    async def ErasePerson(self, request: pb.ErasePersonRequest, context: Context) -> pb.ErasePersonResponse:
        """Records that somebody is to be erased; all that was accepted until now is reached."""
        tenant = await self._directory.find_one(callers.tenant_id())
        demand = erasure_of(request, tenant, datetime.now(UTC))
        [request_id] = await store.record(self._engine, self._vault, tenant.partition, [demand])
        self._asked()
        return pb.ErasePersonResponse(privacy_request=request_message(await self._find(request_id)))

    async def ListPrivacyRequests(
        self,
        request: pb.ListPrivacyRequestsRequest,
        context: Context,
    ) -> pb.ListPrivacyRequestsResponse:
        """A page of the tenant's requests, newest first."""
        size = page_size(request.page_size)
        found = await store.list_requests(
            self._engine, tenant_id=callers.tenant_id(), before=page_start(request.page_token), count=size + 1
        )
        page, last = cut(found, size)
        return pb.ListPrivacyRequestsResponse(
            privacy_requests=map(request_message, page), next_page_token=last.request_id if last else ""
        )

    async def GetPrivacyRequest(
        self,
        request: pb.GetPrivacyRequestRequest,
        context: Context,
    ) -> pb.GetPrivacyRequestResponse:
        """One request of the tenant."""
        return pb.GetPrivacyRequestResponse(privacy_request=request_message(await self._find(request.request_id)))

    async def ExportPersonalData(
        self,
        request: pb.ExportPersonalDataRequest,
        context: Context,
    ) -> AsyncIterator[pb.ExportPersonalDataResponse]:
        """Streams what is held of the person of an open request; one for access is then done."""
        tenant = await self._directory.find_one(callers.tenant_id())
        asked = await self._open(tenant.tenant_id, request.request_id)
        place = Place(tenant.tenant_id, tenant.partition, asked.position)
        held = (await planning.plan(self._engine, self._people, place, [asked])).keys()
        yield pb.ExportPersonalDataResponse(identifiers=map(identifier_message, sorted(held)))
        async for page in planning.entries(self._engine, place):
            events = [
                logged for _, logged in planning.read_entries(page) if not held.isdisjoint(named_by(logged.event))
            ]
            if events:
                yield pb.ExportPersonalDataResponse(events=events)
        if asked.kind is DemandKind.ACCESS:
            async with self._engine.begin() as connection:
                await store.forget(
                    connection,
                    tenant_id=tenant.tenant_id,
                    request_ids=[asked.request_id],
                    now=datetime.now(UTC),
                )

    async def _open(self, tenant_id: str, request_id: str) -> Asked:
        record = await self._find(request_id)
        async with self._engine.connect() as connection:
            found = await store.read_open(
                connection,
                self._vault,
                tenant_id=tenant_id,
                states=[State.PENDING, State.RUNNING],
                kinds=[record.kind],
                request_id=request_id,
            )
        if not found:
            raise FailedPreconditionError("PRIVACY_REQUEST_DONE", "it is done, and forgotten whom it named")
        return found[0]

    async def _find(self, request_id: str) -> Request:
        found = None
        if is_request_id(request_id):
            found = await store.find_request(self._engine, tenant_id=callers.tenant_id(), request_id=request_id)
        if found is None:
            raise NotFoundError("PRIVACY_REQUEST_NOT_FOUND", "there is no such request")
        return found
