"""Who each identifier belongs to, and which name nobody, as the people log last said."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kernel.identifiers import Identifier, Kind

Named = tuple[str, Identifier]
"""An identifier of a tenant."""


class Standing(NamedTuple):
    """What the people log says of an identifier; no person when it said only whether it is a hub."""

    person_id: int | None
    hub: bool


_READ = text(
    """SELECT known.tenant_id, known.kind, known.value, known.person_id, known.hub
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:kinds AS smallint[]), CAST(:values AS text[]))
            AS asked (tenant_id, kind, value)
       JOIN person_identifier AS known USING (tenant_id, kind, value)"""
)

_SAVE = text(
    """INSERT INTO person_identifier (tenant_id, kind, value, person_id, hub)
       SELECT * FROM unnest(CAST(:tenant_ids AS text[]), CAST(:kinds AS smallint[]), CAST(:values AS text[]),
                            CAST(:person_ids AS bigint[]), CAST(:hubs AS boolean[]))
       ON CONFLICT (tenant_id, kind, value) DO UPDATE SET person_id = excluded.person_id, hub = excluded.hub"""
)


async def read_standings(connection: AsyncConnection, asked: Iterable[Named]) -> dict[Named, Standing]:
    """What is known of these identifiers; those never published are left out."""
    wanted = list(set(asked))
    if not wanted:
        return {}
    rows = await connection.execute(_READ, _columns(wanted))
    return {
        (tenant_id, Identifier(Kind(kind), value)): Standing(person_id, hub)
        for tenant_id, kind, value, person_id, hub in rows
    }


async def save_standings(connection: AsyncConnection, standings: Mapping[Named, Standing]) -> None:
    """Replaces what is known of these identifiers."""
    await connection.execute(
        _SAVE,
        {
            **_columns(standings),
            "person_ids": [standing.person_id for standing in standings.values()],
            "hubs": [standing.hub for standing in standings.values()],
        },
    )


def _columns(named: Iterable[Named]) -> dict[str, list[object]]:
    columns: dict[str, list[object]] = {"tenant_ids": [], "kinds": [], "values": []}
    for tenant_id, (kind, value) in named:
        columns["tenant_ids"].append(tenant_id)
        columns["kinds"].append(int(kind))
        columns["values"].append(value)
    return columns
