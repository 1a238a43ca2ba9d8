"""Calls between two ends of the chassis, over a real connection: who may, what is lacking, how long, and again."""
# ruff: noqa: N802, ARG002 - gRPC names the servicer's methods, and what they are called with

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from grpc_health.v1 import health_pb2
from grpc_status import rpc_status
from touchstone.ingest.v1 import event_service_pb2 as messages
from touchstone.ingest.v1.event_service_pb2_grpc import EventServiceServicer, EventServiceStub
from touchstone.ingest.v1.event_service_pb2_grpc import add_EventServiceServicer_to_server as add_servicer
from touchstone.ingest.v1.source_service_pb2_grpc import SourceServiceServicer, SourceServiceStub
from touchstone.ingest.v1.source_service_pb2_grpc import add_SourceServiceServicer_to_server as add_sources

from services.chassis import callers, channels, keys, options, telemetry, tokens
from services.chassis.interceptors import Guard, scopes_of
from services.kernel.failures import NotFoundError

SERVICE = "touchstone.ingest.v1.EventService"
TRACE_PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ADDRESSES = messages.HashAddressesRequest(tenant_id="acme", identifiers={"email": "a@b"})
DELIVERIES = messages.AppendDeliveriesRequest(deliveries=[messages.Delivery(tenant_id="acme")])


class Servicer(EventServiceServicer):
    """Does what a test says, and keeps what it saw."""

    def __init__(self) -> None:
        self.answer: Callable[[], messages.AppendDeliveriesResponse] = messages.AppendDeliveriesResponse
        self.seen: list[object] = []
        self.called = asyncio.Event()

    async def AppendDeliveries(self, request, context):
        self.seen.append((callers.caller().subject, callers.caller().tenant_id, telemetry.current_trace_parent()))
        return self.answer()

    async def AppendEvents(self, request, context):
        return messages.AppendEventsResponse(results=[{"event_id": callers.tenant_id()}])

    async def HashAddresses(self, request, context):
        self.seen.append(callers.seconds_left())
        self.called.set()
        await asyncio.sleep(30)

    async def FollowEvents(self, request, context) -> AsyncIterator[messages.FollowEventsResponse]:
        yield messages.FollowEventsResponse(log_id=callers.caller().subject)
        if not request.cursors:
            raise NotFoundError("NO_CURSORS", "Name partitions.")
        await asyncio.sleep(30)


class Ends:
    """A server, and channels to it."""

    def __init__(self, directory: Path) -> None:
        keys.create_installation(directory)
        self.key = tokens.load_signing_key(directory / keys.SIGNING_KEY)
        self.guard = Guard([SERVICE], tokens.Verifier(directory / keys.JWKS))
        self.server = grpc.aio.server(interceptors=[self.guard], options=options.SERVER)
        self.servicer = Servicer()
        add_servicer(self.servicer, self.server)
        add_sources(SourceServiceServicer(), self.server)
        self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.opened: list[grpc.aio.Channel] = []

    def token(self, scope: str, tenant: str | None = None) -> str:
        return tokens.issue(self.key, "somebody", tenant, [scope], timedelta(minutes=1))

    def stub(self, scope: str, tenant: str | None = None) -> EventServiceStub:
        return EventServiceStub(self.channel(self.token(scope, tenant)))

    def channel(self, token: str | None) -> grpc.aio.Channel:
        if token is None:
            channel = grpc.aio.insecure_channel(self.address)
        else:
            channel = channels.open_channel(self.address, token=token)
        self.opened.append(channel)
        return channel


@pytest.fixture
async def ends(tmp_path: Path) -> AsyncIterator[Ends]:
    both = Ends(tmp_path)
    await both.server.start()
    yield both
    for channel in both.opened:
        await channel.close()
    await both.server.stop(0)


