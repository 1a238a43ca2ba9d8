"""Tracked links on a real Postgres: made through ingest's log, followed, and found by whoever clicks."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.identity.v1 import link_service_pb2 as pb
from touchstone.ingest.v1 import event_pb2, event_service_pb2, tenant_service_pb2

from services.chassis import callers
from services.chassis.callers import Caller
from services.chassis.database import open_database
from services.chassis.follow import Entry
from services.chassis.migrations import migrate
from services.identity import follower, telling
from services.identity.domain.links import TrackedLink
from services.identity.link_servicer import LinkServicer
from services.identity.store import links
from services.kernel.failures import FailedPreconditionError, InvalidArgumentError, NotFoundError, TooLateError

MIGRATIONS = Path(follower.__file__).parent / "migrations"
HOSTS = ("shop.example", "localhost:8000")


class Ingest:
    """A log that is followed when a test says so, and the settings that ingest has."""

    def __init__(self) -> None:
        self.hosts = HOSTS
        self.log: list[event_pb2.LoggedEvent] = []
        self.status = event_service_pb2.EventResult.ACCEPTED
        self.asked_about: list[str] = []
        self.appended = asyncio.Event()

    async def GetSettings(  # noqa: N802 - gRPC's name
        self, _request: Any, metadata: tuple[tuple[str, str], ...]
    ) -> tenant_service_pb2.GetSettingsResponse:
        self.asked_about += [value for name, value in metadata if name == callers.TENANT_METADATA]
        return tenant_service_pb2.GetSettingsResponse(settings={"link_hosts": self.hosts})

    async def AppendDeliveries(  # noqa: N802 - gRPC's name
        self, request: event_service_pb2.AppendDeliveriesRequest
    ) -> event_service_pb2.AppendDeliveriesResponse:
        [delivery] = request.deliveries
        [event] = delivery.events
        self.tell(delivery.tenant_id, event, delivery.source)
        self.appended.set()
        result = {"events": [{"event_id": event.event_id, "status": self.status}]}
        return event_service_pb2.AppendDeliveriesResponse(results=[result])

    def tell(self, tenant_id: str, event: event_pb2.Event, source: str = "touchstone") -> None:
        self.log.append(event_pb2.LoggedEvent(tenant_id=tenant_id, source=source, event=event))

    def entries(self, start: int = 0) -> list[Entry[event_pb2.LoggedEvent]]:
        return [Entry(position, logged) for position, logged in enumerate(self.log, start=1)][start:]


class Called:
    """A call's context with the address at which the edge was called."""

    def __init__(self, origin: str = "https://t.shop.example") -> None:
        self._origin = origin

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return ((callers.ORIGIN_METADATA, self._origin),) if self._origin else ()


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    await migrate(database_url, schema="identity_1", scripts=MIGRATIONS)
    engine = open_database(database_url, schema="identity_1")
    yield engine
    await engine.dispose()


@pytest.fixture
async def ingest() -> Ingest:
    callers.set_caller(Caller(subject="test", tenant_id="acme", scopes=frozenset({"events:write"})))
    return Ingest()


@pytest.fixture
async def servicer(engine: AsyncEngine, ingest: Ingest, monkeypatch: pytest.MonkeyPatch) -> LinkServicer:
    monkeypatch.setattr(telling, "PATIENCE", 0.2)
    return LinkServicer(lambda: engine, ingest, ingest)


def settings_of(hosts: tuple[str, ...]) -> event_pb2.Event:
    return event_pb2.Event(event_id="s", settings={"link_hosts": hosts})


async def follow(engine: AsyncEngine, entries: list[Entry[event_pb2.LoggedEvent]]) -> None:
    async with engine.begin() as connection:
        await follower.apply(connection, 0, entries)


async def made(engine: AsyncEngine, ingest: Ingest, servicer: LinkServicer, **told: Any) -> pb.CreateLinkResponse:
    """A link, made while the log is followed."""
    request = pb.CreateLinkRequest(conversation_id="c-1", destination="https://shop.example/cart")
    request.MergeFrom(pb.CreateLinkRequest(**told))
    start = len(ingest.log)
    ingest.appended.clear()
    answering = asyncio.create_task(servicer.CreateLink(request, Called()))
    await asyncio.wait_for(ingest.appended.wait(), 10)
    await follow(engine, ingest.entries(start))
    return await answering


