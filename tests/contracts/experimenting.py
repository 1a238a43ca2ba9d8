"""Experiments on a real Postgres, with identity beside reporting: what is told of one reaches the other as it does in the mesh."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from touchstone.attribution.v1 import credit_pb2
from touchstone.identity.v1 import people_pb2
from touchstone.ingest.v1 import event_pb2, event_service_pb2, experiment_pb2, settings_pb2
from touchstone.reporting.v1 import experiment_pb2 as reported
from touchstone.reporting.v1 import experiment_service_pb2 as pb

from services.chassis.callers import Caller, set_caller
from services.chassis.database import open_database
from services.chassis.follow import Entry
from services.chassis.migrations import migrate
from services.identity import follower as identity
from services.kernel.identifiers import Identifier, Kind, identifier_key
from services.reporting import answers, follower
from services.reporting.experiment_servicer import ExperimentServicer
from services.reporting.experiments import asking, summing
from services.reporting.experiments.rules import read_rules
from services.reporting.store import experiment_sums

MIGRATIONS = Path(follower.__file__).parent / "migrations"
EUR = 1_000_000
PARTITION = 5
MOVE = text(
    """INSERT INTO checkpoint (partition_id, log, log_id, position) VALUES (:partition, :log, 'l', :position)
       ON CONFLICT (partition_id, log) DO UPDATE SET position = excluded.position"""
)
START = datetime(2026, 11, 1, tzinfo=UTC)
NAMED: dict[int, tuple[str, str]] = {}
"""Which identifier has a key, of those that orders of the tests name."""

NAMES = {"visitor": Kind.VISITOR, "email": Kind.EMAIL, "customer": Kind.CUSTOMER, "phone": Kind.PHONE}
FIELDS = {
    "visitor": "visitor_id",
    "email": "email",
    "customer": "customer_id",
    "phone": "phone",
    "session": "session_id",
}


@pytest.fixture(scope="module")
async def engines(new_database: Callable[[], str]) -> AsyncIterator[tuple[AsyncEngine, AsyncEngine]]:
    """The states of reporting and of identity."""
    url, engines = new_database(), []
    for schema, scripts in (("reporting_1", MIGRATIONS), ("identity_1", Path(identity.__file__).parent / "migrations")):
        await migrate(url, schema=schema, scripts=scripts)
        engines.append(open_database(url, schema=schema))
    yield engines[0], engines[1]
    for engine in engines:
        await engine.dispose()


async def empty(engines: tuple[AsyncEngine, AsyncEngine]) -> None:
    """Deletes all that is stored."""
    for engine, schema in zip(engines, ("reporting_1", "identity_1"), strict=True):
        async with engine.begin() as connection:
            named = text("SELECT tablename FROM pg_tables WHERE schemaname = :schema")
            for table in (await connection.execute(named, {"schema": schema})).scalars().all():
                if not table.startswith(("alembic", "log_")):
                    await connection.execute(text(f'DELETE FROM "{table}"'))


class Ingest:
    """Stands for the event log: what is appended is followed at once, by identity first.

    What identity publishes waits in `people` until `tell_people`, which `tell` and `tell_orders` call unless they are
    told otherwise.
    """

    def __init__(self, engines: tuple[AsyncEngine, AsyncEngine]) -> None:
        self.engine, self.identity = engines
        self.position = self.people_position = 0
        self.people: list[people_pb2.PeopleChange] = []
        self.at_once = True

    async def AppendDeliveries(self, request: event_service_pb2.AppendDeliveriesRequest):  # noqa: N802 - gRPC's name
        for delivery in request.deliveries:
            assert delivery.source == "touchstone"
            await self.tell(*delivery.events)
        return event_service_pb2.AppendDeliveriesResponse()

    def _logged(self, event: event_pb2.Event) -> Entry[event_pb2.LoggedEvent]:
        self.position += 1
        return Entry(self.position, event_pb2.LoggedEvent(tenant_id="acme", source="api", event=event))

    async def observe(self, *events: event_pb2.Event) -> None:
        """Events of which only identity learns."""
        async with self.identity.begin() as connection:
            published = await identity.apply(connection, PARTITION, [self._logged(event) for event in events])
        self.people += [people_pb2.PeopleChange.FromString(change) for change in published]
        if self.at_once:
            await self.tell_people()

    async def tell_people(self) -> None:
        entries = []
        for change in self.people:
            self.people_position += 1
            entries.append(Entry(self.people_position, change))
        self.people = []
        if entries:
            async with self.engine.begin() as connection:
                await follower.apply_people(connection, PARTITION, entries)
                await self._move(connection, "people")

    async def tell(self, *events: event_pb2.Event) -> None:
        await self.observe(*events)
        async with self.engine.begin() as connection:
            await follower.apply_events(connection, PARTITION, [self._logged(event) for event in events])
            await self._move(connection, "events")

    async def tell_orders(self, *orders: credit_pb2.OrderCredits) -> None:
        for order in orders:
            observed = event_pb2.Event(event_id=order.order.order_id)
            observed.order.order_id = order.order.order_id
            for key in order.order.identifier_keys:
                setattr(observed.identifiers, FIELDS[NAMED[key][0]], NAMED[key][1])
            await self.observe(observed)
        entries = []
        for order in orders:
            self.position += 1
            entries.append(Entry(self.position, order))
        async with self.engine.begin() as connection:
            await follower.apply_credits(connection, PARTITION, entries)
            await self._move(connection, "credits")

    async def _move(self, connection: AsyncConnection, log: str) -> None:
        """Moves the checkpoint, as the chassis does with each batch."""
        position = self.people_position if log == "people" else self.position
        await connection.execute(MOVE, {"partition": PARTITION, "log": log, "position": position})

    async def work(self) -> None:
        """Does what waits in the background."""
        while True:
            async with self.engine.begin() as connection:
                if not await experiment_sums.partitions(connection):
                    return
                await summing.count_some(connection, PARTITION)

    async def check_sums(self) -> None:
        """Holds the sums that are complete against everybody, counted anew."""
        async with answers.moment(self.engine) as connection:
            tenant = await answers.read_tenant(connection, "acme")
            sums = await experiment_sums.read(connection, "acme")
            for name, rules in (await read_rules(connection, tenant)).items():
                assert (sums[name].rules, sums[name].reached) == (rules.name, None)
                ever = asking.EVER
                expected = await asking.count_all(connection, tenant, rules)
                assert await experiment_sums.read_cells(connection, "acme", name, ever.start, ever.end) == expected
                assert await experiment_sums.read_whole(connection, "acme", name) == expected


async def new_ingest(engines: tuple[AsyncEngine, AsyncEngine]) -> Ingest:
    """A log in which nothing stands but a tenant's settings."""
    await empty(engines)
    told = Ingest(engines)
    settings = settings_pb2.TenantSettings(time_zone="Europe/Madrid", currency_code="EUR")
    await told.tell(event_pb2.Event(event_id="settings", settings=settings))
    return told


