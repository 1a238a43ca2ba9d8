"""Touches, and how they are found by the identifiers of their own events."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import LargeBinary, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.arrays import joined, numbers, texts
from services.kernel.identifiers import Identifier


class NewTouch(NamedTuple):
    """A touch to be kept; `event` as it stands in the log."""

    tenant_id: str
    source: str
    event_id: str
    occur_micros: int
    identifiers: tuple[Identifier, ...]
    event: bytes


class Search(NamedTuple):
    """Where an order's touches are looked for: an identifier or a person, and the bounds, which belong to it.

    `number` is the caller's own for the order. `person_id` is 0 beside an identifier, and `identifier` None beside a
    person.
    """

    number: int
    tenant_id: str
    from_micros: int
    through_micros: int
    identifier: Identifier | None = None
    person_id: int = 0


class FoundTouch(NamedTuple):
    """A touch that a search found, for the order of that number."""

    number: int
    source: str
    event: bytes


_INSERT = text(
    """INSERT INTO touch (tenant_id, source, event_id, event)
       SELECT tenant_id, source, event_id, substring(:events FROM start FOR length)
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:sources AS text[]), CAST(:event_ids AS text[]),
                   CAST(:starts AS int[]), CAST(:lengths AS int[]))
            AS told (tenant_id, source, event_id, start, length)
       ON CONFLICT DO NOTHING RETURNING tenant_id, source, event_id"""
).bindparams(bindparam("events", type_=LargeBinary))

_INSERT_IDENTIFIERS = text(
    """INSERT INTO touch_identifier (tenant_id, kind, value, occur_micros, source, event_id)
       SELECT * FROM unnest(CAST(:tenant_ids AS text[]), CAST(:kinds AS smallint[]), CAST(:values AS text[]),
                            CAST(:occur_micros AS bigint[]), CAST(:sources AS text[]), CAST(:event_ids AS text[]))"""
)

_BY_IDENTIFIER = """
    SELECT asked.number, found.tenant_id, found.source, found.event_id
    FROM unnest(CAST(:numbers AS int[]), CAST(:tenant_ids AS text[]), CAST(:kinds AS smallint[]),
                CAST(:values AS text[]), CAST(:from_micros AS bigint[]), CAST(:through_micros AS bigint[]))
         AS asked (number, tenant_id, kind, value, from_micros, through_micros)
    JOIN touch_identifier AS found
      ON found.tenant_id = asked.tenant_id AND found.kind = asked.kind AND found.value = asked.value
     AND hashtextextended(found.value, found.kind) = hashtextextended(asked.value, asked.kind)
     AND found.occur_micros BETWEEN asked.from_micros AND asked.through_micros"""

_BY_PERSON = """
    SELECT asked.number, found.tenant_id, found.source, found.event_id
    FROM unnest(CAST(:person_numbers AS int[]), CAST(:person_tenant_ids AS text[]), CAST(:person_ids AS bigint[]),
                CAST(:person_from_micros AS bigint[]), CAST(:person_through_micros AS bigint[]))
         AS asked (number, tenant_id, person_id, from_micros, through_micros)
    JOIN person_identifier AS known
      ON known.tenant_id = asked.tenant_id AND known.person_id = asked.person_id AND NOT known.hub
    JOIN touch_identifier AS found
      ON found.tenant_id = known.tenant_id AND found.kind = known.kind AND found.value = known.value
     AND hashtextextended(found.value, found.kind) = hashtextextended(known.value, known.kind)
     AND found.occur_micros BETWEEN asked.from_micros AND asked.through_micros"""

_FIND = text(
    f"""SELECT match.number, touch.source, touch.event
        FROM ({_BY_IDENTIFIER} UNION {_BY_PERSON}) AS match
        JOIN touch USING (tenant_id, source, event_id)"""
)


async def insert_touches(connection: AsyncConnection, touches: Sequence[NewTouch]) -> list[NewTouch]:
    """Keeps the touches that were not known yet, and answers those."""
    by_key = {(touch.tenant_id, touch.source, touch.event_id): touch for touch in touches}
    events = joined([touch.event for touch in by_key.values()])
    rows = await connection.execute(
        _INSERT,
        {
            "tenant_ids": texts(touch.tenant_id for touch in by_key.values()),
            "sources": texts(touch.source for touch in by_key.values()),
            "event_ids": texts(touch.event_id for touch in by_key.values()),
            "events": events.together,
            "starts": events.starts,
            "lengths": events.lengths,
        },
    )
    fresh = [by_key[tenant_id, source, event_id] for tenant_id, source, event_id in rows]
    named = [(touch, identifier) for touch in fresh for identifier in touch.identifiers]
    if named:
        await connection.execute(
            _INSERT_IDENTIFIERS,
            {
                "tenant_ids": texts(touch.tenant_id for touch, _ in named),
                "kinds": numbers(identifier.kind for _, identifier in named),
                "values": texts(identifier.value for _, identifier in named),
                "occur_micros": numbers(touch.occur_micros for touch, _ in named),
                "sources": texts(touch.source for touch, _ in named),
                "event_ids": texts(touch.event_id for touch, _ in named),
            },
        )
    return fresh


async def find_touches(connection: AsyncConnection, searches: Iterable[Search]) -> list[FoundTouch]:
    """The touches of each numbered order, each once, by its identifiers and through its persons' identifiers."""
    direct, personal = list[tuple[Search, Identifier]](), list[Search]()
    for search in searches:
        if search.identifier is None:
            personal.append(search)
        else:
            direct.append((search, search.identifier))
    if not direct and not personal:
        return []
    rows = await connection.execute(
        _FIND,
        {
            "numbers": numbers(search.number for search, _ in direct),
            "tenant_ids": texts(search.tenant_id for search, _ in direct),
            "kinds": numbers(identifier.kind for _, identifier in direct),
            "values": texts(identifier.value for _, identifier in direct),
            "from_micros": numbers(search.from_micros for search, _ in direct),
            "through_micros": numbers(search.through_micros for search, _ in direct),
            "person_numbers": numbers(search.number for search in personal),
            "person_tenant_ids": texts(search.tenant_id for search in personal),
            "person_ids": numbers(search.person_id for search in personal),
            "person_from_micros": numbers(search.from_micros for search in personal),
            "person_through_micros": numbers(search.through_micros for search in personal),
        },
    )
    return [FoundTouch(number, source, event) for number, source, event in rows]
