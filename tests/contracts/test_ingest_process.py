"""Ingest as a process: tenants, sources, events, parked deliveries and the log, over gRPC and after a kill."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import grpc
import psycopg
import pytest
from touchstone.ingest.v1 import event_pb2, settings_pb2, source_service_pb2, tenant_service_pb2
from touchstone.ingest.v1 import event_service_pb2 as messages
from touchstone.ingest.v1.event_service_pb2_grpc import EventServiceStub
from touchstone.ingest.v1.source_service_pb2_grpc import SourceServiceStub
from touchstone.ingest.v1.tenant_service_pb2_grpc import TenantServiceStub
from touchstone.mesh.v1 import log_pb2

from deploy.local.ports import free_ports
from services.chassis import keys, tokens
from services.chassis.channels import about, open_channel
from services.kernel.partitions import proposed_partition

ROOT = Path(__file__).resolve().parents[2]
ACME = about("acme")
ACCEPTED, DUPLICATE, REJECTED = 1, 2, 3
SETTINGS = settings_pb2.TenantSettings(time_zone="Europe/Madrid", currency_code="EUR")


class Ingest(NamedTuple):
    """A running ingest: channels as operator and as a service, and how it was started."""

    operator: grpc.aio.Channel
    mesh: grpc.aio.Channel
    environment: dict[str, str]
    running: list[asyncio.subprocess.Process]

    async def start(self) -> None:
        self.running.append(
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", "services.ingest", env=self.environment, cwd=ROOT
            )
        )
        await asyncio.wait_for(self.mesh.channel_ready(), 30)

    def kill(self) -> None:
        self.running[-1].kill()


@pytest.fixture(scope="module")
async def ingest(new_database, tmp_path_factory) -> AsyncIterator[Ingest]:
    directory = tmp_path_factory.mktemp("installation")
    keys.create_installation(directory)
    [port] = free_ports(1)
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": new_database(),
        "TOUCHSTONE_LISTEN": f"127.0.0.1:{port}",
        "TOUCHSTONE_JWKS_FILE": str(directory / keys.JWKS),
        "TOUCHSTONE_SERVICE_TOKEN_FILE": str(directory / keys.SERVICE_TOKEN),
        "TOUCHSTONE_SIGNING_KEY_FILE": str(directory / keys.SIGNING_KEY),
        "TOUCHSTONE_SECRETS_KEY_FILE": str(directory / keys.SECRETS_KEY),
    }
    address = environment["TOUCHSTONE_LISTEN"]
    operator, service = (tokens.read_token(directory / name) for name in (keys.ADMIN_TOKEN, keys.SERVICE_TOKEN))
    async with open_channel(address, token=operator) as as_operator, open_channel(address, token=service) as as_mesh:
        started = Ingest(as_operator, as_mesh, environment, [])
        await started.start()
        request = tenant_service_pb2.CreateTenantRequest(tenant_id="acme", settings=SETTINGS)
        await TenantServiceStub(as_operator).CreateTenant(request)
        yield started
        started.running[-1].send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(started.running[-1].wait(), 20) == 0


def event(event_id: str, **changes) -> event_pb2.Event:
    made = event_pb2.Event(event_id=event_id, identifiers={"session_id": "s", "email": "Shopper@example.com"})
    made.occur_time.GetCurrentTime()
    made.interaction.channel = made.interaction.action = 1
    made.MergeFrom(event_pb2.Event(**changes))
    return made


async def append(ingest: Ingest, *events: event_pb2.Event) -> list[messages.EventResult]:
    request = messages.AppendEventsRequest(events=events)
    return list((await EventServiceStub(ingest.operator).AppendEvents(request, metadata=ACME)).results)


async def deliver(ingest: Ingest, *deliveries: messages.Delivery) -> list[messages.DeliveryResult]:
    request = messages.AppendDeliveriesRequest(deliveries=deliveries)
    return list((await EventServiceStub(ingest.mesh).AppendDeliveries(request)).results)


async def add_source(ingest: Ingest, source: str, secret: str = "s3cret", **terms) -> source_service_pb2.Source:
    request = source_service_pb2.CreateSourceRequest(source=source, secret=secret, **{"kind": "CUSTOM"} | terms)
    return (await SourceServiceStub(ingest.operator).CreateSource(request, metadata=ACME)).source


async def follow(ingest: Ingest, *, through: str) -> list[event_pb2.LoggedEvent]:
    """acme's partition from the start, up to the event with an id."""
    cursor = log_pb2.PartitionCursor(partition=proposed_partition("acme"))
    stream = EventServiceStub(ingest.mesh).FollowEvents(messages.FollowEventsRequest(cursors=[cursor]))
    seen: list[event_pb2.LoggedEvent] = []
    async with asyncio.timeout(20):
        async for batch in stream:
            assert batch.after_position == len(seen)
            seen += batch.events
            if any(logged.event.event_id == through for logged in batch.events):
                break
    stream.cancel()
    return seen


