"""The erasing that is under way: whose it is, how far it is, and the sealed plan of what is replaced."""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import IntEnum
from typing import NamedTuple

import orjson
from sqlalchemy import DateTime, Float, Interval, LargeBinary, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.chassis.arrays import numbers, texts
from services.ingest.domain.erasing import KEY_BYTES, Plan
from services.ingest.domain.events import API_SOURCE
from services.ingest.domain.privacy import LONGEST_GATHER, LONGEST_WAIT, UNNOTICED
from services.ingest.store.vault import Vault
from services.kernel.identifiers import Identifier, Kind

_PLAN_PART = 10_000

_TRY_LOCK = text("SELECT pg_try_advisory_lock(hashtext('touchstone erasing'), hashtext(current_schema()))")

_UNLOCK = text("SELECT pg_advisory_unlock(hashtext('touchstone erasing'), hashtext(current_schema()))")

_IS_WAITING = text("SELECT EXISTS (SELECT FROM privacy_request WHERE state < 3 AND kind > 1)")

# One after the other: who begins while another is under way would find values that are half replaced. And not at once,
# for each rebuilds the installation, unless somebody has waited for as long as may be.
_BEGIN = text(
    """UPDATE privacy_request SET state = 2
       WHERE state = 1 AND kind > 1 AND NOT EXISTS (SELECT FROM erasure)
         AND (SELECT (max(create_time) <= :quiet_since OR min(create_time) <= :waiting_since)
                 AND (min(create_time) <= :overdue_since OR (SELECT bool_and(until_time <= :now) FROM erasing_rest))
              FROM privacy_request WHERE state = 1 AND kind > 1)
       RETURNING tenant_id, position"""
)

_ADD = text(
    """INSERT INTO erasure (tenant_id, partition_id, step, position, through_position, sealed_key, begin_time)
       SELECT tenant_id, tenant.partition_id, 1, 0, through_position, sealed_key, :now
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:through_positions AS bigint[]), :sealed_keys)
                AS begun (tenant_id, through_position, sealed_key)
       JOIN tenant USING (tenant_id)"""
).bindparams(bindparam("sealed_keys", type_=ARRAY(LargeBinary)), bindparam("now", type_=DateTime(timezone=True)))

_READ = text(
    """SELECT tenant_id, partition_id, step, position, through_position, sealed_key FROM erasure ORDER BY tenant_id"""
)

_PLAN = text(
    """INSERT INTO erasure_plan (tenant_id, part, sealed_identifiers)
       SELECT :tenant_id, part - 1, sealed FROM unnest(:sealed) WITH ORDINALITY AS planned (sealed, part)"""
).bindparams(bindparam("sealed", type_=ARRAY(LargeBinary)))

_READ_PLAN = text("SELECT part, sealed_identifiers FROM erasure_plan WHERE tenant_id = :tenant_id ORDER BY part")

_COUNT = text(
    """UPDATE privacy_request SET
           erased_identifiers = erased_identifiers + counted.identifiers,
           rewritten_events = rewritten_events + counted.events,
           forgotten_bodies = forgotten_bodies + counted.bodies
       FROM unnest(CAST(:request_ids AS text[]), CAST(:identifiers AS int[]), CAST(:events AS bigint[]),
                   CAST(:bodies AS int[])) AS counted (request_id, identifiers, events, bodies)
       WHERE tenant_id = :tenant_id AND privacy_request.request_id = counted.request_id"""
)

_MOVE_ALL = text("UPDATE erasure SET step = :step")

_MOVE = text("UPDATE erasure SET step = :step, position = :position WHERE tenant_id = :tenant_id")

_DROP_RENAMED = text(
    """DELETE FROM event_key USING erasure_renamed AS renamed
       WHERE event_key.tenant_id = renamed.tenant_id AND event_key.source = renamed.source
         AND event_key.event_id = renamed.event_id"""
)

_REWRITTEN_AT_ALL = text("SELECT EXISTS (SELECT FROM privacy_request WHERE state = 2 AND rewritten_events > 0)")

_DONE = text(
    """UPDATE privacy_request SET state = 3, done_time = :now, sealed_named = NULL,
                                  fingerprint = CASE WHEN source <> :api THEN fingerprint END
       WHERE state = 2"""
)

_REST = text(
    """UPDATE erasing_rest SET until_time = CAST(:now AS timestamptz)
           + :rest * greatest(:now - begun.begin_time - :unnoticed, interval '0')
       FROM (SELECT min(begin_time) AS begin_time FROM erasure) AS begun"""
).bindparams(
    bindparam("now", type_=DateTime(timezone=True)),
    bindparam("rest", type_=Float),
    bindparam("unnoticed", type_=Interval),
)

_END = (
    text("DELETE FROM erasure_renamed"),
    text("DELETE FROM erasure_plan"),
    text("DELETE FROM erasure"),
)


class Step(IntEnum):
    """How far the erasing of one tenant is."""

    PLANNING = 1
    REWRITING = 2
    FORGETTING = 3
    REWRITTEN = 4
    REPLACED = 5


class Erasure(NamedTuple):
    """The erasing of one tenant, through a position of its partition."""

    tenant_id: str
    partition: int
    step: Step
    position: int
    through_position: int
    key: bytes