async def resolved(servicer: LinkServicer, link_id: str) -> pb.ResolveLinkResponse:
    return await servicer.ResolveLink(pb.ResolveLinkRequest(link_id=link_id), Called())


async def test_a_link_works_from_the_moment_that_it_is_answered(engine, ingest, servicer):
    before = datetime.now(UTC)
    answer = await made(engine, ingest, servicer, touchpoint="whatsapp")

    assert answer.url == f"https://t.shop.example/l/{answer.link_id}"
    ninety_days = timedelta(days=90)
    assert before + ninety_days <= answer.expire_time.ToDatetime(UTC) <= datetime.now(UTC) + ninety_days
    found = await resolved(servicer, answer.link_id)
    assert (found.tenant_id, found.conversation_id) == ("acme", "c-1")
    assert found.destination == "https://shop.example/cart"
    assert found.expire_time == answer.expire_time
    [logged] = ingest.log
    assert (logged.tenant_id, logged.source) == ("acme", "touchstone")
    told = logged.event.tracked_link
    assert (told.link_id, told.touchpoint, told.expire_time) == (answer.link_id, "whatsapp", answer.expire_time)
    assert ingest.asked_about == ["acme"]


async def test_it_is_not_answered_before_identity_has_followed_it(engine, ingest, servicer, monkeypatch):
    monkeypatch.setattr(telling, "PATIENCE", 30)
    request = pb.CreateLinkRequest(conversation_id="c-1", destination="https://shop.example/")
    answering = asyncio.create_task(servicer.CreateLink(request, Called()))
    await asyncio.sleep(0.3)
    assert ingest.log
    assert not answering.done()
    with pytest.raises(NotFoundError):
        await resolved(servicer, ingest.log[0].event.tracked_link.link_id)

    await follow(engine, ingest.entries())

    assert (await asyncio.wait_for(answering, 10)).link_id == ingest.log[0].event.tracked_link.link_id


async def test_who_waits_too_long_is_told(servicer):
    request = pb.CreateLinkRequest(conversation_id="c-1", destination="https://shop.example/")
    with pytest.raises(TooLateError):
        await servicer.CreateLink(request, Called())


async def test_the_public_address_is_the_installations_own_if_it_has_one(engine, ingest):
    servicer = LinkServicer(lambda: engine, ingest, ingest, public_url="https://links.example/")
    answer = await made(engine, ingest, servicer)
    assert answer.url == f"https://links.example/l/{answer.link_id}"


async def test_without_any_public_address_nothing_is_made(ingest, servicer):
    request = pb.CreateLinkRequest(conversation_id="c-1", destination="https://shop.example/")
    with pytest.raises(FailedPreconditionError, match="TOUCHSTONE_PUBLIC_URL"):
        await servicer.CreateLink(request, Called(""))
    assert not ingest.log


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"destination": "https://evil.example/"}, "destination"),
        ({"destination": "http://shop.example/"}, "destination"),
        ({"conversation_id": "c" * 257}, "conversationId"),
        ({"conversation_id": "null"}, "conversationId"),
        ({"touchpoint": "a\nb"}, "touchpoint"),
        ({"lifetime": Duration(seconds=0)}, "lifetime"),
        ({"lifetime": Duration(seconds=-1)}, "lifetime"),
        ({"lifetime": Duration(seconds=366 * 86_400)}, "lifetime"),
        ({"lifetime": Duration(seconds=2**62)}, "lifetime"),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_is_made(ingest, servicer, told, field):
    asked = {"conversation_id": "c-1", "destination": "https://shop.example/", **told}
    with pytest.raises(InvalidArgumentError) as refused:
        await servicer.CreateLink(pb.CreateLinkRequest(**asked), Called())
    assert [violation.field for violation in refused.value.violations] == [field]
    assert not ingest.log


