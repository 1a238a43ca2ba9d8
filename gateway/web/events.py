"""`POST /v1/events`: each event of the list is accepted or refused by itself."""

from typing import Any

import grpc
import orjson
from starlette.requests import Request
from starlette.responses import Response
from touchstone.ingest.v1.event_service_pb2 import AppendEventsRequest, AppendEventsResponse, EventResult

from gateway.web.protojson.writing import writer
from gateway.web.requests import authorization, caller_with, read_body
from gateway.web.webhooks.custom import MOST_EVENTS, ReadEvent, parse_events, read_events
from gateway.web.webhooks.fields import UnusableError
from services.chassis import telemetry
from services.chassis.tokens import Verifier
from services.kernel.failures import InvalidArgumentError

_SCOPE = "events:write"
_METHOD = "/touchstone.ingest.v1.EventService/AppendEvents"
_write = writer(AppendEventsResponse.DESCRIPTOR)


class EventsEndpoint:
    """Reads the events one by one and appends those that can be read, with the caller's own token."""

    def __init__(self, ingest: grpc.aio.Channel, verifier: Verifier) -> None:
        self._verifier = verifier
        self._append = ingest.unary_unary(
            _METHOD,
            request_serializer=AppendEventsRequest.SerializeToString,
            response_deserializer=AppendEventsResponse.FromString,
        )

    async def answer(self, request: Request) -> Response:
        """Appends a list of events. Raises what the caller is to be told."""
        # Where no event can be read, ingest isn't called: the token is verified here.
        caller_with(request, self._verifier, _SCOPE)
        if request.scope["query_string"]:
            raise InvalidArgumentError.of("query", "there are no parameters here")
        read = read_events(_parse(await read_body(request)))
        usable: list[Any] = [event.fields for event in read if event.fields is not None]
        appended = AppendEventsResponse()
        if usable:
            telemetry.continue_trace(request.headers.get("traceparent", ""))
            metadata = (("authorization", authorization(request)),)
            appended = await self._append(AppendEventsRequest(events=usable), metadata=metadata)
        results = iter(appended.results)
        told = [next(results) if event.fields is not None else _rejected(event) for event in read]
        return Response(orjson.dumps(_write(AppendEventsResponse(results=told))), media_type="application/json")


def _parse(body: bytes) -> list[Any]:
    try:
        sent = parse_events(body)
    except UnusableError as error:
        description = {
            "INVALID_JSON": "is not JSON",
            "NOT_AN_OBJECT": "must be an object",
            "UNKNOWN_FIELD": 'must be {"events": […]} and nothing beside',
            "TOO_MANY_EVENTS": f"must be at most {MOST_EVENTS}",
        }.get(error.reason, "must be a list")
        raise InvalidArgumentError.of(error.field or "body", description) from error
    if not sent:
        raise InvalidArgumentError.of("events", "is required")
    return sent


def _rejected(event: ReadEvent) -> EventResult:
    reason = "INVALID_FIELD"
    if event.problem is not None:
        reason = ": ".join(filter(None, (reason, event.problem.path, event.problem.description)))
    return EventResult(event_id=event.event_id[:256], status=EventResult.REJECTED, reason=reason)
