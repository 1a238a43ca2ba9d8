"""Lists of events, as custom shops and `/v1/events` send them: each is read by itself."""

from typing import Any, NamedTuple

import orjson
from touchstone.ingest.v1.event_pb2 import Event

from gateway.web.protojson.reading import MalformedError, reader
from gateway.web.webhooks.fields import UnusableError, parse_object
from gateway.web.webhooks.translation import EventFields, Translation, Unusable

TOPIC = "events"
MOST_EVENTS = 1_000

_read_event = reader(Event.DESCRIPTOR)


class ReadEvent(NamedTuple):
    """An element of a list of events: its fields, or why it has none."""

    fields: EventFields | None
    problem: MalformedError | None
    event_id: str
    """As sent; empty where none can be read."""


def parse_events(body: bytes) -> list[Any]:
    """The elements of `{"events": […]}`. Raises `UnusableError`."""
    holder = parse_object(body)
    if any(name != "events" for name in holder):
        raise UnusableError("UNKNOWN_FIELD")
    sent = holder.get("events")
    if type(sent) is not list:
        raise UnusableError("INVALID_FIELD", "events")
    if len(sent) > MOST_EVENTS:
        raise UnusableError("TOO_MANY_EVENTS", "events")
    return sent


def read_events(sent: list[Any]) -> list[ReadEvent]:
    """Every element, in the order sent."""
    return [_read(element) for element in sent]


def translate(body: bytes) -> Translation:
    """The events that can be used, and those that can't, each with a body by which it can be read again alone."""
    sent = parse_events(body)
    events: list[EventFields] = []
    unusable: list[Unusable] = []
    for i, (element, event) in enumerate(zip(sent, read_events(sent), strict=True)):
        if event.fields is not None:
            events.append(event.fields)
        elif event.problem is not None:
            path = event.problem.inside(f"events[{i}]").path
            unusable.append(Unusable(f"INVALID_FIELD: {path}", orjson.dumps({"events": [element]})))
    return Translation(events, unusable)


def _read(element: Any) -> ReadEvent:
    sent_id = element.get("eventId", element.get("event_id")) if type(element) is dict else None
    event_id = sent_id if type(sent_id) is str else ""
    try:
        return ReadEvent(_read_event(element), None, event_id)
    except MalformedError as problem:
        return ReadEvent(None, problem, event_id)
