"""Who calls, for which tenant, and how long they wait: known to all code that runs on behalf of the call."""

import math
import time
from contextvars import ContextVar
from dataclasses import dataclass, replace

from services.kernel.failures import PermissionDeniedError, UnauthenticatedError

TENANT_METADATA = "touchstone-tenant"
"""The metadata key by which a token without a tenant names the one that a call is about."""

ORIGIN_METADATA = "touchstone-origin"
"""The metadata key by which the edge says at which address it was called: `https://touchstone.shop.example`."""

MESH = "mesh"
"""The scope of services among themselves."""

INSTALLATION = "installation"
"""The operator's scope; it opens everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Somebody whose token was verified. `tenant_id` is None when neither the token nor the call names one.

    `expire_time` is when the token ends, in seconds of Unix time: what outlasts a call must end with it.
    """

    subject: str
    tenant_id: str | None
    scopes: frozenset[str]
    expire_time: float = math.inf

    def has_any(self, needed: frozenset[str]) -> bool:
        """True when one of the scopes suffices."""
        return INSTALLATION in self.scopes or not needed.isdisjoint(self.scopes)

    def about(self, tenant: str | None) -> "Caller":
        """The caller of a call whose metadata names this tenant.

        Raises PermissionDeniedError when the token is another tenant's, or no operator's or service's.
        """
        if tenant is None or tenant == self.tenant_id:
            return self
        if self.tenant_id is not None or self.scopes.isdisjoint((MESH, INSTALLATION)):
            raise PermissionDeniedError("TENANT_MISMATCH", "The token does not open this tenant.")
        return replace(self, tenant_id=tenant)


_caller: ContextVar[Caller | None] = ContextVar("caller", default=None)
_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


def set_caller(calling: Caller | None) -> None:
    """Says who calls, for the rest of this task and what it starts."""
    _caller.set(calling)


def caller() -> Caller:
    """Who calls. Raises UnauthenticatedError outside of a call."""
    calling = _caller.get()
    if calling is None:
        raise UnauthenticatedError("TOKEN_MISSING", "The call carries no token.")
    return calling


def tenant_id() -> str:
    """The tenant that the call is about. Raises PermissionDeniedError when it names none."""
    tenant = caller().tenant_id
    if tenant is None:
        raise PermissionDeniedError(
            "TENANT_MISSING", f"The token names no tenant: say which in the metadata {TENANT_METADATA}."
        )
    return tenant


def set_deadline(seconds: float | None) -> None:
    """Says for how many seconds from now the caller waits; None is for ever."""
    _deadline.set(None if seconds is None else time.monotonic() + seconds)


def seconds_left() -> float | None:
    """How long the caller still waits; None when for ever, or no longer: a task may outlive the call that began it."""
    deadline = _deadline.get()
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    return left if left > 0 else None
