"""Decisions: the one that holds for each pair."""

from collections.abc import Mapping

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.arrays import flags, numbers, texts
from services.identity.domain.nodes import Pair, pair_of
from services.identity.domain.rules import Decision
from services.identity.store.arrays import NodesOfTenants, columns

Decisions = dict[str, dict[Pair, Decision]]
"""By tenant and pair; a tenant without any has no entry."""

_READ = text(
    """SELECT asked.tenant_id, asked.node, other, occur_nanos, event_id, linked
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:nodes AS bigint[])) AS asked (tenant_id, node)
       CROSS JOIN LATERAL (
           SELECT other, occur_nanos, event_id, linked FROM decision
           WHERE tenant_id = asked.tenant_id AND node = asked.node OFFSET 0) AS found"""
)

_WRITE = text(
    """INSERT INTO decision (tenant_id, node, other, occur_nanos, event_id, linked)
       SELECT tenant_id, node, other, occur_nanos, event_id, linked
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:nodes AS bigint[]), CAST(:others AS bigint[]),
                   CAST(:occur_nanos AS bigint[]), CAST(:event_ids AS text[]), CAST(:linked AS boolean[]))
           AS put (tenant_id, node, other, occur_nanos, event_id, linked)
       ON CONFLICT (tenant_id, node, other) DO UPDATE
       SET occur_nanos = excluded.occur_nanos, event_id = excluded.event_id, linked = excluded.linked"""
)


async def read(connection: AsyncConnection, nodes: NodesOfTenants) -> Decisions:
    """Finds the decisions about pairs in which one of the nodes is."""
    decisions: Decisions = {}
    parameters = columns(nodes)
    if parameters:
        for tenant_id, node, other, occur_nanos, event_id, linked in await connection.execute(_READ, parameters):
            decision = Decision(occur_nanos=occur_nanos, event_id=event_id, linked=linked)
            decisions.setdefault(tenant_id, {})[pair_of(node, other)] = decision
    return decisions


async def write(connection: AsyncConnection, decisions: Mapping[str, Mapping[Pair, Decision]]) -> None:
    """Keeps decisions in the place of older ones, under each of the two identifiers."""
    rows = [
        (tenant_id, node, other, decision)
        for tenant_id, of_tenant in sorted(decisions.items())
        for (left, right), decision in sorted(of_tenant.items())
        for node, other in ((left, right), (right, left))
    ]
    if not rows:
        return
    parameters = {
        "tenant_ids": texts(tenant_id for tenant_id, _, _, _ in rows),
        "nodes": numbers(node for _, node, _, _ in rows),
        "others": numbers(other for _, _, other, _ in rows),
        "occur_nanos": numbers(decision.occur_nanos for _, _, _, decision in rows),
        "event_ids": texts(decision.event_id for _, _, _, decision in rows),
        "linked": flags(decision.linked for _, _, _, decision in rows),
    }
    await connection.execute(_WRITE, parameters)
