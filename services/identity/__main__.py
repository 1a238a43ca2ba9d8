"""Starts identity: follows events, answers who is who, and publishes what changes about people."""

from pathlib import Path

import grpc
from pydantic import Field
from touchstone.identity.v1 import link_service_pb2, people_service_pb2
from touchstone.identity.v1.link_service_pb2_grpc import add_LinkServiceServicer_to_server
from touchstone.identity.v1.people_service_pb2_grpc import add_PeopleServiceServicer_to_server
from touchstone.ingest.v1 import event_pb2
from touchstone.ingest.v1.event_service_pb2_grpc import EventServiceStub
from touchstone.ingest.v1.tenant_service_pb2_grpc import TenantServiceStub
from touchstone.mesh.v1 import maintenance_service_pb2
from touchstone.mesh.v1.maintenance_service_pb2_grpc import add_MaintenanceServiceServicer_to_server

from services.chassis.channels import open_channel
from services.chassis.follow import Subscription
from services.chassis.generations import FollowingService
from services.chassis.maintenance import MaintenanceServicer
from services.chassis.resting import LOOSELY
from services.chassis.server import run, serve
from services.chassis.settings import ServiceSettings, load
from services.chassis.tokens import read_token
from services.chassis.wakeups import Wakeups
from services.identity.follower import apply
from services.identity.link_servicer import LinkServicer
from services.identity.servicer import PeopleServicer

NAME = "identity"
PEOPLE_SERVICE = people_service_pb2.DESCRIPTOR.services_by_name["PeopleService"].full_name
LINK_SERVICE = link_service_pb2.DESCRIPTOR.services_by_name["LinkService"].full_name
MAINTENANCE_SERVICE = maintenance_service_pb2.DESCRIPTOR.services_by_name["MaintenanceService"].full_name


class IdentitySettings(ServiceSettings):
    """What this service is told besides."""

    public_url: str | None = Field(None, validation_alias="TOUCHSTONE_PUBLIC_URL", pattern=r"^https?://[^/\s?#@]+/?$")
    """Where people reach the installation: tracked links begin with it."""


async def main(settings: IdentitySettings) -> None:
    """Composes the service and runs it until it is told to stop."""
    wakeups = Wakeups(settings.redis_url)
    ingest = open_channel(
        settings.ingest_address, token=read_token(settings.service_token_file), tls_files=settings.tls_files
    )
    following = FollowingService(
        name=NAME,
        database_url=settings.database_url,
        migrations=Path(__file__).parent / "migrations",
        subscriptions=[
            Subscription(
                log="events",
                channel=ingest,
                method="/touchstone.ingest.v1.EventService/FollowEvents",
                message_type=event_pb2.LoggedEvent,
                trace_of=lambda logged: logged.trace_parent,
                apply=apply,
                gives_way=True,
                pause=LOOSELY,
            )
        ],
        wakeups=wakeups,
    )
    await following.start()

    def register(server: grpc.aio.Server) -> None:
        events = EventServiceStub(ingest)
        people = PeopleServicer(following.serving, events)  # type: ignore[abstract]  # FollowPeople: see below
        add_PeopleServiceServicer_to_server(people, server)
        links = LinkServicer(following.serving, events, TenantServiceStub(ingest), settings.public_url)
        add_LinkServiceServicer_to_server(links, server)
        # After the servicer: a method's last handler answers it.
        following.log_server.serve_on(server, PEOPLE_SERVICE, "FollowPeople")
        add_MaintenanceServiceServicer_to_server(MaintenanceServicer(following), server)

    await serve(
        name=NAME,
        settings=settings,
        register=register,
        services=(PEOPLE_SERVICE, LINK_SERVICE, MAINTENANCE_SERVICE),
        tasks=[following.run],
        ready=following.ready,
        closing=[following.close, ingest.close, wakeups.close],
    )


if __name__ == "__main__":
    run(main(load(IdentitySettings)))
