"""Sources and parked deliveries as messages."""

from touchstone.ingest.v1 import source_service_pb2 as pb

from services.ingest.domain.deliveries import ParkedDelivery
from services.ingest.domain.sources import Source
from services.ingest.wire.times import timestamp


def source_message(source: Source) -> pb.Source:
    """The source with its health."""
    terms = source.terms
    return pb.Source(
        source=terms.source,
        kind=pb.Source.Kind.ValueType(terms.kind),
        id_prefix=terms.id_prefix,
        require_signed_ids=terms.require_signed_ids,
        create_time=timestamp(source.create_time),
        last_delivery_time=timestamp(source.last_delivery_time),
        delivered_count=source.delivered_count,
        uncounted_topic_count=source.uncounted_topic_count,
        parked_count=source.parked_count,
    )


def parked_message(parked: ParkedDelivery) -> pb.ParkedDelivery:
    """The parked delivery, with body and headers where they were asked for."""
    return pb.ParkedDelivery(
        parked_id=parked.parked_id,
        source=parked.source,
        topic=parked.topic,
        reason=parked.reason,
        receive_time=timestamp(parked.receive_time),
        expire_time=timestamp(parked.expire_time),
        body_bytes=parked.body_bytes,
        body=parked.body or b"",
        headers=parked.headers,
    )
