"""What is known of the tenants, kept in memory and looked up again each second it is used."""

import time
from collections.abc import Callable, Collection

from sqlalchemy.ext.asyncio import AsyncEngine

from services.ingest.domain.sources import is_slug
from services.ingest.domain.tenants import TenantTerms, existing
from services.ingest.store.tenants import read_terms
from services.ingest.store.vault import Vault

_FRESH_SECONDS = 1.0


class TenantDirectory:
    """The terms of tenants. Another replica's change is seen within a second; a new tenant or source at once."""

    def __init__(self, engine: AsyncEngine, vault: Vault, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._vault = vault
        self._clock = clock
        self._terms: dict[str, TenantTerms] = {}
        self._fresh_until: dict[str, float] = {}

    async def find(self, names: Collection[tuple[str, str]]) -> dict[str, TenantTerms]:
        """The terms of the tenants of (tenant id, source) pairs, by id; tenants that don't exist are absent.

        What was never seen, a source too, is looked up, so that it works from the moment it was created.
        """
        now = self._clock()
        wanted = set()
        for tenant_id, source in names:
            terms = self._terms.get(tenant_id)
            if not is_slug(tenant_id):
                continue
            if terms is None or self._fresh_until[tenant_id] < now or (source and source not in terms.sources):
                wanted.add(tenant_id)
        if wanted:
            await self._read(wanted, now)
        return {tenant_id: self._terms[tenant_id] for tenant_id, _ in names if tenant_id in self._terms}

    async def find_one(self, tenant_id: str) -> TenantTerms:
        """The terms of one tenant. Raises NotFoundError where there is no such tenant."""
        return existing((await self.find([(tenant_id, "")])).get(tenant_id))

    def forget(self, tenant_id: str) -> None:
        """Looks the tenant up again at its next use: this process has changed it."""
        self._terms.pop(tenant_id, None)

    async def _read(self, tenant_ids: Collection[str], now: float) -> None:
        for tenant_id in tenant_ids:
            # Whoever comes meanwhile goes on with what is known.
            self._fresh_until[tenant_id] = now + _FRESH_SECONDS
        found = await read_terms(self._engine, self._vault, list(tenant_ids))
        for terms in found:
            self._terms[terms.tenant_id] = terms
            self._fresh_until[terms.tenant_id] = now + _FRESH_SECONDS
        for tenant_id in set(tenant_ids).difference(terms.tenant_id for terms in found):
            self._terms.pop(tenant_id, None)
            self._fresh_until.pop(tenant_id, None)
