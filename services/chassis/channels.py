"""Channels to other services: deadlines, retries, the caller's token and the trace go with every call."""

import json
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias, TypeVar

import grpc

from services.chassis import callers, options, telemetry, tls
from services.chassis.renewing import RenewingChannel

T = TypeVar("T")

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

Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]


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
    if tls_files is None:
        return _Channel(present, lambda: None, lambda _: grpc.aio.insecure_channel(address, options=_CLIENT))

    def open_with(held: tls.Credentials) -> grpc.aio.Channel:
        return grpc.aio.secure_channel(address, tls.channel_credentials(held), options=_CLIENT)

    return _Channel(present, tls.watch(tls_files), open_with)


def about(tenant_id: str) -> tuple[tuple[str, str], ...]:
    """The metadata of a call that is about a tenant, made with a token that names none."""
    return ((callers.TENANT_METADATA, tenant_id),)


class _Channel(RenewingChannel[T]):
    """Gives every call what the process knows, as it is made: gRPC's interceptors take a task of their own for that."""

    def __init__(
        self, token: Callable[[], str], present: Callable[[], T], open_: Callable[[T], grpc.aio.Channel]
    ) -> None:
        super().__init__(present, open_)
        self._token = token

    def unary_unary(self, *what: Any, **more: Any) -> Any:
        """A call of one request and one answer, that ends in time."""
        call = super().unary_unary(*what, **more)

        def attached(
            request: Any, *, timeout: float | None = None, metadata: Metadata | None = None, **options: Any
        ) -> Any:
            left = callers.seconds_left()
            patience = timeout or DEFAULT_DEADLINE
            patience = patience if left is None else min(patience, left)
            return call(request, timeout=patience, metadata=self._attached(metadata), **options)

        return attached

    def unary_stream(self, *what: Any, **more: Any) -> Any:
        """A call of one request and many answers."""
        call = super().unary_stream(*what, **more)

        def attached(request: Any, *, metadata: Metadata | None = None, **options: Any) -> Any:
            return call(request, metadata=self._attached(metadata), **options)

        return attached

    def _attached(self, metadata: Metadata | None) -> grpc.aio.Metadata:
        attached = grpc.aio.Metadata(*(metadata or ()))
        if attached.get("authorization") is None:
            attached.add("authorization", f"Bearer {self._token()}")
        if attached.get(telemetry.TRACE_METADATA) is None and (trace_parent := telemetry.current_trace_parent()):
            attached.add(telemetry.TRACE_METADATA, trace_parent)
        return attached
