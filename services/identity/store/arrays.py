"""Nodes of several tenants as the columns of a statement that takes many rows at once."""

from collections.abc import Iterable, Mapping

from services.chassis.arrays import numbers, texts
from services.identity.domain.nodes import Node

NodesOfTenants = Mapping[str, Iterable[Node]]
"""Nodes, or regions, of several tenants."""


def columns(nodes: NodesOfTenants) -> dict[str, str]:
    """The parameters `tenant_ids` and `nodes`: a row for each node, smallest first, so that neighbours are neighbours.

    Empty when there are no nodes.
    """
    rows = [(tenant_id, node) for tenant_id in sorted(nodes) for node in sorted(nodes[tenant_id])]
    if not rows:
        return {}
    tenant_ids, asked = zip(*rows, strict=True)
    return {"tenant_ids": texts(tenant_ids), "nodes": numbers(asked)}
