"""Who each identifier belongs to, and which name nobody, as the people log last said."""

from collections.abc import Collection, Container, Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.attribution.store.mentions import What, is_of
from services.chassis.arrays import flags, numbers, optional_numbers, texts
from services.kernel.identifiers import Identifier, Kind

_KINDS = {kind.value: kind for kind in Kind}

Named = tuple[str, Identifier]
"""An identifier of a tenant."""


class Standing(NamedTuple):
    """What the people log says of an identifier, and at which positions; no person before one was told."""

    person_id: int | None = None
    hub: bool = False
    person_position: int = 0
    hub_position: int = 0


# LATERAL with OFFSET 0 holds the planner to one look-up by key for each row asked for, also while the table is young and
# its statistics say that it is empty.
_READ = text(
    f"""SELECT asked.tenant_id, asked.kind, asked.value, person_id, hub, person_position, hub_position
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:kinds AS smallint[]), CAST(:values AS text[]))
            AS asked (tenant_id, kind, value)
       CROSS JOIN LATERAL (
           SELECT person_id, hub, person_position, hub_position FROM mention
           WHERE {is_of("mention", What.STANDING, "asked", "asked")} OFFSET 0) AS known"""
)

_SAVED = """unnest(CAST(:tenant_ids AS text[]), CAST(:kinds AS smallint[]), CAST(:values AS text[]),
                   CAST(:person_ids AS bigint[]), CAST(:hubs AS boolean[]),
                   CAST(:person_positions AS bigint[]), CAST(:hub_positions AS bigint[]))
            AS saved (tenant_id, kind, value, person_id, hub, person_position, hub_position)"""

_ADD = text(
    f"""INSERT INTO mention (tenant_id, what, kind, value, person_id, hub, person_position, hub_position)
       SELECT tenant_id, {What.STANDING:d}, kind, value, person_id, hub, person_position, hub_position FROM {_SAVED}"""
)

_CHANGE = text(
    f"""WITH found AS MATERIALIZED (
           SELECT saved.*, known.place FROM {_SAVED}
           CROSS JOIN LATERAL (
               SELECT ctid AS place FROM mention
               WHERE {is_of("mention", What.STANDING, "saved", "saved")} OFFSET 0) AS known)
       UPDATE mention SET person_id = found.person_id, hub = found.hub,
                          person_position = found.person_position, hub_position = found.hub_position
       FROM found WHERE mention.ctid = found.place"""
)


async def read_standings(connection: AsyncConnection, asked: Iterable[Named]) -> dict[Named, Standing]:
    """What is known of these identifiers; those never published are left out."""
    wanted = list(set(asked))
    if not wanted:
        return {}
    rows = await connection.execute(_READ, _columns(wanted))
    return {
        (tenant_id, Identifier(_KINDS[kind], value)): Standing(person_id, hub, person_position, hub_position)
        for tenant_id, kind, value, person_id, hub, person_position, hub_position in rows.all()
    }


async def save_standings(
    connection: AsyncConnection, standings: Mapping[Named, Standing], known: Container[Named]
) -> None:
    """Keeps what is now known of these identifiers; of those that are `known`, something was kept before.

    Most are new, and cost half as much as those for which somebody else's row must be expected.
    """
    for statement, mine in (
        (_ADD, {named: standing for named, standing in standings.items() if named not in known}),
        (_CHANGE, {named: standing for named, standing in standings.items() if named in known}),
    ):
        if mine:
            await connection.execute(
                statement,
                {
                    **_columns(mine),
                    "person_ids": optional_numbers(standing.person_id for standing in mine.values()),
                    "hubs": flags(standing.hub for standing in mine.values()),
                    "person_positions": numbers(standing.person_position for standing in mine.values()),
                    "hub_positions": numbers(standing.hub_position for standing in mine.values()),
                },
            )


def _columns(named: Collection[Named]) -> dict[str, object]:
    return {
        "tenant_ids": texts(tenant_id for tenant_id, _ in named),
        "kinds": numbers(identifier.kind for _, identifier in named),
        "values": texts(identifier.value for _, identifier in named),
    }
