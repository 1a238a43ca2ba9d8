"""Which orders a change of people may concern."""

from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from services.attribution.store.mentions import What, is_of
from services.attribution.store.orders import OrderKey
from services.attribution.store.reopening import NAMES_ORDERS, Finding, reopened
from services.chassis.arrays import flags, numbers, optional_numbers, texts
from services.kernel.identifiers import Identifier, Kind


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


_BY_PEOPLE_CAUSE: Final = 3
"""The kind of cause, numbered as in `touchstone.attribution.v1.Cause.Kind`."""

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
_BY_PEOPLE: Final = Finding(
    _BY_PEOPLE_CAUSE,
    f"""WITH changed AS MATERIALIZED (
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
                     WHERE {NAMES_ORDERS.format("one")}
                     UNION ALL
                     SELECT found.*, one.*, false
                     FROM unnest(member.same_kinds, member.same_values, member.same_naming)
                          AS one (kind, value, naming)
                     CROSS JOIN LATERAL (
                         SELECT id AS order_id, source, micros AS order_micros FROM mention AS placed
                         WHERE {is_of("placed", What.ORDER, "one", "person")}
                           AND micros BETWEEN touched.first_micros AND touched.through_micros OFFSET 0) AS found
                     WHERE {NAMES_ORDERS.format("one")}) AS found
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
                     WHERE one.naming AND {NAMES_ORDERS.format("one")} AND {_IS_NONE_OF.format("orders")}
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
       GROUP BY tenant_id, order_id, source""",
)


async def orders_by_people(
    connection: AsyncConnection,
    partition: int,
    changed: Iterable[ByIdentifier],
    times: Mapping[int, int],
    blocked: Collection[tuple[str, Identifier]] = (),
) -> dict[OrderKey, int]:
    """Orders that changes of people may concern, with the greatest position among these changes; none when they wait.

    Who belongs together is as it is stored now; `changed`, of at least one, tells how it was before. `times` are as for
    touches.
    `blocked` are the tenants' identifiers that their rules say name nobody: they tie no touch to an order.
    """
    tenant_ids, identifiers, hubs, are_hubs, before, after, windows, positions = zip(*changed, strict=True)
    bound = {
        "tenant_ids": texts(tenant_ids),
        "kinds": numbers(identifier.kind for identifier in identifiers),
        "values": texts(identifier.value for identifier in identifiers),
        "hubs": flags(hubs),
        "are_hubs": flags(are_hubs),
        "persons_before": optional_numbers(before),
        "persons_after": optional_numbers(after),
        "windows": numbers(windows),
        "positions": numbers(positions),
        "blocked_tenant_ids": texts(tenant_id for tenant_id, _ in blocked),
        "blocked_kinds": numbers(identifier.kind for _, identifier in blocked),
        "blocked_values": texts(identifier.value for _, identifier in blocked),
    }
    return await reopened(connection, _BY_PEOPLE, bound, partition, times)
