"""Requests about personal data: recorded once, sealed while they are open, listed for ever."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, Integer, Interval, LargeBinary, Text, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.chassis import log
from services.chassis.arrays import texts
from services.ingest.domain.events import API_SOURCE
from services.ingest.domain.privacy import (
    DUE_AFTER,
    LONGEST_GATHER,
    LONGEST_WAIT,
    REPEATED_FOR,
    Asked,
    Demand,
    DemandKind,
    Named,
    Request,
    State,
    request_id,
)
from services.ingest.store.vault import Vault

# How long one that is under way takes, and rests after that, nobody knows.
_COLUMNS = """request_id, kind, source, state, create_time, done_time, due_time,
              CASE WHEN state = 1 AND kind > 1 THEN
                  CASE WHEN EXISTS (SELECT FROM erasure) THEN create_time + :longest_wait
                       ELSE least(create_time + :longest_wait,
                                  greatest(create_time + :longest_gather, (SELECT max(until_time) FROM erasing_rest)))
                  END
              END AS latest_begin_time,
              erased_identifiers, rewritten_events, forgotten_bodies"""

_WAITS = (
    bindparam("longest_gather", LONGEST_GATHER, type_=Interval),
    bindparam("longest_wait", LONGEST_WAIT, type_=Interval),
)

# Asked by hand again, a request that has not begun reaches on to what has come since.
_ASK_AGAIN = text(
    """UPDATE privacy_request SET position = head.position
       FROM log_head AS head,
            unnest(CAST(:tenant_ids AS text[]), CAST(:sources AS text[]), :fingerprints)
                AS asked (tenant_id, source, fingerprint)
       WHERE head.partition_id = :partition AND privacy_request.tenant_id = asked.tenant_id
         AND privacy_request.source = asked.source AND privacy_request.fingerprint = asked.fingerprint AND state = 1
       RETURNING privacy_request.tenant_id, privacy_request.source, privacy_request.fingerprint, request_id"""
).bindparams(bindparam("fingerprints", type_=ARRAY(LargeBinary)))

_FIND_REPEATED = text(
    """SELECT DISTINCT ON (tenant_id, source, fingerprint) tenant_id, source, fingerprint, request_id
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:sources AS text[]), :fingerprints)
                AS asked (tenant_id, source, fingerprint)
       JOIN privacy_request USING (tenant_id, source, fingerprint)
       WHERE state < 3 OR create_time > :repeated_since ORDER BY tenant_id, source, fingerprint, request_id DESC"""
).bindparams(bindparam("fingerprints", type_=ARRAY(LargeBinary)))

# The head row is held: its position is that of everything accepted before.
_RECORD = text(
    """INSERT INTO privacy_request (tenant_id, request_id, source, kind, state, fingerprint, position, sealed_named,
                                    create_time, due_time)
       SELECT tenant_id, request_id, source, kind, 1, fingerprint, head.position, sealed_named, create_time, due_time
       FROM log_head AS head,
            unnest(CAST(:tenant_ids AS text[]), CAST(:request_ids AS text[]), CAST(:sources AS text[]), :kinds,
                   :fingerprints, :sealed, :create_times, :due_times)
                AS asked (tenant_id, request_id, source, kind, fingerprint, sealed_named, create_time, due_time)
       WHERE head.partition_id = :partition
       ON CONFLICT (tenant_id, request_id) DO NOTHING"""
).bindparams(
    bindparam("kinds", type_=ARRAY(Integer)),
    *(bindparam(name, type_=ARRAY(LargeBinary)) for name in ("fingerprints", "sealed")),
    *(bindparam(name, type_=ARRAY(DateTime(timezone=True))) for name in ("create_times", "due_times")),
)

_LIST = text(
    f"""SELECT {_COLUMNS} FROM privacy_request
        WHERE tenant_id = :tenant_id AND (:before = '' OR request_id < :before)
        ORDER BY request_id DESC LIMIT :count"""
).bindparams(*_WAITS)

_FIND = text(
    f"SELECT {_COLUMNS} FROM privacy_request WHERE tenant_id = :tenant_id AND request_id = :request_id"
).bindparams(*_WAITS)

_OPEN = text(
    """SELECT request_id, kind, source, position, create_time, sealed_named FROM privacy_request
       WHERE tenant_id = :tenant_id AND sealed_named IS NOT NULL AND state = ANY(:states) AND kind = ANY(:kinds)
         AND (:request_id = '' OR request_id = :request_id)
       ORDER BY request_id"""
).bindparams(
    bindparam("states", type_=ARRAY(Integer)),
    bindparam("kinds", type_=ARRAY(Integer)),
    bindparam("request_id", type_=Text),
)

_FORGET = text(
    f"""UPDATE privacy_request SET state = 3, done_time = :now, sealed_named = NULL,
                                  fingerprint = CASE WHEN source <> '{API_SOURCE}' THEN fingerprint END
        WHERE tenant_id = :tenant_id AND request_id = ANY(:request_ids) AND state < 3"""
).bindparams(bindparam("request_ids", type_=ARRAY(Text)))

ERASURES = (DemandKind.ERASURE, DemandKind.SHOP_ERASURE)
"""What changes the log."""


async def record(engine: AsyncEngine, vault: Vault, partition: int, demands: Sequence[Demand]) -> list[str]:
    """Commits demands of tenants of a partition; answers the requests' ids.

    What was asked before and is not done is the same request; what a shop repeats within two days, too. A request
    reaches everything that was accepted before.
    """
    async with engine.begin() as connection:
        await log.lock_head(connection, partition)
        return await _record(connection, vault, partition, demands)


async def _record(connection: AsyncConnection, vault: Vault, partition: int, demands: Sequence[Demand]) -> list[str]:
    keyed = [(demand.tenant_id, demand.source, _fingerprint(vault, demand)) for demand in demands]
    known: dict[tuple[str, str, bytes], str] = {}
    for statement, by_hand in ((_ASK_AGAIN, True), (_FIND_REPEATED, False)):
        chosen = [(key, one) for key, one in zip(keyed, demands, strict=True) if one.is_by_hand == by_hand]
        if chosen:
            rows = await connection.execute(
                statement,
                {
                    **_keys([key for key, _ in chosen]),
                    **({"partition": partition} if by_hand else _since(max(one.ask_time for _, one in chosen))),
                },
            )
            known.update({(row.tenant_id, row.source, bytes(row.fingerprint)): row.request_id for row in rows})
    fresh = {key: one for key, one in zip(keyed, demands, strict=True) if key not in known}
    if fresh:
        ids = {key: _request_id(vault, one, key[2]) for key, one in fresh.items()}
        await connection.execute(_RECORD, {"partition": partition, **_rows(vault, fresh, ids)})
        known.update(ids)
    return [known[key] for key in keyed]


async def list_requests(engine: AsyncEngine, *, tenant_id: str, before: str, count: int) -> list[Request]:
    """A tenant's requests, newest first, older than the one with the id `before`."""
    async with engine.connect() as connection:
        rows = await connection.execute(_LIST, {"tenant_id": tenant_id, "before": before, "count": count})
        return [_request(row) for row in rows]


