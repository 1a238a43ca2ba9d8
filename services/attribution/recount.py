"""Computes orders' credits from all that is stored: the follower publishes what comes out, the servicer proves it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from services.attribution.domain.attribute import NOTHING, Around, Attribution, People
from services.attribution.domain.baskets import Seen
from services.attribution.domain.conversations import Step
from services.attribution.domain.decide import decide, open_to_people
from services.attribution.domain.orders import KnownOrder, Told, known_order
from services.attribution.domain.rules import Rules
from services.attribution.domain.snapshot import Snapshot, snapshot
from services.attribution.domain.spans import EVER
from services.attribution.domain.touches import Touch
from services.attribution.store.moments import micros
from services.attribution.store.orders import OrderKey
from services.attribution.store.people import Named, Standing, read_standings
from services.attribution.store.touches import Search, find_touches
from services.attribution.wire import credits as credits_wire
from services.attribution.wire import events as events_wire
from services.kernel.identifiers import Identifier, Kind

_UNKNOWN = Standing()


class Reach(NamedTuple):
    """How far around an order touches are looked for, in nanoseconds; before it never less far than the models look."""

    before: int = 0
    after: int = 0
    by_hubs: bool = False


AS_FAR_AS_MODELS = Reach()
"""What credits depend on, and nothing more."""


class Case(NamedTuple):
    """An order, what happened around it and may have to do with it, and who is who among all these."""

    tenant_id: str
    order: Snapshot
    around: Around
    people: People


class Recounted(NamedTuple):
    """What follows from all that is known: the case, each model's word, and the entry of the credit log."""

    case: Case
    attributions: tuple[Attribution, ...]
    entry: bytes
    open_to_people: bool


async def recount(
    connection: AsyncConnection,
    orders: Mapping[OrderKey, Sequence[Told]],
    rules: Mapping[str, Rules],
    reach: Reach = AS_FAR_AS_MODELS,
) -> dict[OrderKey, Recounted]:
    """What each order earns whom. Orders of which only notices were told are left out."""
    sales = {
        key: _sale(key, known, rules[key.tenant_id])
        for key, told in orders.items()
        if (known := known_order(told)) is not None
    }
    cases = await _gather(connection, [(key.tenant_id, sale) for key, sale in sales.items()], rules, reach)
    explained = reach is not AS_FAR_AS_MODELS
    return {
        key: _recounted(case, rules[key.tenant_id], verdicts=explained) for key, case in zip(sales, cases, strict=True)
    }


def _sale(key: OrderKey, known: KnownOrder, rules: Rules) -> Snapshot:
    return snapshot(key.source, key.order_id, known, rules.counted, count_tests=rules.count_tests)


def _recounted(case: Case, rules: Rules, *, verdicts: bool) -> Recounted:
    attributions = decide(case.order, case.around, rules, case.people, verdicts=verdicts)
    return Recounted(
        case=case,
        attributions=attributions,
        entry=credits_wire.order_credits(case.tenant_id, case.order, attributions),
        open_to_people=open_to_people(attributions),
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
    happened: dict[int, list[Touch | Step | Seen]] = {}
    for number, source, event in found:
        what = events_wire.happened_again(source, event)
        if what is not None:
            happened.setdefault(number, []).append(what)
    theirs = {
        (orders[number][0], identifier)
        for number, mine in happened.items()
        for one in mine
        for identifier in one.identifiers
    }
    standings.update(await read_standings(connection, theirs.difference(standings)))
    people = _people({tenant_id for tenant_id, _ in orders}, standings, rules)
    return [
        Case(tenant_id, order, _around(happened.get(number)), people[tenant_id])
        for number, (tenant_id, order) in enumerate(orders)
    ]


def _around(happened: Sequence[Touch | Step | Seen] | None) -> Around:
    if not happened:
        return NOTHING
    return Around(
        [one for one in happened if isinstance(one, Touch)],
        [one for one in happened if isinstance(one, Step)],
        [one for one in happened if isinstance(one, Seen)],
    )


class _Asking(NamedTuple):
    """Whose touches are looked for; `number` tells the orders of one look apart."""

    number: int
    tenant_id: str
    order: Snapshot


def _searches(asking: _Asking, standings: Mapping[Named, Standing], rules: Rules, reach: Reach) -> Iterable[Search]:
    number, tenant_id, order = asking
    spans = rules.spans
    through = micros(order.order_time + reach.after)
    since = micros(order.order_time - max(reach.before, rules.window))
    ever = micros(order.order_time - EVER)
    whole = spans.conversation is not None
    persons = set[int]()
    for identifier in order.identifiers:
        standing = standings.get((tenant_id, identifier), _UNKNOWN)
        nobody = standing.hub or identifier in rules.blocked
        if not nobody or reach.by_hubs:
            first = ever if spans.session_channels and identifier.kind is Kind.SESSION else since
            yield Search(number, tenant_id, first, through, identifier, 0, whole)
        if not nobody and standing.person_id is not None:
            persons.add(standing.person_id)
    for person_id in persons:
        yield Search(number, tenant_id, since, through, None, person_id, whole)


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
