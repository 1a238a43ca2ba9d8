"""Rules: when a tenant's values name nobody."""

from collections.abc import Collection, Mapping

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.arrays import numbers, texts
from services.identity.domain.nodes import Node
from services.identity.domain.rules import Rules
from services.kernel.identifiers import Kind

_READ = text(
    """SELECT tenant_id, position, visitor_limit, phone_limit, customer_limit, blocked
       FROM rules WHERE tenant_id = ANY(CAST(:tenant_ids AS text[]))"""
)

_WRITE = text(
    """INSERT INTO rules (tenant_id, position, visitor_limit, phone_limit, customer_limit, blocked)
       SELECT tenant_id, position, visitor_limit, phone_limit, customer_limit, CAST(blocked AS bigint[])
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:positions AS bigint[]), CAST(:visitor_limits AS int[]),
                   CAST(:phone_limits AS int[]), CAST(:customer_limits AS int[]), CAST(:blocked AS text[]))
           AS put (tenant_id, position, visitor_limit, phone_limit, customer_limit, blocked)
       ON CONFLICT (tenant_id) DO UPDATE
       SET position = excluded.position, visitor_limit = excluded.visitor_limit, phone_limit = excluded.phone_limit,
           customer_limit = excluded.customer_limit, blocked = excluded.blocked"""
)


async def read(connection: AsyncConnection, tenant_ids: Collection[str]) -> dict[str, tuple[int, Rules]]:
    """Each tenant's rules and the position of the settings that they are from; none where there were no settings."""
    rows = await connection.execute(_READ, {"tenant_ids": texts(sorted(tenant_ids))})
    return {
        row.tenant_id: (
            row.position,
            Rules(
                limits={
                    Kind.VISITOR: row.visitor_limit,
                    Kind.PHONE: row.phone_limit,
                    Kind.CUSTOMER: row.customer_limit,
                },
                blocked=frozenset(Node(node) for node in row.blocked),
            ),
        )
        for row in rows
    }


async def write(connection: AsyncConnection, rules: Mapping[str, tuple[int, Rules]]) -> None:
    """Keeps tenants' rules, each with the position of its settings."""
    if not rules:
        return
    rows = sorted(rules.items(), key=lambda item: item[0])
    parameters = {
        "tenant_ids": texts(tenant_id for tenant_id, _ in rows),
        "positions": numbers(position for _, (position, _) in rows),
        "visitor_limits": numbers(of_tenant.limits[Kind.VISITOR] for _, (_, of_tenant) in rows),
        "phone_limits": numbers(of_tenant.limits[Kind.PHONE] for _, (_, of_tenant) in rows),
        "customer_limits": numbers(of_tenant.limits[Kind.CUSTOMER] for _, (_, of_tenant) in rows),
        "blocked": texts(numbers(sorted(of_tenant.blocked)) for _, (_, of_tenant) in rows),
    }
    await connection.execute(_WRITE, parameters)
