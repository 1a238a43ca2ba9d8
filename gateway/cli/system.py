"""The running system as the command line reaches it: where it is, the token that opens it, and calls to it."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import click
import grpc

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 8080
UNARY_SECONDS = 10.0
STREAM_SECONDS = 3600.0

_EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104 - what a server listens on, which is no address to call
_ROOT = Path(__file__).resolve().parents[2]
_CHANNEL_OPTIONS = (
    # The system is on this machine: a proxy for the outside world has no part in it.
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", 64 << 20),
)

Request = TypeVar("Request")
Response = TypeVar("Response")


@dataclass(frozen=True, kw_only=True)
class System:
    """A running system, named by TOUCHSTONE_PORT and TOUCHSTONE_DATA_DIR. Nothing is opened before the first call."""

    port: int
    data_dir: Path
    host: str = LOOPBACK

    @property
    def address(self) -> str:
        """Host and port of the edge."""
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The edge's address as a browser takes it, without a slash at the end."""
        return f"http://{self.address}"

    @property
    def token_file(self) -> Path:
        """Where the system keeps the token of its operator."""
        return self.data_dir / "keys" / "admin.token"

    @cached_property
    def token(self) -> str:
        """The operator's token: TOUCHSTONE_TOKEN, else the one that the system left in its data directory."""
        if token := os.environ.get("TOUCHSTONE_TOKEN", "").strip():
            return token
        try:
            return self.token_file.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            raise click.ClickException(
                f"there is no token in {self.token_file}: run `make up`, "
                "or set TOUCHSTONE_DATA_DIR to the running system's data, or TOUCHSTONE_TOKEN to its token"
            ) from None
        except PermissionError:
            mode = stat.filemode(self.token_file.parent.stat().st_mode) if self.token_file.parent.exists() else ""
            raise click.ClickException(
                f"{self.token_file} can't be read by this user ({mode}): run as the user who ran `make up`"
            ) from None

    @cached_property
    def channel(self) -> grpc.Channel:
        """One channel to the edge, for every service."""
        return grpc.insecure_channel(self.address, options=_CHANNEL_OPTIONS)

    def call(
        self,
        method: "grpc.UnaryUnaryMultiCallable[Request, Response]",
        request: Request,
        *,
        tenant: str = "",
        service: str = "",
    ) -> Response:
        """Calls a method as the operator: of `tenant`, or of the `service` where every service answers about itself."""
        return method(request, timeout=UNARY_SECONDS, metadata=self._metadata(tenant, service))

    def stream(
        self, method: "grpc.UnaryStreamMultiCallable[Request, Response]", request: Request, *, tenant: str
    ) -> Iterator[Response]:
        """The answers of a method that tells how far it is."""
        return iter(method(request, timeout=STREAM_SECONDS, metadata=self._metadata(tenant, "")))

    def _metadata(self, tenant: str, service: str) -> tuple[tuple[str, str], ...]:
        named = (("touchstone-tenant", tenant), ("touchstone-service", service))
        return (("authorization", f"Bearer {self.token}"), *((key, value) for key, value in named if value))


def named_by_environment() -> System:
    """The system that TOUCHSTONE_PORT and TOUCHSTONE_DATA_DIR name; what `make up` starts without them."""
    text = os.environ.get("TOUCHSTONE_PORT") or str(DEFAULT_PORT)
    if not text.isdecimal() or not 0 < int(text) < 1 << 16:
        raise click.ClickException(f"TOUCHSTONE_PORT is {text!r}: it must be a port between 1 and 65535")
    data_dir = Path(os.environ.get("TOUCHSTONE_DATA_DIR") or ".data")
    host = os.environ.get("TOUCHSTONE_HOST") or LOOPBACK
    return System(port=int(text), data_dir=_ROOT / data_dir, host=LOOPBACK if host in _EVERYWHERE else host)


pass_system = click.make_pass_decorator(System)
