"""Arrays for statements that take many rows at once, in Postgres' own notation.

The driver writes an array element by element in Python; for batches of thousands of numbers that costs more than all
else that a step does. One string costs next to nothing. It also lets arrays of different lengths be rows.
"""

from collections.abc import Iterable, Mapping

from services.identity.domain.nodes import Node

NodesOfTenants = Mapping[str, Iterable[Node]]
"""Nodes, or regions, of several tenants."""


def numbers(values: Iterable[int]) -> str:
    """An array of numbers."""
    return f"{{{','.join(map(str, values))}}}"


def flags(values: Iterable[bool]) -> str:
    """An array of booleans."""
    return f"{{{','.join('t' if value else 'f' for value in values)}}}"


def texts(values: Iterable[str]) -> str:
    """An array of texts, whatever characters are in them."""
    chosen = list(values)
    together = "".join(chosen)
    if '"' in together or "\\" in together:
        chosen = [value.replace("\\", "\\\\").replace('"', '\\"') for value in chosen]
    return "{" + ",".join(f'"{value}"' for value in chosen) + "}"


def columns(nodes: NodesOfTenants) -> dict[str, str]:
    """The parameters `tenant_ids` and `nodes`: a row for each node, smallest first, so that neighbours are neighbours.

    Empty when there are no nodes.
    """
    rows = [(tenant_id, node) for tenant_id in sorted(nodes) for node in sorted(nodes[tenant_id])]
    if not rows:
        return {}
    return {"tenant_ids": texts(tenant_id for tenant_id, _ in rows), "nodes": numbers(node for _, node in rows)}
