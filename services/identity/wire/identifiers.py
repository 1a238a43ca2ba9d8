"""What all messages about people are made of: identifiers and times."""

from google.protobuf.timestamp_pb2 import Timestamp
from touchstone.type.v1 import identifier_pb2

from services.identity.domain.nodes import Node, kind_of, node_of
from services.kernel.identifiers import Kind

NANOS = 1_000_000_000
"""In a second."""

OWN_SOURCE = "touchstone"
"""The source of what the installation itself tells."""

_WIRE_KINDS = {kind: identifier_pb2.Identifier.Kind.Value(kind.name) for kind in Kind}


def identifier_of(node: Node, value: str) -> identifier_pb2.Identifier:
    """An identifier by kind and value."""
    return identifier_pb2.Identifier(kind=_WIRE_KINDS[kind_of(node)], value=value)


def node_named(identifier: identifier_pb2.Identifier) -> Node | None:
    """The node of an identifier; None where it has no kind or no value."""
    return node_of(Kind(identifier.kind), identifier.value) if identifier.kind and identifier.value else None


def timestamp_of(at_nanos: int) -> Timestamp:
    """A time, told in nanoseconds since 1970."""
    seconds, nanos = divmod(at_nanos, NANOS)
    return Timestamp(seconds=seconds, nanos=nanos)


def nanos_of(at: Timestamp) -> int:
    """A time in nanoseconds since 1970."""
    return at.seconds * NANOS + at.nanos
