"""Which orders a new touch or a change of people may concern, and those of them that wait because they are many."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.attribution.store.mentions import What, is_of
from services.attribution.store.orders import OrderKey, key_columns
from services.chassis.arrays import flags, numbers, optional_numbers, texts
from services.kernel.identifiers import Identifier, Kind


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

    `hub`: it became or ceased to be one; `is_hub`: it is one now. The persons before and after are None for nobody.
    `window_micros` is how long before an order a touch may have been that earns of it.
    """

    tenant_id: str
    identifier: Identifier
    hub: bool
    is_hub: bool
    person_before: int | None
    person_after: int | None
    window_micros: int
    position: int


_BY_TOUCH_CAUSE: Final = 2
_BY_PEOPLE_CAUSE: Final = 3
"""Kinds of causes, numbered as in `touchstone.attribution.v1.Cause.Kind`."""

MOST_AT_ONCE: Final = 2_000
"""Orders that are reopened in the transaction that finds them; where it finds more, all of them wait."""

_NAMES_ORDERS: Final = f"{{0}}.kind <> {Kind.CONVERSATION:d}"
"""An order names no conversation: nothing is to be looked for by one."""

# A person's identifiers are looked for instead of the one that told who it is: it is among them.
_BY_TOUCHES = f"""WITH told AS (
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
       WHERE {_NAMES_ORDERS.format("reach")}
       GROUP BY found.tenant_id, found.id, found.source"""

_MOST_LOOKED_AT: Final = 50
"""Of a person with more identifiers in question not each is looked at: the orders concerned are reopened in any case."""


_IS_NONE_OF: Final = """NOT EXISTS (SELECT FROM unnest({0}.kinds, {0}.values) AS other (kind, value)
                                        WHERE other.kind = one.kind AND other.value = one.value OFFSET 0)"""

# Whoever belongs together, an event stays tied to the order of which it has an identifier itself.
_NOT_BY_ITSELF = f"""NOT EXISTS (
        SELECT FROM unnest(own.kinds, own.values) AS one (kind, value)
        CROSS JOIN LATERAL (
            SELECT FROM mention AS same
            WHERE {is_of("same", What.EVENT, "one", "person")} AND same.micros = event.micros
              AND same.source = event.source AND same.id = event.id OFFSET 0) AS found OFFSET 0)"""

