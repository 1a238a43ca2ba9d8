"""`POST /v1/sources/{source}/parked:replay`: reads again what could not be used before."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import grpc
import orjson
from starlette.requests import Request
from starlette.responses import Response
from touchstone.ingest.v1 import event_service_pb2_grpc, source_service_pb2_grpc
from touchstone.ingest.v1.event_pb2 import Event
from touchstone.ingest.v1.event_service_pb2 import AppendDeliveriesRequest, Delivery
from touchstone.ingest.v1.source_service_pb2 import (
    ListParkedDeliveriesRequest,
    ParkedDelivery,
    ReadParkedDeliveriesRequest,
    ResolveParkedDeliveriesRequest,
    Source,
)

from gateway.web.requests import authorization, caller_with, read_body
from gateway.web.sources import KnownSource, Sources
from gateway.web.webhooks.fields import UnusableError, parse_object
from gateway.web.webhooks.platforms import PLATFORMS
from gateway.web.webhooks.translation import Translation
from services.chassis.callers import Caller
from services.chassis.tokens import Verifier
from services.kernel.failures import InvalidArgumentError, PermissionDeniedError

PATH: Final = "/v1/sources/{source}/parked:replay"
_SCOPE: Final = "admin"
_READ_AT_ONCE: Final = 100
_BODY_HEADER: Final = "touchstone-body"
"""What ingest says of a body that isn't the shop's own: "events", a list of events, or "event", one serialized."""


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
        # Named before any is replayed: what ingest parks anew meanwhile is not for this turn.
        ids = chosen or await self._all_ids(source, authorization(request))
        seen = replayed = 0
        async for page in self._pages(source, ids):
            seen += len(page)
            replayed += await self._replay(source, page)
        told = {"replayed": replayed, "stillParked": seen - replayed}
        return Response(orjson.dumps(told), media_type="application/json")

    async def _all_ids(self, source: KnownSource, caller: str) -> list[str]:
        ids: list[str] = []
        asked = ListParkedDeliveriesRequest(source=source.source, page_size=1_000)
        while True:
            page = await self._parked.ListParkedDeliveries(asked, metadata=(("authorization", caller),))
            ids += (parked.parked_id for parked in page.parked_deliveries)
            if not page.next_page_token:
                return ids
            asked.page_token = page.next_page_token

    async def _pages(self, source: KnownSource, ids: Sequence[str]) -> AsyncIterator[Sequence[ParkedDelivery]]:
        for start in range(0, len(ids), _READ_AT_ONCE):
            asked = ReadParkedDeliveriesRequest(
                tenant_id=source.tenant_id, source=source.source, parked_ids=ids[start : start + _READ_AT_ONCE]
            )
            while (page := await self._parked.ReadParkedDeliveries(asked)).parked_deliveries:
                yield page.parked_deliveries
                asked.after_parked_id = page.parked_deliveries[-1].parked_id

    async def _replay(self, source: KnownSource, page: Sequence[ParkedDelivery]) -> int:
        """How many of a page's deliveries are stored by now; the others stay as they are."""
        usable = [(parked, said) for parked in page if (said := _said(source, parked)) is not None]
        if not usable:
            return 0
        stored = await self._events.AppendDeliveries(
            AppendDeliveriesRequest(deliveries=[_delivery(source, parked, said) for parked, said in usable])
        )
        refused = {
            parked.parked_id for (parked, _), result in zip(usable, stored.results, strict=True) if result.parked
        }
        # An event that ingest refuses is parked by itself: as the entry it was, or as a new one for a shop's body.
        done = [parked.parked_id for parked, _ in usable if parked.parked_id not in refused or not _is_event(parked)]
        if done:
            await self._parked.ResolveParkedDeliveries(
                ResolveParkedDeliveriesRequest(tenant_id=source.tenant_id, parked_ids=done)
            )
        return len(usable) - len(refused)


def _is_event(parked: ParkedDelivery) -> bool:
    """True for what ingest itself refused: one event, already in the words of the log."""
    return _BODY_HEADER in parked.headers


def _said(source: KnownSource, parked: ParkedDelivery) -> Translation | None:
    """What a parked body says; None where it still can't be used, or wasn't kept."""
    if not parked.body:
        return None
    if parked.headers.get(_BODY_HEADER) == "event":
        return Translation([Event.FromString(parked.body)])  # type: ignore[list-item]  # a message in its own place
    platform = PLATFORMS[Source.CUSTOM] if _is_event(parked) else source.platform
    said = platform.read(parked.topic, parked.body, source.reader)
    return None if said.unusable else said


def _delivery(source: KnownSource, parked: ParkedDelivery, said: Translation) -> Delivery:
    fields: dict[str, Any] = {"events": said.events, "privacy_demands": said.privacy_demands}
    return Delivery(
        tenant_id=source.tenant_id,
        source=source.source,
        receive_time=parked.receive_time,
        topic=parked.topic,
        **fields,
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
