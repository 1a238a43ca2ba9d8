"""Makes tracked links, and says where they lead."""

import secrets
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import grpc
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.identity.v1 import link_service_pb2 as pb
from touchstone.identity.v1 import link_service_pb2_grpc
from touchstone.ingest.v1 import (
    event_service_pb2_grpc,
    tenant_service_pb2,
    tenant_service_pb2_grpc,
)

from services.chassis.callers import ORIGIN_METADATA, tenant_id
from services.chassis.channels import about
from services.identity import telling
from services.identity.domain import links as rules
from services.identity.domain.links import TrackedLink
from services.identity.store import links
from services.identity.wire import links as wire
from services.kernel.failures import FailedPreconditionError, NotFoundError, TooLateError

Context = grpc.aio.ServicerContext[Any, Any]

_MICROSECOND: Final = timedelta(microseconds=1)


class LinkServicer(link_service_pb2_grpc.LinkServiceServicer):
    """`touchstone.identity.v1.LinkService`.

    `public_url` is where the installation is reached from outside; without it, links begin with the address at which
    they are asked for.
    """

    def __init__(
        self,
        serving: Callable[[], AsyncEngine],
        events: "event_service_pb2_grpc.EventServiceAsyncStub",
        tenants: "tenant_service_pb2_grpc.TenantServiceAsyncStub",
        public_url: str | None = None,
    ) -> None:
        self._serving = serving
        self._events = events
        self._tenants = tenants
        self._public_url = public_url

    async def CreateLink(self, request: pb.CreateLinkRequest, context: Context) -> pb.CreateLinkResponse:
        """Makes a link; answers once this service leads people by it."""
        tenant = tenant_id()
        rules.check_conversation(request.conversation_id)
        rules.check_touchpoint(request.touchpoint)
        lifetime = rules.checked_lifetime(wire.lifetime(request))
        name = rules.link_id(secrets.randbelow(rules.LINK_IDS))
        address = rules.address(self._origin(context), name)
        if address is None:
            raise FailedPreconditionError("PUBLIC_URL_UNKNOWN", "Set TOUCHSTONE_PUBLIC_URL, or ask through the edge.")
        destination = rules.checked_destination(request.destination, await self._hosts(tenant))
        now = time.time_ns()
        link = TrackedLink(name, request.conversation_id, destination, now + lifetime // _MICROSECOND * 1_000)
        await telling.tell(self._events, wire.link_event(tenant, link, request.touchpoint, now))
        await self._followed(tenant, name)
        return wire.created_link(link, address)

    async def ResolveLink(self, request: pb.ResolveLinkRequest, context: Context) -> pb.ResolveLinkResponse:
        """Where a link leads, also one that has expired. One whose host the tenant has taken back leads nowhere."""
        async with self._serving().connect() as connection:
            found = await links.find(connection, request.link_id)
        if found is None or not (found.hosts is None or rules.is_allowed(found.link.destination, found.hosts)):
            raise NotFoundError("LINK_NOT_FOUND", "There is no such link.")
        return wire.resolved_link(found.tenant_id, found.link)

    def _origin(self, context: Context) -> str:
        metadata = dict(context.invocation_metadata() or ())
        return self._public_url or str(metadata.get(ORIGIN_METADATA, ""))

    async def _hosts(self, tenant: str) -> list[str]:
        """The hosts of the newest settings: ingest has them before anybody who follows it."""
        asked = tenant_service_pb2.GetSettingsRequest()
        answer = await self._tenants.GetSettings(asked, metadata=about(tenant))
        return list(answer.settings.link_hosts)

    async def _followed(self, tenant: str, name: str) -> None:
        """Waits until this service's own state has the link, so that only its follower ever writes there.

        Raises TooLateError where it lags too far behind: the link works later, but who asks can't be told when.
        """

        async def look() -> str | None:
            async with self._serving().connect() as connection:
                return name if await links.is_known(connection, tenant, name) else None

        await telling.followed(
            look, TooLateError("LINK_NOT_READY", "The link does not work yet: make another in a moment.")
        )
