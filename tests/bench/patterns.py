"""One party's rows as the pattern of many parties' rows: names, times and what is computed from them are exchanged."""

import hashlib
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.attribution.store import facts
from services.attribution.store.moments import micros
from services.identity.domain.nodes import MOST_TELLING, Node, node_of
from services.kernel.identifiers import Identifier, Kind, identifier_key
from tests.bench.shoppers import (
    BUYER,
    BUYER_CUSTOMER,
    BUYER_EMAIL,
    DELTAS,
    EVENTS,
    IDENTIFIER_KINDS,
    NAMES,
    ORDER_NAME,
    SOURCE,
    Party,
    hexadecimal,
    names,
    value_of,
)

Bytes = NDArray[np.uint8]
Numbers = NDArray[np.int64]

FIRST: Final = 1 << 21
"""Positions of a partition that others took before; so all that follow are equally long on the wire."""

_NANOS: Final = 1_000_000_000
_MICROS: Final = 1_000_000
_NAMING: Final = (BUYER.visitor, BUYER_EMAIL, BUYER_CUSTOMER)
"""The identifiers by which an order names its buyer, but for the session."""
_OF_PERSONS: Final = ("region", "person", "person_id")


class Shop(NamedTuple):
    """A tenant with so many parties, the first at `begin` (seconds since 1970), one every `pause` seconds."""

    tenant_id: str
    number: int
    partition: int
    parties: int
    begin: int
    pause: int

    def party(self, number: int) -> Party:
        """One of the shop's parties."""
        return Party(self.tenant_id, self.number, number, self.begin + number * self.pause)


def position_before(number: int) -> int:
    """The position in the event log before a party's first event."""
    return FIRST + number * EVENTS


class Chunk:
    """Neighbouring parties of a shop, and all that is computed for them."""

    def __init__(self, shop: Shop, first: int, count: int) -> None:
        self.shop = shop
        self.first = first
        self.numbers: Numbers = np.arange(first, first + count, dtype=np.int64)
        self.begins: Numbers = shop.begin + self.numbers * shop.pause
        self.names: list[Bytes] = [hexadecimal(names(shop.number, self.numbers, place)) for place in range(NAMES)]
        self._identifiers: dict[int, list[Identifier]] = {}
        self._computed: dict[str, Numbers] = {}
        self._customer_keys: Bytes | None = None

    def __len__(self) -> int:
        return len(self.numbers)

    def identifiers(self, place: int) -> list[Identifier]:
        """One identifier of each party."""
        if place not in self._identifiers:
            kind = IDENTIFIER_KINDS[place]
            self._identifiers[place] = [Identifier(kind, value_of(kind, name)) for name in self._texts(place)]
        return self._identifiers[place]

    def nodes(self, place: int) -> Numbers:
        """Its node, to identity."""
        return self._once(f"node {place}", lambda: [node_of(*identifier) for identifier in self.identifiers(place)])

    def columns(self, place: int) -> Numbers:
        """Its number, in attribution's columns."""
        return self._once(f"column {place}", lambda: list(map(facts.identifier_number, self.identifiers(place))))

    def person(self, places: Sequence[int]) -> Numbers:
        """The node among some identifiers that names whom they belong to."""
        kinds = [IDENTIFIER_KINDS[place] for place in places]
        telling = next(kind for kind in MOST_TELLING if kind in kinds)
        named: Numbers = np.min([self.nodes(place) for place in places if IDENTIFIER_KINDS[place] is telling], axis=0)
        return named

    def orders(self) -> Numbers:
        """The order's number, in attribution's columns."""
        return self._once(
            "orders", lambda: [facts.number("order", f"{SOURCE}\0o-{name}") for name in self._texts(ORDER_NAME)]
        )

    def customer_keys(self) -> Bytes:
        """The customer's key in an order's snapshot: a hash of the address, as digits."""
        if self._customer_keys is None:
            keys = b"".join(map(_customer_key, self.identifiers(BUYER_EMAIL)))
            self._customer_keys = np.frombuffer(keys, np.uint8).reshape(len(self), 32)
        return self._customer_keys

    def order_keys(self) -> Bytes:
        """The keys of what an order's snapshot names the buyer by, in their sequence."""
        keys = np.array([list(map(identifier_key, self.identifiers(place))) for place in _NAMING], dtype=np.int64)
        return np.ascontiguousarray(np.sort(keys.T, axis=1), "<i8").view(np.uint8).reshape(len(self), 8 * len(_NAMING))

    def _texts(self, place: int) -> list[str]:
        together = self.names[place].tobytes().decode()
        return [together[start : start + 16] for start in range(0, len(together), 16)]

    def _once(self, what: str, compute: Callable[[], list[int]]) -> Numbers:
        if what not in self._computed:
            self._computed[what] = np.array(compute(), dtype=np.int64)
        return self._computed[what]


