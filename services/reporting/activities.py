"""Activity: what is not an order, folded from events into facts, and from facts into cells."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection
from touchstone.ingest.v1 import event_pb2

from services.chassis.follow import Entry
from services.reporting.domain.activity_records import ActivityRecord
from services.reporting.domain.cells import ActivityCell, Cell, Measures
from services.reporting.domain.contributions import add
from services.reporting.domain.pending import Pending
from services.reporting.domain.tenants import BEHIND_ALL_FACTS, FactPlace, Tenant
from services.reporting.store import activities, activity_records, coming_activity, pending, rollups
from services.reporting.store.activities import Key


def nothing_pending(_tenant: Tenant, _key: str, _state: bytes) -> Sequence[Pending]:
    """Of most kinds everything counts from the moment that it is told of."""
    return ()


def nothing_shown(_tenant: Tenant, _key: str, _state: bytes) -> ActivityRecord | None:
    """Facts of most kinds are counted, and not shown one by one."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of fact.

    `keys_of` names the facts of this kind that an event is told of; mostly none or one. `fold` makes a fact's state
    from the state before, empty for a new one, and more events: whatever the sequence they are told in, and however they
    are grouped, the same events make the same state. `contributions` are the cells that a fact is part of, and what it
    adds to each; it follows from the tenant's settings and the state alone. `pending` is the part of these that is not
    to be counted before a moment, one a figure at most. `record` is what is shown of a fact, None for one that is not.
    """

    name: str
    keys_of: Callable[[event_pb2.LoggedEvent], Iterable[str]]
    fold: Callable[[bytes, Sequence[event_pb2.LoggedEvent]], bytes]
    contributions: Callable[[Tenant, str, bytes], Mapping[Cell, Measures]]
    pending: Callable[[Tenant, str, bytes], Sequence[Pending]] = nothing_pending
    record: Callable[[Tenant, str, bytes], ActivityRecord | None] = nothing_shown


async def apply(
    connection: AsyncConnection,
    kinds: Mapping[str, Kind],
    entries: Sequence[Entry[event_pb2.LoggedEvent]],
    tenants: Mapping[str, Tenant],
) -> dict[Key, tuple[bytes, bytes]]:
    """Folds events into the facts that they tell of, and adds what that changes to the rollups.

    `tenants` are as the cells are counted at present. Answers the facts that changed: as they were, and as they are.
    """
    told: dict[Key, list[event_pb2.LoggedEvent]] = defaultdict(list)
    for entry in entries:
        for kind in kinds.values():
            for key in kind.keys_of(entry.message):
                told[entry.message.tenant_id, kind.name, key].append(entry.message)
    if not told:
        return {}
    before = await activities.read(connection, told)
    after = {key: kinds[key[1]].fold(before.get(key, b""), events) for key, events in told.items()}
    changed = {key: state for key, state in after.items() if state != before.get(key, b"")}
    await activities.write(connection, changed)
    sums: dict[Cell, Measures] = {}
    until: dict[Key, Sequence[Pending]] = {}
    for (tenant_id, name, key), state in changed.items():
        contributions, pending_of = kinds[name].contributions, kinds[name].pending
        add(sums, contributions(tenants[tenant_id], key, state))
        if old := before.get((tenant_id, name, key)):
            add(sums, _negative(contributions(tenants[tenant_id], key, old)))
        now = pending_of(tenants[tenant_id], key, state)
        if now != (pending_of(tenants[tenant_id], key, old) if old else ()):
            until[tenant_id, name, key] = now
    await rollups.add(connection, {cell: measures for cell, measures in sums.items() if any(measures)})
    await pending.write(connection, until)
    await activity_records.write(connection, shown(kinds, tenants, changed.items()))
    told_of = {key: (before.get(key, b""), state) for key, state in changed.items()}
    await _prepare(
        connection, kinds, tenants, {key: both for key, both in told_of.items() if _is_reached(tenants, key)}
    )
    return told_of


def _is_reached(tenants: Mapping[str, Tenant], key: Key) -> bool:
    """True for a fact of which is known what it will count as; the others come in their sequence."""
    coming = tenants[key[0]].coming
    return coming is not None and key[1:] <= coming.activity


async def prepare_some(
    connection: AsyncConnection, kinds: Mapping[str, Kind], tenant: Tenant, count: int
) -> tuple[FactPlace, int]:
    """Finds out of some facts what they will count as under the settings told last.

    Answers how far it is, and of how many facts it was found out.
    """
    place = tenant.coming.activity if tenant.coming else BEHIND_ALL_FACTS
    page = await activities.read_page(connection, tenant.tenant_id, place, count)
    await _prepare(connection, kinds, {tenant.tenant_id: tenant}, {key: (b"", state) for key, state in page})
    return page[-1][0][1:] if len(page) == count else BEHIND_ALL_FACTS, len(page)


async def _prepare(
    connection: AsyncConnection,
    kinds: Mapping[str, Kind],
    tenants: Mapping[str, Tenant],
    changes: Mapping[Key, tuple[bytes, bytes]],
) -> None:
    """Keeps what changes of facts change of the difference between the coming counting and the present one."""
    amounts: dict[ActivityCell, int] = defaultdict(int)
    facts: list[Key] = []
    for full_key, states in changes.items():
        tenant_id, name, key = full_key
        kind, now = kinds[name], tenants[tenant_id]
        for state, sign in zip(states, (-1, 1), strict=True):
            if not state:
                continue
            for way, of_way in ((now.newest, sign), (now, -sign)):
                for cell, (amount,) in kind.contributions(way, key, state).items():
                    if isinstance(cell, ActivityCell):
                        amounts[cell] += of_way * amount
        before, after = states
        if before or any(of(now, key, after) != of(now.newest, key, after) for of in (kind.pending, kind.record)):
            facts.append(full_key)
    await coming_activity.add(connection, {cell: amount for cell, amount in amounts.items() if amount}, facts)


async def take_over(connection: AsyncConnection, kinds: Mapping[str, Kind], tenant: Tenant) -> None:
    """Counts by the settings told last what was prepared, in the caller's transaction; these are the tenant's now."""
    async for cells in coming_activity.take_cells(connection, tenant.tenant_id):
        await rollups.add(connection, {cell: (amount,) for cell, amount in cells.items()})
    async for keys in coming_activity.take_facts(connection, tenant.tenant_id):
        states = await activities.read(connection, keys)
        until = {key: kinds[key[1]].pending(tenant, key[2], state) for key, state in states.items()}
        await pending.write(connection, until)
        await activity_records.write(connection, shown(kinds, {tenant.tenant_id: tenant}, states.items()))


def summed(kinds: Mapping[str, Kind], tenant: Tenant, facts: Iterable[tuple[Key, bytes]]) -> dict[Cell, Measures]:
    """What some facts of a tenant come to."""
    sums: dict[Cell, Measures] = {}
    for (_, name, key), state in facts:
        add(sums, kinds[name].contributions(tenant, key, state))
    return {cell: measures for cell, measures in sums.items() if any(measures)}


def awaited(
    kinds: Mapping[str, Kind], tenant: Tenant, facts: Iterable[tuple[Key, bytes]]
) -> dict[Key, Sequence[Pending]]:
    """What is pending of some facts of a tenant."""
    found = {key: kinds[key[1]].pending(tenant, key[2], state) for key, state in facts}
    return {key: some for key, some in found.items() if some}


def shown(
    kinds: Mapping[str, Kind], tenants: Mapping[str, Tenant], facts: Iterable[tuple[Key, bytes]]
) -> dict[Key, ActivityRecord | None]:
    """The records of some facts, of kinds that are shown."""
    return {
        key: kinds[key[1]].record(tenants[key[0]], key[2], state)
        for key, state in facts
        if kinds[key[1]].record is not nothing_shown
    }


def _negative(cells: Mapping[Cell, Measures]) -> dict[Cell, Measures]:
    return {cell: tuple(-measure for measure in measures) for cell, measures in cells.items()}
