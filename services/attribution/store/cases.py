"""Everything that the decision on some orders needs, gathered in a fixed number of statements."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from touchstone.ingest.v1 import event_pb2

from services.attribution.domain.attribute import People
from services.attribution.domain.rules import Rules
from services.attribution.domain.snapshot import Snapshot
from services.attribution.domain.touches import Touch
from services.attribution.store.people import Named, Standing, read_standings
from services.attribution.store.touches import Search, find_touches
from services.attribution.wire import events
from services.kernel.identifiers import Identifier

_UNKNOWN = Standing()

_MICRO = 1000
"""Nanoseconds in a microsecond. Bounds are rounded down like the times that they are compared with, so that nothing
within them is missed; the decision itself compares nanoseconds."""


class Reach(NamedTuple):
    """How far around an order touches are looked for, in nanoseconds; None: as far as the models look."""

    before: int | None = None
    after: int = 0
    by_hubs: bool = False


AS_FAR_AS_MODELS = Reach()
"""What credits depend on, and nothing more."""


class Case(NamedTuple):
    """An order, the touches that may have to do with it, and who is who among them."""

    tenant_id: str
    order: Snapshot
    touches: Sequence[Touch]
    people: People


def micros(moment: int) -> int:
    """A moment in microseconds, rounded down."""
    return moment // _MICRO


async def gather(
    connection: AsyncConnection,
    orders: Sequence[tuple[str, Snapshot]],
    rules: Mapping[str, Rules],
    reach: Reach = AS_FAR_AS_MODELS,
) -> list[Case]:
    """The case of each (tenant, order), in the order given.

    Touches are found by the order's own identifiers and through the persons that these belong to. `by_hubs` also finds
    those that only an identifier that names nobody ties to the order; no credit ever depends on them.
    """
    standings = await read_standings(
        connection, [(tenant_id, identifier) for tenant_id, order in orders for identifier in order.identifiers]
    )
    searches = [
        search
        for number, (tenant_id, order) in enumerate(orders)
        for search in _searches(_Asking(number, tenant_id, order), standings, rules[tenant_id], reach)
    ]
    found = await find_touches(connection, searches)
    touches: dict[int, list[Touch]] = {}
    for number, source, event in found:
        touches.setdefault(number, []).append(events.touch(source, event_pb2.Event.FromString(event)))
    theirs = {
        (orders[number][0], identifier)
        for number, mine in touches.items()
        for touch in mine
        for identifier in touch.identifiers
    }
    standings.update(await read_standings(connection, theirs.difference(standings)))
    people = _people({tenant_id for tenant_id, _ in orders}, standings, rules)
    return [
        Case(tenant_id, order, touches.get(number, ()), people[tenant_id])
        for number, (tenant_id, order) in enumerate(orders)
    ]


@asynccontextmanager
async def at_one_moment(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection to which the store stands still: what it reads first and last belongs together."""
    async with engine.connect() as connection:
        yield await connection.execution_options(isolation_level="REPEATABLE READ")


class _Asking(NamedTuple):
    number: int
    tenant_id: str
    order: Snapshot


def _searches(asking: _Asking, standings: Mapping[Named, Standing], rules: Rules, reach: Reach) -> Iterable[Search]:
    number, tenant_id, order = asking
    before = rules.window if reach.before is None else reach.before
    bounds = (micros(order.order_time - before), micros(order.order_time + reach.after))
    persons = set[int]()
    for identifier in order.identifiers:
        standing = standings.get((tenant_id, identifier), _UNKNOWN)
        nobody = standing.hub or identifier in rules.blocked
        if not nobody or reach.by_hubs:
            yield Search(number, tenant_id, *bounds, identifier=identifier)
        if not nobody and standing.person_id is not None:
            persons.add(standing.person_id)
    for person_id in persons:
        yield Search(number, tenant_id, *bounds, person_id=person_id)


def _people(
    tenant_ids: Iterable[str], standings: Mapping[Named, Standing], rules: Mapping[str, Rules]
) -> dict[str, People]:
    persons: dict[str, dict[Identifier, int]] = {tenant_id: {} for tenant_id in tenant_ids}
    nobody = {tenant_id: set(rules[tenant_id].blocked) for tenant_id in persons}
    for (tenant_id, identifier), standing in standings.items():
        if standing.hub:
            nobody[tenant_id].add(identifier)
        elif standing.person_id is not None:
            persons[tenant_id][identifier] = standing.person_id
    return {tenant_id: People(persons[tenant_id], nobody[tenant_id]) for tenant_id in persons}
