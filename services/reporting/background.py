"""What is done between the batches: rows of editions that are no longer in force are deleted."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.chores import paged
from services.reporting.store import facts, rollups, tenants

_PAGE: Final = 2_000
"""Rows of a table that are deleted in a transaction."""


async def clear_some(connection: AsyncConnection, partition: int) -> Sequence[bytes]:
    """Deletes a page of a tenant's rows that no figure is read from; publishes nothing."""
    outdated = await tenants.next_outdated(connection, partition)
    if outdated is None:
        return ()
    tenant_id, edition = outdated
    deleted = await facts.clear_before(connection, tenant_id, edition, _PAGE)
    deleted += await rollups.clear_before(connection, tenant_id, edition, _PAGE)
    if not deleted:
        await tenants.cleared(connection, tenant_id, edition)
    return ()


CHORES = (paged("clearing old editions", tenants.outdated, clear_some),)
"""What is to be done in every generation."""