class Counted(NamedTuple):
    """What a step adds to one request's record."""

    identifiers: int = 0
    events: int = 0
    bodies: int = 0


async def try_lock(connection: AsyncConnection) -> bool:
    """Takes the right to erase, until it is given up or the connection ends; answers whether nobody else has it."""
    return bool((await connection.execute(_TRY_LOCK)).scalar_one())


async def unlock(connection: AsyncConnection) -> None:
    """Gives the right to erase up."""
    await connection.execute(_UNLOCK)


async def is_waiting(engine: AsyncEngine) -> bool:
    """True when an erasure is asked for and not done."""
    async with engine.connect() as connection:
        return bool((await connection.execute(_IS_WAITING)).scalar_one())


async def begin(engine: AsyncEngine, vault: Vault, *, now: datetime, gather: timedelta) -> None:
    """Begins with all erasures that are asked for, unless an erasing is under way already.

    Only when none was asked for in the time to gather, or one has waited for others for long enough; and after the rest
    that the last erasing left, or when one has waited for as long as may be.
    """
    asked = {
        "now": now,
        "quiet_since": now - gather,
        "waiting_since": now - LONGEST_GATHER,
        "overdue_since": now - LONGEST_WAIT,
    }
    async with engine.begin() as connection:
        through: dict[str, int] = {}
        for row in await connection.execute(_BEGIN, asked):
            through[row.tenant_id] = max(row.position, through.get(row.tenant_id, 0))
        if through:
            await connection.execute(
                _ADD,
                {
                    "tenant_ids": texts(through),
                    "through_positions": numbers(through.values()),
                    "now": now,
                    "sealed_keys": [
                        vault.seal(secrets.token_bytes(KEY_BYTES), "erasure", tenant_id) for tenant_id in through
                    ],
                },
            )


async def read_erasures(engine: AsyncEngine, vault: Vault) -> list[Erasure]:
    """What is under way, by tenant."""
    async with engine.connect() as connection:
        rows = (await connection.execute(_READ)).all()
    return [
        Erasure(
            row.tenant_id,
            row.partition_id,
            Step(row.step),
            row.position,
            row.through_position,
            vault.open(row.sealed_key, "erasure", row.tenant_id),
        )
        for row in rows
    ]


async def keep_plan(connection: AsyncConnection, vault: Vault, tenant_id: str, plan: Plan) -> None:
    """Keeps whose values are replaced for which requests, sealed."""
    rows = sorted((int(one.kind), one.value, list(requests)) for one, requests in plan.items())
    parts = [rows[start : start + _PLAN_PART] for start in range(0, len(rows), _PLAN_PART)]
    sealed = [vault.seal(orjson.dumps(part), "plan", tenant_id, str(i)) for i, part in enumerate(parts)]
    await connection.execute(_PLAN, {"tenant_id": tenant_id, "sealed": sealed})


async def read_plan(engine: AsyncEngine, vault: Vault, tenant_id: str) -> dict[Identifier, tuple[int, ...]]:
    """The plan as it was kept."""
    async with engine.connect() as connection:
        rows = (await connection.execute(_READ_PLAN, {"tenant_id": tenant_id})).all()
    return {
        Identifier(Kind(kind), value): tuple(requests)
        for row in rows
        for kind, value, requests in orjson.loads(vault.open(row.sealed_identifiers, "plan", tenant_id, str(row.part)))
    }


async def count(connection: AsyncConnection, tenant_id: str, counted: Mapping[str, Counted]) -> None:
    """Adds to the records of requests, by id."""
    if counted:
        rows = sorted(counted.items())
        parameters = {
            "tenant_id": tenant_id,
            "request_ids": texts(request_id for request_id, _ in rows),
            "identifiers": numbers(one.identifiers for _, one in rows),
            "events": numbers(one.events for _, one in rows),
            "bodies": numbers(one.bodies for _, one in rows),
        }
        await connection.execute(_COUNT, parameters)


async def move(connection: AsyncConnection, tenant_id: str, step: Step, position: int = 0) -> None:
    """Notes how far the erasing of a tenant is."""
    await connection.execute(_MOVE, {"tenant_id": tenant_id, "step": int(step), "position": position})


async def move_all(connection: AsyncConnection, step: Step) -> None:
    """Notes that all tenants' erasing is as far."""
    await connection.execute(_MOVE_ALL, {"step": int(step)})


async def is_rewritten(connection: AsyncConnection) -> bool:
    """True when the erasing has changed the log."""
    return bool((await connection.execute(_REWRITTEN_AT_ALL)).scalar_one())


async def end(connection: AsyncConnection, *, now: datetime, rest: float) -> None:
    """Calls the requests done, and destroys keys and plans: from here on nobody can make the tokens again.

    The next erasing begins after `rest` times as long as this one took beyond what nobody notices.
    """
    await connection.execute(_DONE, {"now": now, "api": API_SOURCE})
    await connection.execute(_REST, {"now": now, "rest": rest, "unnoticed": UNNOTICED})
    await connection.execute(_DROP_RENAMED)
    for statement in _END:
        await connection.execute(statement)
