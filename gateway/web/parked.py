"""`POST /v1/sources/{source}/parked:replay`: reads again what could not be used before."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import grpc
import orjson
from starlette.requests import Request
from starlette.responses import Response
from touchstone.ingest.v1 import event_service_pb2_grpc, source_service_pb2_grpc
from touchstone.ingest.v1.event_service_pb2 import AppendDeliveriesRequest, Delivery
from touchstone.ingest.v1.source_service_pb2 import (
    ParkedDelivery,
    ReadParkedDeliveriesRequest,
    ResolveParkedDeliveriesRequest,
)

from gateway.web.requests import caller_with, read_body
from gateway.web.sources import KnownSource, Sources
from gateway.web.webhooks.fields import UnusableError, parse_object
from services.chassis.callers import Caller
from services.chassis.tokens import Verifier
from services.kernel.failures import InvalidArgumentError, PermissionDeniedError

PATH: Final = "/v1/sources/{source}/parked:replay"
_SCOPE: Final = "admin"


class ReplayEndpoint:
    """Reads parked deliveries, and stores those that can be used by now."""

    def __init__(self, ingest: grpc.aio.Channel, sources: Sources, verifier: Verifier) -> None:
        self._sources = sources
        self._verifier = verifier
        self._parked = source_service_pb2_grpc.SourceServiceStub(ingest)
        self._events = event_service_pb2_grpc.EventServiceStub(ingest)

    async def answer(self, request: Request) -> Response:
        """Replays all of a source's parked deliveries, or those in `parkedIds`: `{"replayed": 1, "stillParked": 0}`."""
        tenant_id = _tenant(caller_with(request, self._verifier, _SCOPE))
        chosen = _parked_ids(await read_body(request))
        source = await self._sources.get(tenant_id, request.path_params["source"])
        seen = replayed = 0
        async for page in self._pages(source, chosen):
            seen += len(page)
            replayed += await self._replay(source, page)
        return Response(
            orjson.dumps({"replayed": replayed, "stillParked": seen - replayed}), media_type="application/json"
        )

    async def _pages(self, source: KnownSource, chosen: Sequence[str]) -> AsyncIterator[Sequence[ParkedDelivery]]:
        after = ""
        while True:
            page = await self._parked.ReadParkedDeliveries(
                ReadParkedDeliveriesRequest(
                    tenant_id=source.tenant_id, source=source.source, parked_ids=chosen, after_parked_id=after
                )
            )
            if not page.parked_deliveries:
                return
            after = page.parked_deliveries[-1].parked_id
            yield page.parked_deliveries

    async def _replay(self, source: KnownSource, page: Sequence[ParkedDelivery]) -> int:
        """How many of a page's deliveries are stored by now; the others stay as they are."""
        usable = [(parked, events) for parked in page if (events := _events_of(source, parked)) is not None]
        if not usable:
            return 0
        stored = await self._events.AppendDeliveries(
            AppendDeliveriesRequest(deliveries=[_delivery(source, parked, events) for parked, events in usable])
        )
        # What ingest refuses, it parks anew, under its present reason: the old entry has done its duty.
        await self._parked.ResolveParkedDeliveries(
            ResolveParkedDeliveriesRequest(
                tenant_id=source.tenant_id, parked_ids=[parked.parked_id for parked, _ in usable]
            )
        )
        return sum(1 for result in stored.results if not result.parked)


def _events_of(source: KnownSource, parked: ParkedDelivery) -> Sequence[Any] | None:
    if not parked.body:
        return None
    said = source.platform.read(parked.topic, parked.body, source.reader)
    return None if said.unusable else said.events


def _delivery(source: KnownSource, parked: ParkedDelivery, events: Sequence[Any]) -> Delivery:
    return Delivery(
        tenant_id=source.tenant_id,
        source=source.source,
        receive_time=parked.receive_time,
        topic=parked.topic,
        events=events,
    )


def _tenant(caller: Caller) -> str:
    if caller.tenant_id is None:
        raise PermissionDeniedError("TENANT_MISSING", "The token names no tenant.")
    return caller.tenant_id


def _parked_ids(body: bytes) -> list[str]:
    if not body:
        return []
    try:
        asked = parse_object(body)
    except UnusableError as error:
        raise InvalidArgumentError.of("body", "must be a JSON object") from error
    for name in asked:
        if name != "parkedIds":
            raise InvalidArgumentError.of(name, "is not a field here")
    chosen = asked.get("parkedIds", [])
    if type(chosen) is not list or not all(type(parked_id) is str for parked_id in chosen):
        raise InvalidArgumentError.of("parkedIds", "must be a list of strings")
    return chosen
