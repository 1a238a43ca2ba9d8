"""The reporting service: wires what it is made of, and serves."""

from pathlib import Path

from touchstone.attribution.v1 import credit_pb2, credit_service_pb2
from touchstone.identity.v1 import people_pb2, people_service_pb2
from touchstone.ingest.v1 import event_pb2, event_service_pb2

from services.chassis.channels import open_channel
from services.chassis.follow import Subscription
from services.chassis.generations import FollowingService
from services.chassis.resting import CLOSELY, LOOSELY
from services.chassis.server import run, serve
from services.chassis.settings import ServiceSettings, load
from services.chassis.tokens import read_token
from services.chassis.wakeups import Wakeups
from services.reporting import answers, follower, registered
from services.reporting.background import CHORES, UNFINISHED
from services.reporting.live import Live

_MIGRATIONS = Path(__file__).parent / "migrations"
_EVENTS = event_service_pb2.DESCRIPTOR.services_by_name["EventService"]
_PEOPLE = people_service_pb2.DESCRIPTOR.services_by_name["PeopleService"]
_CREDITS = credit_service_pb2.DESCRIPTOR.services_by_name["CreditService"]


async def main() -> None:
    """Serves until it is told to stop."""
    settings = load(ServiceSettings)
    token = read_token(settings.service_token_file)
    ingest = open_channel(settings.ingest_address, token=token, tls_files=settings.tls_files)
    identity = open_channel(settings.identity_address, token=token, tls_files=settings.tls_files)
    attribution = open_channel(settings.attribution_address, token=token, tls_files=settings.tls_files)
    wakeups = Wakeups(settings.redis_url)
    live = Live(wakeups, lambda partitions: answers.positions(service.serving(), partitions))
    service = FollowingService(
        name="reporting",
        database_url=settings.database_url,
        migrations=_MIGRATIONS,
        subscriptions=[
            Subscription(
                log="events",
                channel=ingest,
                method=f"/{_EVENTS.full_name}/FollowEvents",
                message_type=event_pb2.LoggedEvent,
                trace_of=lambda logged: logged.trace_parent,
                apply=live.noting(follower.apply_events),
                pause=LOOSELY,
                gives_way=True,
            ),
            Subscription(
                log="credits",
                channel=attribution,
                method=f"/{_CREDITS.full_name}/FollowCredits",
                message_type=credit_pb2.OrderCredits,
                trace_of=lambda told: told.cause.trace_parent,
                apply=live.noting(follower.apply_credits),
                made_from=("events",),
                pause=CLOSELY,
            ),
            Subscription(
                log="people",
                channel=identity,
                method=f"/{_PEOPLE.full_name}/FollowPeople",
                message_type=people_pb2.PeopleChange,
                apply=live.noting(follower.apply_people),
                made_from=("events",),
                pause=LOOSELY,
            ),
        ],
        wakeups=wakeups,
        chores=CHORES,
        unfinished=UNFINISHED,
        on_committed=live.committed,
    )

    async def follow() -> None:
        await service.start()
        await service.run()

    await serve(
        name="reporting",
        settings=settings,
        register=lambda server: registered.register(server, service, ingest, live),
        services=registered.NAMES,
        tasks=[follow],
        ready=service.ready,
        closing=[live.close, service.close, wakeups.close, ingest.close, identity.close, attribution.close],
    )


if __name__ == "__main__":
    run(main())
