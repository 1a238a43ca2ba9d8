"""What experiments come to: the numbers of everybody by day, what each person adds to them, and how far they are."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from datetime import date
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import LargeBinary, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.arrays import joined, numbers, optional_numbers, texts

Part = tuple[str, str, str]
Amounts = Mapping[tuple[date, Part], int]
"""Numbers by the day of the first exposure."""

START: Final = -(2**63)
"""Before every person."""


class Sum(NamedTuple):
    """An experiment's numbers: by which rules they are counted, in which run of counting, and the last person in them.

    `reached` is None when everybody is; `rules` are empty while the numbers are worth nothing.
    """

    experiment_id: str
    rules: str
    run: int
    reached: int | None


_MARK_DUE = text(
    """INSERT INTO experiment_due (tenant_id, partition_id)
       SELECT DISTINCT tenant_id, :partition FROM unnest(CAST(:tenant_ids AS text[])) AS told (tenant_id)
       WHERE EXISTS (SELECT FROM experiment_set WHERE experiment_set.tenant_id = told.tenant_id)
       ON CONFLICT DO NOTHING"""
)

_NEXT_DUE = text("SELECT tenant_id FROM experiment_due WHERE partition_id = :partition ORDER BY tenant_id LIMIT 1")

_NOT_DUE = text("DELETE FROM experiment_due WHERE tenant_id = :tenant_id")

_PARTITIONS = text(
    "SELECT partition_id FROM experiment_due UNION SELECT partition_id FROM experiment_sum WHERE reached IS NOT NULL"
)

_READ = text("SELECT experiment_id, rules, run, reached FROM experiment_sum WHERE tenant_id = :tenant_id")

_NEXT = text(
    """SELECT tenant_id, experiment_id, rules, run, reached FROM experiment_sum
       WHERE partition_id = :partition AND reached IS NOT NULL ORDER BY tenant_id, experiment_id LIMIT 1"""
)

_WRITE = text(
    """INSERT INTO experiment_sum (tenant_id, partition_id, experiment_id, rules, run, reached)
       SELECT :tenant_id, :partition, *
       FROM unnest(CAST(:experiment_ids AS text[]), CAST(:rules AS text[]), CAST(:runs AS bigint[]),
                   CAST(:reached AS bigint[]))
       ON CONFLICT (tenant_id, experiment_id) DO UPDATE
       SET partition_id = excluded.partition_id, rules = excluded.rules, run = excluded.run, reached = excluded.reached"""
)

_CLEAR_CELLS = text(
    """DELETE FROM experiment_cell
       WHERE tenant_id = :tenant_id AND experiment_id = ANY(CAST(:experiment_ids AS text[]))"""
)

_READ_MEMBERS = text(
    """SELECT person, amounts
       FROM unnest(CAST(:persons AS bigint[])) AS asked (asked_person)
       CROSS JOIN LATERAL (
           SELECT person, amounts FROM experiment_member
           WHERE tenant_id = :tenant_id AND experiment_id = :experiment_id AND person = asked_person AND run = :run
           LIMIT 1) AS known"""
)

_WRITE_MEMBERS = text(
    """INSERT INTO experiment_member (tenant_id, experiment_id, person, run, amounts)
       SELECT :tenant_id, :experiment_id, person, :run, substring(:amounts FROM start FOR length)
       FROM unnest(CAST(:persons AS bigint[]), CAST(:starts AS int[]), CAST(:lengths AS int[]))
            AS told (person, start, length)
       ON CONFLICT (tenant_id, experiment_id, person) DO UPDATE SET run = excluded.run, amounts = excluded.amounts"""
).bindparams(bindparam("amounts", type_=LargeBinary))

# Beside those of each day stand the numbers of all days, under a day that is behind all of them: an experiment is mostly
# asked for without a period, and may have run for years.
_ADD_CELLS = text(
    """WITH told AS (
           SELECT * FROM unnest(CAST(:days AS date[]), CAST(:names AS text[]), CAST(:variants AS text[]),
                                CAST(:cuts AS text[]), CAST(:amounts AS numeric[]))
                         AS told (day, name, variant, cut, amount))
       INSERT INTO experiment_cell (tenant_id, experiment_id, day, name, variant, cut, amount)
       SELECT :tenant_id, :experiment_id, * FROM (
           SELECT * FROM told
           UNION ALL SELECT 'infinity', name, variant, cut, sum(amount) FROM told GROUP BY name, variant, cut) AS cells
       ON CONFLICT (tenant_id, experiment_id, day, name, variant, cut) DO UPDATE
       SET amount = experiment_cell.amount + excluded.amount"""
)

_READ_CELLS = text(
    """SELECT name, variant, cut, CAST(sum(amount) AS text) FROM experiment_cell
       WHERE tenant_id = :tenant_id AND experiment_id = :experiment_id AND day BETWEEN :first AND :last
       GROUP BY name, variant, cut HAVING sum(amount) <> 0"""
)

_READ_WHOLE = text(
    """SELECT name, variant, cut, CAST(amount AS text) FROM experiment_cell
       WHERE tenant_id = :tenant_id AND experiment_id = :experiment_id AND day = 'infinity' AND amount <> 0"""
)


def digest(*rules: object) -> str:
    """Names rules: other ones have another name."""
    return hashlib.sha256(repr(rules).encode()).hexdigest()


async def mark_due(connection: AsyncConnection, partition: int, tenant_ids: Iterable[str]) -> None:
    """Notes that the rules of some tenants' experiments may have changed; of those who have experiments."""
    bound = {"partition": partition, "tenant_ids": texts(sorted(set(tenant_ids)))}
    await connection.execute(_MARK_DUE, bound)


