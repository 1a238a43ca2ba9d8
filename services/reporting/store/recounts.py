"""How much there is to go through when a tenant's figures are counted anew."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.reporting.domain.tenants import FactPlace, OrderPlace

_FACTS_BEHIND = text(
    "SELECT count(*) FROM activity_fact WHERE tenant_id = :tenant_id AND (kind, key) > (:kind, :key)",
)

_ORDERS_BEHIND = text(
    """SELECT count(*) FROM order_fact
       WHERE tenant_id = :tenant_id AND (edition, source, order_id) > (:edition, :source, :order_id)"""
)


async def facts_behind(connection: AsyncConnection, tenant_id: str, place: FactPlace) -> int:
    """How many facts of activity come behind a place in their sequence."""
    bound = {"tenant_id": tenant_id, "kind": place[0], "key": place[1]}
    return int((await connection.execute(_FACTS_BEHIND, bound)).scalar_one())


async def orders_behind(connection: AsyncConnection, tenant_id: str, place: OrderPlace) -> int:
    """How many orders, in whichever edition, come behind a place in their sequence."""
    bound = {"tenant_id": tenant_id, "edition": place[0], "source": place[1], "order_id": place[2]}
    return int((await connection.execute(_ORDERS_BEHIND, bound)).scalar_one())
