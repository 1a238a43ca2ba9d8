"""Touches, and all else that credit may depend on, found by the identifiers of their own events."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

from sqlalchemy import LargeBinary, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.attribution.store.mentions import What, is_of
from services.chassis.arrays import flags, joined, numbers, texts
from services.kernel.identifiers import Identifier, Kind

_KINDS = {kind.value: kind for kind in Kind}


class NewTouch(NamedTuple):
    """A touch, a step of a conversation or a product seen, to be kept; `event` as it stands in the log.

    `conversation_id` is empty for what belongs to no conversation.
    """

    tenant_id: str
    source: str
    event_id: str
    occur_micros: int
    identifiers: tuple[Identifier, ...]
    event: bytes
    conversation_id: str = ""


TouchKey: TypeAlias = tuple[str, str, str]
"""Names what happened: its tenant, its source, and the event's id."""


class Search(NamedTuple):
    """Where an order's touches are looked for: an identifier or a person, and the bounds, which belong to it.

    `number` is the caller's own for the order. `person_id` is 0 beside an identifier, and `identifier` None beside a
    person. `conversations`: of each conversation that has an event no earlier than the bounds and one no later, all
    events are wanted.
    """

    number: int
    tenant_id: str
    from_micros: int
    through_micros: int
    identifier: Identifier | None = None
    person_id: int = 0
    conversations: bool = False


class FoundTouch(NamedTuple):
    """An event that a search found, for the order of that number."""

    number: int
    source: str
    event: bytes


# Answers what was known before: hardly ever anything, where all that is new would be a row each. That is
# looked up first: who holds the partition's claim writes alone, and rows that must expect others' cost half as much more.
_INSERT = text(
    """WITH told AS MATERIALIZED (
           SELECT * FROM unnest(CAST(:tenant_ids AS text[]), CAST(:occur_micros AS bigint[]), CAST(:sources AS text[]),
                                CAST(:event_ids AS text[]), CAST(:starts AS int[]), CAST(:lengths AS int[]))
               WITH ORDINALITY AS told (tenant_id, occur_micros, source, event_id, start, length, number)),
       known AS MATERIALIZED (
           SELECT number, tenant_id, source, event_id FROM told
           WHERE EXISTS (SELECT FROM touch
                         WHERE tenant_id = told.tenant_id AND occur_micros = told.occur_micros
                           AND source = told.source AND event_id = told.event_id OFFSET 0)),
       added AS (
           INSERT INTO touch (tenant_id, occur_micros, source, event_id, event)
           SELECT tenant_id, occur_micros, source, event_id, substring(:events FROM start FOR length) FROM told
           WHERE number NOT IN (SELECT number FROM known))
       SELECT tenant_id, source, event_id FROM known"""
).bindparams(bindparam("events", type_=LargeBinary))

_INSERT_IDENTIFIERS = text(
    f"""INSERT INTO mention (tenant_id, what, kind, value, micros, source, id)
       SELECT tenant_id, {What.EVENT:d}, kind, value, micros, source, id
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:kinds AS smallint[]), CAST(:values AS text[]),
                   CAST(:occur_micros AS bigint[]), CAST(:sources AS text[]), CAST(:event_ids AS text[]))
            AS told (tenant_id, kind, value, micros, source, id)"""
)

# The events of a conversation, of which the first and last are found at the ends of the index's part.
_OF_CONVERSATION = is_of("event", What.EVENT, "conversation", "conversation")


