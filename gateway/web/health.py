"""`GET /healthz`: whether everything behind this address is ready."""

import asyncio
from collections.abc import Mapping
from typing import Final

import grpc
import orjson
from grpc_health.v1 import health_pb2, health_pb2_grpc
from starlette.requests import Request
from starlette.responses import Response

_PATIENCE: Final = 2.0
_SERVING: Final = "SERVING"


class HealthEndpoint:
    """Asks every service, each time."""

    def __init__(self, channels: Mapping[str, grpc.aio.Channel]) -> None:
        self._checks = {name: health_pb2_grpc.HealthStub(channel).Check for name, channel in channels.items()}

    async def answer(self, _request: Request) -> Response:
        """200 with every service SERVING, else 503: `{"services": {"ingest": "NOT_SERVING", …}}`."""
        states = await asyncio.gather(*(self._state(name) for name in self._checks))
        services = dict(zip(self._checks, states, strict=True))
        ready = all(state == _SERVING for state in states)
        body = {"status": _SERVING if ready else "NOT_SERVING", "services": services}
        return Response(orjson.dumps(body), 200 if ready else 503, {"cache-control": "no-store"}, "application/json")

    async def _state(self, name: str) -> str:
        try:
            told = await self._checks[name](health_pb2.HealthCheckRequest(), timeout=_PATIENCE)
        except grpc.aio.AioRpcError:
            return "UNREACHABLE"
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(told.status))