# What ties a touch to an order through a person changes only where an identifier changed that the touch has (then it
# concerns the persons' orders placed not long after the touches), or that the order has (then those orders before which
# another identifier of the persons has touches). Conversations reach as far as their ends.
#
# Everything is found person by person and look-up by look-up: what a join would cost depends on statistics, and grows
# with the square of a batch where they are old.
_BY_PEOPLE = f"""WITH changed AS MATERIALIZED (
           SELECT * FROM unnest(
               CAST(:tenant_ids AS text[]), CAST(:kinds AS smallint[]), CAST(:values AS text[]),
               CAST(:hubs AS boolean[]), CAST(:are_hubs AS boolean[]), CAST(:persons_before AS bigint[]),
               CAST(:persons_after AS bigint[]), CAST(:windows AS bigint[]), CAST(:positions AS bigint[]))
           AS changed (tenant_id, kind, value, hub, is_hub, person_before, person_after, window_micros, position)),
       person AS MATERIALIZED (
           SELECT tenant_id, person_id, array_agg(kind) AS kinds, array_agg(value) AS values,
                  array_agg(person_id IS NOT DISTINCT FROM person_after AND NOT is_hub) AS naming,
                  max(window_micros) AS window_micros, max(position) AS position
           FROM (SELECT person_before AS person_id, * FROM changed WHERE person_before IS NOT NULL
                 UNION ALL
                 SELECT person_after, * FROM changed
                 WHERE person_after IS NOT NULL AND person_after IS DISTINCT FROM person_before) AS one
           GROUP BY tenant_id, person_id),
       concerned AS (
           SELECT person.tenant_id, orders.order_id, orders.source, person.position
           FROM person
           CROSS JOIN LATERAL (
               SELECT array_agg(kind) AS kinds, array_agg(value) AS values,
                      array_agg(kind) FILTER (WHERE stayed) AS same_kinds,
                      array_agg(value) FILTER (WHERE stayed) AS same_values,
                      array_agg(NOT hub) FILTER (WHERE stayed) AS same_naming,
                      count(*) > {_MOST_LOOKED_AT} AS many
               FROM (SELECT kind, value, hub, {_IS_NONE_OF.format("person")} AS stayed FROM mention AS one
                     WHERE tenant_id = person.tenant_id AND person_id = person.person_id OFFSET 0) AS one
               OFFSET 0) AS member
           CROSS JOIN LATERAL (
               SELECT min(span.first_micros) AS first_micros,
                      max(CASE WHEN span.first_micros IS NULL THEN NULL
                               WHEN EXISTS (SELECT FROM mention AS named
                                            WHERE {is_of("named", What.CONVERSATION, "one", "person")} OFFSET 0) THEN {2**62}
                               ELSE span.last_micros + person.window_micros + 1 END) AS through_micros
               FROM unnest(CASE WHEN member.same_kinds IS NOT NULL THEN person.kinds END, person.values)
                    AS one (kind, value)
               CROSS JOIN LATERAL (
                   SELECT min(micros) AS first_micros, max(micros) AS last_micros
                   FROM mention AS touch WHERE {is_of("touch", What.EVENT, "one", "person")} OFFSET 0) AS span
               WHERE one.kind IS NOT NULL) AS touched
           CROSS JOIN LATERAL (
               SELECT found.order_id, found.source, found.order_micros, bool_or(found.changed) AS changed,
                      array_agg(found.kind) AS kinds, array_agg(found.value) AS values,
                      array_agg(found.naming) AS naming
               FROM (SELECT found.*, one.*, true AS changed
                     FROM unnest(person.kinds, person.values, person.naming) AS one (kind, value, naming)
                     CROSS JOIN LATERAL (
                         SELECT id AS order_id, source, micros AS order_micros FROM mention AS placed
                         WHERE {is_of("placed", What.ORDER, "one", "person")} OFFSET 0) AS found
                     WHERE {_NAMES_ORDERS.format("one")}
                     UNION ALL
                     SELECT found.*, one.*, false
                     FROM unnest(member.same_kinds, member.same_values, member.same_naming)
                          AS one (kind, value, naming)
                     CROSS JOIN LATERAL (
                         SELECT id AS order_id, source, micros AS order_micros FROM mention AS placed
                         WHERE {is_of("placed", What.ORDER, "one", "person")}
                           AND micros BETWEEN touched.first_micros AND touched.through_micros OFFSET 0) AS found
                     WHERE {_NAMES_ORDERS.format("one")}) AS found
               GROUP BY found.order_id, found.source, found.order_micros OFFSET 0) AS orders
           CROSS JOIN LATERAL (
               SELECT FROM known_order AS decided
               WHERE decided.tenant_id = person.tenant_id AND decided.order_id = orders.order_id
                 AND decided.source = orders.source AND (decided.open_to_people OR decided.next_open) OFFSET 0) AS undecided
           CROSS JOIN LATERAL (
               SELECT array_agg(one.kind ORDER BY one.kind) AS kinds, array_agg(one.value ORDER BY one.kind) AS values
               FROM (SELECT * FROM unnest(orders.kinds, orders.values, orders.naming) AS one (kind, value, naming)
                     UNION ALL
                     SELECT * FROM unnest(CASE WHEN orders.changed AND NOT member.many THEN member.same_kinds END,
                                          member.same_values, member.same_naming) AS one (kind, value, naming)
                     WHERE one.naming AND {_NAMES_ORDERS.format("one")} AND {_IS_NONE_OF.format("orders")}
                       AND EXISTS (
                           SELECT FROM mention AS placed
                           WHERE {is_of("placed", What.ORDER, "one", "person")} AND placed.micros = orders.order_micros
                             AND placed.id = orders.order_id AND placed.source = orders.source OFFSET 0)
                    ) AS one
               WHERE one.naming
                 AND NOT EXISTS (
                     SELECT FROM unnest(CAST(:blocked_tenant_ids AS text[]), CAST(:blocked_kinds AS smallint[]),
                                        CAST(:blocked_values AS text[])) AS blocked (tenant_id, kind, value)
                     WHERE blocked.tenant_id = person.tenant_id AND blocked.kind = one.kind
                       AND blocked.value = one.value OFFSET 0)
               OFFSET 0) AS own
           WHERE orders.changed AND member.many OR cardinality(person.kinds) > {_MOST_LOOKED_AT} OR EXISTS (
               SELECT FROM (SELECT * FROM unnest(person.kinds, person.values) AS one (kind, value)
                            UNION
                            SELECT * FROM unnest(member.kinds, member.values) AS one (kind, value)
                            WHERE orders.changed) AS other
               WHERE NOT EXISTS (SELECT FROM unnest(own.kinds, own.values) AS one (kind, value)
                                 WHERE one.kind = other.kind AND one.value = other.value OFFSET 0)
               AND (other.kind <> {Kind.CONVERSATION:d} AND EXISTS (
                   SELECT FROM (SELECT micros, source, id FROM mention AS touch
                                WHERE {is_of("touch", What.EVENT, "other", "person")} AND touch.micros
                                  BETWEEN orders.order_micros - person.window_micros - 1 AND orders.order_micros
                                OFFSET 0) AS event
                   WHERE {_NOT_BY_ITSELF} OFFSET 0)
               OR EXISTS (
                   SELECT FROM (SELECT CAST({Kind.CONVERSATION:d} AS smallint) AS kind, id AS value
                                FROM mention AS named
                                WHERE {is_of("named", What.CONVERSATION, "other", "person")} OFFSET 0) AS conversation
                   CROSS JOIN LATERAL (
                       SELECT micros, source, id FROM mention AS touch
                       WHERE {is_of("touch", What.EVENT, "conversation", "person")} OFFSET 0) AS event
                   WHERE {_NOT_BY_ITSELF} OFFSET 0))
               OFFSET 0)),
       by_hubs AS (
           SELECT changed.tenant_id, orders.order_id, orders.source, changed.position
           FROM changed
           CROSS JOIN LATERAL (
               SELECT id AS order_id, source FROM mention AS placed
               WHERE {is_of("placed", What.ORDER, "changed", "changed")} OFFSET 0) AS orders
           WHERE changed.hub)
       SELECT tenant_id, order_id, source, max(position)
       FROM (SELECT * FROM concerned UNION ALL SELECT * FROM by_hubs) AS found
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
    connection: AsyncConnection,
    partition: int,
    changed: Iterable[ByIdentifier],
    times: Mapping[int, int],
    blocked: Collection[tuple[str, Identifier]] = (),
) -> dict[OrderKey, int]:
    """Orders that changes of people may concern, with the greatest position among these changes; none when they wait.

    Who belongs together is as it is stored now; `changed` tells how it was before. `times` are as for touches.
    `blocked` are the tenants' identifiers that their rules say name nobody: they tie no touch to an order.
    """
    identifiers = list(changed)
    bound = {
        "tenant_ids": texts(one.tenant_id for one in identifiers),
        "kinds": numbers(one.identifier.kind for one in identifiers),
        "values": texts(one.identifier.value for one in identifiers),
        "hubs": flags(one.hub for one in identifiers),
        "are_hubs": flags(one.is_hub for one in identifiers),
        "persons_before": optional_numbers(one.person_before for one in identifiers),
        "persons_after": optional_numbers(one.person_after for one in identifiers),
        "windows": numbers(one.window_micros for one in identifiers),
        "positions": numbers(one.position for one in identifiers),
        "blocked_tenant_ids": texts(tenant_id for tenant_id, _ in blocked),
        "blocked_kinds": numbers(identifier.kind for _, identifier in blocked),
        "blocked_values": texts(identifier.value for _, identifier in blocked),
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
