"""What orders come to as they are counted: in their tenant's zone, and converted where they must be."""

from collections.abc import Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from services.reporting.domain.cells import Cell, Measures
from services.reporting.domain.contributions import differences
from services.reporting.domain.conversion import (
    NO_RATE,
    Wanted,
    converted,
    counted_amounts,
    is_foreign,
    seconds_held,
)
from services.reporting.domain.facts import OrderFact
from services.reporting.domain.periods import day_of
from services.reporting.domain.tenants import Tenant, counting_of
from services.reporting.store import conversions
from services.reporting.store.conversions import Counted, OrderKey, Place
from services.reporting.store.waiting import Waiting
from services.reporting.wire.orders import stored_fact_of

Change = tuple[OrderFact | None, OrderFact]
"""An order as it was counted, None when it was not, and as it is."""

_PAGE = 500
"""Orders that are looked through in a transaction."""


async def count(
    connection: AsyncConnection, changes: Sequence[Change], tenants: Mapping[str, Tenant]
) -> dict[Cell, Measures]:
    """What putting orders in the place of what was counted of them adds to the rollups, as their tenants count.

    An order is taken out by the rate that it was counted by, which is noted: so the sums are right whichever rates
    were told meanwhile.
    """
    changes = [
        (old and _in_book(old, tenants[new.tenant_id]), _in_book(new, tenants[new.tenant_id])) for old, new in changes
    ]
    foreign = {
        _key(new): new
        for old, new in changes
        if is_foreign(new, tenants[new.tenant_id]) or (old is not None and is_foreign(old, tenants[new.tenant_id]))
    }
    if foreign:
        changes = await _converted(connection, changes, foreign, tenants)
    zones = {tenant_id: tenant.zone for tenant_id, tenant in tenants.items()}
    return differences(changes, zones)


async def _converted(
    connection: AsyncConnection,
    changes: Sequence[Change],
    foreign: Mapping[OrderKey, OrderFact],
    tenants: Mapping[str, Tenant],
) -> list[Change]:
    before = await conversions.read(connection, foreign)
    placed = {key: _placed(fact, tenants[fact.tenant_id]) for key, fact in foreign.items()}
    wanted = {key: _wanted_of(how, tenants[key.tenant_id]) for key, how in placed.items() if how is not None}
    rates = await conversions.find(connection, set(wanted.values()))
    after = {
        key: None if how is None else how._replace(rate=rates.get(wanted[key], NO_RATE)) for key, how in placed.items()
    }

    def counted(fact: OrderFact, by: Mapping[OrderKey, Counted | None]) -> OrderFact:
        how = by.get(_key(fact))
        return fact if how is None else converted(fact, how.rate.rate, tenants[fact.tenant_id].currency_code)

    done = [(None if old is None else counted(old, before), counted(new, after)) for old, new in changes]
    noted = {key: how for key, how in after.items() if how is not None or key in before}
    await conversions.write(connection, noted, _amounts([new for _, new in done if _key(new) in noted], tenants))
    return done


def _amounts(facts: Sequence[OrderFact], tenants: Mapping[str, Tenant]) -> dict[OrderKey, str]:
    """What those of the orders come to that are in the reporting currency, as far as a rate brought them there."""
    return {
        _key(fact): counted_amounts(fact)
        for fact in facts
        if fact.currency_code == tenants[fact.tenant_id].currency_code
    }


async def convert_some(
    connection: AsyncConnection, told: Waiting, ways: Sequence[Tenant]
) -> tuple[list[dict[Cell, Measures]], Place | None, list[bytes]]:
    """Looks a page of orders through whose days have got rates, and counts anew those that have another one now.

    `ways` are the tenant's countings. Answers what that adds to the rollups in each of them, and how far it came; None
    when there are no more; and the stored orders that are counted otherwise now.
    """
    first, last = seconds_held(told.first_day, told.last_day)
    page = await conversions.read_placed(
        connection,
        tenant_id=told.tenant_id,
        currency_code=told.currency_code,
        after=max(told.after, (first, 0, "", "")),
        last_seconds=last,
        count=_PAGE,
    )
    by_counting = {way.counting: way for way in ways}
    counted_in = {one.key: way for one in page if (way := by_counting.get(counting_of(one.key.book)))}
    wanted = {one.key: _wanted_of(one.counted, counted_in[one.key]) for one in page if one.key in counted_in}
    rates = await conversions.find(connection, set(wanted.values()))
    newly = {key: rates.get(one, NO_RATE) for key, one in wanted.items()}
    changed = [one for one in page if newly.get(one.key, one.counted.rate) != one.counted.rate]
    amounts: dict[OrderKey, str] = {}
    sums: list[dict[Cell, Measures]] = []
    for way in ways:
        changes: list[Change] = []
        for one in changed:
            if counted_in[one.key] is way:
                fact, currency = _in_book(stored_fact_of(one.payload), way), way.currency_code
                before, after = one.counted.rate.rate, newly[one.key].rate
                changes.append((converted(fact, before, currency), converted(fact, after, currency)))
        amounts |= _amounts([new for _, new in changes], {way.tenant_id: way})
        sums.append(differences(changes, {way.tenant_id: way.zone}))
    noted = {one.key: one.counted._replace(rate=newly[one.key]) for one in changed}
    await conversions.write(connection, noted, amounts)
    place = (page[-1].counted.order_seconds, *page[-1].key[1:]) if len(page) == _PAGE else None
    return sums, place, [one.payload for one in changed]


async def as_counted(connection: AsyncConnection, facts: Sequence[OrderFact], tenant: Tenant) -> dict[Cell, Measures]:
    """What orders come to by the rates that they are counted by."""
    every = await orders_as_counted(connection, facts, tenant)
    return differences(((None, fact) for fact in every), {tenant.tenant_id: tenant.zone})


async def orders_as_counted(connection: AsyncConnection, facts: Sequence[OrderFact], tenant: Tenant) -> list[OrderFact]:
    """Orders, in the sequence they are given in, converted by the rates that they are counted by."""
    facts = [_in_book(fact, tenant) for fact in facts]
    counted = await conversions.read(connection, [_key(fact) for fact in facts if is_foreign(fact, tenant)])
    rates = {key: how.rate for key, how in counted.items()}
    return [
        converted(fact, rates.get(_key(fact), NO_RATE).rate, tenant.currency_code) if rates else fact for fact in facts
    ]


def _in_book(fact: OrderFact, tenant: Tenant) -> OrderFact:
    """The order as the cells tell it apart: by the counting, and not by the edition of its credits alone."""
    return fact._replace(edition=tenant.book_of(fact.edition)) if tenant.counting else fact


def _key(fact: OrderFact) -> OrderKey:
    return OrderKey(fact.tenant_id, fact.edition, fact.source, fact.order_id)


def _placed(fact: OrderFact, tenant: Tenant) -> Counted | None:
    """How an order is to be counted, its rate not yet found; None for one in the reporting currency."""
    if fact.order_seconds is None or not is_foreign(fact, tenant):
        return None
    return Counted(fact.currency_code, fact.order_seconds, NO_RATE)


def _wanted_of(counted: Counted, tenant: Tenant) -> Wanted:
    day = day_of(counted.order_seconds, tenant.zone)
    return Wanted(tenant.tenant_id, tenant.currency_code, counted.currency_code, day)
