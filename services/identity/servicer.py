"""Answers who is behind an identifier, and takes people's judgement of who is not."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.identity.v1 import people_pb2, people_service_pb2_grpc
from touchstone.identity.v1 import people_service_pb2 as pb
from touchstone.ingest.v1 import event_service_pb2, event_service_pb2_grpc

from services.chassis import telemetry
from services.chassis.callers import tenant_id
from services.chassis.channels import about
from services.chassis.follow import applied
from services.identity import telling
from services.identity.domain.nodes import Pair, pair_of
from services.identity.domain.rules import Decision
from services.identity.store import decisions, identifiers, members, persons
from services.identity.wire import people as wire
from services.kernel.failures import NotFoundError, TooLateError

Context = grpc.aio.ServicerContext[Any, Any]


class PeopleServicer(people_service_pb2_grpc.PeopleServiceServicer):
    """`touchstone.identity.v1.PeopleService`, but for FollowPeople: the log's own handler answers that."""

    def __init__(
        self, serving: Callable[[], AsyncEngine], events: "event_service_pb2_grpc.EventServiceAsyncStub"
    ) -> None:
        self._serving = serving
        self._events = events

    async def LookupPerson(
        self,
        request: pb.LookupPersonRequest,
        context: Context,
    ) -> pb.LookupPersonResponse:
        """Describes the person of one identifier, with everything that says so."""
        tenant = tenant_id()
        asked = await self._hashed(tenant, wire.named(request))
        # All that is read is of one moment: a step may be committed meanwhile.
        async with self._at_one_moment().connect() as connection:
            known = (await identifiers.read(connection, {tenant: [asked.node]})).get(tenant)
            if known is None:
                raise NotFoundError("PERSON_NOT_FOUND", f"Nobody is known by this {asked.field}.")
            description = await persons.describe(connection, tenant, asked.node, known[asked.node])
        return pb.LookupPersonResponse(person=wire.person(description))

    async def UnlinkIdentifiers(
        self,
        request: pb.UnlinkIdentifiersRequest,
        context: Context,
    ) -> pb.UnlinkIdentifiersResponse:
        """Decides that two identifiers are not one person's; answers once this service's people are so."""
        return pb.UnlinkIdentifiersResponse(link=await self._decided(request.left, request.right, linked=False))

    async def RelinkIdentifiers(
        self,
        request: pb.RelinkIdentifiersRequest,
        context: Context,
    ) -> pb.RelinkIdentifiersResponse:
        """Decides that two identifiers are one person's; answers once this service's people are so."""
        return pb.RelinkIdentifiersResponse(link=await self._decided(request.left, request.right, linked=True))

    async def ListMembers(
        self,
        request: pb.ListMembersRequest,
        context: Context,
    ) -> AsyncIterator[pb.ListMembersResponse]:
        """Streams all identifiers of the persons behind those asked for, as the event log's follower knows them."""
        asked = wire.asked_nodes(request)
        async with self._at_one_moment().connect() as connection:
            events = (await applied(connection, request.partition)).get("events")
            position = events.position if events else 0
            async for part in members.read(connection, request.tenant_id, asked):
                known = [(member.node, member.value, member.person) for member in part]
                for node, _, _ in known:
                    asked.pop(node, None)
                yield wire.members(known, position)
        yield wire.members([(node, value, 0) for node, value in asked.items()], position)

    def _at_one_moment(self) -> AsyncEngine:
        return self._serving().execution_options(isolation_level="REPEATABLE READ")

    async def _hashed(self, tenant: str, told: wire.Named) -> wire.Named:
        """The identifier as it stands in the log."""
        address = wire.address_to_hash(told)
        if address is None:
            return told
        asked = event_service_pb2.HashAddressesRequest(tenant_id=tenant, identifiers=address)
        answer = await self._events.HashAddresses(asked, metadata=about(tenant))
        return wire.hashed(told, answer.identifiers)

    async def _decided(self, left: pb.NamedIdentifier, right: pb.NamedIdentifier, *, linked: bool) -> people_pb2.Link:
        """Tells the event log of a decision, and answers the pair as it stands once that was followed."""
        tenant = tenant_id()
        one, other = wire.named(left, "left"), wire.named(right, "right")
        wire.check_pair(one, other)
        one, other = await asyncio.gather(self._hashed(tenant, one), self._hashed(tenant, other))
        wire.check_pair(one, other)
        decision = Decision(time.time_ns(), f"decision-{secrets.token_hex(16)}", linked)
        delivery = wire.decision_event(
            tenant, one, other, decision=decision, trace_parent=telemetry.current_trace_parent()
        )
        await telling.tell(self._events, delivery)
        return wire.decided_link(one, other, await self._followed(tenant, pair_of(one.node, other.node), decision))

    async def _followed(self, tenant: str, pair: Pair, decision: Decision) -> Decision:
        """Waits until this service's own state has the decision or a greater one; answers the one that holds.

        Raises TooLateError where it lags too far behind: the decision stands, but who asks can't be told since when.
        """

        async def look() -> Decision | None:
            async with self._serving().connect() as connection:
                stored = (await decisions.read(connection, {tenant: pair[:1]})).get(tenant, {}).get(pair)
            return stored if stored is not None and stored >= decision else None

        return await telling.followed(
            look, TooLateError("DECISION_NOT_FOLLOWED", "It is decided; the people will follow in a moment.")
        )
