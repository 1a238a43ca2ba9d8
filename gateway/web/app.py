"""The ASGI app: shops go straight to their door, everything else through Starlette."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

import grpc
import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from touchstone.identity.v1.link_service_pb2 import ResolveLinkRequest, ResolveLinkResponse
from touchstone.ingest.v1.source_service_pb2 import ResolveSourceRequest, ResolveSourceResponse

from gateway.web import door, errors, links, parked
from gateway.web.clicks import Clicks
from gateway.web.coalescer import Coalescer
from gateway.web.door import WebhookDoor
from gateway.web.events import EventsEndpoint
from gateway.web.health import HealthEndpoint
from gateway.web.links import LinkEndpoint, Links
from gateway.web.openapi import describe
from gateway.web.pages import Pages
from gateway.web.parked import ReplayEndpoint
from gateway.web.rest.bindings import bindings, contracts
from gateway.web.rest.handler import Handler
from gateway.web.sources import Sources
from services.chassis.tokens import Verifier

Handle: TypeAlias = Callable[[Request], Awaitable[Response]]

_APPEND_DELIVERIES = "/touchstone.ingest.v1.EventService/AppendDeliveries"
_RESOLVE_SOURCE = "/touchstone.ingest.v1.SourceService/ResolveSource"
_RESOLVE_LINK = "/touchstone.identity.v1.LinkService/ResolveLink"
_CLICK_PATIENCE = 2.0
"""Seconds that identity may take to say where a link leads: somebody looks at an empty page."""
_DELIVERY_PATIENCE = 4.5
"""Seconds that a delivery may take: a shop waits for five."""
_ANY_METHOD = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]


@dataclass(frozen=True, slots=True)
class Split:
    """Keeps Starlette's routing out of the way of deliveries, which are nearly all there is."""

    deliveries: ASGIApp
    everything_else: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on."""
        if scope["type"] == "http" and scope["path"].startswith(door.PREFIX):
            await self.deliveries(scope, receive, send)
        else:
            await self.everything_else(scope, receive, send)


def build(channels: Mapping[str, grpc.aio.Channel], verifier: Verifier) -> ASGIApp:
    """The app in front of the services "ingest", "identity", "attribution" and "reporting".

    The channels carry this process's own token; what is done for a caller carries the caller's.
    """
    ingest = channels["ingest"]
    coalescer = Coalescer(_appending(ingest))
    sources = Sources(_resolving(ingest))
    return Split(WebhookDoor(sources, coalescer), _starlette(channels, sources, coalescer, verifier))


def _starlette(
    channels: Mapping[str, grpc.aio.Channel], sources: Sources, coalescer: Coalescer, verifier: Verifier
) -> Starlette:
    annotated = bindings(contracts())
    rest, events = Handler(annotated, channels), EventsEndpoint(channels["ingest"], verifier)
    replay = ReplayEndpoint(channels["ingest"], sources, verifier)
    clicks = Clicks(coalescer)
    tracked = LinkEndpoint(Links(_resolving_link(channels["identity"])), clicks)
    health, pages, description = HealthEndpoint(channels), Pages(), orjson.dumps(describe(annotated))

    async def openapi(_request: Request) -> Response:
        return Response(description, media_type="application/json")

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with coalescer, clicks:
            yield

    return Starlette(
        routes=[
            Route("/healthz", _answering(health.answer)),
            Route("/v1/events", _answering(events.answer), methods=["POST"]),
            Route(parked.PATH, _answering(replay.answer), methods=["POST"]),
            Route("/v1/{path:path}", _answering(rest.answer), methods=_ANY_METHOD),
            Route(links.PATH, _answering(tracked.answer)),
            Route("/openapi.json", openapi),
            Route("/docs", _answering(pages.docs)),
            Route("/dashboard/{name}", _answering(pages.asset)),
            Route("/", _answering(pages.dashboard)),
        ],
        exception_handlers={HTTPException: _starlette_refused},
        lifespan=lifespan,
    )


def _answering(handle: Handle) -> Handle:
    """Turns whatever a handler raises into an answer in the one format of errors."""

    async def answer(request: Request) -> Response:
        try:
            return await handle(request)
        except Exception as error:  # noqa: BLE001 - every failure has an answer
            return _response(errors.answer_to(error))

    return answer


async def _starlette_refused(_request: Request, error: Exception) -> Response:
    """What Starlette's routing itself refuses."""
    told: errors.HttpError = errors.not_found("ROUTE_NOT_FOUND", "There is nothing at this address.")
    if isinstance(error, HTTPException) and error.status_code == 405:
        told = errors.method_not_allowed((error.headers or {}).get("Allow", "another method"))
    return _response(errors.answer_to(told))


def _response(answer: errors.Answer) -> Response:
    headers = {name.decode(): value.decode() for name, value in answer.headers}
    return Response(answer.body, answer.http_status, headers, "application/json")


def _appending(ingest: grpc.aio.Channel) -> Callable[[bytes], Awaitable[object]]:
    # Bytes in and bytes out: what became of each delivery is ingest's to know, the shop hears only that it is stored.
    call: Callable[..., Awaitable[bytes]] = ingest.unary_unary(_APPEND_DELIVERIES)

    async def append(request: bytes) -> object:
        return await call(request, timeout=_DELIVERY_PATIENCE)

    return append


def _resolving(ingest: grpc.aio.Channel) -> Callable[[str, str], Awaitable[ResolveSourceResponse]]:
    call = ingest.unary_unary(
        _RESOLVE_SOURCE,
        request_serializer=ResolveSourceRequest.SerializeToString,
        response_deserializer=ResolveSourceResponse.FromString,
    )

    async def resolve(tenant_id: str, source: str) -> ResolveSourceResponse:
        told: ResolveSourceResponse = await call(
            ResolveSourceRequest(tenant_id=tenant_id, source=source), timeout=_DELIVERY_PATIENCE
        )
        return told

    return resolve


def _resolving_link(identity: grpc.aio.Channel) -> Callable[[str], Awaitable[ResolveLinkResponse]]:
    call = identity.unary_unary(
        _RESOLVE_LINK,
        request_serializer=ResolveLinkRequest.SerializeToString,
        response_deserializer=ResolveLinkResponse.FromString,
    )

    async def resolve(link_id: str) -> ResolveLinkResponse:
        told: ResolveLinkResponse = await call(ResolveLinkRequest(link_id=link_id), timeout=_CLICK_PATIENCE)
        return told

    return resolve
