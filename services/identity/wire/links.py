"""Tracked links as they are asked for, told of and answered."""

from datetime import timedelta

from touchstone.identity.v1 import link_service_pb2
from touchstone.ingest.v1 import event_pb2, event_service_pb2, interaction_pb2

from services.identity.domain.links import TrackedLink
from services.identity.wire.identifiers import OWN_SOURCE, timestamp_of
from services.kernel.failures import InvalidArgumentError


def link_event(tenant_id: str, link: TrackedLink, touchpoint: str, now: int) -> event_service_pb2.Delivery:
    """What the event log is told of a new link, at `now` in nanoseconds since 1970."""
    occur_time = timestamp_of(now)
    event = event_pb2.Event(
        event_id=f"link-{link.link_id}",
        occur_time=occur_time,
        tracked_link=interaction_pb2.TrackedLink(
            link_id=link.link_id,
            conversation_id=link.conversation_id,
            destination=link.destination,
            touchpoint=touchpoint,
            expire_time=timestamp_of(link.expire_nanos),
        ),
    )
    return event_service_pb2.Delivery(tenant_id=tenant_id, source=OWN_SOURCE, receive_time=occur_time, events=[event])


def lifetime(request: link_service_pb2.CreateLinkRequest) -> timedelta | None:
    """The lifetime that is asked for. Raises InvalidArgumentError for a span that none can be."""
    if not request.HasField("lifetime"):
        return None
    try:
        return request.lifetime.ToTimedelta()
    except (ValueError, OverflowError):
        raise InvalidArgumentError.of("lifetime", "is no span of time") from None


def created_link(link: TrackedLink, address: str) -> link_service_pb2.CreateLinkResponse:
    """A new link as its maker is answered."""
    return link_service_pb2.CreateLinkResponse(
        url=address, link_id=link.link_id, expire_time=timestamp_of(link.expire_nanos)
    )


def resolved_link(tenant_id: str, link: TrackedLink) -> link_service_pb2.ResolveLinkResponse:
    """A link as whoever leads people there is answered."""
    return link_service_pb2.ResolveLinkResponse(
        tenant_id=tenant_id,
        conversation_id=link.conversation_id,
        destination=link.destination,
        expire_time=timestamp_of(link.expire_nanos),
    )
