"""Starts attribution: follows events and people, answers about credits, and publishes them."""

from pathlib import Path

import grpc
from touchstone.attribution.v1 import credit_service_pb2, model_service_pb2
from touchstone.attribution.v1.credit_service_pb2_grpc import add_CreditServiceServicer_to_server
from touchstone.attribution.v1.model_service_pb2_grpc import add_ModelServiceServicer_to_server
from touchstone.identity.v1 import people_pb2
from touchstone.ingest.v1 import event_pb2
from touchstone.ingest.v1.event_service_pb2_grpc import EventServiceStub
from touchstone.mesh.v1 import maintenance_service_pb2
from touchstone.mesh.v1.maintenance_service_pb2_grpc import add_MaintenanceServiceServicer_to_server

from services.attribution.background import CHORES, UNFINISHED, agrees, forget
from services.attribution.follower import Batch, ChangedPeople, apply_events, apply_people
from services.attribution.model_servicer import ModelServicer
from services.attribution.servicer import CreditServicer
from services.attribution.simulator import Simulator
from services.chassis.channels import open_channel
from services.chassis.follow import Subscription
from services.chassis.generations import FollowingService
from services.chassis.maintenance import MaintenanceServicer
from services.chassis.resting import CLOSELY
from services.chassis.server import run, serve
from services.chassis.settings import ServiceSettings, load
from services.chassis.tokens import read_token
from services.chassis.wakeups import Wakeups

NAME = "attribution"
CREDIT_SERVICE = credit_service_pb2.DESCRIPTOR.services_by_name["CreditService"].full_name
MODEL_SERVICE = model_service_pb2.DESCRIPTOR.services_by_name["ModelService"].full_name
MAINTENANCE_SERVICE = maintenance_service_pb2.DESCRIPTOR.services_by_name["MaintenanceService"].full_name


async def main() -> None:
    """Serves until it is told to stop."""
    settings = load(ServiceSettings)
    token = read_token(settings.service_token_file)
    wakeups = Wakeups(settings.redis_url)
    ingest = open_channel(settings.ingest_address, token=token, tls_files=settings.tls_files)
    identity = open_channel(settings.identity_address, token=token, tls_files=settings.tls_files)
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
                read=Batch,
                apply=apply_events,
                gives_way=True,
                pause=CLOSELY,
            ),
            Subscription(
                log="people",
                channel=identity,
                method="/touchstone.identity.v1.PeopleService/FollowPeople",
                message_type=people_pb2.PeopleChange,
                read=ChangedPeople,
                apply=apply_people,
                made_from=("events",),
            ),
        ],
        wakeups=wakeups,
        chores=CHORES,
        unfinished=UNFINISHED,
        on_retired=forget,
    )

    def register(server: grpc.aio.Server) -> None:
        credits_servicer = CreditServicer(following.serving)  # type: ignore[abstract]  # FollowCredits: see below
        add_CreditServiceServicer_to_server(credits_servicer, server)
        # After the servicer: a method's last handler answers it.
        following.log_server.serve_on(server, CREDIT_SERVICE, "FollowCredits")
        models_servicer = ModelServicer(following.serving, EventServiceStub(ingest))  # type: ignore[abstract]
        add_ModelServiceServicer_to_server(models_servicer, server)
        Simulator(following.serving).serve_on(server, MODEL_SERVICE)
        add_MaintenanceServiceServicer_to_server(MaintenanceServicer(following), server)

    async def follow() -> None:
        await following.start()
        await following.run()

    await serve(
        name=NAME,
        settings=settings,
        register=register,
        services=(CREDIT_SERVICE, MODEL_SERVICE, MAINTENANCE_SERVICE),
        tasks=[follow],
        ready=following.ready,
        details={"agreement": lambda: agrees(following.serving())},
        closing=[following.close, wakeups.close, ingest.close, identity.close],
    )


if __name__ == "__main__":
    run(main())
