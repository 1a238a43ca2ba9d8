"""Counts a tenant's rollups anew from the facts, to compare them."""

from collections.abc import AsyncIterator
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from services.reporting import derived
from services.reporting.activities import awaited, shown, summed
from services.reporting.counting import as_counted
from services.reporting.domain.cells import UNREAD, Cell, Measures
from services.reporting.domain.contributions import add
from services.reporting.domain.fingerprints import fingerprint, fingerprint_of_rows, together
from services.reporting.domain.pending import Pending
from services.reporting.domain.summaries import summaries
from services.reporting.domain.tenants import Tenant
from services.reporting.kinds import KINDS
from services.reporting.store import activities, activity_records, facts, pending, rollups
from services.reporting.store.activities import Key
from services.reporting.wire.orders import stored_fact_of


class Progress(NamedTuple):
    """How far a comparison is: facts counted, facts to count, and cells found to differ, which the last one tells."""

    checked: int
    total: int
    different_cells: int


async def verify(connection: AsyncConnection, tenant: Tenant) -> AsyncIterator[Progress]:
    """Compares a tenant's rollups in the edition in force with what its facts come to; the connection must see one moment.

    The last progress, and no other, has checked = total and the number of differing cells. All records of conversations
    and runs through journeys are compared too, and count as one.
    """
    total, checked = await facts.count(connection, tenant.tenant_id, tenant.edition), 0
    expected: dict[Cell, Measures] = {}
    # Of what no figure is read from there is too much to be kept: it is held against its fingerprint.
    owed = 0
    async for chunk in facts.read_all(connection, tenant.tenant_id, tenant.edition):
        orders = [stored_fact_of(fact.payload) for fact in chunk]
        counted = await as_counted(connection, orders, tenant)
        unread = {cell: measures for cell, measures in counted.items() if type(cell) in UNREAD}
        add(expected, {cell: measures for cell, measures in counted.items() if cell not in unread})
        owed = together(owed, fingerprint(unread))
        checked += len(chunk)
        if checked < total:
            yield Progress(checked, total, 0)
    async for held, cells in derived.recounted(connection, tenant):
        owed = together(owed, -held)
        add(expected, cells)
    until: set[tuple[Key, Pending]] = set()
    async for states in activities.read_all(connection, tenant.tenant_id):
        add(expected, summed(KINDS, tenant, states))
        records = shown(KINDS, {tenant.tenant_id: tenant}, states)
        owed = together(owed, fingerprint_of_rows((*key, *record) for key, record in records.items() if record))
        until |= {(key, one) for key, some in awaited(KINDS, tenant, states).items() for one in some}
    add(expected, summaries(expected))
    async for key, record in activity_records.read_all(connection, tenant.tenant_id):
        owed = together(owed, -fingerprint_of_rows([(*key, *record)]))
    different = int(owed != 0)
    async for row in pending.read_all(connection, tenant.tenant_id):
        different += row not in until
        until.discard(row)
    async for cell, measures in rollups.read(connection, tenant.tenant_id, tenant.book):
        different += expected.pop(cell, None) != measures
    missing = sum(1 for measures in expected.values() if any(measures))
    yield Progress(checked, total, different + missing + len(until))
