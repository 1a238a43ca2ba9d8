"""Cells that are counted from other cells: visits in which was bought, and how many different ones there were."""

from collections.abc import AsyncIterator, Iterable, Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from services.reporting.domain import sessions
from services.reporting.domain.cells import Cell, Measures, MemberCell, VisitCell
from services.reporting.domain.contributions import add
from services.reporting.domain.fingerprints import fingerprint
from services.reporting.domain.tenants import Tenant
from services.reporting.domain.uniques import unique_cells
from services.reporting.store import activities, derived, rollups
from services.reporting.store.activities import Key


async def put(connection: AsyncConnection, sums: Mapping[Cell, Measures], tenants: Mapping[str, Tenant]) -> None:
    """Adds what orders sum up to to the rollups, with what follows from it. `tenants` are as they are counted."""
    together = dict(sums)
    add(together, await of_orders(connection, sums, tenants))
    await rollups.add(connection, together)


async def of_orders(
    connection: AsyncConnection, added: Mapping[Cell, Measures], tenants: Mapping[str, Tenant]
) -> dict[Cell, Measures]:
    """What changes by what orders add to visits and members, which is not stored yet. `tenants` date the visits."""
    sums: dict[Cell, Measures] = {}
    if visits := {cell: measures for cell, measures in added.items() if isinstance(cell, VisitCell)}:
        add(sums, await _of_visits(connection, visits, tenants))
    if members := {cell: measures[0] for cell, measures in added.items() if isinstance(cell, MemberCell)}:
        add(sums, await _of_members(connection, members))
    return _any(sums)


async def _of_visits(
    connection: AsyncConnection, added: Mapping[VisitCell, Measures], tenants: Mapping[str, Tenant]
) -> dict[Cell, Measures]:
    states = await _states(connection, added)
    before = await derived.read_visits(connection, added)
    sums: dict[Cell, Measures] = {}
    for visit, more in added.items():
        session = sessions.read(states.get(_key(visit), b""))
        zone, was = tenants[visit.tenant_id].zone, before.get(visit, _NO_ORDERS)
        add(sums, sessions.bought(session, zone, visit, tuple(map(int.__add__, was, more))))
        add(sums, negative(sessions.bought(session, zone, visit, was)))
    return sums


_NO_ORDERS: Measures = (0, 0, 0)


async def _of_members(connection: AsyncConnection, added: Mapping[MemberCell, int]) -> dict[Cell, Measures]:
    before = await derived.read_members(connection, {cell[:4] for cell in added})
    after = dict(before)
    for cell, more in added.items():
        after[cell] = after.get(cell, 0) + more
    sums: dict[Cell, Measures] = {}
    add(sums, unique_cells(cell for cell, times in after.items() if times))
    add(sums, negative(unique_cells(cell for cell, times in before.items() if times)))
    return sums


async def of_sessions(
    connection: AsyncConnection, changed: Mapping[Key, tuple[bytes, bytes]], tenants: Mapping[str, Tenant]
) -> dict[Cell, Measures]:
    """What changes by what events tell of sessions, among other facts: how each state was, and how it is."""
    told = {(tenant_id, key): states for (tenant_id, kind, key), states in changed.items() if kind == sessions.KIND}
    if not told:
        return {}
    sums: dict[Cell, Measures] = {}
    for visit, orders in (await derived.read_visits_of(connection, told)).items():
        zone = tenants[visit.tenant_id].zone_of(visit.edition)
        before, after = (sessions.read(state) for state in told[visit.tenant_id, visit.session_id])
        add(sums, sessions.bought(after, zone, visit, orders))
        add(sums, negative(sessions.bought(before, zone, visit, orders)))
    return _any(sums)


async def recounted(connection: AsyncConnection, tenant: Tenant) -> AsyncIterator[tuple[int, dict[Cell, Measures]]]:
    """What a tenant's stored visits and members come to, in parts, each with the fingerprint of what it comes from."""
    async for visits in derived.read_all_visits(connection, tenant.tenant_id, tenant.book):
        yield fingerprint(visits), await _all_of_visits(connection, visits, tenant)
    async for members in derived.read_all_members(connection, tenant.tenant_id, tenant.book):
        days = (cell for cell, times in members.items() if isinstance(cell, MemberCell) and any(times))
        yield fingerprint(members), unique_cells(days)


async def _all_of_visits(
    connection: AsyncConnection, cells: Mapping[Cell, Measures], tenant: Tenant
) -> dict[Cell, Measures]:
    visits = {cell: orders for cell, orders in cells.items() if isinstance(cell, VisitCell)}
    states = await _states(connection, visits)
    sums: dict[Cell, Measures] = {}
    for visit, orders in visits.items():
        add(sums, sessions.bought(sessions.read(states.get(_key(visit), b"")), tenant.zone, visit, orders))
    return sums


async def _states(connection: AsyncConnection, visits: Iterable[VisitCell]) -> dict[Key, bytes]:
    return await activities.read(connection, {_key(visit) for visit in visits})


def _key(visit: VisitCell) -> Key:
    return visit.tenant_id, sessions.KIND, visit.session_id


def negative(cells: Mapping[Cell, Measures]) -> dict[Cell, Measures]:
    """What takes the cells' measures off again."""
    return {cell: tuple(-measure for measure in measures) for cell, measures in cells.items()}


def _any(sums: Mapping[Cell, Measures]) -> dict[Cell, Measures]:
    return {cell: measures for cell, measures in sums.items() if any(measures)}
