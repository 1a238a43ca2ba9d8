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
_DETAIL: Final = "agreement"
"""What attribution's health calls whether its stored credits are those that it explains."""
_AGREEMENT: Final = {_SERVING: "AGREES", "NOT_SERVING": "DIFFERS"}


class HealthEndpoint:
    """Asks every service, each time."""

    def __init__(self, channels: Mapping[str, grpc.aio.Channel]) -> None:
        self._checks = {name: health_pb2_grpc.HealthStub(channel).Check for name, channel in channels.items()}

    async def answer(self, _request: Request) -> Response:
        """200 with every service SERVING, else 503: `{"services": {"ingest": "NOT_SERVING", …}}`.

        `agreement` says whether stored credits are those that are explained; it decides nothing.
        """
        states = await asyncio.gather(*(self._state(name) for name in self._checks))
        services = dict(zip(self._checks, states, strict=True))
        told = await self._state("attribution", _DETAIL) if "attribution" in self._checks else ""
        ready = all(state == _SERVING for state in states)
        body = {
            "status": _SERVING if ready else "NOT_SERVING",
            "services": services,
            "agreement": _AGREEMENT.get(told, "UNKNOWN"),
        }
        return Response(orjson.dumps(body), 200 if ready else 503, {"cache-control": "no-store"}, "application/json")

    async def _state(self, name: str, detail: str = "") -> str:
        try:
            told = await self._checks[name](health_pb2.HealthCheckRequest(service=detail), timeout=_PATIENCE)
        except grpc.aio.AioRpcError:
            return "UNREACHABLE"
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(told.status))
