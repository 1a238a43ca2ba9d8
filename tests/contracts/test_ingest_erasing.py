"""Erasing on a real Postgres: what was asked is met once, whole, wherever it is interrupted; appends go on."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from sqlalchemy import event as hooks
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.identity.v1 import people_service_pb2
from touchstone.ingest.v1 import event_pb2, event_service_pb2, privacy_pb2, settings_pb2
from touchstone.mesh.v1 import maintenance_service_pb2

import services.ingest
from services.chassis.database import open_database
from services.chassis.migrations import migrate
from services.ingest.domain.addresses import hashed_email, hashed_phone
from services.ingest.domain.deduplication import Entry, Status
from services.ingest.domain.deliveries import Batch, UnusablePart
from services.ingest.domain.events import Limits
from services.ingest.domain.privacy import Demand, DemandKind, Named, State
from services.ingest.domain.sources import SourceKind
from services.ingest.domain.tenants import Tenant, TenantTerms
from services.ingest.erasing.planning import IdentityBehindError
from services.ingest.erasing.run import Eraser
from services.ingest.store import parked, privacy, rewriting, tenants
from services.ingest.store.event_log import EventLog
from services.ingest.store.vault import Vault
from services.ingest.wire.events import entry_of, sender_of
from services.ingest.wire.privacy import demands_by_partition, identifier_message
from services.ingest.wire.rewriting import named_by
from services.ingest.wire.settings import hash_blocked, settings_entry
from services.ingest.wire.times import timestamp_of
from services.kernel.identifiers import Identifier, Kind

MIGRATIONS = Path(services.ingest.__file__).parent / "migrations"
NOW = datetime.now(UTC)
HASH_KEY = b"h" * 32
ACCEPTED, DUPLICATE, REJECTED = Status
PARTITION = 3
JANE, JANES_PHONE = "Jane.Doe@example.com", "+34 600 000 000"
JANES_HASH = hashed_email(HASH_KEY, JANE)


class House(NamedTuple):
    """An event log of the tenant acme, and whoever erases in it."""

    url: str
    engine: AsyncEngine
    vault: Vault
    log: EventLog
    terms: TenantTerms

    def read(self, *told: dict[str, Any], source: str = "api") -> list[Entry]:
        """Events as entries, as they would be accepted."""
        now = timestamp_of(int(NOW.timestamp()) * 10**9)
        origin = sender_of(self.terms, source, SourceKind.SHOPIFY, now=now.ToNanoseconds()).at(now, "")
        entries = [entry_of(event_pb2.Event(**{"occur_time": now} | fields), origin) for fields in told]
        assert all(isinstance(one, Entry) for one in entries), entries
        return entries

    async def append(self, *told: dict[str, Any], source: str = "api") -> list[Status]:
        return await self.log.append(Batch(PARTITION, self.read(*told, source=source)), await self.renamed())

    async def renamed(self) -> list[str]:
        [terms] = await tenants.read_terms(self.engine, self.vault, ["acme"])
        return ["acme"] if terms.has_renamed_events else []

    async def events(self) -> list[event_pb2.Event]:
        async with self.engine.connect() as connection:
            rows = await connection.execute(text("SELECT payload FROM log_entry ORDER BY position"))
            return [event_pb2.LoggedEvent.FromString(row.payload).event for row in rows]

    async def ask(
        self,
        *identifiers: Identifier,
        kind: DemandKind = DemandKind.ERASURE,
        source: str = "api",
        name: str = "",
        orders: Sequence[str] = (),
    ) -> str:
        demand = Demand("acme", source, name, kind, Named(identifiers, tuple(orders)), datetime.now(UTC))
        [request_id] = await privacy.record(self.engine, self.vault, PARTITION, [demand])
        return request_id

    async def request(self, request_id: str) -> Any:
        return await privacy.find_request(self.engine, tenant_id="acme", request_id=request_id)

    def eraser(self, behind: int = 0, rest: float = 0) -> Eraser:
        return Eraser(
            self.engine, self.vault, People(self, behind), Followers.all(self), gather=timedelta(0), rest=rest
        )

    async def change(self, statement: str) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(text(statement))

    async def log_id(self) -> str:
        async with self.engine.connect() as connection:
            return str((await connection.execute(text("SELECT log_id FROM log_identity"))).scalar_one())


class People:
    """Stands in for identity: whoever is seen together is one person, unless the value is "kiosk"."""

    def __init__(self, house: House, behind: int) -> None:
        self.house, self.behind = house, behind

    async def ListMembers(  # noqa: N802 - gRPC's name
        self,
        request: people_service_pb2.ListMembersRequest,
        metadata: Any,  # noqa: ARG002 - gRPC's signature
        timeout: float,  # noqa: ARG002, ASYNC109 - gRPC's signature
    ) -> AsyncIterator[people_service_pb2.ListMembersResponse]:
        persons: dict[Identifier, int] = {}
        events = await self.house.events()
        for event in events:
            seen = [one for one in named_by(event) if one.value != "kiosk"]
            joined = {persons[one] for one in seen if one in persons}
            name = min(joined, default=len(persons) + 1)
            persons |= {one: name for one, person in persons.items() if person in joined} | dict.fromkeys(seen, name)
        asked = [Identifier(Kind(one.kind), one.value) for one in request.identifiers]
        wanted = {persons[one] for one in asked if one in persons}
        told = {one: person for one, person in persons.items() if person in wanted} | {
            one: persons.get(one, 0) for one in asked
        }
        yield people_service_pb2.ListMembersResponse(
            memberships=[{"identifier": identifier_message(one), "person_id": person} for one, person in told.items()],
            event_position=len(events) - self.behind,
        )


class Followers:
    """Stands in for a service that has started over, once it is up."""

    def __init__(self, house: House, up: Callable[[], Awaitable[str]]) -> None:
        self.house, self.up = house, up

    @classmethod
    def all(cls, house: House) -> dict[str, "Followers"]:
        return {name: cls(house, house.log_id) for name in ("identity", "attribution", "reporting")}

    async def GetProgress(self, _request: Any) -> maintenance_service_pb2.GetProgressResponse:  # noqa: N802 - gRPC's
        followed = [{"log": "events", "log_id": await self.up(), "partition": PARTITION, "through_position": 10**6}]
        return maintenance_service_pb2.GetProgressResponse(generations=[{"serving": True, "followed": followed}])


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    await migrate(database_url, schema="ingest", scripts=MIGRATIONS)
    engine, vault = open_database(database_url, schema="ingest"), Vault(b"k" * 32)
    terms = TenantTerms("acme", PARTITION, HASH_KEY, Limits(), {"shop": SourceKind.SHOPIFY})
    made = House(database_url, engine, vault, EventLog(engine, vault, lambda *_: None), terms)
    blocked = [{"kind": 3, "value": JANE}, {"kind": 2, "value": "kiosk"}]
    settings = settings_pb2.TenantSettings(currency_code="EUR", time_zone="Europe/Madrid", blocked_identifiers=blocked)
    hash_blocked(settings, HASH_KEY)
    document = settings.SerializeToString(deterministic=True)
    tenant = Tenant(tenant_id="acme", partition=PARTITION, settings=document, create_time=NOW)

    async def create(connection):
        await tenants.insert_tenant(
            connection, vault, tenant, hash_key=HASH_KEY, create_fingerprint=b"f", limits=Limits()
        )
        now = int(NOW.timestamp()) * 10**9
        return None, [settings_entry(terms, settings, revision=1, trace_parent="", now=now)]

    await made.log.change(PARTITION, create)
    yield made
    await made.log.close()
    await engine.dispose()


def chat(event_id: str, conversation: str = "", **by: str) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "identifiers": by,
        "interaction": {"channel": 1, "action": 1, "conversation_id": conversation},
    }


def order(order_id: str, **by: str) -> dict[str, Any]:
    return {
        "event_id": f"orders/paid/{order_id}/1",
        "identifiers": by,
        "order": {"order_id": order_id, "currency_code": "EUR", "total_micros": 7},
    }


HER_STORY = (
    chat("1", conversation="conv-jane-1", visitor_id="vis-jane-1"),
    chat("2", visitor_id="vis-jane-1", email=JANE),
    chat("3", visitor_id="kiosk", phone=JANES_PHONE, email=JANE.upper()),
    chat("said-vis-jane-1-hello", session_id="sess-jane-9", email=JANE),
    order("1001", email=JANE, customer_id="7001234567890"),
    {
        "event_id": "link-tok_jane",
        "link_click": {"conversation_id": "conv-jane-1", "link_id": "tok_jane"},
        "identifiers": {"click_id": "clk-jane"},
    },
)
HIS_STORY = (
    chat("11", conversation="conv-bob-1", visitor_id="vis-bob-1", email="bob@example.com"),
    chat("12", visitor_id="kiosk", email="bob@example.com"),
    order("1002", email="bob@example.com", customer_id="7001234567891"),
)
HERS = (
    "vis-jane-1",
    "conv-jane-1",
    "sess-jane-9",
    "clk-jane",
    "tok_jane",
    "7001234567890",
    JANES_HASH,
    hashed_phone(HASH_KEY, JANES_PHONE, ""),
)


def found(url: str, values: Sequence[str]) -> set[str]:
    """Which of the values stand anywhere in the database, as text, as bytes, or in a form that bytes are written in."""
    forms = {
        value: [value.encode(), value.encode().hex().encode(), base64.b64encode(value.encode())[:-4]]
        for value in values
    }
    seen: set[str] = set()
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for (table,) in tables:
            for row in connection.cursor(binary=True).execute(f"SELECT * FROM {table}"):
                content = b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in row)
                seen.update(value for value, ways in forms.items() if any(way in content for way in ways))
    return seen


async def erase_all(house: House) -> None:
    for _ in range(100):
        if await house.eraser().erase():
            return
    pytest.fail("never done")


async def test_she_is_gone_and_everybody_else_is_as_before(house: House) -> None:
    await house.append(*HER_STORY, *HIS_STORY)
    before, log_id = await house.events(), await house.log_id()
    assert found(house.url, HERS) == set(HERS)
    request_id = await house.ask(Identifier(Kind.VISITOR, "vis-jane-1"))
    await erase_all(house)
    assert found(house.url, HERS) == set()
    after = await house.events()
    assert after[7:] == before[7:]
    assert await house.log_id() != log_id
    told = await house.request(request_id)
    assert (told.state, told.rewritten_events, told.erased_identifiers, told.forgotten_bodies) == (State.DONE, 7, 7, 0)
    assert after[1].identifiers.visitor_id == after[2].identifiers.visitor_id
    assert after[1].interaction.conversation_id == after[6].link_click.conversation_id
    assert after[3].identifiers.visitor_id == "kiosk"
    assert len({event.identifiers.email for event in (after[2], after[3], after[4], after[5])}) == 1
    assert after[0].settings.blocked_identifiers[0].value == after[2].identifiers.email
    async with house.engine.connect() as connection:
        row = await tenants.find_tenant(connection, "acme")
    assert settings_pb2.TenantSettings.FromString(row.tenant.settings) == after[0].settings


async def test_what_was_told_before_is_known_again_and_what_is_new_is_somebody_new(house: House) -> None:
    await house.append(*HER_STORY, *HIS_STORY)
    await house.ask(Identifier(Kind.EMAIL, JANES_HASH))
    await erase_all(house)
    count = len(await house.events())
    assert await house.append(*HER_STORY, *HIS_STORY) == [DUPLICATE] * 9
    assert len(await house.events()) == count
    assert await house.append(chat("1", visitor_id="other"), chat("11", visitor_id="other")) == [DUPLICATE, REJECTED]
    assert await house.append(chat("new", email=JANE)) == [ACCEPTED]
    events = await house.events()
    assert events[-1].identifiers.email == JANES_HASH
    assert events[2].identifiers.email != JANES_HASH


async def test_interrupted_at_any_statement_it_ends_the_same(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewriting, "_PAGE_ENTRIES", 2)
    await house.append(*HER_STORY, *HIS_STORY)
    part = UnusablePart("acme", "shop", "orders/paid", "INVALID_JSON", NOW, JANE.encode(), {})
    await house.log.append(Batch(PARTITION, [], [part]))
    request_ids = [
        await house.ask(Identifier(Kind.EMAIL, JANES_HASH)),
        await house.ask(Identifier(Kind.CUSTOMER, "7001234567891")),
    ]
    interrupted = 0
    statements = 0

    class InterruptedHereError(Exception):
        pass

    @hooks.listens_for(house.engine.sync_engine, "before_cursor_execute")
    def interrupt(*_: Any) -> None:
        nonlocal statements
        statements -= 1
        # From there on every one: the first may be of somebody who only looks how far the services are.
        if statements <= 0:
            raise InterruptedHereError

    for allowed in range(1, 200):
        statements = allowed
        try:
            done = await house.eraser().erase()
        except InterruptedHereError:
            interrupted += 1
        else:
            assert done
            break
    hooks.remove(house.engine.sync_engine, "before_cursor_execute", interrupt)
    assert interrupted > 15
    assert found(house.url, [*HERS, "7001234567891", "conv-bob-1", "vis-bob-1"]) == set()
    hers, his = [await house.request(one) for one in request_ids]
    assert (hers.state, hers.rewritten_events, hers.erased_identifiers, hers.forgotten_bodies) == (State.DONE, 7, 7, 1)
    assert (his.state, his.rewritten_events, his.erased_identifiers, his.forgotten_bodies) == (State.DONE, 3, 4, 0)
    events = await house.events()
    assert len({event.identifiers.email for event in events[7:10]}) == 1
    assert await house.append(*HER_STORY, *HIS_STORY) == [DUPLICATE] * 9


async def test_an_erasure_keeps_its_place_in_the_sequence(house: House) -> None:
    await house.append(*HER_STORY)
    first = await house.ask(Identifier(Kind.EMAIL, JANES_HASH))
    await house.append(chat("later", visitor_id="vis-jane-1", email=JANE))
    second = await house.ask(Identifier(Kind.VISITOR, "vis-jane-1"))
    await house.append(chat("last", visitor_id="vis-jane-1", email=JANE))
    await erase_all(house)
    old, between, last = [(await house.events())[at].identifiers for at in (2, 7, 8)]
    assert len({old.email, between.email, last.email}) == 3
    assert len({old.visitor_id, between.visitor_id, last.visitor_id}) == 3
    assert (last.email, last.visitor_id) == (JANES_HASH, "vis-jane-1")
    assert ((await house.request(first)).rewritten_events, (await house.request(second)).rewritten_events) == (7, 1)


async def test_appends_go_on_while_pages_are_rewritten(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewriting, "_PAGE_ENTRIES", 5)
    await house.append(*(chat(str(i), email=JANE) for i in range(200)))
    await house.ask(Identifier(Kind.EMAIL, JANES_HASH))
    erasing = asyncio.create_task(erase_all(house))
    appended = 0
    while not erasing.done():
        # What comes again meanwhile, and what is new.
        assert (await house.append(chat(f"new-{appended}", email=JANE)))[0] is ACCEPTED
        assert await house.append(*(chat(str(i), email=JANE) for i in range(199, -1, -1))) == [DUPLICATE] * 200
        appended += 1
    await erasing
    assert appended > 1
    emails = [event.identifiers.email for event in await house.events()][1:]
    assert len(set(emails[:200])) == 1
    assert set(emails[200:]) == {JANES_HASH}


async def test_somebody_unknown_is_erased_at_once_by_the_value_alone(house: House) -> None:
    await house.append(*HIS_STORY)
    log_id = await house.log_id()
    body = UnusablePart("acme", "shop", "t", "INVALID_JSON", NOW, b'{"visitor": "vis-stranger-77"', {})
    await house.log.append(Batch(PARTITION, [], [body]))
    request_id = await house.ask(Identifier(Kind.VISITOR, "vis-stranger-77"))
    assert await house.eraser().erase()
    told = await house.request(request_id)
    assert (told.state, told.rewritten_events, told.erased_identifiers, told.forgotten_bodies) == (State.DONE, 0, 1, 1)
    assert await house.log_id() == log_id, "nobody has to start over for nothing"


async def test_identity_is_asked_again_until_it_has_read_as_far(house: House) -> None:
    await house.append(*HER_STORY)
    await house.ask(Identifier(Kind.EMAIL, JANES_HASH))
    with pytest.raises(Exception, match="identity has not read everything"):
        await house.eraser(behind=1).erase()
    assert await house.eraser().erase()


async def test_it_is_done_when_all_services_have_started_over(house: House) -> None:
    await house.append(*HER_STORY)
    request_id = await house.ask(Identifier(Kind.EMAIL, JANES_HASH))
    old = await house.log_id()

    async def still_old() -> str:
        return old

    eraser = house.eraser()
    eraser._followers = {**Followers.all(house), "reporting": Followers(house, still_old)}
    assert not await eraser.erase()
    new = await house.log_id()
    assert new != old
    assert (await house.request(request_id)).state is State.RUNNING
    later = await house.ask(Identifier(Kind.EMAIL, hashed_email(HASH_KEY, "bob@example.com")))
    assert not await eraser.erase()
    assert await house.log_id() == new, "once is enough"
    assert (await house.request(later)).state is State.PENDING
    await erase_all(house)
    assert (await house.request(request_id)).state is State.DONE


BODIES = {
    "json": json.dumps({"customer": {"email": JANE}}),
    "escaped": '{"billing": {"email": "jane\\u002edoe\\u0040example.com"}}',
    "cut off": '{"billing": {"email": "jane.doe\\u0040example.com", "to',
    "in a sentence": json.dumps({"note": f"call <{JANE}> please"}),
    "national number": json.dumps({"billing": {"phone": "600 000 000", "country": "ES"}}),
    "international number": json.dumps({"shipping": {"phone": "0034600000000"[2:], "country_code": "ES"}}),
    "customer by number": json.dumps({"customer": {"id": 7001234567890}}),
    "attribute": json.dumps({"note_attributes": [{"name": "_touchstone_session_id", "value": "sess-jane-9.c2lnbmVk"}]}),
    "form": "email=x&visitor=vis-jane-1&more",
    "short customer": json.dumps({"customer_id": 25}),
}
OTHER_BODIES = {
    "bob": json.dumps({"customer": {"email": "bob@example.com", "id": 70012345678901}}),
    "a quantity": json.dumps({"line_items": [{"quantity": 25}], "customer_id": 26}),
    "similar": json.dumps({"email": "mary.jane.doe@example.com"}),
    "binary": "\x00\x01",
}


async def test_parked_bodies_that_name_her_are_forgotten(house: House) -> None:
    await house.append(*HER_STORY, chat("short", customer_id="25", email=JANE))
    parts = [
        UnusablePart("acme", "shop", name, f"WHY {name}", NOW, body.encode(), {"h": "v"})
        for name, body in (BODIES | OTHER_BODIES).items()
    ]
    late = UnusablePart("acme", "shop", "late", "LATE", NOW + timedelta(days=1), JANE.encode(), {})
    refused = event_pb2.Event(event_id="\ud7ff", identifiers={"email": JANE}).SerializeToString()
    raw = UnusablePart("acme", "shop", "raw", "WHY raw", NOW, refused, {"touchstone-body": "event"})
    await house.log.append(Batch(PARTITION, [], [*parts, late, raw]))
    request_id = await house.ask(Identifier(Kind.EMAIL, JANES_HASH))
    await erase_all(house)
    read = await parked.read_parked(
        house.engine, house.vault, tenant_id="acme", source="shop", parked_ids=[], after="", count=99, now=NOW
    )
    bodies = {one.topic: one.body for one in read}
    assert {topic for topic, body in bodies.items() if body == b""} == {*BODIES, "raw"}
    assert {topic for topic, body in bodies.items() if body} == {*OTHER_BODIES, "late"}
    assert {one.reason for one in read} == {part.reason for part in (*parts, late, raw)}
    assert (await house.request(request_id)).forgotten_bodies == len(BODIES) + 1


async def test_the_same_demand_is_the_same_request(house: House) -> None:
    await house.append(*HER_STORY)
    hers, his = Identifier(Kind.EMAIL, JANES_HASH), Identifier(Kind.EMAIL, hashed_email(HASH_KEY, "bob@example.com"))
    first = await house.ask(hers)
    assert await house.ask(hers) == first
    assert await house.ask(his) != first
    of_shop = await house.ask(hers, source="shop", name="customers/redact/1")
    assert await house.ask(hers, source="shop", name="customers/redact/1") == of_shop != first
    await erase_all(house)
    assert await house.ask(hers, source="shop", name="customers/redact/1") == of_shop
    assert await house.ask(hers) != first
    listed = await privacy.list_requests(house.engine, tenant_id="acme", before="", count=9)
    assert [one.request_id for one in listed] == sorted((one.request_id for one in listed), reverse=True)
    assert len(listed) == 4


async def test_asked_again_before_it_began_it_reaches_further(house: House) -> None:
    await house.append(*HER_STORY)
    first = await house.ask(Identifier(Kind.EMAIL, JANES_HASH))
    await house.append(chat("later", email=JANE))
    assert await house.ask(Identifier(Kind.EMAIL, JANES_HASH)) == first
    await erase_all(house)
    assert found(house.url, HERS) == set()
    assert (await house.events())[-1].identifiers.email == (await house.events())[2].identifiers.email


async def test_what_is_asked_for_together_is_erased_together(house: House) -> None:
    await house.append(*HER_STORY, *HIS_STORY)
    first = await house.ask(Identifier(Kind.EMAIL, JANES_HASH))
    eraser = house.eraser()
    eraser._gather = timedelta(minutes=2)
    assert not await eraser.erase()
    assert (await house.request(first)).state is State.PENDING
    second = await house.ask(Identifier(Kind.CUSTOMER, "7001234567891"))
    async with house.engine.begin() as connection:
        await connection.execute(
            text("UPDATE privacy_request SET create_time = create_time - interval '61 s' WHERE request_id = :id"),
            {"id": first},
        )
    assert await eraser.erase(), "one has waited for long enough"
    assert {(await house.request(one)).state for one in (first, second)} == {State.DONE}


async def rested_from(house: House, minutes: int) -> Eraser:
    """An eraser after an erasing that took so long."""
    await house.append(*HER_STORY, *HIS_STORY)
    await house.ask(Identifier(Kind.EMAIL, JANES_HASH))
    with pytest.raises(IdentityBehindError):
        await house.eraser(behind=1).erase()
    await house.change(f"UPDATE erasure SET begin_time = begin_time - interval '{minutes} minutes'")
    eraser = house.eraser(rest=20)
    assert await eraser.erase()
    return eraser


async def test_the_next_one_begins_when_the_installation_has_rested(house: House) -> None:
    eraser = await rested_from(house, minutes=31)
    second = await house.ask(Identifier(Kind.CUSTOMER, "7001234567891"))
    log_id = await house.log_id()

    assert not await eraser.erase()
    assert not await house.eraser().erase(), "the rest is that of the last erasing, whoever goes on"
    told = await house.request(second)
    assert (told.state, await house.log_id()) == (State.PENDING, log_id)
    assert timedelta(hours=10) <= told.latest_begin_time - told.create_time < timedelta(hours=10, minutes=1)

    await house.change("UPDATE erasing_rest SET until_time = until_time - interval '10 hours 1 minute'")
    assert await eraser.erase()
    told = await house.request(second)
    assert (told.state, told.latest_begin_time) == (State.DONE, None)


async def test_nobody_waits_for_longer_than_a_day(house: House) -> None:
    eraser = await rested_from(house, minutes=600)
    second = await house.ask(Identifier(Kind.CUSTOMER, "7001234567891"))
    told = await house.request(second)
    assert told.latest_begin_time - told.create_time == timedelta(days=1)

    await house.change("UPDATE privacy_request SET create_time = create_time - interval '23 h 59 min' WHERE state = 1")
    assert not await eraser.erase()
    third = await house.ask(Identifier(Kind.VISITOR, "vis-stranger-77"))
    await house.change("UPDATE privacy_request SET create_time = create_time - interval '1 min' WHERE state = 1")
    assert await eraser.erase()
    assert {(await house.request(one)).state for one in (second, third)} == {State.DONE}


async def test_an_erasing_that_nobody_notices_asks_for_no_rest(house: House) -> None:
    eraser = await rested_from(house, minutes=0)
    second = await house.ask(Identifier(Kind.CUSTOMER, "7001234567891"))
    assert await eraser.erase()
    assert (await house.request(second)).state is State.DONE


async def test_the_first_begins_at_once_and_who_comes_meanwhile_within_a_day(house: House) -> None:
    await house.append(*HER_STORY, *HIS_STORY)
    hers = await house.ask(Identifier(Kind.EMAIL, JANES_HASH))
    known = await house.ask(Identifier(Kind.EMAIL, JANES_HASH), kind=DemandKind.ACCESS, source="shop", name="a")
    told = await house.request(hers)
    assert told.latest_begin_time - told.create_time == timedelta(minutes=1)
    assert (await house.request(known)).latest_begin_time is None

    with pytest.raises(IdentityBehindError):
        await house.eraser(behind=1).erase()
    his = await house.ask(Identifier(Kind.CUSTOMER, "7001234567891"))
    told = await house.request(his)
    assert told.latest_begin_time - told.create_time == timedelta(days=1)
    assert ((await house.request(hers)).state, (await house.request(hers)).latest_begin_time) == (State.RUNNING, None)


async def test_orders_name_whom_they_are_of(house: House) -> None:
    await house.append(*HER_STORY[:4], *HIS_STORY[:2])
    await house.append(HER_STORY[4], HIS_STORY[2], source="shop")
    request_id = await house.ask(kind=DemandKind.ERASURE, source="shop", name="r", orders=["1001", "9999"])
    await erase_all(house)
    assert found(house.url, HERS) == set()
    assert found(house.url, ["vis-bob-1", "kiosk"]) == {"vis-bob-1", "kiosk"}
    assert (await house.request(request_id)).state is State.DONE


async def test_a_whole_shop_forgets_everybody_known_through_it(house: House) -> None:
    await house.append(*HER_STORY[:4], chat("x", visitor_id="vis-only-api"))
    await house.append(HER_STORY[4], HIS_STORY[2], source="shop")
    await house.ask(kind=DemandKind.SHOP_ERASURE, source="shop", name="shop/redact/1")
    await erase_all(house)
    assert found(house.url, [*HERS, hashed_email(HASH_KEY, "bob@example.com"), "7001234567891"]) == set()
    assert found(house.url, ["vis-only-api", "kiosk"]) == {"vis-only-api", "kiosk"}


async def test_who_is_erased_has_nothing_to_ask_for_any_more(house: House) -> None:
    await house.append(*HER_STORY)
    hers = await house.ask(Identifier(Kind.EMAIL, JANES_HASH), kind=DemandKind.ACCESS, source="shop", name="a")
    his = await house.ask(Identifier(Kind.CUSTOMER, "7001234567891"), kind=DemandKind.ACCESS, source="shop", name="b")
    await house.ask(Identifier(Kind.CUSTOMER, "7001234567890"))
    await erase_all(house)
    assert ((await house.request(hers)).state, (await house.request(his)).state) == (State.DONE, State.PENDING)
    assert (await house.request(his)).due_time - (await house.request(his)).create_time == timedelta(days=30)


async def test_whom_a_request_names_is_sealed_and_then_forgotten(house: House) -> None:
    await house.ask(Identifier(Kind.VISITOR, "vis-stranger-77"))
    assert found(house.url, ["vis-stranger-77"]) == set()
    await erase_all(house)
    async with house.engine.connect() as connection:
        row = (await connection.execute(text("SELECT sealed_named, fingerprint FROM privacy_request"))).one()
        left = [
            (await connection.execute(text(f"SELECT count(*) FROM {name}"))).scalar_one()
            for name in ("erasure", "erasure_plan", "erasure_renamed")
        ]
    assert tuple(row) == (None, None)
    assert left == [0, 0, 0]


def test_demands_of_unknown_sources_are_nobodys(house: House) -> None:
    demand = privacy_pb2.PrivacyDemand(
        demand_id="1",
        kind=privacy_pb2.PrivacyDemand.ERASURE,
        identifiers={"email": JANE, "phone": "600000000", "phone_country": "ES"},
    )
    deliveries = [
        event_service_pb2.Delivery(tenant_id=tenant, source=source, privacy_demands=[demand])
        for tenant, source in (("acme", "shop"), ("acme", "other"), ("nobody", "shop"))
    ]
    [of_partition] = demands_by_partition(deliveries, {"acme": house.terms}, NOW).values()
    [read] = of_partition
    assert set(read.named.identifiers) == {
        Identifier(Kind.EMAIL, JANES_HASH),
        Identifier(Kind.PHONE, hashed_phone(HASH_KEY, JANES_PHONE, "")),
    }