async def code_of(call) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value.code()


async def test_a_tenant_is_created_once_and_its_settings_travel_in_the_log(ingest):
    tenants = TenantServiceStub(ingest.operator)
    again = await tenants.CreateTenant(tenant_service_pb2.CreateTenantRequest(tenant_id="acme", settings=SETTINGS))
    assert again.tenant.partition == proposed_partition("acme")
    other = settings_pb2.TenantSettings(time_zone="UTC", currency_code="EUR")
    request = tenant_service_pb2.CreateTenantRequest(tenant_id="acme", settings=other)
    assert await code_of(tenants.CreateTenant(request)) is grpc.StatusCode.ALREADY_EXISTS
    change = tenant_service_pb2.UpdateSettingsRequest(settings={"language_code": "es"})
    for _ in range(2):
        told = await tenants.UpdateSettings(change, metadata=ACME)
    assert told.settings.language_code == "es"
    read = await tenants.GetSettings(tenant_service_pb2.GetSettingsRequest(), metadata=ACME)
    assert read.settings == told.settings
    await append(ingest, event("after-settings"))
    logged = await follow(ingest, through="after-settings")
    own = [one.event for one in logged if one.source == "touchstone"]
    assert [one.event_id for one in own] == ["settings/1", "settings/2"]
    assert own[-1].settings == told.settings


async def test_tenants_are_listed_in_pages(ingest):
    tenants = TenantServiceStub(ingest.operator)
    for name in ("globex", "initech"):
        await tenants.CreateTenant(tenant_service_pb2.CreateTenantRequest(tenant_id=name, settings=SETTINGS))
    names, token = [], ""
    while True:
        page = await tenants.ListTenants(tenant_service_pb2.ListTenantsRequest(page_size=2, page_token=token))
        names += [tenant.tenant_id for tenant in page.tenants]
        token = page.next_page_token
        if not token:
            break
    assert names == ["acme", "globex", "initech"]


async def test_a_token_opens_its_tenant_with_its_scopes(ingest):
    tenants = TenantServiceStub(ingest.operator)
    request = tenant_service_pb2.IssueTokenRequest(tenant_id="acme", scopes=["events:write"])
    token = (await tenants.IssueToken(request)).token
    async with open_channel(ingest.environment["TOUCHSTONE_LISTEN"], token=token) as channel:
        answer = await EventServiceStub(channel).AppendEvents(messages.AppendEventsRequest(events=[event("by-token")]))
        assert answer.results[0].status == ACCEPTED
        listing = SourceServiceStub(channel).ListSources(source_service_pb2.ListSourcesRequest())
        assert await code_of(listing) is grpc.StatusCode.PERMISSION_DENIED
    unknown = tenant_service_pb2.IssueTokenRequest(tenant_id="nobody", scopes=["admin"])
    assert await code_of(tenants.IssueToken(unknown)) is grpc.StatusCode.NOT_FOUND


async def test_each_event_is_judged_by_itself(ingest):
    first, wrong = event("e-1"), event("e-2", identifiers={"visitor_id": "v" * 257})
    results = await append(ingest, first, wrong, first, event_pb2.Event())
    assert [result.status for result in results] == [ACCEPTED, REJECTED, DUPLICATE, REJECTED]
    assert results[1].event_id == "e-2"
    assert results[1].reason == "INVALID_FIELD: identifiers.visitorId: is longer than 256 characters"
    too_many = messages.AppendEventsRequest(events=[event_pb2.Event()] * 1_001)
    refused = EventServiceStub(ingest.operator).AppendEvents(too_many, metadata=ACME)
    assert await code_of(refused) is grpc.StatusCode.INVALID_ARGUMENT


