"""Answers `touchstone.reporting.v1.RecordService`."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, Final, TypeVar

import grpc
from google.api import httpbody_pb2
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.reporting.v1 import record_service_pb2 as pb
from touchstone.reporting.v1 import record_service_pb2_grpc as pb_grpc

from services.chassis import callers
from services.reporting import exporting, record_wire
from services.reporting.domain.activity_records import CONVERSATIONS, JOURNEYS
from services.reporting.domain.paging import page_size
from services.reporting.domain.records import CREDITS, LARGEST_PAGE, ORDERS, RecordKind
from services.reporting.wire.reports import fill_recount

Context = grpc.aio.ServicerContext[Any, Any]
File = AsyncIterator[httpbody_pb2.HttpBody]

_PAGE: Final = 100

_T = TypeVar("_T")


class RecordServicer(pb_grpc.RecordServiceServicer):
    """The records. `engine_of` answers the state to read."""

    def __init__(self, engine_of: Callable[[], AsyncEngine]) -> None:
        self._engine_of = engine_of
        self._exporter = exporting.Exporter()

    async def ListOrderRecords(
        self,
        request: pb.ListOrderRecordsRequest,
        context: Context,
    ) -> pb.ListOrderRecordsResponse:
        """A page of orders."""
        return await self._listed(ORDERS, request, pb.ListOrderRecordsResponse)

    async def ListCreditRecords(
        self,
        request: pb.ListCreditRecordsRequest,
        context: Context,
    ) -> pb.ListCreditRecordsResponse:
        """A page of credits."""
        return await self._listed(CREDITS, request, pb.ListCreditRecordsResponse)

    async def ExportOrderRecords(
        self,
        request: pb.ExportOrderRecordsRequest,
        context: Context,
    ) -> File:
        """A file of orders."""
        async with aclosing(self._exported(ORDERS, request)) as parts:
            async for part in parts:
                yield part

    async def ExportCreditRecords(
        self,
        request: pb.ExportCreditRecordsRequest,
        context: Context,
    ) -> File:
        """A file of credits."""
        async with aclosing(self._exported(CREDITS, request)) as parts:
            async for part in parts:
                yield part

    async def ListConversationRecords(
        self,
        request: pb.ListConversationRecordsRequest,
        context: Context,
    ) -> pb.ListConversationRecordsResponse:
        """A page of conversations."""
        return await self._listed(CONVERSATIONS, request, pb.ListConversationRecordsResponse)

    async def ListJourneyRecords(
        self,
        request: pb.ListJourneyRecordsRequest,
        context: Context,
    ) -> pb.ListJourneyRecordsResponse:
        """A page of runs through journeys."""
        return await self._listed(JOURNEYS, request, pb.ListJourneyRecordsResponse)

    async def ExportConversationRecords(
        self,
        request: pb.ExportConversationRecordsRequest,
        context: Context,
    ) -> File:
        """A file of conversations."""
        async with aclosing(self._exported(CONVERSATIONS, request)) as parts:
            async for part in parts:
                yield part

    async def ExportJourneyRecords(
        self,
        request: pb.ExportJourneyRecordsRequest,
        context: Context,
    ) -> File:
        """A file of runs through journeys."""
        async with aclosing(self._exported(JOURNEYS, request)) as parts:
            async for part in parts:
                yield part

    async def _listed(self, kind: RecordKind, request: Any, response: Callable[..., _T]) -> _T:
        asked = record_wire.asked_of(kind, request)
        size = page_size(request.page_size, default=_PAGE, largest=LARGEST_PAGE)
        page = await exporting.page(self._engine_of(), callers.tenant_id(), asked, token=request.page_token, size=size)
        metadata = record_wire.metadata_message(page.tenant, asked, page.as_of)
        fill_recount(metadata, page.tenant)
        return response(
            records=record_wire.messages(kind, page.rows),
            next_page_token=page.next_token,
            total_size=page.total_size,
            metadata=metadata,
        )

    async def _exported(self, kind: RecordKind, request: Any) -> AsyncGenerator[httpbody_pb2.HttpBody, None]:
        asked = record_wire.asked_of(kind, request)
        async with self._exporter.file(
            self._engine_of(),
            callers.tenant_id(),
            asked,
            request.format,
            after=request.after,
            most=request.max_records,
        ) as file:
            body = httpbody_pb2.HttpBody(content_type=file.content_type)
            body.extensions.add().Pack(pb.ExportFile(name=file.name, records=file.records, next=file.next_token))
            yield body
            async with aclosing(file.parts) as parts:
                async for part in parts:
                    yield httpbody_pb2.HttpBody(content_type=file.content_type, data=part)
