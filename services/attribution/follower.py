"""Follows the events and the people, keeps every order's credits right, and publishes those that changed."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection
from touchstone.attribution.v1 import credit_pb2
from touchstone.identity.v1 import people_pb2
from touchstone.ingest.v1 import event_pb2

from services.attribution.domain.orders import Told, fold
from services.attribution.domain.rules import Rules
from services.attribution.domain.touches import Touch
from services.attribution.recount import Recounted, recount, rules_of
from services.attribution.store import blocks, facts, orders, people, reopening, touches
from services.attribution.store import rules as rules_store
from services.attribution.store.moments import micros
from services.attribution.store.orders import OrderIdentifier, OrderKey, StoredOrder
from services.attribution.wire import credits as credits_wire
from services.attribution.wire import events as events_wire
from services.attribution.wire import people as people_wire
from services.attribution.wire import rules as rules_wire
from services.chassis.follow import Entry
from services.kernel.identifiers import Identifier

_PAGE = 500
"""Orders recomputed at once when a tenant's rules change."""

_BY_ORDER = credit_pb2.Cause.Kind.ORDER
_BY_TOUCH = credit_pb2.Cause.Kind.TOUCH
_BY_PEOPLE = credit_pb2.Cause.Kind.PEOPLE
_BY_SETTINGS = credit_pb2.Cause.Kind.SETTINGS

_UNKNOWN = people.Standing()


class Cause(NamedTuple):
    """What caused a recomputation, and its position in the log that told of it."""

    kind: credit_pb2.Cause.Kind.ValueType
    position: int


class Reopened(NamedTuple):
    """An order to be computed anew: as it was kept (None: it is new), what is now told of it, and why."""

    key: OrderKey
    kept: StoredOrder | None
    before: tuple[Told, ...]
    told: tuple[Told, ...]
    cause: Cause


class _Batch:
    """What a batch of events tells, sorted by whom it concerns."""

    def __init__(self, entries: Sequence[Entry[event_pb2.LoggedEvent]]) -> None:
        self.tenants: set[str] = set()
        self.orders: dict[OrderKey, list[Told]] = {}
        self.order_positions: dict[OrderKey, int] = {}
        self.touches: list[touches.NewTouch] = []
        self.touch_positions: dict[tuple[str, str, str], int] = {}
        self.reached: dict[tuple[str, str, str], Touch] = {}
        self.settings: dict[str, tuple[int, bytes]] = {}
        self.models: dict[str, tuple[int, bytes]] = {}
        for entry in entries:
            self._add(entry.position, entry.message)

    def _add(self, position: int, logged: event_pb2.LoggedEvent) -> None:
        event, tenant_id = logged.event, logged.tenant_id
        match event.WhichOneof("payload"):
            case "order":
                key = OrderKey(tenant_id, event.order.order_id, logged.source)
                self.orders.setdefault(key, []).append(events_wire.told(event))
                self.order_positions[key] = position
            case "interaction":
                touch = events_wire.touch(logged.source, event)
                self.touches.append(
                    touches.NewTouch(
                        tenant_id=tenant_id,
                        source=logged.source,
                        event_id=event.event_id,
                        occur_micros=micros(touch.occur_time),
                        identifiers=touch.identifiers,
                        event=event.SerializeToString(),
                    )
                )
                self.touch_positions[tenant_id, logged.source, event.event_id] = position
                self.reached[tenant_id, logged.source, event.event_id] = touch
            case "settings":
                self.settings[tenant_id] = (position, event.settings.SerializeToString(deterministic=True))
            case "models":
                self.models[tenant_id] = (position, event.models.SerializeToString(deterministic=True))
            case _:
                return
        self.tenants.add(tenant_id)

    def documents_after(self, tenant_id: str, stored: rules_store.RuleDocuments) -> rules_store.RuleDocuments:
        """The documents at the greatest positions: an entry that was parked comes after newer ones."""
        position, settings = self.settings.get(tenant_id, (0, b""))
        if position > stored.settings_position:
            stored = stored._replace(settings=settings, settings_position=position)
        position, models = self.models.get(tenant_id, (0, b""))
        if position > stored.models_position:
            stored = stored._replace(models=models, models_position=position)
        return stored


