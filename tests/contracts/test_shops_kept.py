"""Made-up shops on a real Postgres: identity, attribution and reporting keep what follows from all events at once."""

import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.attribution.v1 import credit_pb2, credit_service_pb2
from touchstone.identity.v1 import people_pb2
from touchstone.ingest.v1 import event_pb2, settings_pb2

from services.attribution.servicer import CreditServicer
from services.chassis.callers import Caller, set_caller
from services.chassis.database import open_database
from services.chassis.follow import Entry
from services.chassis.migrations import migrate
from services.identity import follower as identity
from services.reporting import follower as reporting
from services.reporting.domain.cells import Cell, Measures, MemberCell
from services.reporting.domain.summaries import summaries
from services.reporting.domain.uniques import unique_cells
from services.reporting.store import derived, rollups, tenants
from tests.attribution.keeping import Keeper
from tests.attribution.shops import Events, shops
from tests.attribution.whole import ZONE, whole

_tenants = (f"shop-{number}" for number in itertools.count())
_positions = itertools.count(1)


class System(NamedTuple):
    """The three services' states."""

    identity: AsyncEngine
    attribution: Keeper
    reporting: AsyncEngine

    async def identify(self, events: Sequence[event_pb2.LoggedEvent]) -> list[people_pb2.PeopleChange]:
        """Identity takes in a batch; answers what it tells of people."""
        entries = [Entry(next(_positions), event) for event in events]
        async with self.identity.begin() as connection:
            told = await identity.apply(connection, 0, entries)
        return [people_pb2.PeopleChange.FromString(payload) for payload in told]

    async def report(self, credits_: Sequence[credit_pb2.OrderCredits]) -> None:
        """Reporting takes in what attribution told."""
        async with self.reporting.begin() as connection:
            await reporting.apply_credits(connection, 0, [Entry(next(_positions), one) for one in credits_])

    async def open(self, tenant_id: str) -> None:
        """A tenant with its zone, which dates its days."""
        told = event_pb2.Event(settings=settings_pb2.TenantSettings(time_zone=ZONE.key, currency_code="EUR"))
        event = event_pb2.LoggedEvent(tenant_id=tenant_id, event=told)
        async with self.reporting.begin() as connection:
            await reporting.apply_events(connection, 0, [Entry(next(_positions), event)])

    async def cells(self, tenant_id: str) -> dict[Cell, Measures]:
        """The rollups of the edition in force, as if it were the first."""
        async with self.reporting.connect() as connection:
            book = (await tenants.read(connection, {tenant_id}))[tenant_id].book
            cells = {cell: sums async for cell, sums in rollups.read(connection, tenant_id, book)}
            async for visits in derived.read_all_visits(connection, tenant_id, book):
                cells |= visits
            async for members in derived.read_all_members(connection, tenant_id, book):
                cells |= members
            return {cell._replace(edition=0): sums for cell, sums in cells.items()}


@pytest.fixture(scope="module")
async def system(new_database: Callable[[], str]) -> AsyncIterator[System]:
    url = new_database()
    for service in (identity, reporting):
        name = service.__name__.split(".")[1]
        await migrate(url, schema=f"{name}_1", scripts=Path(service.__file__).parent / "migrations")
    kept = System(
        open_database(url, schema="identity_1"),
        await Keeper.on(url),
        open_database(url, schema="reporting_1"),
    )
    yield kept
    for engine in (kept.identity, kept.attribution.engine, kept.reporting):
        await engine.dispose()


@given(data=st.data(), events=shops())
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
async def test_what_is_kept_is_what_follows_from_everything_at_once(
    system: System, data: st.DataObject, events: Events
) -> None:
    """Told in any sequence, some of it twice, in batches; who is who is heard of at any time between.

    Where the shop sets models of its own, its orders are attributed anew by them, whenever that comes.
    """
    tenant_id = next(_tenants)
    for event in events:
        event.tenant_id = tenant_id
    told = data.draw(st.permutations([*events, *data.draw(st.lists(st.sampled_from(events), max_size=4))]))
    expected = whole(events)
    start, waiting = len(system.attribution.published), []
    await system.open(tenant_id)
    while told:
        size = data.draw(st.integers(1, 8))
        batch, told = told[:size], told[size:]
        waiting += await system.identify(batch)
        if data.draw(st.booleans()):
            await system.attribution.tell_people(*waiting)
            waiting = []
        await system.attribution.tell(*batch)
    await system.attribution.tell_people(*waiting)
    await system.attribution.settle()
    await system.report(system.attribution.published[start:])

    assert await system.attribution.stored(tenant_id) == expected.entries
    assert system.attribution.last_published(tenant_id) == expected.entries
    members = (cell for cell in expected.cells if isinstance(cell, MemberCell))
    cells = {**expected.cells, **unique_cells(members)}
    assert await system.cells(tenant_id) == {**cells, **summaries(cells)}
    for (source, order_id), (_, attributions) in expected.decided.items():
        for attribution in attributions:
            evidence = await explain(system, tenant_id, order_id, source=source, model=attribution.model)
            assert evidence.agrees_with_stored
            assert [
                (one.touch.event_id, one.line_id, one.amount.micros, one.net.micros) for one in evidence.credits
            ] == [(one.touch.event_id, one.line_id, one.gross_micros, one.net_micros) for one in attribution.credits]
            assert evidence.matched_by == (attribution.matched_by or 0)


async def explain(system: System, tenant_id: str, order_id: str, **asked: str) -> credit_pb2.Evidence:
    set_caller(Caller(subject="test", tenant_id=tenant_id, scopes=frozenset({"admin"})))
    request = credit_service_pb2.ExplainOrderRequest(order_id=order_id, **asked)
    return (await CreditServicer(lambda: system.attribution.engine).ExplainOrder(request, None)).evidence