async def test_the_log_holds_hashes_that_are_answered_for_the_same_address(ingest):
    await append(ingest, event("hashed"))
    [logged] = [one for one in await follow(ingest, through="hashed") if one.event.event_id == "hashed"]
    request = messages.HashAddressesRequest(
        tenant_id="acme", identifiers={"email": " shopper@EXAMPLE.com", "visitor_id": "v"}
    )
    answer = await EventServiceStub(ingest.mesh).HashAddresses(request)
    assert answer.identifiers.email == logged.event.identifiers.email != ""
    assert answer.identifiers.visitor_id == "v"


async def test_a_source_works_from_the_moment_it_is_created(ingest):
    created = await add_source(ingest, "woo", kind="WOOCOMMERCE")
    assert (created.source, created.id_prefix) == ("woo", "_touchstone_")
    order = event_pb2.Event(event_id="order.updated/1/aa", order={"order_id": "1", "currency_code": "EUR"})
    order.occur_time.FromSeconds(1_500_000_000)
    assert [r.status for r in (await deliver(ingest, delivery("woo", order)))[0].events] == [ACCEPTED]
    await add_source(ingest, "woo", "newer", kind="WOOCOMMERCE")
    resolve = source_service_pb2.ResolveSourceRequest(tenant_id="acme", source="woo")
    resolved = await SourceServiceStub(ingest.mesh).ResolveSource(resolve)
    assert list(resolved.secrets) == ["newer", "s3cret"]
    unknown = source_service_pb2.ResolveSourceRequest(tenant_id="acme", source="shop")
    assert await code_of(SourceServiceStub(ingest.mesh).ResolveSource(unknown)) is grpc.StatusCode.NOT_FOUND
    assert await code_of(add_source(ingest, "woo", kind="SHOPIFY")) is grpc.StatusCode.ALREADY_EXISTS
    assert await code_of(add_source(ingest, "api")) is grpc.StatusCode.INVALID_ARGUMENT


def delivery(source: str, *events: event_pb2.Event, **parts) -> messages.Delivery:
    made = messages.Delivery(tenant_id="acme", source=source, topic="order.updated", events=events, **parts)
    made.receive_time.GetCurrentTime()
    return made


async def test_what_cant_be_used_is_parked_and_can_be_read_again(ingest):
    await add_source(ingest, "shop")
    bad = event("bad", interaction={"product_ids": [""]})
    body = messages.UnusableBody(reason="INVALID_JSON", body=b"{nope", headers={"x-topic": "t"})
    results = await deliver(
        ingest,
        delivery("shop", event("good"), bad, unusable=[body]),
        delivery("shop"),
        delivery("nowhere", event("lost")),
    )
    assert [result.parked for result in results] == [2, 0, 0]
    assert [one.status for one in results[0].events] == [ACCEPTED, REJECTED]
    assert results[2].events[0].reason == "UNKNOWN_SOURCE"
    sources = SourceServiceStub(ingest.operator)
    listed = await sources.ListSources(source_service_pb2.ListSourcesRequest(), metadata=ACME)
    [shop] = [source for source in listed.sources if source.source == "shop"]
    assert (shop.delivered_count, shop.uncounted_topic_count, shop.parked_count) == (2, 1, 2)
    parked = await sources.ListParkedDeliveries(
        source_service_pb2.ListParkedDeliveriesRequest(source="shop"), metadata=ACME
    )
    reasons = {one.reason: one.parked_id for one in parked.parked_deliveries}
    assert set(reasons) == {"INVALID_JSON", "INVALID_FIELD: interaction.productIds[0]: is empty"}
    one = source_service_pb2.GetParkedDeliveryRequest(source="shop", parked_id=reasons["INVALID_JSON"])
    got = (await sources.GetParkedDelivery(one, metadata=ACME)).parked_delivery
    assert (got.body, dict(got.headers), got.topic) == (b"{nope", {"x-topic": "t"}, "order.updated")
    mesh = SourceServiceStub(ingest.mesh)
    read = await mesh.ReadParkedDeliveries(
        source_service_pb2.ReadParkedDeliveriesRequest(tenant_id="acme", source="shop")
    )
    [event_body] = [one for one in read.parked_deliveries if one.headers.get("touchstone-body") == "events"]
    assert b"Shopper@example.com" in event_body.body
    resolve = source_service_pb2.ResolveParkedDeliveriesRequest(tenant_id="acme", parked_ids=reasons.values())
    assert (await mesh.ResolveParkedDeliveries(resolve)).resolved == 2
    assert await code_of(sources.GetParkedDelivery(one, metadata=ACME)) is grpc.StatusCode.NOT_FOUND