async def _refused(call) -> tuple[grpc.StatusCode, str]:
    """The status and reason that a call ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), _detail(caught.value, ErrorInfo).reason


def _detail(error: grpc.aio.AioRpcError, kind):
    status, detail = rpc_status.from_call(error), kind()
    assert status is not None, error
    assert any(packed.Unpack(detail) for packed in status.details)
    return detail


async def test_a_call_without_a_usable_token_is_refused(ends):
    stub = EventServiceStub(ends.channel(None))
    refused = grpc.StatusCode.UNAUTHENTICATED
    assert await _refused(stub.AppendDeliveries(DELIVERIES)) == (refused, "TOKEN_MISSING")
    for value, reason in (("Basic abc", "TOKEN_MISSING"), ("Bearer abc", "TOKEN_INVALID")):
        call = stub.AppendDeliveries(DELIVERIES, metadata=(("authorization", value),))
        assert await _refused(call) == (refused, reason)
    assert ends.servicer.seen == []


async def test_a_stream_without_a_token_is_refused(ends):
    stream = EventServiceStub(ends.channel(None)).FollowEvents(messages.FollowEventsRequest())
    assert await _refused(anext(aiter(stream))) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")


async def test_a_token_opens_the_methods_of_its_scope_alone(ends):
    shop = ends.stub("reports:read", "acme")
    assert await _refused(shop.AppendDeliveries(DELIVERIES)) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")
    await ends.stub("mesh").AppendDeliveries(DELIVERIES)
    await ends.stub("installation").AppendDeliveries(DELIVERIES)


async def test_a_service_that_was_not_named_is_closed_to_everybody(ends):
    sources = SourceServiceStub(ends.channel(ends.token("installation", "acme")))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await sources.ListSources({})
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_the_tenant_is_the_tokens_or_the_one_that_an_operator_names(ends):
    request = messages.AppendEventsRequest(events=[{}])

    async def tenant(stub, **arguments):
        return (await stub.AppendEvents(request, **arguments)).results[0].event_id

    shop, operator = ends.stub("events:write", "acme"), ends.stub("installation")
    assert await tenant(shop) == "acme"
    assert await tenant(operator, metadata=channels.about("other")) == "other"
    denied = grpc.StatusCode.PERMISSION_DENIED
    assert await _refused(tenant(operator)) == (denied, "TENANT_MISSING")
    assert await _refused(tenant(shop, metadata=channels.about("other"))) == (denied, "TENANT_MISMATCH")


async def test_a_calls_own_token_goes_before_the_channels(ends):
    forwarded = (("authorization", f"Bearer {ends.token('reports:read', 'acme')}"),)
    call = ends.stub("mesh").AppendDeliveries(DELIVERIES, metadata=forwarded)
    assert await _refused(call) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")


async def test_missing_fields_are_named(ends):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ends.stub("mesh").HashAddresses(messages.HashAddressesRequest())
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    violations = _detail(caught.value, BadRequest).field_violations
    assert [(wrong.field, wrong.description) for wrong in violations] == [
        ("tenantId", "is required"),
        ("identifiers", "is required"),
    ]


async def test_an_unforeseen_exception_tells_its_incident_alone(ends, caplog):
    def fail():
        raise RuntimeError("shopper@example.com")

    ends.servicer.answer = fail
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ends.stub("mesh").AppendDeliveries(DELIVERIES)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "shopper" not in repr(caught.value)
    [record] = caplog.records
    assert record.incident == _detail(caught.value, ErrorInfo).metadata["incident"]


async def test_what_is_unavailable_for_a_moment_is_asked_again(ends):
    def fail_twice():
        if len(ends.servicer.seen) < 3:
            raise ConnectionError
        return messages.AppendDeliveriesResponse()

    ends.servicer.answer = fail_twice
    await ends.stub("mesh").AppendDeliveries(DELIVERIES)
    assert len(ends.servicer.seen) == 3


async def test_another_failure_is_not_asked_again(ends):
    def fail():
        raise NotFoundError("NO_TENANT", "There is no such tenant.")

    ends.servicer.answer = fail
    call = ends.stub("mesh").AppendDeliveries(DELIVERIES)
    assert await _refused(call) == (grpc.StatusCode.NOT_FOUND, "NO_TENANT")
    assert len(ends.servicer.seen) == 1


async def test_a_call_ends_at_its_deadline(ends):
    began = time.monotonic()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ends.stub("mesh").HashAddresses(ADDRESSES, timeout=0.2)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - began < 2


async def test_a_call_has_a_deadline_when_it_names_none(ends):
    call = ends.stub("mesh").HashAddresses(ADDRESSES)
    await asyncio.wait_for(ends.servicer.called.wait(), 5)
    [left] = ends.servicer.seen
    # gRPC tells the time that is left in few digits, and rounds it up.
    assert channels.DEFAULT_DEADLINE - 2 < left <= channels.DEFAULT_DEADLINE * 1.02
    call.cancel()


async def test_a_call_waits_no_longer_than_the_one_in_whose_name_it_is_made(ends):
    async def inside_a_call():
        callers.set_deadline(0.2)
        await ends.stub("mesh").HashAddresses(ADDRESSES)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asyncio.create_task(inside_a_call())
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert ends.servicer.seen[0] <= 0.2


async def test_the_trace_goes_with_the_call(ends):
    async def inside_a_trace():
        telemetry.continue_trace(TRACE_PARENT)
        await ends.stub("mesh").AppendDeliveries(DELIVERIES)

    await asyncio.create_task(inside_a_trace())
    assert ends.servicer.seen == [("somebody", None, TRACE_PARENT)]


async def test_a_stream_brings_what_came_before_its_failure(ends):
    stream = aiter(ends.stub("mesh").FollowEvents(messages.FollowEventsRequest()))
    assert (await anext(stream)).log_id == "somebody"
    assert await _refused(anext(stream)) == (grpc.StatusCode.NOT_FOUND, "NO_CURSORS")


async def test_streams_end_as_unavailable_when_the_server_drains(ends):
    stream = aiter(ends.stub("mesh").FollowEvents(messages.FollowEventsRequest(cursors=[{"partition": 1}])))
    await anext(stream)
    ends.guard.end_streams()
    assert await _refused(anext(stream)) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")


async def test_raw_handlers_are_guarded_too(tmp_path):
    keys.create_installation(tmp_path)

    async def follow(request: bytes, _: object) -> AsyncIterator[bytes]:
        yield request

    guard = Guard([SERVICE], tokens.Verifier(tmp_path / keys.JWKS))
    server = grpc.aio.server(interceptors=[guard])
    handlers = {"FollowEvents": grpc.unary_stream_rpc_method_handler(follow)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    async with (
        grpc.aio.insecure_channel(address) as stranger,
        channels.open_channel(address, token=tokens.read_token(tmp_path / keys.SERVICE_TOKEN)) as service,
    ):
        method = f"/{SERVICE}/FollowEvents"
        call = anext(aiter(stranger.unary_stream(method)(b"raw")))
        assert await _refused(call) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")
        assert await anext(aiter(service.unary_stream(method)(b"raw"))) == b"raw"
    await server.stop(0)


def test_who_may_call_is_read_from_the_contract():
    assert scopes_of([SERVICE])[f"/{SERVICE}/AppendDeliveries"] == {"mesh"}
    sources = "touchstone.ingest.v1.SourceService"
    assert scopes_of([sources])[f"/{sources}/ListSources"] == {"admin", "mesh"}


def test_a_contract_that_says_nothing_opens_nothing():
    unsaid = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
    with pytest.raises(ValueError, match=r"without a scope: /grpc\.health\.v1\.Health/Check, "):
        scopes_of([unsaid])
