"""The facts: each order as the credit log last told of it in an edition, whole."""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from sqlalchemy import LargeBinary, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.arrays import joined, numbers, texts
from services.reporting.domain.records import Shown


class StoredFact(NamedTuple):
    """An order's entry of the credit log, serialised, and where it stands there."""

    tenant_id: str
    edition: int
    source: str
    order_id: str
    credit_position: int
    payload: bytes


# The known fact is looked up row by row: a join might be planned while the table is empty, and kept. It is the first from
# its key on: asked for by plain equality, any index that begins with the tenant and the edition looks as good then.
_REPLACE = text(
    """WITH told AS (
           SELECT tenant_id, edition, source, order_id, credit_position, substring(:payloads FROM start FOR length) AS payload,
                  order_seconds, display_number, status, currency_code, excluded_reason, gross_micros, net_micros, tax_micros,
                  shipping_micros, CAST(NULLIF(models, '') AS jsonb) AS models
           FROM unnest(
               CAST(:tenant_ids AS text[]), CAST(:editions AS bigint[]), CAST(:sources AS text[]),
               CAST(:order_ids AS text[]), CAST(:positions AS bigint[]), CAST(:starts AS int[]), CAST(:lengths AS int[]),
               CAST(:order_seconds AS bigint[]), CAST(:display_numbers AS text[]), CAST(:statuses AS text[]),
               CAST(:currency_codes AS text[]), CAST(:excluded_reasons AS text[]), CAST(:gross_micros AS bigint[]),
               CAST(:net_micros AS bigint[]), CAST(:tax_micros AS bigint[]), CAST(:shipping_micros AS bigint[]),
               CAST(:models AS text[])
           ) AS fact (tenant_id, edition, source, order_id, credit_position, start, length, order_seconds, display_number,
                      status, currency_code, excluded_reason, gross_micros, net_micros, tax_micros, shipping_micros, models)),
       replaced AS (
           INSERT INTO order_fact (tenant_id, edition, source, order_id, credit_position, payload, order_seconds,
                                   display_number, status, currency_code, excluded_reason, gross_micros, net_micros,
                                   tax_micros, shipping_micros, models)
           SELECT * FROM told
           ON CONFLICT (tenant_id, edition, source, order_id) DO UPDATE
           SET credit_position = excluded.credit_position, payload = excluded.payload,
               order_seconds = excluded.order_seconds, display_number = excluded.display_number,
               status = excluded.status, currency_code = excluded.currency_code,
               excluded_reason = excluded.excluded_reason, gross_micros = excluded.gross_micros,
               net_micros = excluded.net_micros, tax_micros = excluded.tax_micros,
               shipping_micros = excluded.shipping_micros, models = excluded.models
           WHERE order_fact.credit_position < excluded.credit_position)
       SELECT known.tenant_id, known.edition, known.source, known.order_id, known.credit_position, known.payload
       FROM told CROSS JOIN LATERAL (
           SELECT tenant_id, edition, source, order_id, credit_position, payload FROM order_fact
           WHERE tenant_id = told.tenant_id
             AND (edition, source, order_id) >= (told.edition, told.source, told.order_id)
           ORDER BY edition, source, order_id LIMIT 1) AS known
       WHERE (known.edition, known.source, known.order_id) = (told.edition, told.source, told.order_id)"""
).bindparams(bindparam("payloads", type_=LargeBinary))

_COUNT = text("SELECT count(*) FROM order_fact WHERE tenant_id = :tenant_id AND edition = :edition")

_READ_AFTER = text(
    """SELECT tenant_id, edition, source, order_id, credit_position, payload FROM order_fact
       WHERE tenant_id = :tenant_id AND (edition, source, order_id) > (:edition, :source, :order_id)
         AND edition <= :last_edition
       ORDER BY edition, source, order_id LIMIT :count"""
)

_CLEAR = text(
    """DELETE FROM order_fact WHERE tenant_id = :tenant_id AND (edition, source, order_id) IN (
           SELECT edition, source, order_id FROM order_fact WHERE tenant_id = :tenant_id AND edition < :edition
           ORDER BY edition, source, order_id LIMIT :count)"""
)

_NEWEST = 2**63 - 1

_CHUNK = 1_000


async def replace(connection: AsyncConnection, facts: Sequence[StoredFact], shown: Sequence[Shown]) -> list[StoredFact]:
    """Stores facts, one an order and edition, in the place of older ones; answers those that were stored before.

    A fact that stands no later in the log than the stored one changes nothing. `shown` is what records show of each.
    """
    payloads = joined([fact.payload for fact in facts])
    parameters = {
        "tenant_ids": texts(fact.tenant_id for fact in facts),
        "editions": numbers(fact.edition for fact in facts),
        "sources": texts(fact.source for fact in facts),
        "order_ids": texts(fact.order_id for fact in facts),
        "positions": numbers(fact.credit_position for fact in facts),
        "payloads": payloads.together,
        "starts": payloads.starts,
        "lengths": payloads.lengths,
        "order_seconds": "{"
        + ",".join("NULL" if one.order_seconds is None else str(one.order_seconds) for one in shown)
        + "}",
        "display_numbers": texts(one.display_number for one in shown),
        "statuses": texts(one.status for one in shown),
        "currency_codes": texts(one.currency_code for one in shown),
        "excluded_reasons": texts(one.excluded_reason for one in shown),
        "gross_micros": numbers(one.gross_micros for one in shown),
        "net_micros": numbers(one.net_micros for one in shown),
        "tax_micros": numbers(one.tax_micros for one in shown),
        "shipping_micros": numbers(one.shipping_micros for one in shown),
        "models": texts(one.models for one in shown),
    }
    return [StoredFact(*row) for row in (await connection.execute(_REPLACE, parameters)).all()]


async def count(connection: AsyncConnection, tenant_id: str, edition: int) -> int:
    """How many orders of a tenant an edition has."""
    bound = {"tenant_id": tenant_id, "edition": edition}
    return int((await connection.execute(_COUNT, bound)).scalar_one())


async def read_all(
    connection: AsyncConnection, tenant_id: str, edition: int, *, and_newer: bool = False
) -> AsyncIterator[list[StoredFact]]:
    """Every fact of a tenant in an edition, or in it and all newer ones, by source and order, in chunks."""
    last_edition = _NEWEST if and_newer else edition
    source = order_id = ""
    while True:
        rows = await connection.execute(
            _READ_AFTER,
            {
                "tenant_id": tenant_id,
                "edition": edition,
                "source": source,
                "order_id": order_id,
                "last_edition": last_edition,
                "count": _CHUNK,
            },
        )
        chunk = [StoredFact(*row) for row in rows.all()]
        if chunk:
            yield chunk
        if len(chunk) < _CHUNK:
            return
        edition, source, order_id = chunk[-1][1:4]


async def read_page(
    connection: AsyncConnection, tenant_id: str, after: tuple[int, str, str], count: int
) -> list[StoredFact]:
    """Some facts of a tenant by edition, source and order, behind a place in that sequence."""
    bound = {
        "tenant_id": tenant_id,
        "edition": after[0],
        "source": after[1],
        "order_id": after[2],
        "last_edition": _NEWEST,
        "count": count,
    }
    return [StoredFact(*row) for row in await connection.execute(_READ_AFTER, bound)]


async def clear_before(connection: AsyncConnection, tenant_id: str, edition: int, count: int) -> int:
    """Deletes some facts of a tenant's editions before one; answers how many."""
    bound = {"tenant_id": tenant_id, "edition": edition, "count": count}
    return (await connection.execute(_CLEAR, bound)).rowcount
