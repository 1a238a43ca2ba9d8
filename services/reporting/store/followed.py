"""Through which positions of the logs figures speak, asked together with what else of a moment is read."""

from collections.abc import Sequence
from typing import Any, Final

from services.chassis.follow import Applied
from services.reporting.store.moments import Asked

_READ: Final = b"""
    SELECT log, position, apply_time FROM checkpoint
    WHERE partition_id = coalesce((SELECT partition_id FROM tenant WHERE tenant_id = $1), $2)"""


def asked(tenant_id: str, partition: int) -> Asked:
    """What is to be asked for a tenant's partition; that given is one's of whom nothing was told."""
    return _READ, [tenant_id, partition]


def applied(rows: Sequence[tuple[Any, ...]]) -> dict[str, Applied]:
    """What the rows tell, by the log's name."""
    return {log: Applied(position, apply_time) for log, position, apply_time in rows}