async def apply_events(
    connection: AsyncConnection, _partition: int, entries: Sequence[Entry[event_pb2.LoggedEvent]]
) -> Sequence[bytes]:
    """Takes in orders, touches, settings and models; answers the orders whose credits changed, to be published."""
    batch = _Batch(entries)
    if not batch.tenants:
        return []
    rules, changed_rules = await _take_rules(connection, batch)
    causes = {key: Cause(_BY_TOUCH, position) for key, position in (await _reached(connection, batch, rules)).items()}
    causes.update({key: Cause(_BY_ORDER, position) for key, position in batch.order_positions.items()})
    kept = {order.key: order for order in await orders.read_orders(connection, causes)}
    reopened = [_reopened(key, kept.get(key), batch.orders.get(key, ()), cause) for key, cause in causes.items()]
    published = await recompute(connection, reopened, rules)
    for tenant_id, position in changed_rules.items():
        published += await _recompute_all(connection, tenant_id, rules, Cause(_BY_SETTINGS, position))
    return published


async def apply_people(
    connection: AsyncConnection, _partition: int, entries: Sequence[Entry[people_pb2.PeopleChange]]
) -> Sequence[bytes]:
    """Takes in who belongs together now; answers the orders whose credits changed, to be published.

    A tie through people lasts as long as order and touch have a person in common, so it can change only for orders of
    those persons whom an identifier left or joined, and for those whose own identifier did.
    """
    persons, hubs = _told_last(entries)
    before = await people.read_standings(connection, persons.keys() | hubs.keys())
    after = {
        named: _newer(before.get(named, _UNKNOWN), persons.get(named), hubs.get(named))
        for named in persons.keys() | hubs.keys()
    }
    changed = {named: standing for named, standing in after.items() if standing != before.get(named, _UNKNOWN)}
    if not changed:
        return []
    await people.save_standings(connection, changed)
    rows = [
        (tenant_id, facts.identifier_row(identifier, standing.person_id, hub=standing.hub))
        for (tenant_id, identifier), standing in changed.items()
    ]
    await blocks.append(connection, blocks.IDENTIFIERS, rows)
    identifiers = [
        reopening.ByIdentifier(*named, standing.hub != before.get(named, _UNKNOWN).hub, _position(standing))
        for named, standing in changed.items()
    ]
    concerned: dict[tuple[str, int], int] = {}
    for (tenant_id, identifier), standing in changed.items():
        for person_id in (before.get((tenant_id, identifier), _UNKNOWN).person_id, standing.person_id):
            if person_id is not None:
                position = max(concerned.get((tenant_id, person_id), 0), _position(standing))
                concerned[tenant_id, person_id] = position
    found = await reopening.orders_by_people(
        connection, identifiers, (reopening.ByPerson(*person, position) for person, position in concerned.items())
    )
    rules = await rules_of(connection, {key.tenant_id for key in found})
    reopened = [
        _reopened(order.key, order, (), Cause(_BY_PEOPLE, found[order.key]))
        for order in await orders.read_orders(connection, found)
    ]
    return await recompute(connection, reopened, rules)


def _told_last(
    entries: Sequence[Entry[people_pb2.PeopleChange]],
) -> tuple[dict[people.Named, tuple[int, int]], dict[people.Named, tuple[int, bool]]]:
    """What the entries last say of each identifier: its person, and whether it is a hub, each after its position."""
    persons: dict[people.Named, tuple[int, int]] = {}
    hubs: dict[people.Named, tuple[int, bool]] = {}
    for entry in entries:
        tenant_id = entry.message.tenant_id
        for identifier, person_id in people_wire.memberships(entry.message).items():
            persons[tenant_id, identifier] = (entry.position, person_id)
        for identifier, hub in people_wire.hub_changes(entry.message).items():
            hubs[tenant_id, identifier] = (entry.position, hub)
    return persons, hubs


def _newer(before: people.Standing, person: tuple[int, int] | None, hub: tuple[int, bool] | None) -> people.Standing:
    """The standing after what was told, unless something newer was told before: an entry may have been parked."""
    if person is not None and person[0] > before.person_position:
        before = before._replace(person_position=person[0], person_id=person[1])
    if hub is not None and hub[0] > before.hub_position:
        before = before._replace(hub_position=hub[0], hub=hub[1])
    return before


def _position(standing: people.Standing) -> int:
    return max(standing.person_position, standing.hub_position)


async def _take_rules(connection: AsyncConnection, batch: _Batch) -> tuple[dict[str, Rules], dict[str, int]]:
    """The rules as they stand after the batch, and the tenants whose orders they decide otherwise than before."""
    documents = await rules_store.read_rules(connection, batch.tenants)
    told = {tenant_id: batch.documents_after(tenant_id, document) for tenant_id, document in documents.items()}
    changed = {tenant_id: document for tenant_id, document in told.items() if document != documents[tenant_id]}
    rules = {tenant_id: rules_wire.rules(one.settings, one.models) for tenant_id, one in told.items()}
    if not changed:
        return rules, {}
    await rules_store.save_rules(connection, changed)
    return rules, {
        tenant_id: max(document.settings_position, document.models_position)
        for tenant_id, document in changed.items()
        if rules[tenant_id] != rules_wire.rules(documents[tenant_id].settings, documents[tenant_id].models)
    }