Fill = Callable[[Chunk], Bytes]
"""A few bytes of each party."""

Count = Callable[[Chunk], Numbers]
"""A number of each party."""


def _name(place: int, chunk: Chunk) -> Bytes:
    return chunk.names[place]


def _seconds(delta: int, chunk: Chunk) -> Bytes:
    return _varints(chunk.begins + delta, 5)


def _person(places: Sequence[int], chunk: Chunk) -> Bytes:
    return _octets(chunk.person(places), "<i8")


def _last_position(chunk: Chunk) -> Bytes:
    return _varints(position_before(0) + (chunk.numbers + 1) * EVENTS, 4)


def _at(delta: int, unit: int, chunk: Chunk) -> Numbers:
    return (chunk.begins + delta) * unit


def _told_at(chunk: Chunk) -> Numbers:
    """The position in the people log: a change for each party."""
    return FIRST + chunk.numbers + 1


def _customer_key(email: Identifier) -> bytes:
    return hashlib.sha256(f"{Kind.EMAIL.value}:{email.value}".encode()).hexdigest()[:32].encode()


class Known:
    """What of a party's rows is its own: the bytes and the numbers to be found, and how others' are made."""

    def __init__(self, party: Party, persons: Mapping[int, Sequence[int]]) -> None:
        """`persons` has each person's nodes by the person's number."""
        places = range(len(IDENTIFIER_KINDS))
        nodes: dict[int, Node] = {place: node_of(*party.identifier(place)) for place in places}
        self._place_of_node: dict[int, int] = {node: place for place, node in nodes.items()}
        self._persons = {person: [self._place_of_node[node] for node in members] for person, members in persons.items()}
        key = _customer_key(party.identifier(BUYER_EMAIL))
        self.bytes: dict[bytes, Fill] = {
            **{party.name(place).encode(): partial(_name, place) for place in range(NAMES)},
            **{_varint(party.begin + delta): partial(_seconds, delta) for delta in DELTAS},
            **{struct.pack("<q", person): partial(_person, members) for person, members in self._persons.items()},
            key: Chunk.customer_keys,
            struct.pack(f"<{len(_NAMING)}q", *sorted(identifier_key(party.identifier(one)) for one in _NAMING)): (
                Chunk.order_keys
            ),
            _varint(position_before(party.number) + EVENTS): _last_position,
        }
        """How what is a party's own is written, by what it is."""
        self._numbers: dict[int, Count] = {
            **{(party.begin + delta) * _NANOS: partial(_at, delta, _NANOS) for delta in DELTAS},
            **{micros((party.begin + delta) * _NANOS): partial(_at, delta, _MICROS) for delta in DELTAS},
            **{nodes[place]: partial(Chunk.nodes, place=place) for place in places},
            **{
                facts.identifier_number(party.identifier(place)): partial(Chunk.columns, place=place)
                for place in places
            },
            facts.number("order", f"{SOURCE}\0{party.order_id}"): Chunk.orders,
            FIRST + party.number + 1: _told_at,
        }

    def number(self, column: str, value: int) -> Count | None:
        """How a column's number is made of other parties; None where it is the same for all."""
        if column in _OF_PERSONS and value in self._persons:
            return partial(Chunk.person, places=self._persons[value])
        return self._numbers.get(value)

    def nodes(self, values: Sequence[int]) -> Fill:
        """How an ascending list of nodes is written."""
        places = [self._place_of_node[value] for value in values]

        def fill(chunk: Chunk) -> Bytes:
            sorted_ = np.sort(np.stack([chunk.nodes(place) for place in places], axis=1), axis=1)
            item = np.empty((len(chunk), len(places), 12), np.uint8)
            item[:, :, :4] = np.frombuffer(struct.pack(">i", 8), np.uint8)
            item[:, :, 4:] = _octets(sorted_.reshape(-1), ">i8").reshape(len(chunk), len(places), 8)
            return item.reshape(len(chunk), -1)

        return fill


