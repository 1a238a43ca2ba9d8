"""Which orders a new touch or a change of people may concern, and what of it was last."""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.attribution.store.orders import OrderKey
from services.chassis.arrays import flags, numbers, texts
from services.kernel.identifiers import Identifier


class ByTouch(NamedTuple):
    """A new touch's identifier; orders placed within the bounds, which belong to it, are concerned."""

    tenant_id: str
    identifier: Identifier
    from_micros: int
    through_micros: int
    position: int


class ByIdentifier(NamedTuple):
    """An identifier whose standing changed. A hub concerns all orders that have it, others those open to people."""

    tenant_id: str
    identifier: Identifier
    hub: bool
    position: int


class ByPerson(NamedTuple):
    """A person who gained or lost identifiers; orders of all of the person's identifiers are concerned."""

    tenant_id: str
    person_id: int
    position: int


_BY_TOUCHES = text(
    """WITH told AS (
           SELECT told.*, known.person_id
           FROM unnest(CAST(:tenant_ids AS text[]), CAST(:kinds AS smallint[]), CAST(:values AS text[]),
                       CAST(:from_micros AS bigint[]), CAST(:through_micros AS bigint[]), CAST(:positions AS bigint[]))
                AS told (tenant_id, kind, value, from_micros, through_micros, position)
           LEFT JOIN person_identifier AS known USING (tenant_id, kind, value)
           WHERE known.hub IS NOT TRUE),
       reach AS (
           SELECT tenant_id, kind, value, from_micros, through_micros, position FROM told
           UNION
           SELECT told.tenant_id, known.kind, known.value, told.from_micros, told.through_micros, told.position
           FROM told JOIN person_identifier AS known
             ON known.tenant_id = told.tenant_id AND known.person_id = told.person_id AND NOT known.hub)
       SELECT found.tenant_id, found.order_id, found.source, max(reach.position)
       FROM reach JOIN order_identifier AS found
         ON found.tenant_id = reach.tenant_id AND found.kind = reach.kind AND found.value = reach.value
        AND hashtextextended(found.value, found.kind) = hashtextextended(reach.value, reach.kind)
        AND found.order_micros BETWEEN reach.from_micros AND reach.through_micros
       GROUP BY found.tenant_id, found.order_id, found.source"""
)

_BY_PEOPLE = text(
    """WITH reach AS (
           SELECT tenant_id, kind, value, hub, position
           FROM unnest(CAST(:tenant_ids AS text[]), CAST(:kinds AS smallint[]), CAST(:values AS text[]),
                       CAST(:hubs AS boolean[]), CAST(:positions AS bigint[]))
                AS changed (tenant_id, kind, value, hub, position)
           UNION
           SELECT known.tenant_id, known.kind, known.value, false, person.position
           FROM unnest(CAST(:person_tenant_ids AS text[]), CAST(:person_ids AS bigint[]),
                       CAST(:person_positions AS bigint[])) AS person (tenant_id, person_id, position)
           JOIN person_identifier AS known
             ON known.tenant_id = person.tenant_id AND known.person_id = person.person_id)
       SELECT found.tenant_id, found.order_id, found.source, max(reach.position)
       FROM reach
       JOIN order_identifier AS found
         ON found.tenant_id = reach.tenant_id AND found.kind = reach.kind AND found.value = reach.value
        AND hashtextextended(found.value, found.kind) = hashtextextended(reach.value, reach.kind)
       JOIN known_order AS concerned
         ON concerned.tenant_id = found.tenant_id AND concerned.order_id = found.order_id
        AND concerned.source = found.source AND (reach.hub OR concerned.open_to_people)
       GROUP BY found.tenant_id, found.order_id, found.source"""
)


async def orders_by_touches(connection: AsyncConnection, told: Iterable[ByTouch]) -> dict[OrderKey, int]:
    """Orders that new touches may concern, with the greatest position among these touches."""
    wanted = list(told)
    if not wanted:
        return {}
    rows = await connection.execute(
        _BY_TOUCHES,
        {
            "tenant_ids": texts(one.tenant_id for one in wanted),
            "kinds": numbers(one.identifier.kind for one in wanted),
            "values": texts(one.identifier.value for one in wanted),
            "from_micros": numbers(one.from_micros for one in wanted),
            "through_micros": numbers(one.through_micros for one in wanted),
            "positions": numbers(one.position for one in wanted),
        },
    )
    return {OrderKey(tenant_id, order_id, source): position for tenant_id, order_id, source, position in rows}


async def orders_by_people(
    connection: AsyncConnection, changed: Iterable[ByIdentifier], persons: Iterable[ByPerson]
) -> dict[OrderKey, int]:
    """Orders that changes of people may concern, with the greatest position among these changes."""
    identifiers, people = list(changed), list(persons)
    rows = await connection.execute(
        _BY_PEOPLE,
        {
            "tenant_ids": texts(one.tenant_id for one in identifiers),
            "kinds": numbers(one.identifier.kind for one in identifiers),
            "values": texts(one.identifier.value for one in identifiers),
            "hubs": flags(one.hub for one in identifiers),
            "positions": numbers(one.position for one in identifiers),
            "person_tenant_ids": texts(one.tenant_id for one in people),
            "person_ids": numbers(one.person_id for one in people),
            "person_positions": numbers(one.position for one in people),
        },
    )
    return {OrderKey(tenant_id, order_id, source): position for tenant_id, order_id, source, position in rows}
