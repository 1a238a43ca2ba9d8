"""Which orders a new touch may concern."""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from services.attribution.store.mentions import What, is_of
from services.attribution.store.orders import OrderKey
from services.attribution.store.reopening import NAMES_ORDERS, Finding, reopened
from services.chassis.arrays import flags, numbers, texts
from services.kernel.identifiers import Identifier


class ByTouch(NamedTuple):
    """A new touch's identifier; orders placed within the bounds, which belong to it, are concerned.

    Those that have the identifier itself, and if `personal` those of the same person.
    """

    tenant_id: str
    identifier: Identifier
    from_micros: int
    through_micros: int
    position: int
    personal: bool = True


_BY_TOUCH_CAUSE: Final = 2
"""The kind of cause, numbered as in `touchstone.attribution.v1.Cause.Kind`."""

# A person's identifiers are looked for instead of the one that told who it is: it is among them.
_BY_TOUCHES: Final = Finding(
    _BY_TOUCH_CAUSE,
    f"""WITH told AS (
           SELECT told.*, known.person_id
           FROM unnest(CAST(:tenant_ids AS text[]), CAST(:kinds AS smallint[]), CAST(:values AS text[]),
                       CAST(:from_micros AS bigint[]), CAST(:through_micros AS bigint[]), CAST(:positions AS bigint[]),
                       CAST(:personal AS boolean[]))
                AS told (tenant_id, kind, value, from_micros, through_micros, position, personal)
           LEFT JOIN LATERAL (
               SELECT person_id, hub FROM mention
               WHERE {is_of("mention", What.STANDING, "told", "told")} OFFSET 0) AS known ON true
           WHERE known.hub IS NOT TRUE),
       reach AS (
           SELECT tenant_id, kind, value, from_micros, through_micros, position FROM told
           WHERE person_id IS NULL OR NOT personal
           UNION ALL
           SELECT told.tenant_id, known.kind, known.value, told.from_micros, told.through_micros, told.position
           FROM (SELECT DISTINCT tenant_id, person_id, from_micros, through_micros, position FROM told
                 WHERE person_id IS NOT NULL AND personal) AS told
           CROSS JOIN LATERAL (
               SELECT kind, value FROM mention
               WHERE tenant_id = told.tenant_id AND person_id = told.person_id AND NOT hub OFFSET 0) AS known)
       SELECT found.tenant_id, found.id, found.source, max(reach.position)
       FROM reach
       CROSS JOIN LATERAL (
           SELECT tenant_id, id, source FROM mention
           WHERE {is_of("mention", What.ORDER, "reach", "reach")}
             AND micros BETWEEN reach.from_micros AND reach.through_micros OFFSET 0) AS found
       WHERE {NAMES_ORDERS.format("reach")}
       GROUP BY found.tenant_id, found.id, found.source""",
)


def _spans(told: Iterable[ByTouch]) -> list[ByTouch]:
    """The same spans of time, those of an identifier that overlap as one: a visit's touches look for the same orders."""
    spans: list[ByTouch] = []
    newest: dict[tuple[str, Identifier, bool], ByTouch] = {}
    for one in told:
        tenant_id, identifier, start, end, position, personal = one
        key = (tenant_id, identifier, personal)
        known = newest.get(key)
        if known is None:
            newest[key] = one
        elif start <= known.through_micros and known.from_micros <= end:
            newest[key] = ByTouch(
                tenant_id,
                identifier,
                min(start, known.from_micros),
                max(end, known.through_micros),
                max(position, known.position),
                personal,
            )
        else:
            spans.append(known)
            newest[key] = one
    return [*spans, *newest.values()]


async def orders_by_touches(
    connection: AsyncConnection, partition: int, told: Iterable[ByTouch], times: Mapping[int, int]
) -> dict[OrderKey, int]:
    """Orders that new touches may concern, with the greatest position among these touches; none when they must wait.

    `times` are when the touches were received, by position, in microseconds since 1970.
    """
    wanted = _spans(told)
    if not wanted:
        return {}
    bound = {
        "tenant_ids": texts(one.tenant_id for one in wanted),
        "kinds": numbers(one.identifier.kind for one in wanted),
        "values": texts(one.identifier.value for one in wanted),
        "from_micros": numbers(one.from_micros for one in wanted),
        "through_micros": numbers(one.through_micros for one in wanted),
        "positions": numbers(one.position for one in wanted),
        "personal": flags(one.personal for one in wanted),
    }
    return await reopened(connection, _BY_TOUCHES, bound, partition, times)
