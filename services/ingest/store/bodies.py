"""Parked bodies, opened to be searched, and forgotten where they name somebody who is erased."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import orjson
from sqlalchemy import LargeBinary, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.chassis.arrays import texts
from services.ingest.store.vault import Vault

_AT_ONCE = 500
_BYTES_AT_ONCE = 16 << 20

_READ = text(
    """SELECT parked_id, receive_time, sealed_body, sealed_headers
       FROM (SELECT parked_id, receive_time, sealed_body, sealed_headers,
                    sum(body_bytes) OVER (ORDER BY parked_id) - body_bytes AS bytes_before
             FROM parked_delivery
             WHERE tenant_id = :tenant_id AND parked_id > :after AND receive_time <= :through AND body_bytes > 0
             ORDER BY parked_id LIMIT :count) AS page
       WHERE bytes_before < :bytes ORDER BY parked_id"""
)

_FORGET = text(
    """UPDATE parked_delivery SET body_bytes = 0, sealed_body = forgotten.body, sealed_headers = forgotten.headers
       FROM unnest(CAST(:parked_ids AS text[]), :bodies, :headers) AS forgotten (parked_id, body, headers)
       WHERE tenant_id = :tenant_id AND parked_delivery.parked_id = forgotten.parked_id"""
).bindparams(*(bindparam(name, type_=ARRAY(LargeBinary)) for name in ("bodies", "headers")))


class Body(NamedTuple):
    """A parked body as it was sent."""

    parked_id: str
    receive_time: datetime
    body: bytes
    headers: Mapping[str, str]


async def read_bodies(
    engine: AsyncEngine, vault: Vault, *, tenant_id: str, after: str, through: datetime
) -> list[Body]:
    """Some bodies received until a time, by id, after the id `after`; none only when there are no more."""
    asked = {"tenant_id": tenant_id, "after": after, "through": through}
    async with engine.connect() as connection:
        rows = (await connection.execute(_READ, {**asked, "count": _AT_ONCE, "bytes": _BYTES_AT_ONCE})).all()
    return [
        Body(
            row.parked_id,
            row.receive_time,
            vault.open(row.sealed_body, "body", tenant_id, row.parked_id),
            orjson.loads(vault.open(row.sealed_headers, "headers", tenant_id, row.parked_id)),
        )
        for row in rows
    ]


async def forget_bodies(
    connection: AsyncConnection, vault: Vault, *, tenant_id: str, parked_ids: Sequence[str]
) -> None:
    """Forgets bodies; that they came, and why they could not be used, stays."""
    await connection.execute(
        _FORGET,
        {
            "tenant_id": tenant_id,
            "parked_ids": texts(parked_ids),
            "bodies": [vault.seal(b"", "body", tenant_id, parked_id) for parked_id in parked_ids],
            "headers": [vault.seal(b"{}", "headers", tenant_id, parked_id) for parked_id in parked_ids],
        },
    )