class Pattern:
    """Some bytes of a party with the places in which every party has its own."""

    def __init__(self) -> None:
        self._template = bytearray()
        self._fills: list[tuple[int, Fill]] = []

    def add(self, template: bytes, fill: Fill | None = None) -> None:
        """Adds bytes that are the same for all, or that `fill` makes for each."""
        if fill is not None:
            self._fills.append((len(self._template), fill))
        self._template += template

    def search(self, template: bytes, known: Mapping[bytes, Fill]) -> None:
        """Adds bytes in which the party's own are found by themselves."""
        for needle, fill in known.items():
            start = template.find(needle)
            while start >= 0:
                self._fills.append((len(self._template) + start, fill))
                start = template.find(needle, start + len(needle))
        self._template += template

    def fill(self, chunk: Chunk) -> Bytes:
        """The bytes of each party of a chunk, a row a party."""
        made = np.tile(np.frombuffer(bytes(self._template), np.uint8), (len(chunk), 1))
        for start, fill in self._fills:
            own = fill(chunk)
            made[:, start : start + own.shape[1]] = own
        return made


def row_pattern(pattern: Pattern, row: Sequence[Any], columns: Sequence[tuple[str, str]], known: Known) -> None:
    """Adds a row, as COPY reads it in its binary form."""
    pattern.add(struct.pack(">h", len(row)))
    for value, (column, kind) in zip(row, columns, strict=True):
        if value is None:
            pattern.add(struct.pack(">i", -1))
        elif kind in ("text", "bytea"):
            content = value.encode() if kind == "text" else bytes(value)
            pattern.add(struct.pack(">i", len(content)))
            pattern.search(content, known.bytes)
        elif kind == "bool":
            pattern.add(struct.pack(">i?", 1, value))
        elif kind in ("int2", "int4"):
            pattern.add(struct.pack(">ih" if kind == "int2" else ">ii", 2 if kind == "int2" else 4, value))
        elif kind == "int8":
            pattern.add(struct.pack(">i", 8))
            count = known.number(column, value)
            pattern.add(struct.pack(">q", value), count and big_endian(count))
        elif kind == "_int8":
            head = struct.pack(">iii", 1 if value else 0, 0, 20) + (struct.pack(">ii", len(value), 1) if value else b"")
            pattern.add(struct.pack(">i", len(head) + 12 * len(value)) + head)
            if value:
                pattern.add(bytes(12 * len(value)), known.nodes(value))
        else:
            raise NotImplementedError(f"{column} is {kind}")


def big_endian(count: Count) -> Fill:
    """A number as COPY reads it."""

    def fill(chunk: Chunk) -> Bytes:
        return _octets(count(chunk), ">i8")

    return fill


def _octets(numbers: Numbers, kind: str) -> Bytes:
    return numbers.astype(kind).view(np.uint8).reshape(len(numbers), 8)


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*made, number])


def _varints(numbers: Numbers, size: int) -> Bytes:
    """Numbers that are all `size` bytes long on the wire."""
    groups = [(numbers >> 7 * index & 0x7F) | (0x80 if index < size - 1 else 0) for index in range(size)]
    assert int(numbers.min()) >> 7 * (size - 1)
    assert not int(numbers.max()) >> 7 * size
    return np.stack(groups, axis=1).astype(np.uint8)