async def test_a_refusal_by_ingest_is_no_success(ingest, servicer):
    ingest.status = event_service_pb2.EventResult.REJECTED
    request = pb.CreateLinkRequest(conversation_id="c-1", destination="https://shop.example/")
    with pytest.raises(RuntimeError, match="refused"):
        await servicer.CreateLink(request, Called())


async def test_a_link_whose_host_is_taken_back_leads_nowhere(engine, ingest, servicer):
    answer = await made(engine, ingest, servicer)
    at_first, afterwards = settings_of(("shop.example",)), settings_of(("other.example",))
    ingest.tell("acme", at_first)
    await follow(engine, ingest.entries(1))
    assert (await resolved(servicer, answer.link_id)).destination == "https://shop.example/cart"

    ingest.tell("acme", afterwards)
    await follow(engine, ingest.entries(2))

    with pytest.raises(NotFoundError):
        await resolved(servicer, answer.link_id)
    # Older settings that are applied late change nothing.
    await follow(engine, ingest.entries(1)[:1])
    with pytest.raises(NotFoundError):
        await resolved(servicer, answer.link_id)


async def test_another_tenants_hosts_open_nothing(engine, ingest, servicer):
    answer = await made(engine, ingest, servicer)
    ingest.tell("acme", settings_of(()))
    ingest.tell("basalt", settings_of(("shop.example",)))
    await follow(engine, ingest.entries(1))
    with pytest.raises(NotFoundError):
        await resolved(servicer, answer.link_id)


async def test_an_unknown_link_leads_nowhere(servicer):
    with pytest.raises(NotFoundError):
        await resolved(servicer, "2222222222222")


async def test_links_of_several_tenants_are_kept_at_once_and_only_once(engine):
    kept = {
        "acme": [TrackedLink("a", 'c"1\\', "https://shop.example/", 5), TrackedLink("b", "c", "https://x.example/", 6)],
        "basalt": [TrackedLink("z", "c", "https://y.example/", 2**62)],
    }
    async with engine.begin() as connection:
        await links.add(connection, {})
        await links.add(connection, kept)
        await links.add(connection, {"acme": [TrackedLink("a", "other", "https://other.example/", 9)]})
        found = {name: await links.find(connection, name) for name in "abzy"}
        known = [await links.is_known(connection, tenant, "a") for tenant in ("acme", "basalt")]

    assert found["y"] is None
    for tenant_id, of_tenant in kept.items():
        for link in of_tenant:
            assert found[link.link_id] == (tenant_id, link, None)
    assert known == [True, False]


async def test_hosts_are_those_of_the_newest_settings(engine):
    async with engine.begin() as connection:
        await links.add(connection, {"acme": [TrackedLink("a", "c", "https://shop.example/", 5)]})
        await links.keep_hosts(connection, {"acme": (3, ("b.example", "a.example")), "basalt": (9, ())})
        await links.keep_hosts(connection, {"acme": (2, ("old.example",))})
        assert (await links.find(connection, "a")).hosts == ("b.example", "a.example")
        await links.keep_hosts(connection, {"acme": (4, ())})
        assert (await links.find(connection, "a")).hosts == ()


async def test_a_click_ties_visitor_and_conversation_unless_a_program_made_it(engine, ingest):
    preview = {"conversation_id": "c-1", "user_agent": "WhatsApp/2.23.20.0"}
    person = {"conversation_id": "c-2", "user_agent": "Mozilla/5.0 (iPhone)"}
    ingest.tell("acme", event_pb2.Event(event_id="1", identifiers={"visitor_id": "v-1"}, link_click=preview))
    ingest.tell("acme", event_pb2.Event(event_id="2", identifiers={"visitor_id": "v-2"}, link_click=person))
    ingest.tell("acme", event_pb2.Event(event_id="3", link_click=preview))
    await follow(engine, ingest.entries())

    async with engine.connect() as connection:
        rows = (await connection.execute(text("SELECT value, region FROM identifier ORDER BY value"))).all()
    assert [row.value for row in rows] == ["c-2", "v-2"]
    assert len({row.region for row in rows}) == 1
