"""Tenants as they were last seen, to guess by what a report of theirs has to read; never to answer by."""

from collections import OrderedDict
from typing import Final

from services.reporting.domain.tenants import Tenant

_MOST: Final = 10_000


class Remembered:
    """The tenants seen last."""

    def __init__(self) -> None:
        self._tenants: OrderedDict[str, Tenant] = OrderedDict()

    def get(self, tenant_id: str) -> Tenant | None:
        """The tenant as it was seen last; None where it was not, or too many others were since."""
        return self._tenants.get(tenant_id)

    def put(self, tenant: Tenant) -> None:
        """Remembers how a tenant was just seen."""
        self._tenants[tenant.tenant_id] = tenant
        self._tenants.move_to_end(tenant.tenant_id)
        if len(self._tenants) > _MOST:
            self._tenants.popitem(last=False)
