"""Products: the catalogue as the shops tell it, beside what was sold, ranked in one statement."""

from collections.abc import Collection
from datetime import date
from typing import Any, NamedTuple

import orjson
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.arrays import texts
from services.reporting.domain.popularity import SPANS, By, Popularity, Ranking, Sold
from services.reporting.domain.tenants import Tenant

_NAMES = text(
    """SELECT fact.key, fact.state
       FROM unnest(CAST(:keys AS text[])) AS told (key)
       CROSS JOIN LATERAL (
           SELECT key, state FROM activity_fact
           WHERE tenant_id = :tenant_id AND kind = 'product_name' AND key = told.key LIMIT 1) AS fact"""
)

# Orders name a product by its SKU, or by the shop's id where it has none. A product's variations are sold as the
# product; what a shop never told of as a product stands for itself.
_SOLD = f"""
    told AS MATERIALIZED (
        SELECT source, product_id, parent_product_id, display_name, total_sales, deleted,
               coalesce(nullif(sku, ''), product_id) AS name
        FROM activity_fact CROSS JOIN LATERAL json_to_record(CAST(convert_from(state, 'UTF8') AS json)) AS product (
            source text, product_id text, sku text, parent_product_id text, display_name text, total_sales bigint,
            deleted boolean)
        WHERE tenant_id = :tenant_id AND kind = 'product'),
    placed AS MATERIALIZED (
        SELECT told.*, told.parent_product_id = '' AS whole,
               coalesce(parent.name, nullif(told.parent_product_id, ''), told.name) AS family
        FROM told LEFT JOIN told AS parent
             ON parent.source = told.source AND parent.product_id = told.parent_product_id),
    alias AS MATERIALIZED (
        SELECT DISTINCT ON (name) name, family
        FROM (SELECT name, family, 0 AS place FROM placed UNION ALL SELECT product_id, family, 1 FROM placed) AS named
        ORDER BY name, place, family),
    product AS (
        SELECT family,
               coalesce(min(product_id) FILTER (WHERE whole AND NOT deleted), '') AS product_id,
               coalesce(min(display_name) FILTER (WHERE whole AND NOT deleted), '') AS display_name,
               max(total_sales) FILTER (WHERE whole AND NOT deleted) AS total_sales,
               coalesce(bool_and(deleted) FILTER (WHERE whole), bool_and(deleted)) AS deleted
        FROM placed GROUP BY family),
    sold AS (
        SELECT coalesce(alias.family, cell.sku) AS family,
               {", ".join(f"CAST(sum(cell.units_{days}) AS bigint) AS units_{days}" for days in SPANS)}
        FROM (SELECT sku, {", ".join(f"sum(units) FILTER (WHERE day > CAST(:as_of AS date) - {days}) AS units_{days}" for days in SPANS)}
              FROM product_cell
              WHERE tenant_id = :tenant_id AND edition = :edition AND model = ''
                AND day BETWEEN CAST(:as_of AS date) - {max(SPANS) - 1} AND :as_of AND sku <> ''
              GROUP BY sku) AS cell
             LEFT JOIN alias ON alias.name = cell.sku
        GROUP BY 1),
    figure AS MATERIALIZED (
        SELECT family AS sku, coalesce(product_id, '') AS product_id, coalesce(display_name, '') AS display_name,
               total_sales, {", ".join(f"coalesce(units_{days}, 0) AS units_{days}" for days in SPANS)}
        FROM product FULL JOIN sold USING (family)
        WHERE deleted IS NOT TRUE)"""

_FIGURES = ("total_sales", *(f"units_{days}" for days in SPANS))
_COLUMNS = ("sku", "product_id", "display_name", *_FIGURES)

_PAGE = text(
    f"""WITH {_SOLD},
       choice AS (
           SELECT CASE WHEN :by = {By.TOTAL_SALES} OR (
                      :by = {By.EITHER} AND EXISTS (SELECT FROM figure WHERE total_sales IS NOT NULL))
                  THEN {By.TOTAL_SALES} ELSE {By.UNITS} END AS by),
       measured AS (
           SELECT figure.*, CASE WHEN choice.by = {By.TOTAL_SALES} THEN total_sales
                  {" ".join(f"WHEN :days = {days} THEN units_{days}" for days in SPANS)} END AS sold
           FROM figure CROSS JOIN choice),
       ranked AS (
           SELECT *, rank() OVER (ORDER BY sold DESC) AS rank, rank() OVER (ORDER BY sold) - 1 AS below
           FROM measured WHERE sold IS NOT NULL),
       page AS (SELECT * FROM ranked ORDER BY rank, sku COLLATE "C" OFFSET :offset LIMIT :limit)
       SELECT choice.by, (SELECT count(*) FROM ranked) AS ranked,
              {", ".join(f"page.{name}" for name in (*_COLUMNS, "sold", "rank", "below"))}
       FROM choice LEFT JOIN page ON true ORDER BY page.rank, page.sku COLLATE "C" """
)