async def test_names_that_nothing_can_have_are_not_found(ingest):
    mesh, sources = SourceServiceStub(ingest.mesh), SourceServiceStub(ingest.operator)
    for tenant_id, source in (("a\0b", "woo"), ("acme", "w\0o"), ("acme", "../woo")):
        resolve = source_service_pb2.ResolveSourceRequest(tenant_id=tenant_id, source=source)
        assert await code_of(mesh.ResolveSource(resolve)) is grpc.StatusCode.NOT_FOUND
    await add_source(ingest, "named")
    parked = source_service_pb2.GetParkedDeliveryRequest(source="named", parked_id="a\0")
    assert await code_of(sources.GetParkedDelivery(parked, metadata=ACME)) is grpc.StatusCode.NOT_FOUND
    listing = source_service_pb2.ListSourcesRequest(page_token="a\0")
    assert await code_of(sources.ListSources(listing, metadata=ACME)) is grpc.StatusCode.INVALID_ARGUMENT
    [nowhere] = await deliver(ingest, messages.Delivery(tenant_id="a\0", source="woo", events=[event("x")]))
    assert nowhere.events[0].reason == "UNKNOWN_SOURCE"


async def test_an_id_in_conflict_is_parked_as_it_was_sent(ingest):
    await add_source(ingest, "conflicts")
    again = event("same", interaction={"campaign": "another"})
    first, second = await deliver(ingest, delivery("conflicts", event("same")), delivery("conflicts", again))
    assert (first.events[0].status, second.events[0].reason, second.parked) == (ACCEPTED, "EVENT_ID_CONFLICT", 1)
    request = source_service_pb2.ReadParkedDeliveriesRequest(tenant_id="acme", source="conflicts")
    read = await SourceServiceStub(ingest.mesh).ReadParkedDeliveries(request)
    assert b"Shopper@example.com" in read.parked_deliveries[0].body


async def test_models_are_appended_by_services_and_settings_by_nobody(ingest):
    models = event_pb2.Event(event_id="models/1", models={"models": [{"name": "conversations"}]})
    forged = event_pb2.Event(event_id="settings/9", settings=SETTINGS)
    for one in (models, forged):
        one.occur_time.GetCurrentTime()
    [own] = await deliver(ingest, delivery("touchstone", models, forged))
    assert [result.status for result in own.events] == [ACCEPTED, REJECTED]
    [refused] = await append(ingest, models)
    assert refused.reason == "INVALID_FIELD: models: is appended by the installation only"


async def test_a_kill_in_the_middle_loses_nothing_and_takes_nothing_twice(ingest):
    acknowledged: set[str] = set()
    under_way = asyncio.Event()
    calls = [[event(f"kill-{call}-{i}") for i in range(20)] for call in range(60)]

    async def send(events: list[event_pb2.Event]) -> None:
        try:
            results = await append(ingest, *events)
        except grpc.aio.AioRpcError:
            return
        under_way.set()
        acknowledged.update(result.event_id for result in results if result.status in {ACCEPTED, DUPLICATE})

    sending = [asyncio.ensure_future(send(events)) for events in calls]
    await under_way.wait()
    ingest.kill()
    await ingest.running[-1].wait()
    await ingest.start()
    await asyncio.gather(*sending)
    stored = await stored_ids(ingest)
    assert acknowledged <= set(stored)
    results = [result for events in calls for result in await append(ingest, *events)]
    assert {result.status for result in results} <= {ACCEPTED, DUPLICATE}
    assert all(result.status == DUPLICATE for result in results if result.event_id in acknowledged)
    stored = await stored_ids(ingest)
    assert sorted(stored) == sorted(one.event_id for events in calls for one in events)


async def stored_ids(ingest: Ingest) -> list[str]:
    """Ids in the log, one for each entry; the positions of log and keys must agree."""
    async with await psycopg.AsyncConnection.connect(ingest.environment["DATABASE_URL"]) as connection:
        rows = await (
            await connection.execute(
                """SELECT entry.payload, known.event_id FROM ingest.log_entry entry
                   LEFT JOIN ingest.event_key known ON known.position = entry.position AND known.tenant_id = 'acme'
                   WHERE entry.partition_id = %s""",
                [proposed_partition("acme")],
            )
        ).fetchall()
    ids = []
    for payload, event_id in rows:
        assert event_pb2.LoggedEvent.FromString(payload).event.event_id == event_id
        ids.append(event_id)
    return [one for one in ids if one.startswith("kill-")]
