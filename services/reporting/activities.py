"""Activity: what is not an order, folded from events into facts, and from facts into cells."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection
from touchstone.ingest.v1 import event_pb2

from services.chassis.follow import Entry
from services.reporting.domain.cells import Cell, Measures
from services.reporting.domain.contributions import add
from services.reporting.domain.tenants import Tenant
from services.reporting.store import activities, rollups
from services.reporting.store.activities import Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of fact.

    `keys_of` names the facts of this kind that an event is told of; mostly none or one. `fold` makes a fact's state
    from the state before, empty for a new one, and more events: whatever the sequence they are told in, and however they
    are grouped, the same events make the same state. `contributions` are the cells that a fact is part of, and what it
    adds to each; it follows from the tenant's settings and the state alone.
    """

    name: str
    keys_of: Callable[[event_pb2.LoggedEvent], Iterable[str]]
    fold: Callable[[bytes, Sequence[event_pb2.LoggedEvent]], bytes]
    contributions: Callable[[Tenant, str, bytes], Mapping[Cell, Measures]]


async def apply(
    connection: AsyncConnection,
    kinds: Mapping[str, Kind],
    entries: Sequence[Entry[event_pb2.LoggedEvent]],
    tenants: Mapping[str, Tenant],
) -> None:
    """Folds events into the facts that they tell of, and adds what that changes to the rollups.

    `tenants` are as the cells are counted at present.
    """
    told: dict[Key, list[event_pb2.LoggedEvent]] = defaultdict(list)
    for entry in entries:
        for kind in kinds.values():
            for key in kind.keys_of(entry.message):
                told[entry.message.tenant_id, kind.name, key].append(entry.message)
    if not told:
        return
    before = await activities.read(connection, told)
    after = {key: kinds[key[1]].fold(before.get(key, b""), events) for key, events in told.items()}
    changed = {key: state for key, state in after.items() if state != before.get(key, b"")}
    await activities.write(connection, changed)
    sums: dict[Cell, Measures] = {}
    for (tenant_id, name, key), state in changed.items():
        contributions = kinds[name].contributions
        add(sums, contributions(tenants[tenant_id], key, state))
        if old := before.get((tenant_id, name, key)):
            add(sums, _negative(contributions(tenants[tenant_id], key, old)))
    await rollups.add(connection, {cell: measures for cell, measures in sums.items() if any(measures)})


async def recount(connection: AsyncConnection, kinds: Mapping[str, Kind], tenant: Tenant) -> None:
    """Sums a tenant's rollups of activity anew, in the caller's transaction."""
    await rollups.clear_activity(connection, tenant.tenant_id)
    async for chunk in activities.read_all(connection, tenant.tenant_id):
        await rollups.add(connection, summed(kinds, tenant, chunk))


def summed(kinds: Mapping[str, Kind], tenant: Tenant, facts: Iterable[tuple[Key, bytes]]) -> dict[Cell, Measures]:
    """What some facts of a tenant come to."""
    sums: dict[Cell, Measures] = {}
    for (_, name, key), state in facts:
        add(sums, kinds[name].contributions(tenant, key, state))
    return {cell: measures for cell, measures in sums.items() if any(measures)}


def _negative(cells: Mapping[Cell, Measures]) -> dict[Cell, Measures]:
    return {cell: tuple(-measure for measure in measures) for cell, measures in cells.items()}