@pytest.fixture
async def ingest(engines) -> Ingest:
    return await new_ingest(engines)


@pytest.fixture
def servicer(engines, ingest) -> ExperimentServicer:
    set_caller(Caller(subject="test", tenant_id="acme", scopes=frozenset({"admin"})))
    return ExperimentServicer(lambda: engines[0], ingest)


def experiment(
    experiment_id: str = "banner", *, weights: tuple[int, ...] = (1, 1), **fields
) -> experiment_pb2.Experiment:
    told = experiment_pb2.Experiment(id=experiment_id, **fields)
    for variant, weight in zip(("plain", "bright", "loud"), weights, strict=False):
        told.arms.add(variant=variant, weight=weight)
    if not told.HasField("start_time"):
        told.start_time.FromDatetime(START)
    told.metric_window.FromTimedelta(timedelta(days=7))
    told.pre_period.FromTimedelta(timedelta(days=30))
    return told


def exposure(event_id: str, variant: str, hours: float, /, *, of: str = "banner", **named: str) -> event_pb2.Event:
    told = event_pb2.Event(event_id=event_id)
    told.occur_time.FromDatetime(START + timedelta(hours=hours))
    for name, value in named.items():
        setattr(told.identifiers, FIELDS[name], value)
    told.exposure.experiment_id, told.exposure.variant = of, variant
    return told


def order(
    order_id: str,
    euros: int,
    hours: float,
    /,
    *,
    currency: str = "EUR",
    attributed: int = 0,
    excluded: int = 0,
    **named: str,
) -> credit_pb2.OrderCredits:
    told = credit_pb2.OrderCredits(tenant_id="acme")
    told.order.source, told.order.order_id, told.order.currency_code = "shop", order_id, currency
    told.order.order_time.FromDatetime(START + timedelta(hours=hours))
    told.order.gross_micros = told.order.net_micros = euros * EUR
    told.order.excluded_reason = excluded
    keys = {identifier_key(Identifier(NAMES[name], value)): (name, value) for name, value in named.items()}
    NAMED.update(keys)
    told.order.identifier_keys.extend(sorted(keys))
    said = told.attributions.add(model="conversations", model_version=1, excluded_reason=excluded)
    if attributed:
        said.matched_by = credit_pb2.MatchBasis.VISITOR
        touch = credit_pb2.Touch(event_id="t", channel="CHAT")
        said.credits.add(touch=touch, gross_micros=attributed * EUR, net_micros=attributed * EUR)
    return told


async def replace(servicer: ExperimentServicer, *told: experiment_pb2.Experiment) -> pb.ReplaceExperimentsResponse:
    return await servicer.ReplaceExperiments(pb.ReplaceExperimentsRequest(experiments=told), None)


async def report(servicer: ExperimentServicer, experiment_id: str = "banner", **asked) -> reported.ExperimentReport:
    request = pb.GetExperimentReportRequest(experiment_id=experiment_id, **asked)
    return (await servicer.GetExperimentReport(request, None)).report


def without_positions(message: reported.ExperimentReport) -> reported.ExperimentReport:
    message.metadata.ClearField("as_of")
    return message
