"""People of a shop under names that nobody else has, and the search for whatever is left of them."""

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import numpy as np
import psycopg
import redis
from numpy.typing import NDArray
from touchstone.ingest.v1 import event_pb2, event_service_pb2
from touchstone.ingest.v1.event_service_pb2_grpc import EventServiceStub

from tests.mesh.running import RunningSystem
from tests.mesh.shop import Event, Shop

DAY = "2026-11-20"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody, by every kind of identifier that there is. `number` has 8 digits and is in each of them."""

    tag: str
    number: int

    @classmethod
    def new(cls, tag: str = "") -> "Person":
        """Somebody whom no test has met."""
        return cls(tag=tag, number=10_000_000 + uuid4().int % 89_000_000)

    @property
    def ids(self) -> dict[str, str]:
        """By the names that identifiers of an event have."""
        name = f"{self.tag}{self.number}"
        return {
            "sessionId": f"sess-{name}",
            "visitorId": f"vis-{name}",
            "email": f"Jane.{name}@example.com",
            "phone": f"+346{self.number}",
            "customerId": f"88{self.number}",
            "clickId": f"clk-{name}",
        }

    @property
    def conversation_id(self) -> str:
        return f"conv-{self.tag}{self.number}"

    @property
    def order_id(self) -> str:
        return f"o-{self.number * 7}"

    def by(self, *names: str) -> dict[str, str]:
        """Some of the identifiers."""
        return {name: self.ids[name] for name in names}

    def event(self, what: str, hour: str, by: dict[str, str], **payload: Any) -> Event:
        """An event of theirs; its id tells what it is, and for some of them who it was."""
        return {"eventId": f"{what}-{self.number * 7}", "occurTime": f"{DAY}T{hour}:00Z", "identifiers": by, **payload}

    def chat(self, by: dict[str, str], hour: str = "10:00", **more: str) -> Event:
        told = {"channel": "CHAT", "action": "MESSAGE", "answer": "HELPFUL", **more}
        return self.event(f"chat-{hour}", hour, by, interaction=told)

    def visit(self, by: dict[str, str], hour: str = "10:30") -> Event:
        return self.event(f"visit-{hour}", hour, by, storefront={"action": "SESSION_STARTED"})

    def order(self, by: dict[str, str], micros: int) -> Event:
        told = {
            "orderId": self.order_id,
            "platform": "CUSTOM",
            "status": "completed",
            "currencyCode": "EUR",
            "totalMicros": str(micros),
            "displayNumber": f"#{self.number * 7}",
        }
        return self.event("order", "12:00", by, order=told)


STORIES = ("SESSION", "EMAIL", "PHONE", "CUSTOMER", "VISITOR", "PERSON", "CLICK")


def story(person: Person, tier: str, micros: int) -> list[Event]:
    """A conversation and the order that it brought in, tied by this tier (CLICK: by a click, a person's too)."""
    field = {
        "SESSION": "sessionId",
        "EMAIL": "email",
        "PHONE": "phone",
        "CUSTOMER": "customerId",
        "VISITOR": "visitorId",
    }
    if tier in field:
        by = person.by(field[tier])
        return [person.chat(by), person.visit(person.ids), person.order(by, micros)]
    messaging = {"channel": "MESSAGING", "conversationId": person.conversation_id}
    by = person.by("visitorId") if tier == "PERSON" else person.by("clickId")
    bought = person.by("sessionId", "email") if tier == "PERSON" else by
    # The link's event names the visitor in its own id, as some assistants do.
    click = person.event(
        f"click-{person.ids['visitorId']}", "10:15", by, linkClick={"conversationId": person.conversation_id}
    )
    return [person.chat({}, **messaging), click, person.visit(person.ids), person.order(bought, micros)]


def raw_values(people: Iterable[Person]) -> list[str]:
    """Everything that names one of them as it was sent, addresses in lower case too."""
    return [
        value
        for person in people
        for sent in (*person.ids.values(), person.conversation_id)
        for value in {sent, sent.lower()}
    ]


def hashes(running: RunningSystem, tenant: str, people: Iterable[Person]) -> list[str]:
    """The keyed hashes of their addresses, as the tenant's log has them."""
    stub, found = EventServiceStub(running.system.channel), []
    for person in people:
        ids = event_pb2.Identifiers(email=person.ids["email"], phone=person.ids["phone"])
        request = event_service_pb2.HashAddressesRequest(tenant_id=tenant, identifiers=ids)
        hashed = running.system.call(stub.HashAddresses, request, tenant=tenant).identifiers
        assert hashed.email
        assert hashed.phone
        found += [hashed.email, hashed.phone]
    return found


def left_of(shop: Shop, people: Sequence[Person], *values: str) -> set[str]:
    """Which of their values, or their hashes, stand anywhere in Postgres or Valkey, in any form that bytes have.

    Looks for other values, too, of 8 characters at least.
    """
    hashed = hashes(shop.running, shop.tenant, people)
    # The hashes' own bytes, too, as well as the letters that they are written in.
    digests = {base64.urlsafe_b64decode(value + "="): value for value in hashed}
    sought = {value.encode(): value for value in (*raw_values(people), *hashed, *values)} | digests
    search = Search({form: value for content, value in sought.items() for form in _forms(content)})
    state = shop.running.state()
    seen: set[str] = set()
    for content, numbers in _postgres(state["database_url"]):
        seen |= search.found(content) | search.numbers(numbers)
    return seen.union(*map(search.found, _valkey(state["redis_url"])))


def known_to_valkey(shop: Shop, people: Sequence[Person]) -> set[str]:
    """Which of their values stand anywhere in Valkey."""
    search = Search({value.encode(): value for value in raw_values(people)})
    return set().union(*map(search.found, _valkey(shop.running.state()["redis_url"])))


class Search:
    """Finds any of very many values in bytes, in one pass: by their first eight bytes, as numbers."""

    def __init__(self, forms: Mapping[bytes, str]) -> None:
        self._forms: dict[bytes, list[tuple[bytes, str]]] = {}
        for form, value in forms.items():
            self._forms.setdefault(form[:8], []).append((form, value))
        self._is_head = np.zeros(1 << 24, dtype=bool)
        self._is_head[_slots(np.frombuffer(b"".join(self._forms), "<u8"))] = True
        written = (value for found in self._forms.values() for _, value in found)
        self._numbers = {int(value): value for value in written if value.isascii() and value.isdigit()}

    def found(self, content: bytes) -> set[str]:
        """Those of the values of which a form stands in the content."""
        seen: set[str] = set()
        for offset in range(min(8, max(len(content) - 7, 0))):
            numbers = np.frombuffer(content, "<u8", count=(len(content) - offset) // 8, offset=offset)
            for index in np.flatnonzero(self._is_head[_slots(numbers)]):
                at = offset + 8 * int(index)
                seen.update(
                    value for form, value in self._forms.get(content[at : at + 8], ()) if content.startswith(form, at)
                )
        return seen

    def numbers(self, stored: Iterable[int]) -> set[str]:
        """Those of the values that are one of these numbers.

        Not a part of one: of a million random numbers with 19 digits, ten million parts have ten, and one of a thousand
        values is likely to be among them.
        """
        return {self._numbers[number] for number in self._numbers.keys() & set(stored)}


def _slots(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return (numbers * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)


def _forms(content: bytes) -> Iterator[bytes]:
    yield content
    yield content.hex().encode()
    yield content.hex().upper().encode()
    # Inside of other bytes, base64 begins at any of three places.
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + content)
        yield encoded[-(-before * 8 // 6) : len(encoded) // 4 * 4 - 4]


def _postgres(url: str) -> Iterator[tuple[bytes, set[int]]]:
    """Every column of every table of every schema, some rows at a time: what has letters or bytes, and whole numbers."""
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            """SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
               WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"""
        ).fetchall()
        assert len(tables) > 20
        for (table,) in tables:
            with connection.cursor(name="scan") as rows:
                rows.itersize = 5_000
                rows.execute(f"SELECT * FROM {table}")
                while part := rows.fetchmany(5_000):
                    values = [one for row in part for value in row for one in _single(value)]
                    yield (
                        b"\n".join(_bytes(one) for one in values if not isinstance(one, int)),
                        {one for one in values if isinstance(one, int)},
                    )


def _single(value: Any) -> Iterator[Any]:
    """A value, or each one of a list of whatever depth."""
    if isinstance(value, list):
        for one in value:
            yield from _single(one)
    else:
        yield value


def _bytes(value: Any) -> bytes:
    return bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()


def _valkey(url: str) -> Iterator[bytes]:
    """Every key and value of every database of the server."""
    with redis.Redis.from_url(url) as client:
        databases = int(client.config_get("databases")["databases"])
    for number in range(databases):
        with redis.Redis.from_url(url, db=number) as client:
            for key in client.scan_iter(count=1_000):
                yield key
                yield client.dump(key) or b""
