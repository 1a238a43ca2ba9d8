"""Who was exposed to experiments: a row for each set of identifiers that exposures named, and whose it is."""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import LargeBinary, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.arrays import flags, joined, numbers, texts


class UnitKey(NamedTuple):
    """A set of identifiers, by its number, in one experiment."""

    tenant_id: str
    experiment_id: str
    unit: int


class UnitRow(NamedTuple):
    """What is known of it: its person, whether anything names one, and its exposures as they are stored."""

    person: int
    is_named: bool
    state: bytes


_READ = text(
    """SELECT unit.tenant_id, unit.experiment_id, unit.unit, person, is_named, state
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:experiment_ids AS text[]), CAST(:units AS bigint[]))
            AS asked (tenant_id, experiment_id, unit)
       CROSS JOIN LATERAL (
           SELECT tenant_id, experiment_id, unit, person, is_named, state FROM exposure_unit
           WHERE tenant_id = asked.tenant_id AND experiment_id = asked.experiment_id AND unit = asked.unit
           LIMIT 1) AS unit"""
)

_WRITE = text(
    """INSERT INTO exposure_unit (tenant_id, experiment_id, unit, person, is_named, state)
       SELECT tenant_id, experiment_id, unit, person, is_named, substring(:states FROM start FOR length)
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:experiment_ids AS text[]), CAST(:units AS bigint[]),
                   CAST(:persons AS bigint[]), CAST(:named AS boolean[]), CAST(:starts AS int[]),
                   CAST(:lengths AS int[]))
            AS told (tenant_id, experiment_id, unit, person, is_named, start, length)
       ON CONFLICT (tenant_id, experiment_id, unit) DO UPDATE
       SET person = excluded.person, is_named = excluded.is_named, state = excluded.state"""
).bindparams(bindparam("states", type_=LargeBinary))

_ADD_KEYS = text(
    """INSERT INTO exposure_key (tenant_id, identifier_key, experiment_id, unit)
       SELECT * FROM unnest(CAST(:tenant_ids AS text[]), CAST(:keys AS bigint[]), CAST(:experiment_ids AS text[]),
                            CAST(:units AS bigint[]))
       ON CONFLICT DO NOTHING"""
)

_NAMED_BY = text(
    """SELECT DISTINCT asked.tenant_id, named.experiment_id, named.unit
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:keys AS bigint[])) AS asked (tenant_id, identifier_key)
       CROSS JOIN LATERAL (
           SELECT experiment_id, unit FROM exposure_key
           WHERE tenant_id = asked.tenant_id AND identifier_key = asked.identifier_key OFFSET 0) AS named"""
)

_OF_PERSONS = text(
    """SELECT unit.experiment_id, unit.person, unit.is_named, unit.state
       FROM unnest(CAST(:persons AS bigint[])) AS asked (person)
       CROSS JOIN LATERAL (
           SELECT experiment_id, person, is_named, state FROM exposure_unit
           WHERE tenant_id = :tenant_id AND person = asked.person
             AND experiment_id = ANY(CAST(:experiment_ids AS text[])) OFFSET 0) AS unit"""
)

# Each is looked up by itself: a join might be planned for another number of them, and kept.
_EXPOSED = text(
    """SELECT asked.person FROM unnest(CAST(:persons AS bigint[])) AS asked (person)
       WHERE (SELECT true FROM exposure_unit
              WHERE tenant_id = :tenant_id AND person = asked.person
                AND experiment_id = ANY(CAST(:experiment_ids AS text[])) LIMIT 1)"""
)

_PERSONS_AFTER = text(
    """SELECT DISTINCT person FROM exposure_unit
       WHERE tenant_id = :tenant_id AND experiment_id = :experiment_id AND person > :after ORDER BY person LIMIT :count"""
)


async def read(connection: AsyncConnection, keys: Iterable[UnitKey]) -> dict[UnitKey, UnitRow]:
    """What is known of units; those that are new are left out."""
    ordered = sorted(set(keys))
    if not ordered:
        return {}
    rows = await connection.execute(_READ, _columns(ordered))
    return {UnitKey(*row[:3]): UnitRow(*row[3:]) for row in rows}


async def write(connection: AsyncConnection, rows: Mapping[UnitKey, UnitRow]) -> None:
    """Stores units in the place of what was known of them."""
    ordered = sorted(rows)
    if not ordered:
        return
    states = joined([rows[key].state for key in ordered])
    await connection.execute(
        _WRITE,
        {
            **_columns(ordered),
            "persons": numbers(rows[key].person for key in ordered),
            "named": flags(rows[key].is_named for key in ordered),
            "states": states.together,
            "starts": states.starts,
            "lengths": states.lengths,
        },
    )


async def add_keys(connection: AsyncConnection, named: Collection[tuple[UnitKey, int]]) -> None:
    """Notes which identifiers units name, by the identifiers' keys."""
    ordered = sorted(set(named))
    if ordered:
        await connection.execute(
            _ADD_KEYS, {**_columns([unit for unit, _ in ordered]), "keys": numbers(key for _, key in ordered)}
        )


async def named_by(connection: AsyncConnection, keys: Iterable[tuple[str, int]]) -> set[UnitKey]:
    """The units that name any of some tenants' identifiers."""
    ordered = sorted(set(keys))
    bound = {"tenant_ids": texts(tenant_id for tenant_id, _ in ordered), "keys": numbers(key for _, key in ordered)}
    return {UnitKey(*row) for row in await connection.execute(_NAMED_BY, bound)}


async def of_persons(
    connection: AsyncConnection, tenant_id: str, experiment_ids: Iterable[str], persons: Iterable[int]
) -> list[tuple[str, UnitRow]]:
    """All units of some persons, each with its experiment, of some experiments."""
    bound = {
        "tenant_id": tenant_id,
        "experiment_ids": texts(sorted(set(experiment_ids))),
        "persons": numbers(sorted(set(persons))),
    }
    return [(row[0], UnitRow(*row[1:])) for row in (await connection.execute(_OF_PERSONS, bound)).all()]


async def exposed(
    connection: AsyncConnection, tenant_id: str, experiment_ids: Iterable[str], persons: Iterable[int]
) -> set[int]:
    """Those of some persons who were exposed to any of some experiments."""
    bound = {
        "tenant_id": tenant_id,
        "experiment_ids": texts(sorted(set(experiment_ids))),
        "persons": numbers(sorted(set(persons))),
    }
    return set((await connection.execute(_EXPOSED, bound)).scalars().all())


async def persons_after(
    connection: AsyncConnection, tenant_id: str, experiment_id: str, after: int, count: int
) -> list[int]:
    """The next persons who were exposed to an experiment, ascending."""
    bound = {"tenant_id": tenant_id, "experiment_id": experiment_id, "after": after, "count": count}
    return list((await connection.execute(_PERSONS_AFTER, bound)).scalars())


def _columns(keys: Collection[UnitKey]) -> dict[str, str]:
    return {
        "tenant_ids": texts(key.tenant_id for key in keys),
        "experiment_ids": texts(key.experiment_id for key in keys),
        "units": numbers(key.unit for key in keys),
    }
