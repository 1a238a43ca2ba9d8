"""The ingest service: wires its parts and serves."""

import asyncio
import logging
from datetime import UTC, datetime
from pathlib import Path

import grpc
from pydantic import Field, FilePath
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.ingest.v1 import event_service_pb2_grpc, source_service_pb2_grpc, tenant_service_pb2_grpc

from services.chassis import log, server, tokens
from services.chassis.database import is_transient, open_database
from services.chassis.migrations import migrate
from services.chassis.settings import ServiceSettings, load
from services.chassis.wakeups import Wakeups
from services.ingest.servicer.events import EventServicer
from services.ingest.servicer.sources import SourceServicer
from services.ingest.servicer.tenants import TenantServicer
from services.ingest.store.directory import TenantDirectory
from services.ingest.store.event_log import EventLog
from services.ingest.store.parked import forget_expired
from services.ingest.store.vault import Vault, read_key

_NAME = "ingest"
_MIGRATIONS = Path(__file__).parent / "migrations"
_EVENTS, _TENANTS, _SOURCES = (f"touchstone.ingest.v1.{name}Service" for name in ("Event", "Tenant", "Source"))
_FORGET_SECONDS = 600.0

_log = logging.getLogger(__name__)


class IngestSettings(ServiceSettings):
    """What ingest is told: it alone keeps secrets at rest."""

    secrets_key_file: FilePath = Field(validation_alias="TOUCHSTONE_SECRETS_KEY_FILE")


async def _forget_for_ever(engine: AsyncEngine) -> None:
    """Deletes parked deliveries whose time is over, now and every ten minutes."""
    while True:
        try:
            while await forget_expired(engine, now=datetime.now(UTC)):
                pass
        except Exception as error:
            if not is_transient(error):
                raise
            _log.warning("expired deliveries are deleted later: the database is away")
        await asyncio.sleep(_FORGET_SECONDS)


async def _serve(settings: IngestSettings) -> None:
    vault = Vault(read_key(settings.secrets_key_file))
    signing_key = tokens.load_signing_key(settings.signing_key_file) if settings.signing_key_file else None
    await migrate(settings.database_url, schema=_NAME, scripts=_MIGRATIONS)
    engine = open_database(settings.database_url, schema=_NAME)
    wakeups = Wakeups(settings.redis_url)
    log_server = log.LogServer(name=_NAME, engine_of=lambda: engine, wakeups=wakeups)
    event_log = EventLog(engine, vault, lambda *appended: log_server.committed(log_server.log_id, *appended))
    directory = TenantDirectory(engine, vault)

    def register(grpc_server: grpc.aio.Server) -> None:
        events = EventServicer(event_log, directory)  # type: ignore[abstract]  # FollowEvents: see below
        event_service_pb2_grpc.add_EventServiceServicer_to_server(events, grpc_server)
        # After the servicer: a method's last handler answers it.
        log_server.serve_on(grpc_server, _EVENTS, "FollowEvents")
        tenants = TenantServicer(engine, vault, event_log, directory, signing_key)
        tenant_service_pb2_grpc.add_TenantServiceServicer_to_server(tenants, grpc_server)
        sources = SourceServicer(engine, vault, directory)
        source_service_pb2_grpc.add_SourceServiceServicer_to_server(sources, grpc_server)

    async def ready() -> bool:
        return bool(log_server.log_id)

    await server.serve(
        name=_NAME,
        settings=settings,
        register=register,
        services=(_EVENTS, _TENANTS, _SOURCES),
        tasks=(log_server.run, lambda: _forget_for_ever(engine)),
        ready=ready,
        closing=(wakeups.close, event_log.close, engine.dispose),
    )


if __name__ == "__main__":
    server.run(_serve(load(IngestSettings)))
