"""Which orders a new touch or a change of people may concern, and those of them that wait because they are many."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.attribution.store.orders import OrderKey, key_columns
from services.chassis.arrays import flags, numbers, optional_numbers, texts
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


class ByIdentifier(NamedTuple):
    """An identifier whose standing changed.

    `hub`: it became or ceased to be one. The persons before and after are None for nobody. `window_micros` is how long before an order a touch may have been that earns of it.
    """

    tenant_id: str
    identifier: Identifier
    hub: bool
    person_before: int | None
    person_after: int | None
    window_micros: int
    position: int


_BY_TOUCH_CAUSE: Final = 2
_BY_PEOPLE_CAUSE: Final = 3
"""Kinds of causes, numbered as in `touchstone.attribution.v1.Cause.Kind`."""

MOST_AT_ONCE: Final = 2_000
"""Orders that are reopened in the transaction that finds them; where it finds more, all of them wait."""

_BY_TOUCHES = """WITH told AS (
           SELECT told.*, known.person_id
           FROM unnest(CAST(:tenant_ids AS text[]), CAST(:kinds AS smallint[]), CAST(:values AS text[]),
                       CAST(:from_micros AS bigint[]), CAST(:through_micros AS bigint[]), CAST(:positions AS bigint[]),
                       CAST(:personal AS boolean[]))
                AS told (tenant_id, kind, value, from_micros, through_micros, position, personal)
           LEFT JOIN LATERAL (
               SELECT person_id, hub FROM person_identifier
               WHERE tenant_id = told.tenant_id AND kind = told.kind AND value = told.value OFFSET 0) AS known ON true
           WHERE known.hub IS NOT TRUE),
       reach AS (
           SELECT tenant_id, kind, value, from_micros, through_micros, position FROM told
           UNION
           SELECT told.tenant_id, known.kind, known.value, told.from_micros, told.through_micros, told.position
           FROM (SELECT DISTINCT tenant_id, person_id, from_micros, through_micros, position FROM told
                 WHERE person_id IS NOT NULL AND personal) AS told
           CROSS JOIN LATERAL (
               SELECT kind, value FROM person_identifier
               WHERE tenant_id = told.tenant_id AND person_id = told.person_id AND NOT hub OFFSET 0) AS known)
       SELECT found.tenant_id, found.order_id, found.source, max(reach.position)
       FROM reach
       CROSS JOIN LATERAL (
           SELECT tenant_id, order_id, source FROM order_identifier
           WHERE tenant_id = reach.tenant_id AND kind = reach.kind AND value = reach.value
             AND hashtextextended(value, kind) = hashtextextended(reach.value, reach.kind)
             AND order_micros BETWEEN reach.from_micros AND reach.through_micros OFFSET 0) AS found
       GROUP BY found.tenant_id, found.order_id, found.source"""

_MOST_LOOKED_AT: Final = 50
"""Of a person with more identifiers in question not each is looked at: the orders concerned are reopened in any case."""


def _is(row: str, identifier: str, tenant: str) -> str:
    """A row is of an identifier: said so that the index over the hashes of values is used."""
    return f"""{row}.tenant_id = {tenant}.tenant_id AND {row}.kind = {identifier}.kind AND {row}.value = {identifier}.value
               AND hashtextextended({row}.value, {row}.kind) = hashtextextended({identifier}.value, {identifier}.kind)"""


# If the order has the identifier itself, the touch is tied to it whoever belongs together.
_NOT_BY_ITSELF = f"""NOT EXISTS (SELECT FROM order_identifier AS own
                           WHERE {_is("own", "other", "orders")} AND own.order_id = orders.order_id
                             AND own.source = orders.source)"""

# What ties a touch to an order through a person changes only where an identifier changed that the touch has (then it
# concerns the persons' orders placed not long after the touches), or that the order has (then those orders before which
# another identifier of the persons has touches). Conversations reach as far as their ends.
_BY_PEOPLE = f"""WITH changed AS (
           SELECT * FROM unnest(
               CAST(:tenant_ids AS text[]), CAST(:kinds AS smallint[]), CAST(:values AS text[]),
               CAST(:hubs AS boolean[]), CAST(:persons_before AS bigint[]), CAST(:persons_after AS bigint[]),
               CAST(:windows AS bigint[]), CAST(:positions AS bigint[]))
           AS changed (tenant_id, kind, value, hub, person_before, person_after, window_micros, position)),
       concerned AS (
           SELECT tenant_id, person_before AS person_id, kind, value, window_micros, position FROM changed
           WHERE person_before IS NOT NULL
           UNION
           SELECT tenant_id, person_after, kind, value, window_micros, position FROM changed
           WHERE person_after IS NOT NULL),
       touched AS (
           SELECT concerned.*, span.first_micros,
                  CASE WHEN EXISTS (SELECT FROM conversation_identifier AS named
                                    WHERE {_is("named", "concerned", "concerned")})
                       THEN {2**62} ELSE span.last_micros + window_micros + 1 END AS through_micros
           FROM concerned
           CROSS JOIN LATERAL (
               SELECT min(occur_micros) AS first_micros, max(occur_micros) AS last_micros
               FROM touch_identifier AS touch WHERE {_is("touch", "concerned", "concerned")} OFFSET 0) AS span
           WHERE span.first_micros IS NOT NULL),
       person AS (
           SELECT tenant_id, person_id, min(first_micros) AS first_micros, max(through_micros) AS through_micros,
                  max(position) AS position, count(*) > {_MOST_LOOKED_AT} AS many, array_agg(kind) AS kinds,
                  array_agg(value) AS values, array_agg(first_micros) AS firsts, array_agg(through_micros) AS throughs
           FROM touched GROUP BY tenant_id, person_id),
       member AS (
           SELECT person.tenant_id, person.person_id, one.kind, one.value
           FROM person CROSS JOIN LATERAL (
               SELECT kind, value FROM person_identifier
               WHERE tenant_id = person.tenant_id AND person_id = person.person_id OFFSET 0) AS one
           UNION
           SELECT tenant_id, person_id, concerned.kind, concerned.value
           FROM person JOIN concerned USING (tenant_id, person_id)),
       by_touches AS (
           SELECT orders.tenant_id, orders.order_id, orders.source, person.position
           FROM person JOIN member USING (tenant_id, person_id)
           CROSS JOIN LATERAL (
               SELECT tenant_id, order_id, source, order_micros FROM order_identifier AS one
               WHERE {_is("one", "member", "member")}
                 AND order_micros BETWEEN person.first_micros AND person.through_micros OFFSET 0) AS orders
           WHERE person.many OR EXISTS (
               SELECT FROM unnest(person.kinds, person.values, person.firsts, person.throughs)
                           AS other (kind, value, first_micros, through_micros)
               WHERE orders.order_micros BETWEEN other.first_micros AND other.through_micros AND {_NOT_BY_ITSELF})),
       others AS (
           SELECT tenant_id, person_id, array_agg(kind) AS kinds, array_agg(value) AS values,
                  count(*) > {_MOST_LOOKED_AT} AS many
           FROM (SELECT named.tenant_id, named.person_id, one.kind, one.value
                 FROM (SELECT DISTINCT tenant_id, person_id FROM concerned) AS named
                 CROSS JOIN LATERAL (
                     SELECT kind, value FROM person_identifier
                     WHERE tenant_id = named.tenant_id AND person_id = named.person_id
                     LIMIT {_MOST_LOOKED_AT + 1}) AS one
                 UNION SELECT tenant_id, person_id, kind, value FROM concerned) AS one
           GROUP BY tenant_id, person_id),
       by_orders AS (
           SELECT orders.tenant_id, orders.order_id, orders.source, concerned.position
           FROM concerned JOIN others USING (tenant_id, person_id)
           CROSS JOIN LATERAL (
               SELECT tenant_id, order_id, source, order_micros FROM order_identifier AS one
               WHERE {_is("one", "concerned", "concerned")} OFFSET 0) AS orders
           WHERE others.many OR EXISTS (
               SELECT FROM unnest(others.kinds, others.values) AS other (kind, value)
               WHERE (EXISTS (SELECT FROM touch_identifier AS touch
                              WHERE {_is("touch", "other", "orders")} AND touch.occur_micros
                                  BETWEEN orders.order_micros - concerned.window_micros - 1 AND orders.order_micros)
                      OR EXISTS (SELECT FROM conversation_identifier AS named
                                 WHERE {_is("named", "other", "orders")}))
                 AND {_NOT_BY_ITSELF})),
       by_hubs AS (
           SELECT orders.tenant_id, orders.order_id, orders.source, changed.position
           FROM changed
           CROSS JOIN LATERAL (
               SELECT tenant_id, order_id, source FROM order_identifier AS one
               WHERE {_is("one", "changed", "changed")} OFFSET 0) AS orders
           WHERE changed.hub)
       SELECT tenant_id, order_id, source, max(position)
       FROM (SELECT reached.* FROM (SELECT * FROM by_touches UNION SELECT * FROM by_orders) AS reached
             CROSS JOIN LATERAL (
                 SELECT open_to_people, next_open FROM known_order
                 WHERE tenant_id = reached.tenant_id AND order_id = reached.order_id AND source = reached.source
                 OFFSET 0) AS decided
             WHERE decided.open_to_people OR decided.next_open
             UNION ALL SELECT * FROM by_hubs) AS found
       GROUP BY tenant_id, order_id, source"""


def _listing(found: str) -> TextClause:
    """The orders found, and one more than may be reopened at once."""
    return text(f"{found} LIMIT {MOST_AT_ONCE + 1}")


def _queueing(found: str) -> TextClause:
    """Lets all orders found wait; the greatest position is told as the cause."""
    return text(
        f"""INSERT INTO reopened_order (tenant_id, order_id, source, position, cause, partition_id, receive_micros)
            SELECT found.*, :cause, :partition, coalesce(received.micros, 0)
            FROM ({found}) AS found (tenant_id, order_id, source, position)
            LEFT JOIN unnest(CAST(:received_positions AS bigint[]), CAST(:received_micros AS bigint[]))
                AS received (position, micros) USING (position)
            ON CONFLICT (tenant_id, order_id, source) DO UPDATE
            SET position = excluded.position, receive_micros = excluded.receive_micros,
                cause = excluded.cause, partition_id = excluded.partition_id
            WHERE reopened_order.cause <> excluded.cause OR reopened_order.position < excluded.position"""
    )


_LIST_BY_TOUCHES, _QUEUE_BY_TOUCHES = _listing(_BY_TOUCHES), _queueing(_BY_TOUCHES)
_LIST_BY_PEOPLE, _QUEUE_BY_PEOPLE = _listing(_BY_PEOPLE), _queueing(_BY_PEOPLE)

_PARTITIONS_WAITING = text("SELECT DISTINCT partition_id FROM reopened_order")

_READ_WAITING = text(
    """SELECT tenant_id, order_id, source, cause, position, receive_micros FROM reopened_order
       WHERE partition_id = :partition ORDER BY tenant_id, order_id, source LIMIT :count"""
)

_KEYS = "unnest(CAST(:tenant_ids AS text[]), CAST(:order_ids AS text[]), CAST(:sources AS text[]))"

_WAITING_AMONG = text(
    f"""SELECT waiting.tenant_id, waiting.order_id, waiting.source FROM reopened_order AS waiting
        JOIN {_KEYS} AS asked (tenant_id, order_id, source) USING (tenant_id, order_id, source)"""
)

_FORGET_WAITING = text(
    f"""DELETE FROM reopened_order AS waiting USING {_KEYS} AS done (tenant_id, order_id, source)
        WHERE waiting.tenant_id = done.tenant_id AND waiting.order_id = done.order_id
          AND waiting.source = done.source"""
)


class Waiting(NamedTuple):
    """An order that waits to be computed anew, and why: a `Cause.Kind`, a position and when that was received."""

    key: OrderKey
    cause: int
    position: int
    receive_micros: int


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
    found = _found(await connection.execute(_LIST_BY_TOUCHES, bound))
    if len(found) <= MOST_AT_ONCE:
        return found
    await connection.execute(_QUEUE_BY_TOUCHES, {**bound, **_queued(partition, _BY_TOUCH_CAUSE, times)})
    return {}


async def orders_by_people(
    connection: AsyncConnection, partition: int, changed: Iterable[ByIdentifier], times: Mapping[int, int]
) -> dict[OrderKey, int]:
    """Orders that changes of people may concern, with the greatest position among these changes; none when they wait.

    Who belongs together is as it is stored now; `changed` tells how it was before. `times` are as for touches.
    """
    identifiers = list(changed)
    bound = {
        "tenant_ids": texts(one.tenant_id for one in identifiers),
        "kinds": numbers(one.identifier.kind for one in identifiers),
        "values": texts(one.identifier.value for one in identifiers),
        "hubs": flags(one.hub for one in identifiers),
        "persons_before": optional_numbers(one.person_before for one in identifiers),
        "persons_after": optional_numbers(one.person_after for one in identifiers),
        "windows": numbers(one.window_micros for one in identifiers),
        "positions": numbers(one.position for one in identifiers),
    }
    found = _found(await connection.execute(_LIST_BY_PEOPLE, bound))
    if len(found) <= MOST_AT_ONCE:
        return found
    await connection.execute(_QUEUE_BY_PEOPLE, {**bound, **_queued(partition, _BY_PEOPLE_CAUSE, times)})
    return {}


def _queued(partition: int, cause: int, times: Mapping[int, int]) -> dict[str, Any]:
    return {
        "partition": partition,
        "cause": cause,
        "received_positions": numbers(times.keys()),
        "received_micros": numbers(times.values()),
    }


def _found(rows: Iterable[Any]) -> dict[OrderKey, int]:
    return {OrderKey(tenant_id, order_id, source): position for tenant_id, order_id, source, position in rows}


async def partitions_waiting(connection: AsyncConnection) -> Collection[int]:
    """The partitions in which orders wait."""
    return [int(row.partition_id) for row in await connection.execute(_PARTITIONS_WAITING)]


async def read_waiting(connection: AsyncConnection, partition: int, count: int) -> list[Waiting]:
    """Some of a partition's orders that wait."""
    rows = await connection.execute(_READ_WAITING, {"partition": partition, "count": count})
    return [Waiting(OrderKey(*row[:3]), *row[3:]) for row in rows]


async def waiting_among(connection: AsyncConnection, keys: Iterable[OrderKey]) -> set[OrderKey]:
    """Those of the orders that wait."""
    rows = await connection.execute(_WAITING_AMONG, key_columns(list(keys)))
    return {OrderKey(*row) for row in rows}


async def forget_waiting(connection: AsyncConnection, keys: Iterable[OrderKey]) -> None:
    """Lets orders wait no more."""
    await connection.execute(_FORGET_WAITING, key_columns(list(keys)))
