"""Channels to other services: deadlines, retries, the caller's token and the trace go with every call."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import grpc

from services.chassis import callers, options, telemetry, tls
from services.chassis.renewing import RenewingChannel

DEFAULT_DEADLINE: Final = 10.0
"""Seconds that a unary call may take when it says nothing else."""

_SERVICE_CONFIG: Final = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{}],
            # Every write is idempotent by ids that callers choose, so a call may be made twice.
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.05s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2.5,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
}

_CLIENT: Final[tuple[tuple[str, int | str], ...]] = (
    *options.BOTH_ENDS,
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    ("grpc.enable_retries", 1),
    # Services are neighbours: a proxy meant for the world outside must not get their calls.
    ("grpc.enable_http_proxy", 0),
    # A message larger than this is sent once: retries need a copy.
    ("grpc.per_rpc_retry_buffer_size", 16 * 1024 * 1024),
    # A restarted service is found again within a second or two.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)

Details: TypeAlias = grpc.aio.ClientCallDetails
Continuation: TypeAlias = Callable[[Details, Any], Awaitable[Any]]


def open_channel(
    address: str, *, token: str | Callable[[], str], tls_files: tls.TlsFiles | None = None
) -> grpc.aio.Channel:
    """A channel to the service at `host:port` or any gRPC target; connects when first used.

    Calls carry the token, unless their metadata has an `authorization` of its own. Unary calls end after 10 seconds,
    after their own timeout, or when the call in whose name they are made ends, whichever is first. UNAVAILABLE is
    retried for about two seconds. A call about a tenant says so: `metadata=about("acme")`. With `tls_files` it speaks
    TLS, shows its certificate, and steps over to a new one when that was renewed.
    """
    present = token if callable(token) else lambda: token
    interceptors: list[grpc.aio.ClientInterceptor] = [_Unary(present), _Streaming(present)]
    if tls_files is None:
        return grpc.aio.insecure_channel(address, options=_CLIENT, interceptors=interceptors)

    def open_with(held: tls.Credentials) -> grpc.aio.Channel:
        shown = tls.channel_credentials(held)
        return grpc.aio.secure_channel(address, shown, options=_CLIENT, interceptors=interceptors)

    return RenewingChannel(tls.watch(tls_files), open_with)


def about(tenant_id: str) -> tuple[tuple[str, str], ...]:
    """The metadata of a call that is about a tenant, made with a token that names none."""
    return ((callers.TENANT_METADATA, tenant_id),)


class _Attach:
    """Gives a call's metadata what the process knows."""

    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token

    def _attached(self, details: Details, timeout: float | None) -> Details:
        metadata = grpc.aio.Metadata(*(details.metadata or ()))
        if metadata.get("authorization") is None:
            metadata.add("authorization", f"Bearer {self._token()}")
        if metadata.get(telemetry.TRACE_METADATA) is None and (trace_parent := telemetry.current_trace_parent()):
            metadata.add(telemetry.TRACE_METADATA, trace_parent)
        return Details(details.method, timeout, metadata, details.credentials, details.wait_for_ready)


class _Unary(_Attach, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(
        self, continuation: Continuation, client_call_details: Details, request: Any
    ) -> Any:
        timeout = client_call_details.timeout or DEFAULT_DEADLINE
        left = callers.seconds_left()
        timeout = timeout if left is None else min(timeout, left)
        return await continuation(self._attached(client_call_details, timeout), request)


class _Streaming(_Attach, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(
        self, continuation: Continuation, client_call_details: Details, request: Any
    ) -> Any:
        return await continuation(self._attached(client_call_details, client_call_details.timeout), request)
