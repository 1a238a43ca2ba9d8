"""Whom requests mean: what they name, what their orders name, and everybody whom identity knows by any of it."""

from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.identity.v1 import people_pb2, people_service_pb2, people_service_pb2_grpc
from touchstone.ingest.v1 import event_pb2

from services.chassis.channels import about
from services.ingest.domain.privacy import Asked, DemandKind
from services.ingest.store.rewriting import PageEntry, read_page
from services.ingest.wire.privacy import identifier_message
from services.ingest.wire.rewriting import named_by, tenant_prefix
from services.kernel.failures import FailedPreconditionError
from services.kernel.identifiers import Identifier, Kind

_ASKED_AT_ONCE = 5_000
_ANSWER_SECONDS = 120.0


class IdentityBehindError(FailedPreconditionError):
    """Identity has not yet read all that the requests reach."""

    def __init__(self) -> None:
        super().__init__("NOT_READY", "identity has not read everything yet: ask again in a moment")


class Place(NamedTuple):
    """Where a tenant's entries stand."""

    tenant_id: str
    partition: int
    through_position: int


async def plan(
    engine: AsyncEngine, people: "people_service_pb2_grpc.PeopleServiceAsyncStub", place: Place, asked: Sequence[Asked]
) -> dict[Identifier, tuple[int, ...]]:
    """Which requests (indexes) each identifier is erased for.

    What a request names is erased whether anybody is known by it or not. Raises IdentityBehindError when identity has
    to be asked later.
    """
    named = [set(one.named.identifiers) for one in asked]
    by_orders = await _named_by_orders(engine, place, asked)
    persons = await _persons(people, place, set().union(*named, *by_orders))
    members: dict[int, set[Identifier]] = {}
    for identifier, person in persons.items():
        if person:
            members.setdefault(person, set()).add(identifier)
    planned: dict[Identifier, list[int]] = {}
    for request, (own, found) in enumerate(zip(named, by_orders, strict=True)):
        # A value on an order that names nobody, or too many, is not the person's.
        known = {persons[one] for one in own | found if persons.get(one)}
        for identifier in own.union(*(members[person] for person in known)):
            planned.setdefault(identifier, []).append(request)
    return {identifier: tuple(requests) for identifier, requests in planned.items()}


async def entries(engine: AsyncEngine, place: Place, after: int = 0) -> AsyncIterator[Sequence[PageEntry]]:
    """The partition's entries through the place's position, a page at a time; other tenants' without their content."""
    prefix = tenant_prefix(place.tenant_id)
    while page := await read_page(
        engine, partition=place.partition, prefix=prefix, after=after, through=place.through_position
    ):
        yield page
        after = page[-1].position


async def _named_by_orders(engine: AsyncEngine, place: Place, asked: Sequence[Asked]) -> list[set[Identifier]]:
    """What the events of each request's orders name; those of a whole shop are all events of its source."""
    named: list[set[Identifier]] = [set() for _ in asked]
    shops: dict[str, list[int]] = {}
    orders: dict[tuple[str, str], list[int]] = {}
    for request, one in enumerate(asked):
        if one.kind is DemandKind.SHOP_ERASURE:
            shops.setdefault(one.source, []).append(request)
        for order_id in one.named.order_ids:
            orders.setdefault((one.source, order_id), []).append(request)
    if not shops and not orders:
        return named
    async for page in entries(engine, place):
        for position, logged in read_entries(page):
            meant = [*shops.get(logged.source, ())]
            if logged.event.HasField("order"):
                meant += orders.get((logged.source, logged.event.order.order_id), ())
            for request in meant:
                if position <= asked[request].position:
                    named[request].update(named_by(logged.event))
    return named


def read_entries(page: Sequence[PageEntry]) -> Iterator[tuple[int, event_pb2.LoggedEvent]]:
    """The tenant's own entries of a page, by position."""
    for entry in page:
        if entry.payload is not None:
            yield entry.position, event_pb2.LoggedEvent.FromString(entry.payload)


async def _persons(
    people: "people_service_pb2_grpc.PeopleServiceAsyncStub", place: Place, identifiers: Collection[Identifier]
) -> Mapping[Identifier, int]:
    """The person of each of the identifiers, and of all others by which these persons are known; 0 for nobody."""
    persons: dict[Identifier, int] = {}
    sequence = sorted(identifiers)
    for start in range(0, len(sequence), _ASKED_AT_ONCE):
        request = people_service_pb2.ListMembersRequest(
            tenant_id=place.tenant_id,
            partition=place.partition,
            identifiers=map(identifier_message, sequence[start : start + _ASKED_AT_ONCE]),
        )
        async for answer in people.ListMembers(request, metadata=about(place.tenant_id), timeout=_ANSWER_SECONDS):
            if answer.event_position < place.through_position:
                raise IdentityBehindError
            persons.update(_read_memberships(answer.memberships))
    return persons


def _read_memberships(memberships: Iterable[people_pb2.Membership]) -> Iterable[tuple[Identifier, int]]:
    for one in memberships:
        yield Identifier(Kind(one.identifier.kind), one.identifier.value), one.person_id