# LATERAL with OFFSET 0 holds the planner to one look-up by key for each row asked for, also while the tables are young
# and their statistics say that they are empty. Most of an order's identifiers are its person's too: each is looked for
# once. Whether there are conversations is asked once in a statement: most shops without a chat need no more than this.
# It is asked for the last, which an index tells: for any, the table would be read until one of the tenant's comes.
_FIND = text(
    f"""WITH asked AS MATERIALIZED (
            SELECT * FROM unnest(CAST(:numbers AS int[]), CAST(:tenant_ids AS text[]), CAST(:kinds AS smallint[]),
                                 CAST(:values AS text[]), CAST(:from_micros AS bigint[]),
                                 CAST(:through_micros AS bigint[]), CAST(:conversations AS boolean[]))
                AS asked (number, tenant_id, kind, value, from_micros, through_micros, conversations)
            UNION
            SELECT asked.number, asked.tenant_id, known.kind, known.value, asked.from_micros, asked.through_micros,
                   asked.conversations
            FROM unnest(CAST(:person_numbers AS int[]), CAST(:person_tenant_ids AS text[]),
                        CAST(:person_ids AS bigint[]), CAST(:person_from_micros AS bigint[]),
                        CAST(:person_through_micros AS bigint[]), CAST(:person_conversations AS boolean[]))
                AS asked (number, tenant_id, person_id, from_micros, through_micros, conversations)
            CROSS JOIN LATERAL (
                SELECT kind, value FROM mention
                WHERE tenant_id = asked.tenant_id AND person_id = asked.person_id AND NOT hub OFFSET 0) AS known),
        conversation AS MATERIALIZED (
            SELECT DISTINCT asked.number, asked.tenant_id, asked.from_micros, asked.through_micros,
                   CAST({Kind.CONVERSATION:d} AS smallint) AS kind, named.id AS value
            FROM asked
            CROSS JOIN LATERAL (
                SELECT id FROM mention
                WHERE {is_of("mention", What.CONVERSATION, "asked", "asked")} OFFSET 0) AS named
            WHERE asked.conversations
              AND EXISTS (SELECT FROM unnest(CAST(:tenants AS text[])) AS tenant (tenant_id)
                          WHERE (SELECT max(conversation_id) FROM conversation_identifier
                                 WHERE tenant_id = tenant.tenant_id) IS NOT NULL OFFSET 0)),
        match AS (
            SELECT asked.number, asked.tenant_id, found.micros, found.source, found.id
            FROM asked
            CROSS JOIN LATERAL (
                SELECT micros, source, id FROM mention
                WHERE {is_of("mention", What.EVENT, "asked", "asked")}
                  AND micros BETWEEN asked.from_micros AND asked.through_micros OFFSET 0) AS found
            UNION
            SELECT conversation.number, conversation.tenant_id, found.micros, found.source, found.id
            FROM conversation
            CROSS JOIN LATERAL (
                SELECT micros, source, id FROM mention AS event WHERE {_OF_CONVERSATION} OFFSET 0) AS found
            WHERE EXISTS (SELECT FROM mention AS event
                          WHERE {_OF_CONVERSATION} AND event.micros >= conversation.from_micros OFFSET 0)
              AND EXISTS (SELECT FROM mention AS event
                          WHERE {_OF_CONVERSATION} AND event.micros <= conversation.through_micros OFFSET 0))
        SELECT match.number, match.source, touch.event
        FROM match
        CROSS JOIN LATERAL (
            SELECT event FROM touch
            WHERE tenant_id = match.tenant_id AND occur_micros = match.micros
              AND source = match.source AND event_id = match.id OFFSET 0) AS touch"""
)

_INSERT_CONVERSATIONS = text(
    f"""WITH fresh AS MATERIALIZED (
           SELECT * FROM unnest(CAST(:tenant_ids AS text[]), CAST(:conversation_ids AS text[]),
                                CAST(:kinds AS smallint[]), CAST(:values AS text[]))
               AS told (tenant_id, conversation_id, kind, value)
           WHERE NOT EXISTS (SELECT FROM conversation_identifier
                             WHERE tenant_id = told.tenant_id AND conversation_id = told.conversation_id
                               AND kind = told.kind AND value = told.value OFFSET 0)),
       added AS (
           INSERT INTO conversation_identifier (tenant_id, conversation_id, kind, value)
           SELECT tenant_id, conversation_id, kind, value FROM fresh)
       INSERT INTO mention (tenant_id, what, kind, value, id)
       SELECT tenant_id, {What.CONVERSATION:d}, kind, value, conversation_id FROM fresh"""
)

_READ_CONVERSATIONS = text(
    f"""SELECT conversation.tenant_id, conversation.value, span.first_micros, span.last_micros, named.kind, named.value
        FROM (SELECT DISTINCT tenant_id, CAST({Kind.CONVERSATION:d} AS smallint) AS kind, value
              FROM unnest(CAST(:tenant_ids AS text[]), CAST(:conversation_ids AS text[])) AS told (tenant_id, value))
             AS conversation
        CROSS JOIN LATERAL (
            SELECT kind, value FROM conversation_identifier
            WHERE tenant_id = conversation.tenant_id AND conversation_id = conversation.value OFFSET 0) AS named
        CROSS JOIN LATERAL (SELECT min(event.micros) AS first_micros, max(event.micros) AS last_micros
                            FROM mention AS event WHERE {_OF_CONVERSATION}) AS span"""
)


