"""Nodes: identifiers as numbers, by which they are compared, kept and ordered."""

from hashlib import blake2b
from typing import NewType

from services.kernel.identifiers import Kind

Node = NewType("Node", int)
"""An identifier as a positive 63-bit number: 60 bits of its value's hash, then 3 bits of its kind.

Two values of one kind share a node by chance once in 20,000 tenants of ten million such values each. They are then one
identifier to everybody, whatever the order, so figures stay reproducible.
"""

Members = tuple[Node, ...]
"""The identifiers of one observation, ascending, each once."""

Pair = tuple[Node, Node]
"""Two different identifiers, the smaller first."""

MOST_TELLING = (Kind.EMAIL, Kind.PHONE, Kind.CUSTOMER, Kind.VISITOR, Kind.CONVERSATION, Kind.SESSION, Kind.CLICK)
"""The kinds, from those that tell most of somebody to those that come and go."""

_KIND_BITS = 3
_KIND_MASK = (1 << _KIND_BITS) - 1
_SALTS = {kind: bytes([kind]) for kind in Kind}
_KINDS = {kind.value: kind for kind in Kind}
_RANKS = {kind.value: rank for rank, kind in enumerate(MOST_TELLING)}


def node_of(kind: Kind, value: str) -> Node:
    """The node of an identifier; the same for ever."""
    digest = blake2b(value.encode(), digest_size=8, person=_SALTS[kind]).digest()
    return Node(int.from_bytes(digest) >> 4 << _KIND_BITS | kind)


def kind_of(node: Node) -> Kind:
    """What the node's identifier names."""
    return _KINDS[node & _KIND_MASK]


def naming_key(node: Node) -> tuple[int, Node]:
    """By which nodes are compared when one is to name others: the least does."""
    return _RANKS[node & _KIND_MASK], node


def pair_of(one: Node, other: Node) -> Pair:
    """The pair of two different nodes, whichever is named first."""
    return (one, other) if one < other else (other, one)
