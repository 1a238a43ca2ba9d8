"""Which partition of a log a tenant's entries go to."""

import hashlib

PARTITION_COUNT = 32
"""Partitions of every log; fixed for an installation's life."""


def proposed_partition(tenant_id: str) -> int:
    """The partition that a new tenant is given: stable, and spread evenly. What holds is the tenant's row."""
    return int.from_bytes(hashlib.sha256(tenant_id.encode()).digest()[:8]) % PARTITION_COUNT
