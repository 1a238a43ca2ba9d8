"""The ingest service: wires its parts and serves."""

from functools import partial
from pathlib import Path

import grpc
from pydantic import Field, FilePath
from touchstone.identity.v1.people_service_pb2_grpc import PeopleServiceStub
from touchstone.ingest.v1 import (
    event_service_pb2_grpc,
    exchange_rate_service_pb2_grpc,
    privacy_service_pb2_grpc,
    source_service_pb2_grpc,
    tenant_service_pb2_grpc,
)
from touchstone.mesh.v1.maintenance_service_pb2_grpc import MaintenanceServiceStub

from services.chassis import log, server, tokens
from services.chassis.channels import open_channel
from services.chassis.database import open_database
from services.chassis.migrations import migrate
from services.chassis.settings import ServiceSettings, load
from services.chassis.wakeups import Wakeups
from services.ingest.erasing.expiry import forget_for_ever
from services.ingest.erasing.run import REST, Eraser
from services.ingest.servicer.events import EventServicer
from services.ingest.servicer.exchange_rates import ExchangeRateServicer
from services.ingest.servicer.privacy import PrivacyServicer
from services.ingest.servicer.sources import SourceServicer
from services.ingest.servicer.tenants import TenantServicer
from services.ingest.store.directory import TenantDirectory
from services.ingest.store.event_log import EventLog
from services.ingest.store.privacy import record
from services.ingest.store.vault import Vault, read_key

_NAME = "ingest"
_MIGRATIONS = Path(__file__).parent / "migrations"
_SERVICES = tuple(
    f"touchstone.ingest.v1.{name}Service" for name in ("Event", "Tenant", "ExchangeRate", "Source", "Privacy")
)


class IngestSettings(ServiceSettings):
    """What ingest is told: it alone keeps secrets at rest."""

    erasing_rest: float = Field(REST, ge=0, validation_alias="TOUCHSTONE_ERASING_REST")
    """How many times as long as an erasing took beyond a minute, the next one waits: the smaller, the more of its time is rewriting."""
    secrets_key_file: FilePath = Field(validation_alias="TOUCHSTONE_SECRETS_KEY_FILE")

    @property
    def followers(self) -> dict[str, str]:
        """The addresses of all services whose state is made of the event log."""
        return {
            "identity": self.identity_address,
            "attribution": self.attribution_address,
            "reporting": self.reporting_address,
        }


async def _serve(settings: IngestSettings) -> None:
    vault = Vault(read_key(settings.secrets_key_file))
    signing_key = tokens.load_signing_key(settings.signing_key_file) if settings.signing_key_file else None
    await migrate(settings.database_url, schema=_NAME, scripts=_MIGRATIONS)
    engine = open_database(settings.database_url, schema=_NAME)
    wakeups = Wakeups(settings.redis_url)
    log_server = log.LogServer(name=_NAME, engine_of=lambda: engine, wakeups=wakeups)
    event_log = EventLog(engine, vault, lambda *appended: log_server.committed(log_server.log_id, *appended))
    directory = TenantDirectory(engine, vault)
    token = tokens.read_token(settings.service_token_file)
    followers = {
        name: open_channel(address, token=token, tls_files=settings.tls_files)
        for name, address in settings.followers.items()
    }
    people = PeopleServiceStub(followers["identity"])
    maintenance = {name: MaintenanceServiceStub(one) for name, one in followers.items()}
    eraser = Eraser(engine, vault, people, maintenance, rest=settings.erasing_rest)

    def register(grpc_server: grpc.aio.Server) -> None:
        events = EventServicer(event_log, directory, partial(record, engine, vault))  # type: ignore[abstract]  # FollowEvents: see below
        event_service_pb2_grpc.add_EventServiceServicer_to_server(events, grpc_server)
        # After the servicer: a method's last handler answers it.
        log_server.serve_on(grpc_server, _SERVICES[0], "FollowEvents")
        tenants = TenantServicer(engine, vault, event_log, directory, signing_key)
        tenant_service_pb2_grpc.add_TenantServiceServicer_to_server(tenants, grpc_server)
        rates = ExchangeRateServicer(engine, event_log, directory)
        exchange_rate_service_pb2_grpc.add_ExchangeRateServiceServicer_to_server(rates, grpc_server)
        sources = SourceServicer(engine, vault, directory)
        source_service_pb2_grpc.add_SourceServiceServicer_to_server(sources, grpc_server)
        privacy = PrivacyServicer(engine, vault, directory, people, eraser.asked)
        privacy_service_pb2_grpc.add_PrivacyServiceServicer_to_server(privacy, grpc_server)

    async def ready() -> bool:
        return bool(log_server.log_id)

    await server.serve(
        name=_NAME,
        settings=settings,
        register=register,
        services=_SERVICES,
        tasks=(log_server.run, eraser.run, partial(forget_for_ever, engine)),
        ready=ready,
        closing=(wakeups.close, *(one.close for one in followers.values()), event_log.close, engine.dispose),
    )


if __name__ == "__main__":
    server.run(_serve(load(IngestSettings)))
