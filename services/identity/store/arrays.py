"""Columns for statements that take many rows at once."""

from collections.abc import Iterable, Mapping

from services.identity.domain.nodes import Node

NodesOfTenants = Mapping[str, Iterable[Node]]
"""Nodes, or regions, of several tenants."""


def columns(nodes: NodesOfTenants) -> dict[str, list[str] | list[Node]]:
    """The parameters `tenant_ids` and `nodes`: one row for each node, smallest first, so that rows lie together."""
    rows = [(tenant_id, node) for tenant_id in sorted(nodes) for node in sorted(nodes[tenant_id])]
    return {"tenant_ids": [tenant_id for tenant_id, _ in rows], "nodes": [node for _, node in rows]}


def literal(nodes: Iterable[Node]) -> str:
    """Nodes as the text of a Postgres array: arrays of different lengths can't be rows of one parameter."""
    return "{" + ",".join(map(str, nodes)) + "}"
