"""The life of a process: it says when it serves, drains when it is told to stop, and ends with 1 when a task dies."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from touchstone.ingest.v1 import event_service_pb2 as messages
from touchstone.ingest.v1.event_service_pb2_grpc import EventServiceStub

from deploy.local.ports import free_ports
from services.chassis import channels, keys, tokens

ROOT = Path(__file__).resolve().parents[2]
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    keys.create_installation(tmp_path)
    [port] = free_ports(1)
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "TOUCHSTONE_LISTEN": f"127.0.0.1:{port}",
        "TOUCHSTONE_JWKS_FILE": str(tmp_path / keys.JWKS),
        "TOUCHSTONE_SERVICE_TOKEN_FILE": str(tmp_path / keys.SERVICE_TOKEN),
    }


async def _start(environment: Mapping[str, str], *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("sample_service.py")),
        *arguments,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_a_process_drains(environment):
    process = await _start(environment)
    token = tokens.read_token(Path(environment["TOUCHSTONE_SERVICE_TOKEN_FILE"]))
    async with channels.open_channel(environment["TOUCHSTONE_LISTEN"], token=token) as channel:
        watched = aiter(
            health_pb2_grpc.HealthStub(channel).Watch(
                health_pb2.HealthCheckRequest(service="touchstone.ingest.v1.EventService"), wait_for_ready=True
            )
        )
        while (await asyncio.wait_for(anext(watched), 20)).status != SERVING:
            pass
        stub = EventServiceStub(channel)
        following = asyncio.create_task(_follow(stub))
        under_way = asyncio.ensure_future(_append(stub))
        assert await asyncio.wait_for(process.stdout.readline(), 5) == b"called\n"
        process.send_signal(signal.SIGTERM)
        assert (await anext(watched)).status == NOT_SERVING
        assert not under_way.done()
        assert await under_way == messages.AppendDeliveriesResponse(), "what was under way is answered"
        assert await following is grpc.StatusCode.UNAVAILABLE
    told, logged = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0
    assert told.decode().splitlines() == ["task cancelled", "closed"]
    lines = [json.loads(line)["message"] for line in logged.splitlines()]
    assert lines == ["listening", "health", "draining", "stopped"]


async def _append(stub: EventServiceStub) -> messages.AppendDeliveriesResponse:
    return await stub.AppendDeliveries(messages.AppendDeliveriesRequest(deliveries=[{}]))


async def _follow(stub: EventServiceStub) -> grpc.StatusCode:
    try:
        async for _ in stub.FollowEvents(messages.FollowEventsRequest()):
            pass
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def test_the_contracts_can_be_asked_for(environment):
    process = await _start(environment)
    async with grpc.aio.insecure_channel(environment["TOUCHSTONE_LISTEN"]) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        stream = aiter(stub.ServerReflectionInfo(asked, wait_for_ready=True))
        answer = await asyncio.wait_for(anext(stream), 20)
        names = {service.name for service in answer.list_services_response.service}
    assert names == {"touchstone.ingest.v1.EventService", "grpc.health.v1.Health"}
    process.send_signal(signal.SIGINT)
    await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0


async def test_a_task_that_dies_ends_the_process(environment):
    process = await _start(environment, "dying")
    told, logged = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 1
    assert told.decode().splitlines() == ["closed"]
    [died] = [line for line in map(json.loads, logged.splitlines()) if line["message"] == "task ended"]
    assert (died["task"], died["exception"][0]) == ("task", "RuntimeError")
    assert b"shopper" not in logged


async def test_a_process_that_is_told_too_little_does_not_start(environment):
    del environment["TOUCHSTONE_JWKS_FILE"]
    process = await _start(environment)
    _, said = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, said) == (2, b"TOUCHSTONE_JWKS_FILE: Field required\n")


async def test_a_start_that_fails_quotes_nothing(environment):
    environment["TOUCHSTONE_JWKS_FILE"] = environment["TOUCHSTONE_SERVICE_TOKEN_FILE"]
    process = await _start(environment)
    _, logged = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 1
    [line] = map(json.loads, logged.splitlines())
    assert (line["message"], line["exception"][0]) == ("ended", "ValueError")
    assert "eyJ" not in str(line), "a token's beginning"
