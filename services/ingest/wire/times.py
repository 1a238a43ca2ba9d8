"""Times of messages as datetimes, and back."""

from datetime import UTC, datetime
from typing import overload

from google.protobuf.timestamp_pb2 import Timestamp


def utc(time: Timestamp) -> datetime:
    """A time as a datetime in UTC."""
    return time.ToDatetime(UTC)


@overload
def timestamp(time: datetime) -> Timestamp: ...
@overload
def timestamp(time: None) -> None: ...
@overload
def timestamp(time: datetime | None) -> Timestamp | None: ...
def timestamp(time: datetime | None) -> Timestamp | None:
    """A datetime as a message; None stays None, which leaves a field absent."""
    if time is None:
        return None
    message = Timestamp()
    message.FromDatetime(time)
    return message


def timestamp_of(nanos: int) -> Timestamp:
    """Nanoseconds since 1970 as a message."""
    message = Timestamp()
    message.FromNanoseconds(nanos)
    return message
