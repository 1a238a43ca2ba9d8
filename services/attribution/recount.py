"""Computes orders' credits from all that is stored: the follower publishes what comes out, the servicer proves it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection
from touchstone.ingest.v1 import event_pb2

from services.attribution.domain.attribute import Attribution, People
from services.attribution.domain.decide import decide, open_to_people
from services.attribution.domain.orders import Told, known_order
from services.attribution.domain.rules import Rules
from services.attribution.domain.snapshot import Snapshot, snapshot
from services.attribution.domain.touches import Touch
from services.attribution.store.moments import micros
from services.attribution.store.orders import OrderKey
from services.attribution.store.people import Named, Standing, read_standings
from services.attribution.store.rules import read_rules
from services.attribution.store.touches import Search, find_touches
from services.attribution.wire import credits as credits_wire
from services.attribution.wire import events as events_wire
from services.attribution.wire import rules as rules_wire
from services.kernel.identifiers import Identifier

_UNKNOWN = Standing()


class Reach(NamedTuple):
    """How far around an order touches are looked for, in nanoseconds; before it never less far than the models look."""

    before: int = 0
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


class Recounted(NamedTuple):
    """What follows from all that is known: the case, each model's word, and the entry of the credit log."""

    case: Case
    attributions: tuple[Attribution, ...]
    entry: bytes
    open_to_people: bool


async def rules_of(connection: AsyncConnection, tenant_ids: set[str]) -> dict[str, Rules]:
    """The rules of these tenants."""
    documents = await read_rules(connection, tenant_ids)
    return {
        tenant_id: rules_wire.rules(document.settings, document.models) for tenant_id, document in documents.items()
    }


async def recount(
    connection: AsyncConnection,
    orders: Mapping[OrderKey, Sequence[Told]],
    rules: Mapping[str, Rules],
    reach: Reach = AS_FAR_AS_MODELS,
) -> dict[OrderKey, Recounted]:
    """What each order earns whom. Orders of which only notices were told are left out."""
    sales = {
        key: snapshot(key.source, key.order_id, known, rules[key.tenant_id].counted)
        for key, told in orders.items()
        if (known := known_order(told)) is not None
    }
    cases = await _gather(connection, [(key.tenant_id, sale) for key, sale in sales.items()], rules, reach)
    return {key: _recounted(case, rules[key.tenant_id]) for key, case in zip(sales, cases, strict=True)}


def _recounted(case: Case, rules: Rules) -> Recounted:
    attributions = decide(case.order, case.touches, rules, case.people)
    return Recounted(
        case=case,
        attributions=attributions,
        entry=credits_wire.order_credits(case.tenant_id, case.order, attributions),
        open_to_people=open_to_people(case.order, attributions),
    )


async def _gather(
    connection: AsyncConnection,
    orders: Sequence[tuple[str, Snapshot]],
    rules: Mapping[str, Rules],
    reach: Reach,
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
        touches.setdefault(number, []).append(events_wire.touch(source, event_pb2.Event.FromString(event)))
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


class _Asking(NamedTuple):
    """Whose touches are looked for; `number` tells the orders of one look apart."""

    number: int
    tenant_id: str
    order: Snapshot


def _searches(asking: _Asking, standings: Mapping[Named, Standing], rules: Rules, reach: Reach) -> Iterable[Search]:
    number, tenant_id, order = asking
    bounds = (micros(order.order_time - max(reach.before, rules.window)), micros(order.order_time + reach.after))
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