async def next_due(connection: AsyncConnection, partition: int) -> str | None:
    """A tenant whose rules may have changed."""
    return (await connection.execute(_NEXT_DUE, {"partition": partition})).scalar_one_or_none()


async def not_due(connection: AsyncConnection, tenant_id: str) -> None:
    """Notes that a tenant's rules were looked at."""
    await connection.execute(_NOT_DUE, {"tenant_id": tenant_id})


async def partitions(connection: AsyncConnection) -> Collection[int]:
    """The partitions in which something is to be counted."""
    return [int(row.partition_id) for row in await connection.execute(_PARTITIONS)]


async def read(connection: AsyncConnection, tenant_id: str) -> dict[str, Sum]:
    """The numbers that there are of a tenant's experiments."""
    rows = await connection.execute(_READ, {"tenant_id": tenant_id})
    return {row.experiment_id: Sum(*row) for row in rows}


async def next_unfinished(connection: AsyncConnection, partition: int) -> tuple[str, Sum] | None:
    """Numbers in which not everybody is yet, and their tenant."""
    row = (await connection.execute(_NEXT, {"partition": partition})).first()
    return None if row is None else (row[0], Sum(*row[1:]))


async def write(connection: AsyncConnection, tenant_id: str, partition: int, sums: Collection[Sum]) -> None:
    """Notes how far a tenant's numbers are."""
    await connection.execute(
        _WRITE,
        {
            "tenant_id": tenant_id,
            "partition": partition,
            "experiment_ids": texts(one.experiment_id for one in sums),
            "rules": texts(one.rules for one in sums),
            "runs": numbers(one.run for one in sums),
            "reached": optional_numbers(one.reached for one in sums),
        },
    )


async def clear_cells(connection: AsyncConnection, tenant_id: str, experiment_ids: Iterable[str]) -> None:
    """Deletes the numbers of some experiments."""
    bound = {"tenant_id": tenant_id, "experiment_ids": texts(sorted(experiment_ids))}
    await connection.execute(_CLEAR_CELLS, bound)


async def read_members(
    connection: AsyncConnection, tenant_id: str, of: Sum, persons: Iterable[int]
) -> dict[int, dict[tuple[date, Part], int]]:
    """What some persons added in a run; those who are in none of its numbers are left out."""
    bound = {
        "tenant_id": tenant_id,
        "experiment_id": of.experiment_id,
        "run": of.run,
        "persons": numbers(sorted(set(persons))),
    }
    return {row[0]: _amounts(row[1]) for row in (await connection.execute(_READ_MEMBERS, bound)).all()}


async def write_members(connection: AsyncConnection, tenant_id: str, of: Sum, added: Mapping[int, Amounts]) -> None:
    """Notes what persons add, in the place of what they did."""
    ordered = sorted(added)
    if not ordered:
        return
    amounts = joined([_document(added[person]) for person in ordered])
    await connection.execute(
        _WRITE_MEMBERS,
        {
            "tenant_id": tenant_id,
            "experiment_id": of.experiment_id,
            "run": of.run,
            "persons": numbers(ordered),
            "amounts": amounts.together,
            "starts": amounts.starts,
            "lengths": amounts.lengths,
        },
    )


async def add_cells(connection: AsyncConnection, tenant_id: str, experiment_id: str, added: Amounts) -> None:
    """Adds to an experiment's numbers."""
    ordered = sorted((day, part) for (day, part), amount in added.items() if amount)
    if not ordered:
        return
    await connection.execute(
        _ADD_CELLS,
        {
            "tenant_id": tenant_id,
            "experiment_id": experiment_id,
            "days": texts(day.isoformat() for day, _ in ordered),
            "names": texts(name for _, (name, _, _) in ordered),
            "variants": texts(variant for _, (_, variant, _) in ordered),
            "cuts": texts(cut for _, (_, _, cut) in ordered),
            "amounts": numbers(added[key] for key in ordered),
        },
    )


async def read_cells(
    connection: AsyncConnection, tenant_id: str, experiment_id: str, first: date, last: date
) -> dict[Part, int]:
    """An experiment's numbers, of those who were first exposed on some days."""
    bound = {"tenant_id": tenant_id, "experiment_id": experiment_id, "first": first, "last": last}
    return _parts(await connection.execute(_READ_CELLS, bound))


async def read_whole(connection: AsyncConnection, tenant_id: str, experiment_id: str) -> dict[Part, int]:
    """An experiment's numbers, of everybody."""
    return _parts(await connection.execute(_READ_WHOLE, {"tenant_id": tenant_id, "experiment_id": experiment_id}))


def _parts(rows: Iterable[Any]) -> dict[Part, int]:
    return {(name, variant, cut): int(amount) for name, variant, cut, amount in rows}


def _document(amounts: Amounts) -> bytes:
    # As text: a product of two amounts is beyond 64 bits.
    return orjson.dumps([[day.isoformat(), *part, str(amount)] for (day, part), amount in sorted(amounts.items())])


def _amounts(document: bytes) -> dict[tuple[date, Part], int]:
    return {
        (date.fromisoformat(day), (name, variant, cut)): int(amount)
        for day, name, variant, cut, amount in orjson.loads(document)
    }
