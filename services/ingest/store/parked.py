"""Parked deliveries: what was validly signed and can't be used, sealed, for thirty days."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import orjson
from sqlalchemy import BigInteger, DateTime, LargeBinary, Text, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.ingest.domain.deliveries import KEPT_FOR, ParkedDelivery, UnusablePart
from services.ingest.store.vault import Vault

_EXPIRED_AT_ONCE = 500
_READ_BYTES = 16 << 20
"""A page of bodies holds no further one when it has so many bytes: it must fit a message."""

_PARK = text(
    """INSERT INTO parked_delivery (tenant_id, parked_id, source, topic, fingerprint, reason, receive_time,
                                    expire_time, body_bytes, sealed_body, sealed_headers)
       SELECT * FROM unnest(:tenant_ids, :parked_ids, :sources, :topics, :fingerprints, :reasons, :receive_times,
                            :expire_times, :body_bytes, :sealed_bodies, :sealed_headers)
       ON CONFLICT (tenant_id, source, topic, fingerprint) DO UPDATE SET
           reason = excluded.reason,
           expire_time = greatest(parked_delivery.expire_time, excluded.expire_time)"""
).bindparams(
    *(bindparam(name, type_=ARRAY(Text)) for name in ("tenant_ids", "parked_ids", "sources", "topics", "reasons")),
    *(bindparam(name, type_=ARRAY(DateTime(timezone=True))) for name in ("receive_times", "expire_times")),
    *(bindparam(name, type_=ARRAY(LargeBinary)) for name in ("fingerprints", "sealed_bodies", "sealed_headers")),
    bindparam("body_bytes", type_=ARRAY(BigInteger)),
)

_COLUMNS = "parked_id, source, topic, reason, receive_time, expire_time, body_bytes"

_LIST = text(
    f"""SELECT {_COLUMNS} FROM parked_delivery
        WHERE tenant_id = :tenant_id AND source = :source AND expire_time > :now
          AND (:before = '' OR parked_id < :before)
        ORDER BY parked_id DESC LIMIT :count"""
)

_READ = text(
    f"""WITH chosen AS (
            SELECT parked_id, sum(body_bytes) OVER (ORDER BY parked_id) - body_bytes AS bytes_before
            FROM parked_delivery
            WHERE tenant_id = :tenant_id AND source = :source AND expire_time > :now AND parked_id > :after
              AND (cardinality(:parked_ids) = 0 OR parked_id = ANY(:parked_ids))
            ORDER BY parked_id LIMIT :count)
        SELECT {_COLUMNS}, sealed_body, sealed_headers FROM parked_delivery
        WHERE tenant_id = :tenant_id AND parked_id IN (SELECT parked_id FROM chosen WHERE bytes_before < :bytes)
        ORDER BY parked_id"""
).bindparams(bindparam("parked_ids", type_=ARRAY(Text)))

_RESOLVE = text("DELETE FROM parked_delivery WHERE tenant_id = :tenant_id AND parked_id = ANY(:parked_ids)").bindparams(
    bindparam("parked_ids", type_=ARRAY(Text))
)

_EXPIRE = text(
    """DELETE FROM parked_delivery WHERE (tenant_id, parked_id) IN (
           SELECT tenant_id, parked_id FROM parked_delivery WHERE expire_time <= :now ORDER BY expire_time LIMIT :count)"""
)


async def park(connection: AsyncConnection, vault: Vault, parts: Iterable[UnusablePart]) -> None:
    """Parks what can't be used. What a source sends again stays parked once, with the reason found last.

    Its time runs from when it was last received.
    """
    rows = {(part.tenant_id, part.source, part.topic, _fingerprint(vault, part)): part for part in parts}
    if not rows:
        return
    ids = [_parked_id(part, fingerprint) for (*_, fingerprint), part in rows.items()]
    parts = list(rows.values())
    headers = [orjson.dumps(dict(part.headers)) for part in parts]
    await connection.execute(
        _PARK,
        {
            "tenant_ids": [part.tenant_id for part in parts],
            "parked_ids": ids,
            "sources": [part.source for part in parts],
            "topics": [part.topic for part in parts],
            "fingerprints": [fingerprint for *_, fingerprint in rows],
            "reasons": [part.reason for part in parts],
            "receive_times": [part.receive_time for part in parts],
            "expire_times": [part.receive_time + KEPT_FOR for part in parts],
            "body_bytes": [len(part.body) for part in parts],
            "sealed_bodies": [
                vault.seal(part.body, "body", part.tenant_id, id_) for part, id_ in zip(parts, ids, strict=True)
            ],
            "sealed_headers": [
                vault.seal(header, "headers", part.tenant_id, id_)
                for part, header, id_ in zip(parts, headers, ids, strict=True)
            ],
        },
    )


async def list_parked(
    engine: AsyncEngine, *, tenant_id: str, source: str, before: str, count: int, now: datetime
) -> list[ParkedDelivery]:
    """A source's parked deliveries without their bodies, newest first, older than the one with the id `before`."""
    async with engine.connect() as connection:
        rows = await connection.execute(
            _LIST, {"tenant_id": tenant_id, "source": source, "before": before, "count": count, "now": now}
        )
        return [ParkedDelivery(*row) for row in rows]


async def read_parked(
    engine: AsyncEngine,
    vault: Vault,
    *,
    tenant_id: str,
    source: str,
    parked_ids: Sequence[str],
    after: str,
    count: int,
    now: datetime,
) -> list[ParkedDelivery]:
    """Parked deliveries with their bodies by id, after the id `after`: of those named, or of all when none is named.

    At most `count`, and fewer when the bodies are large; none only when there are no more.
    """
    asked = {"tenant_id": tenant_id, "source": source, "parked_ids": list(parked_ids)}
    async with engine.connect() as connection:
        rows = (
            await connection.execute(_READ, {**asked, "after": after, "count": count, "bytes": _READ_BYTES, "now": now})
        ).all()
    return [
        ParkedDelivery(*row[:7])._replace(
            body=vault.open(row.sealed_body, "body", tenant_id, row.parked_id),
            headers=orjson.loads(vault.open(row.sealed_headers, "headers", tenant_id, row.parked_id)),
        )
        for row in rows
    ]


async def resolve_parked(engine: AsyncEngine, *, tenant_id: str, parked_ids: Sequence[str]) -> int:
    """Takes deliveries off the list; answers how many were on it."""
    async with engine.begin() as connection:
        result = await connection.execute(_RESOLVE, {"tenant_id": tenant_id, "parked_ids": list(parked_ids)})
        return int(result.rowcount)


async def forget_expired(engine: AsyncEngine, *, now: datetime) -> int:
    """Deletes some of what has expired; answers how many, and when it is 0 nothing is left."""
    async with engine.begin() as connection:
        return int((await connection.execute(_EXPIRE, {"now": now, "count": _EXPIRED_AT_ONCE})).rowcount)


def _fingerprint(vault: Vault, part: UnusablePart) -> bytes:
    # Of a body that was too large to keep only the headers tell it apart.
    told = part.body or orjson.dumps(dict(part.headers), option=orjson.OPT_SORT_KEYS)
    return vault.fingerprint(told, part.tenant_id, part.source, part.topic)


def _parked_id(part: UnusablePart, fingerprint: bytes) -> str:
    """Ids in the order of time, of one length: milliseconds since 1970, then what tells it apart."""
    return f"{int(part.receive_time.timestamp() * 1000):012x}{fingerprint.hex()[:20]}"
