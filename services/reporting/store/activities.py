"""Facts that are folded from events: what is known of each conversation, session or run, as its kind stores it."""

from collections.abc import AsyncIterator, Collection, Mapping

from sqlalchemy import LargeBinary, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.arrays import joined, texts

Key = tuple[str, str, str]
"""The tenant, the kind, and the name of what it is."""

_CHUNK = 1_000

_READ = text(
    """SELECT fact.tenant_id, fact.kind, fact.key, fact.state
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:kinds AS text[]), CAST(:keys AS text[])) AS told (tenant_id, kind, key)
       CROSS JOIN LATERAL (
           SELECT tenant_id, kind, key, state FROM activity_fact
           WHERE tenant_id = told.tenant_id AND kind = told.kind AND key = told.key LIMIT 1) AS fact"""
)

_WRITE = text(
    """INSERT INTO activity_fact (tenant_id, kind, key, state)
       SELECT tenant_id, kind, key, substring(:states FROM start FOR length)
       FROM unnest(
           CAST(:tenant_ids AS text[]), CAST(:kinds AS text[]), CAST(:keys AS text[]),
           CAST(:starts AS int[]), CAST(:lengths AS int[])) AS told (tenant_id, kind, key, start, length)
       ON CONFLICT (tenant_id, kind, key) DO UPDATE SET state = excluded.state"""
).bindparams(bindparam("states", type_=LargeBinary))

_READ_AFTER = text(
    """SELECT tenant_id, kind, key, state FROM activity_fact
       WHERE tenant_id = :tenant_id AND (kind, key) > (:kind, :key) ORDER BY kind, key LIMIT :count"""
)


async def read(connection: AsyncConnection, keys: Collection[Key]) -> dict[Key, bytes]:
    """The states of those that are known."""
    ordered = sorted(keys)
    if not ordered:
        return {}
    tenant_ids, kinds, names = zip(*ordered, strict=True)
    parameters = {"tenant_ids": texts(tenant_ids), "kinds": texts(kinds), "keys": texts(names)}
    return {(row[0], row[1], row[2]): row[3] for row in await connection.execute(_READ, parameters)}


async def write(connection: AsyncConnection, states: Mapping[Key, bytes]) -> None:
    """Stores states in the place of older ones, in the sequence of the keys."""
    ordered = sorted(states)
    if not ordered:
        return
    tenant_ids, kinds, names = zip(*ordered, strict=True)
    together = joined([states[key] for key in ordered])
    await connection.execute(
        _WRITE,
        {
            "tenant_ids": texts(tenant_ids),
            "kinds": texts(kinds),
            "keys": texts(names),
            "states": together.together,
            "starts": together.starts,
            "lengths": together.lengths,
        },
    )


async def read_page(
    connection: AsyncConnection, tenant_id: str, after: tuple[str, str], count: int
) -> list[tuple[Key, bytes]]:
    """Some facts of a tenant by kind and key, behind a place in that sequence."""
    bound = {"tenant_id": tenant_id, "kind": after[0], "key": after[1], "count": count}
    return [((row[0], row[1], row[2]), row[3]) for row in await connection.execute(_READ_AFTER, bound)]


async def read_all(connection: AsyncConnection, tenant_id: str) -> AsyncIterator[list[tuple[Key, bytes]]]:
    """Every fact of a tenant by kind and key, in chunks."""
    kind = key = ""
    while True:
        chunk = await read_page(connection, tenant_id, (kind, key), _CHUNK)
        if chunk:
            yield chunk
        if len(chunk) < _CHUNK:
            return
        (_, kind, key), _ = chunk[-1]