async def _reached(connection: AsyncConnection, batch: _Batch, rules: Mapping[str, Rules]) -> dict[OrderKey, int]:
    """Keeps the batch's touches; answers the orders that they may concern, each with the touch's position."""
    if not batch.touches:
        return {}
    fresh = await touches.insert_touches(connection, batch.touches)
    kept = ((touch.tenant_id, batch.reached[touch.tenant_id, touch.source, touch.event_id]) for touch in fresh)
    await blocks.append(connection, blocks.TOUCHES, ((tenant_id, facts.touch_row(touch)) for tenant_id, touch in kept))
    return await reopening.orders_by_touches(
        connection,
        [
            reopening.ByTouch(
                tenant_id=touch.tenant_id,
                identifier=identifier,
                from_micros=touch.occur_micros,
                # One more: both times are rounded down.
                through_micros=touch.occur_micros + micros(rules[touch.tenant_id].window) + 1,
                position=batch.touch_positions[touch.tenant_id, touch.source, touch.event_id],
            )
            for touch in fresh
            for identifier in touch.identifiers
        ],
    )


def _reopened(key: OrderKey, kept: StoredOrder | None, told: Sequence[Told], cause: Cause) -> Reopened:
    before = events_wire.told_again(kept.told) if kept else ()
    return Reopened(key, kept, before, fold(before, told) if told else before, cause)


async def _recompute_all(
    connection: AsyncConnection, tenant_id: str, rules: Mapping[str, Rules], cause: Cause
) -> list[bytes]:
    """All of a tenant's orders, a page at a time."""
    published: list[bytes] = []
    after: OrderKey | None = None
    while page := await orders.read_page(connection, tenant_id, after, _PAGE):
        after = page[-1].key
        published += await recompute(connection, [_reopened(order.key, order, (), cause) for order in page], rules)
    return published


async def recompute(
    connection: AsyncConnection, reopened: Sequence[Reopened], rules: Mapping[str, Rules]
) -> list[bytes]:
    """Decides these orders anew, keeps what changed, and answers what is to be published of it."""
    recounted = await recount(connection, {one.key: one.told for one in reopened}, rules)
    changed = [(one, now) for one in reopened if (now := _now(one, recounted.get(one.key))) != one.kept]
    await orders.add_orders(connection, [now for one, now in changed if one.kept is None])
    await orders.change_orders(connection, [now for one, now in changed if one.kept is not None])
    await blocks.append(connection, blocks.ORDERS, _order_rows(changed, recounted))
    await _move_identifiers(connection, [one for one, _ in changed])
    return [
        credits_wire.with_cause(now.credits, *one.cause)
        for one, now in changed
        if now.credits is not None and (one.kept is None or now.credits != one.kept.credits)
    ]


def _order_rows(
    changed: Sequence[tuple[Reopened, StoredOrder]], recounted: Mapping[OrderKey, Recounted]
) -> list[tuple[str, facts.Row]]:
    """The rows of orders of which something else is told than before."""
    return [
        (one.key.tenant_id, row)
        for one, now in changed
        if one.key in recounted and (one.kept is None or one.kept.told != now.told)
        if (row := facts.order_row(one.told, recounted[one.key].case.order)) is not None
    ]


def _now(one: Reopened, recounted: Recounted | None) -> StoredOrder:
    told = events_wire.stored(one.told)
    if recounted is None:
        return StoredOrder(one.key, told, None, open_to_people=False)
    return StoredOrder(one.key, told, recounted.entry, recounted.open_to_people)


async def _move_identifiers(connection: AsyncConnection, changed: Sequence[Reopened]) -> None:
    """Lets orders be found by the identifiers of their newest state, and no longer by those of an older one."""
    gone: list[OrderIdentifier] = []
    new: list[OrderIdentifier] = []
    for one in changed:
        before, now = _findable(one.before), _findable(one.told)
        gone += [OrderIdentifier(one.key, *found_by) for found_by in before - now]
        new += [OrderIdentifier(one.key, *found_by) for found_by in now - before]
    await orders.replace_identifiers(connection, gone, new)


def _findable(told: Sequence[Told]) -> set[tuple[Identifier, int]]:
    """The identifiers of the newest state, each with the order's time in microseconds."""
    newest = next((one.state for one in told if one.state is not None), None)
    if newest is None:
        return set()
    order_micros = micros(newest.order_time)
    return {(identifier, order_micros) for identifier in newest.identifiers}
