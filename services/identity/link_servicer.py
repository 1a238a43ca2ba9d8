"""Makes tracked links, and says where they lead."""

import asyncio
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
    event_service_pb2,
    event_service_pb2_grpc,
    tenant_service_pb2,
    tenant_service_pb2_grpc,
)

from services.chassis.callers import ORIGIN_METADATA, seconds_left, tenant_id
from services.chassis.channels import about
from services.identity.domain import links as rules
from services.identity.domain.links import TrackedLink
from services.identity.store import links
from services.identity.wire import links as wire
from services.kernel.failures import FailedPreconditionError, NotFoundError, TooLateError

Context = grpc.aio.ServicerContext[Any, Any]

PATIENCE: Final = 8.0
"""Seconds for which a new link is waited for."""

_MICROSECOND: Final = timedelta(microseconds=1)
_LOOKS: Final = (0.005, 0.01, 0.02, 0.05)
"""Seconds between looks whether a new link is there, the last of them again and again."""


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
        await self._append(wire.link_event(tenant, link, request.touchpoint, now))
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

    async def _append(self, delivery: event_service_pb2.Delivery) -> None:
        asked = event_service_pb2.AppendDeliveriesRequest(deliveries=[delivery])
        answer = await self._events.AppendDeliveries(asked)
        for result in answer.results:
            for event in result.events:
                if event.status == event_service_pb2.EventResult.REJECTED:
                    raise RuntimeError(f"ingest refused a link of ours: {event.reason}")

    async def _followed(self, tenant: str, name: str) -> None:
        """Waits until this service's own state has the link, so that only its follower ever writes there.

        Raises TooLateError where it lags too far behind: the link works later, but who asks can't be told when.
        """
        left = seconds_left()
        give_up = time.monotonic() + (PATIENCE if left is None else min(PATIENCE, left - 0.5))
        looks = iter(_LOOKS)
        while True:
            async with self._serving().connect() as connection:
                if await links.is_known(connection, tenant, name):
                    return
            if time.monotonic() > give_up:
                raise TooLateError("LINK_NOT_READY", "The link does not work yet: make another in a moment.")
            await asyncio.sleep(next(looks, _LOOKS[-1]))
