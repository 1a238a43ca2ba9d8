"""Answers who is behind an identifier."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from touchstone.identity.v1 import people_service_pb2 as pb
from touchstone.identity.v1 import people_service_pb2_grpc
from touchstone.ingest.v1 import event_service_pb2, event_service_pb2_grpc

from services.chassis.callers import tenant_id
from services.chassis.channels import about
from services.chassis.follow import applied
from services.identity import wire
from services.identity.domain.description import Description, describe
from services.identity.domain.nodes import Node
from services.identity.domain.step import Standing
from services.identity.store import decisions, identifiers, members, observations
from services.kernel.failures import InvalidArgumentError, NotFoundError

Context = grpc.aio.ServicerContext[Any, Any]


class PeopleServicer(people_service_pb2_grpc.PeopleServiceServicer):
    """`touchstone.identity.v1.PeopleService`, but for FollowPeople: the log's own handler answers that."""

    def __init__(
        self, serving: Callable[[], AsyncEngine], events: "event_service_pb2_grpc.EventServiceAsyncStub"
    ) -> None:
        self._serving = serving
        self._events = events

    async def LookupPerson(self, request: pb.LookupPersonRequest, context: Context) -> pb.LookupPersonResponse:
        """Describes the person of one identifier, with everything that says so."""
        tenant = tenant_id()
        wire.check_names_one(request)
        if request.email or request.phone:
            request = await self._hashed(tenant, request)
        # All that is read is of one moment: a step may be committed meanwhile.
        at_one_moment = self._serving().execution_options(isolation_level="REPEATABLE READ")
        async with at_one_moment.connect() as connection:
            description, standings = await _read(connection, tenant, wire.named_node(request))
        return pb.LookupPersonResponse(person=wire.person(description, standings))

    async def ListMembers(
        self, request: pb.ListMembersRequest, context: Context
    ) -> AsyncIterator[pb.ListMembersResponse]:
        """Streams all identifiers of the persons behind those asked for, as the event log's follower knows them."""
        asked = wire.asked_nodes(request)
        at_one_moment = self._serving().execution_options(isolation_level="REPEATABLE READ")
        async with at_one_moment.connect() as connection:
            events = (await applied(connection, request.partition)).get("events")
            position = events.position if events else 0
            async for part in members.read(connection, request.tenant_id, asked):
                known = [(member.node, member.value, member.person) for member in part]
                for node, _, _ in known:
                    asked.pop(node, None)
                yield wire.members(known, position)
        yield wire.members([(node, value, 0) for node, value in asked.items()], position)

    async def _hashed(self, tenant: str, request: pb.LookupPersonRequest) -> pb.LookupPersonRequest:
        """The request with its address as it stands in the log."""
        asked = event_service_pb2.HashAddressesRequest(tenant_id=tenant, identifiers=wire.addresses(request))
        answer = await self._events.HashAddresses(asked, metadata=about(tenant))
        hashed = pb.LookupPersonRequest(email=answer.identifiers.email, phone=answer.identifiers.phone)
        if not hashed.email and not hashed.phone:
            raise InvalidArgumentError.of("email" if request.email else "phone", "is no valid address")
        return hashed


async def _read(connection: AsyncConnection, tenant: str, node: Node) -> tuple[Description, dict[Node, Standing]]:
    """The person of an identifier, and all identifiers that the description names."""
    standings = (await identifiers.read(connection, {tenant: [node]})).get(tenant)
    if standings is None:
        raise NotFoundError("PERSON_NOT_FOUND", "Nobody is known by this identifier.")
    standing = standings[node]
    # A hub's observations are those of everybody who came by.
    regions = () if standing.hub else (standing.region,)
    observed = (await observations.read(connection, {tenant: regions})).get(tenant, {}).get(standing.region, set())
    mentioned = {node, *(member for members in observed for member in members)}
    standings = (await identifiers.read(connection, {tenant: mentioned}))[tenant]
    decided = (await decisions.read(connection, {tenant: mentioned})).get(tenant, {})
    return describe(node, standings, observed, decided), standings
