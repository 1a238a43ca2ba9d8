"""Starts the web server."""

import asyncio
import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from pydantic import AliasChoices, Field

from gateway.web.app import build
from gateway.web.traced import Traced
from services.chassis import telemetry
from services.chassis.channels import open_channel
from services.chassis.server import run
from services.chassis.settings import MeshSettings, load
from services.chassis.tokens import Verifier, read_token

_IDLE_SECONDS = 3_700
"""Longer than the edge keeps an idle connection, so that it never sends into one that is being closed."""
_GRACE_SECONDS = 15

_log = logging.getLogger(__name__)


class WebSettings(MeshSettings):
    """What the web server is told."""

    listen: str = Field("127.0.0.1:0", validation_alias=AliasChoices("TOUCHSTONE_WEB_LISTEN", "TOUCHSTONE_LISTEN"))


class _Server(uvicorn.Server):
    """uvicorn ends itself by the signal that stopped it; this one drains, returns and lets the rest be closed."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stops at the first signal, at once at the second."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


async def serve(settings: WebSettings) -> None:
    """Serves until SIGTERM or SIGINT, then drains."""
    telemetry.configure("web", settings)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    token = read_token(settings.service_token_file)
    addresses = {
        "ingest": settings.ingest_address,
        "identity": settings.identity_address,
        "attribution": settings.attribution_address,
        "reporting": settings.reporting_address,
    }
    channels = {
        name: open_channel(address, token=token, tls_files=settings.tls_files) for name, address in addresses.items()
    }
    host, _, port = settings.listen.rpartition(":")
    app = build(channels, Verifier(settings.jwks_file))
    config = uvicorn.Config(
        Traced(app) if telemetry.is_exporting() else app,
        host=host.strip("[]"),
        port=int(port),
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = _Server(config)
    _log.info("listening", extra={"address": settings.listen})
    await server.serve()
    for channel in channels.values():
        await channel.close()
    await asyncio.to_thread(telemetry.shutdown)
    if not server.started:
        raise SystemExit(1)


if __name__ == "__main__":
    run(serve(load(WebSettings)))