class ConversationIdentifier(NamedTuple):
    """An identifier of a conversation, and the times of the conversation's first and last event in microseconds."""

    tenant_id: str
    conversation_id: str
    first_micros: int
    last_micros: int
    identifier: Identifier


async def insert_touches(connection: AsyncConnection, touches: Sequence[NewTouch]) -> set[TouchKey]:
    """Keeps what was not known yet, each told once; answers what was known."""
    events = joined([touch.event for touch in touches])
    rows = await connection.execute(
        _INSERT,
        {
            "tenant_ids": texts([touch.tenant_id for touch in touches]),
            "occur_micros": numbers([touch.occur_micros for touch in touches]),
            "sources": texts([touch.source for touch in touches]),
            "event_ids": texts([touch.event_id for touch in touches]),
            "events": events.together,
            "starts": events.starts,
            "lengths": events.lengths,
        },
    )
    known: set[TouchKey] = {(tenant_id, source, event_id) for tenant_id, source, event_id in rows.all()}
    await _insert_identifiers(
        connection,
        [
            (touch, one)
            for touch in touches
            if not known or (touch.tenant_id, touch.source, touch.event_id) not in known
            for one in touch.identifiers
        ],
    )
    return known


async def _insert_identifiers(connection: AsyncConnection, named: Sequence[tuple[NewTouch, Identifier]]) -> None:
    """Lets events be found by identifiers, and through them the conversations that they belong to."""
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
    in_conversations = {
        (touch.tenant_id, touch.conversation_id, identifier) for touch, identifier in named if touch.conversation_id
    }
    if in_conversations:
        await connection.execute(
            _INSERT_CONVERSATIONS,
            {
                "tenant_ids": texts(tenant_id for tenant_id, _, _ in in_conversations),
                "conversation_ids": texts(conversation_id for _, conversation_id, _ in in_conversations),
                "kinds": numbers(identifier.kind for *_, identifier in in_conversations),
                "values": texts(identifier.value for *_, identifier in in_conversations),
            },
        )


async def read_conversations(
    connection: AsyncConnection, conversations: Iterable[tuple[str, str]]
) -> list[ConversationIdentifier]:
    """Every identifier of these conversations, each as (tenant id, conversation id)."""
    wanted = list(conversations)
    if not wanted:
        return []
    rows = await connection.execute(
        _READ_CONVERSATIONS,
        {
            "tenant_ids": texts(tenant_id for tenant_id, _ in wanted),
            "conversation_ids": texts(conversation_id for _, conversation_id in wanted),
        },
    )
    return [
        ConversationIdentifier(tenant_id, conversation_id, first, last, Identifier(_KINDS[kind], value))
        for tenant_id, conversation_id, first, last, kind, value in rows.all()
    ]


async def find_touches(connection: AsyncConnection, searches: Iterable[Search]) -> list[FoundTouch]:
    """The events of each numbered order, each once, by its identifiers and through its persons' identifiers."""
    direct, personal = list[tuple[Search, Identifier]](), list[Search]()
    for search in searches:
        if search.identifier is None:
            personal.append(search)
        else:
            direct.append((search, search.identifier))
    if not direct and not personal:
        return []
    bound = {
        "numbers": numbers([search.number for search, _ in direct]),
        "tenant_ids": texts([search.tenant_id for search, _ in direct]),
        "kinds": numbers([identifier.kind for _, identifier in direct]),
        "values": texts([identifier.value for _, identifier in direct]),
        "from_micros": numbers([search.from_micros for search, _ in direct]),
        "through_micros": numbers([search.through_micros for search, _ in direct]),
        "conversations": flags([search.conversations for search, _ in direct]),
        "person_numbers": numbers([search.number for search in personal]),
        "person_tenant_ids": texts([search.tenant_id for search in personal]),
        "person_ids": numbers([search.person_id for search in personal]),
        "person_from_micros": numbers([search.from_micros for search in personal]),
        "person_through_micros": numbers([search.through_micros for search in personal]),
        "person_conversations": flags([search.conversations for search in personal]),
        "tenants": texts({search.tenant_id for search, _ in direct} | {search.tenant_id for search in personal}),
    }
    return [FoundTouch(*row) for row in (await connection.execute(_FIND, bound)).all()]
