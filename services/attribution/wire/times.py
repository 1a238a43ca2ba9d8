"""Moments and lengths of time between protobuf and nanoseconds, exactly."""

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

_SECOND = 1_000_000_000


def nanos(moment: Timestamp) -> int:
    """A moment in nanoseconds since 1970."""
    return moment.seconds * _SECOND + moment.nanos


def micros(moment: Timestamp) -> int:
    """A moment in microseconds since 1970, rounded down."""
    return moment.seconds * 1_000_000 + moment.nanos // 1_000


def timestamp(moment: int) -> Timestamp:
    """The moment of some nanoseconds since 1970."""
    seconds, rest = parts(moment)
    return Timestamp(seconds=seconds, nanos=rest)


def parts(moment: int) -> tuple[int, int]:
    """The whole seconds of some nanoseconds since 1970, and the rest."""
    return divmod(moment, _SECOND)


def nanos_long(length: Duration) -> int:
    """A length in nanoseconds."""
    return length.seconds * _SECOND + length.nanos


def duration(length: int) -> Duration:
    """The length of some nanoseconds."""
    seconds, rest = divmod(length, _SECOND)
    return Duration(seconds=seconds, nanos=rest)