async def find_request(engine: AsyncEngine, *, tenant_id: str, request_id: str) -> Request | None:
    """One request, or None."""
    async with engine.connect() as connection:
        row = (await connection.execute(_FIND, {"tenant_id": tenant_id, "request_id": request_id})).one_or_none()
    return None if row is None else _request(row)


async def read_open(
    connection: AsyncConnection,
    vault: Vault,
    *,
    tenant_id: str,
    states: Sequence[State],
    kinds: Sequence[DemandKind],
    request_id: str = "",
) -> list[Asked]:
    """A tenant's requests in these states, by id, with whom they name."""
    asked = {"tenant_id": tenant_id, "states": [*map(int, states)], "kinds": [*map(int, kinds)]}
    rows = (await connection.execute(_OPEN, {**asked, "request_id": request_id})).all()
    return [
        Asked(
            row.request_id,
            DemandKind(row.kind),
            row.source,
            row.position,
            row.create_time,
            Named.unpacked(vault.open(row.sealed_named, "named", tenant_id, row.request_id)),
        )
        for row in rows
    ]


async def forget(connection: AsyncConnection, *, tenant_id: str, request_ids: Sequence[str], now: datetime) -> None:
    """Calls requests done, and forgets whom they named."""
    parameters = {"tenant_id": tenant_id, "request_ids": list(request_ids), "now": now}
    await connection.execute(_FORGET, parameters)


def _fingerprint(vault: Vault, demand: Demand) -> bytes:
    return vault.fingerprint(demand.told_apart_by, "demand", demand.tenant_id, demand.source, demand.kind.name)


def _request_id(vault: Vault, demand: Demand, fingerprint: bytes) -> str:
    # The same can be asked twice in a millisecond, when the first is under way already.
    unique = vault.fingerprint(vault.seal(b"", "request"), "request", fingerprint.hex())
    return request_id(demand.ask_time, unique)


def _keys(keys: Sequence[tuple[str, str, bytes]]) -> dict[str, object]:
    return {
        "tenant_ids": texts(tenant_id for tenant_id, _, _ in keys),
        "sources": texts(source for _, source, _ in keys),
        "fingerprints": [fingerprint for _, _, fingerprint in keys],
    }


def _since(ask_time: datetime) -> dict[str, object]:
    return {"repeated_since": ask_time - REPEATED_FOR}


def _rows(
    vault: Vault, fresh: dict[tuple[str, str, bytes], Demand], ids: dict[tuple[str, str, bytes], str]
) -> dict[str, object]:
    return {
        **_keys(list(fresh)),
        "request_ids": texts(ids[key] for key in fresh),
        "kinds": [int(one.kind) for one in fresh.values()],
        "sealed": [vault.seal(one.named.packed(), "named", one.tenant_id, ids[key]) for key, one in fresh.items()],
        "create_times": [one.ask_time for one in fresh.values()],
        "due_times": [one.ask_time + DUE_AFTER for one in fresh.values()],
    }


def _request(row: Any) -> Request:
    return Request(
        request_id=row.request_id,
        kind=DemandKind(row.kind),
        source=row.source,
        state=State(row.state),
        create_time=row.create_time,
        done_time=row.done_time,
        due_time=row.due_time,
        latest_begin_time=row.latest_begin_time,
        erased_identifiers=row.erased_identifiers,
        rewritten_events=row.rewritten_events,
        forgotten_bodies=row.forgotten_bodies,
    )