def _one_statement() -> TextClause:
    """A product, by any name of it or of its variations, and how many others sold more and less by each figure."""
    counts = [
        f"""(SELECT count(*) FROM figure WHERE {name} > mine.{name}) AS {name}_above,
            (SELECT count(*) FROM figure WHERE {name} < mine.{name}) AS {name}_below,
            (SELECT count({name}) FROM figure) AS {name}_ranked"""
        for name in _FIGURES
    ]
    return text(
        f"""WITH {_SOLD}
           SELECT {", ".join(_COLUMNS)}, {", ".join(counts)} FROM figure AS mine
           WHERE sku = coalesce((SELECT family FROM alias WHERE name = :sku), :sku)"""
    )


_ONE = _one_statement()


class Page(NamedTuple):
    """Some products in the sequence of their rank, what they are ranked by, and how many are ranked in all."""

    by: By
    products: list[Popularity]
    total_size: int


async def read_names(connection: AsyncConnection, tenant_id: str, skus: Collection[str]) -> dict[str, str]:
    """The names for people of what orders name by SKU or by the shop's id; what has none is left out."""
    rows = await connection.execute(_NAMES, {"tenant_id": tenant_id, "keys": texts(sorted(set(skus)))})
    return {row.key: read_name(row.state) for row in rows}


def name_of(sku: str) -> str:
    """The expression of a statement whose `:tenant_id` is bound for what a product's name for people is read from, as text."""
    return (
        "(SELECT convert_from(state, 'UTF8') FROM activity_fact "
        f"WHERE tenant_id = :tenant_id AND kind = 'product_name' AND key = {sku} LIMIT 1)"
    )


def read_name(state: bytes | str) -> str:
    """The name for people that is told of a product."""
    name: str = orjson.loads(state)[-1]
    return name


async def read_popular(
    connection: AsyncConnection, tenant: Tenant, as_of: date, by: By, days: int, *, offset: int, limit: int
) -> Page:
    """A page of products, the most sold first and by name where as many were sold; `days` is one of the spans."""
    parameters = {**_parameters(tenant, as_of), "by": int(by), "days": days, "offset": offset, "limit": limit}
    rows = (await connection.execute(_PAGE, parameters)).all()
    ranked_by, total_size = By(rows[0].by), int(rows[0].ranked)
    span = 0 if ranked_by is By.TOTAL_SALES else days
    products = [
        Popularity(_sold(row), (Ranking(ranked_by, span, row.sold, row.rank, total_size, row.below),))
        for row in rows
        if row.sku is not None
    ]
    return Page(ranked_by, products, total_size)


async def read_popularity(connection: AsyncConnection, tenant: Tenant, as_of: date, sku: str) -> Popularity | None:
    """A product by its SKU, its shop's id, or those of a variation of it; None when it is deleted or not known."""
    row = (await connection.execute(_ONE, {**_parameters(tenant, as_of), "sku": sku})).one_or_none()
    if row is None:
        return None
    rankings = tuple(
        Ranking(
            By.UNITS if days else By.TOTAL_SALES,
            days,
            getattr(row, name),
            getattr(row, f"{name}_above") + 1,
            getattr(row, f"{name}_ranked"),
            getattr(row, f"{name}_below"),
        )
        for days, name in zip((0, *SPANS), _FIGURES, strict=True)
        if getattr(row, name) is not None
    )
    return Popularity(_sold(row), rankings)


def _parameters(tenant: Tenant, as_of: date) -> dict[str, Any]:
    return {"tenant_id": tenant.tenant_id, "edition": tenant.book, "as_of": as_of}


def _sold(row: Any) -> Sold:
    units = tuple(getattr(row, f"units_{days}") for days in SPANS)
    return Sold(row.sku, row.product_id, row.display_name, row.total_sales, units)
