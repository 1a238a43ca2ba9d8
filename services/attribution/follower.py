"""Follows the events and the people, keeps every order's credits right, and publishes those that changed."""

from collections.abc import Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection
from touchstone.identity.v1 import people_pb2
from touchstone.ingest.v1 import event_pb2

from services.attribution.domain.editions import Editions
from services.attribution.domain.orders import Told
from services.attribution.editions import editions, editions_of
from services.attribution.reaching import Happened, happened, reach
from services.attribution.recomputing import recompute, reopened
from services.attribution.store import blocks, facts, orders, people, regrouped_orders
from services.attribution.store import rules as rules_store
from services.attribution.store.moments import micros
from services.attribution.store.orders import OrderKey
from services.attribution.wire import editions as editions_wire
from services.attribution.wire import events as events_wire
from services.attribution.wire import people as people_wire
from services.attribution.wire import rules as rules_wire
from services.attribution.wire import times as times_wire
from services.attribution.wire.editions import BY_ORDER, BY_PEOPLE, BY_TOUCH, Cause
from services.chassis.follow import Entry

_UNKNOWN = people.Standing()


class Batch:
    """What a batch of events tells, sorted by whom it concerns."""

    def __init__(self, entries: Sequence[Entry[event_pb2.LoggedEvent]]) -> None:
        self.tenants: set[str] = set()
        self.orders: dict[OrderKey, list[Told]] = {}
        self.order_causes: dict[OrderKey, Cause] = {}
        self.times: dict[int, int] = {}
        """When what happened was received, by position."""
        self.traces: dict[int, str] = {}
        """The traces of what happened, by position, of what has one."""
        self.happened: list[Happened] = []
        self.settings: dict[str, tuple[int, bytes]] = {}
        self.model_sets: dict[str, list[rules_store.ModelSetRow]] = {}
        for entry in entries:
            self._add(entry.position, entry.message)

    def _add(self, position: int, logged: event_pb2.LoggedEvent) -> None:
        event, tenant_id = logged.event, logged.tenant_id
        match event.WhichOneof("payload"):
            case "order":
                key = OrderKey(tenant_id, event.order.order_id, logged.source)
                self.orders.setdefault(key, []).append(events_wire.told(event))
                received = times_wire.micros(logged.receive_time)
                self.order_causes[key] = Cause(BY_ORDER, position, received, logged.trace_parent)
            case "interaction" | "conversation" | "storefront":
                kept = event.SerializeToString(deterministic=True)
                what = events_wire.happened_first(logged.source, event, kept)
                if what is None:
                    return
                self.times[position] = received = times_wire.micros(logged.receive_time)
                if trace_parent := logged.trace_parent:
                    self.traces[position] = trace_parent
                self.happened.append(happened(tenant_id, position, what, kept, received))
            case "settings":
                self.settings[tenant_id] = (position, event.settings.SerializeToString(deterministic=True))
            case "models":
                models = event.models.SerializeToString(deterministic=True)
                told = rules_store.ModelSetRow(tenant_id, position, event.event_id, models)
                self.model_sets.setdefault(tenant_id, []).append(told)
            case _:
                return
        self.tenants.add(tenant_id)


class ChangedPeople:
    """What a batch of the people log last says of identifiers, each after its position: the person, and whether it is a hub."""

    def __init__(self, entries: Sequence[Entry[people_pb2.PeopleChange]]) -> None:
        self.persons: dict[people.Named, tuple[int, int]] = {}
        self.hubs: dict[people.Named, tuple[int, bool]] = {}
        self.times: dict[int, int] = {}
        """When what led to a change was received, by position."""
        for position, change in entries:
            tenant_id = change.tenant_id
            self.times[position] = times_wire.micros(change.cause_receive_time)
            for identifier, person_id in people_wire.memberships(change).items():
                self.persons[tenant_id, identifier] = (position, person_id)
            for identifier, hub in people_wire.hub_changes(change).items():
                self.hubs[tenant_id, identifier] = (position, hub)


async def apply_events(connection: AsyncConnection, partition: int, batch: Batch) -> Sequence[bytes]:
    """Takes in orders, touches, settings and models; answers the orders whose credits changed, to be published.

    What settings and models decide otherwise of orders that are not of the batch is left to the background.
    """
    if not batch.tenants:
        return []
    known_editions = await _take_rules(connection, partition, batch)
    spans = {tenant_id: known.spans for tenant_id, known in known_editions.items()}
    concerned = await reach(connection, partition, batch.happened, spans)
    causes = {
        key: Cause(BY_TOUCH, position, batch.times.get(position, 0), batch.traces.get(position, ""))
        for key, position in concerned.items()
    }
    causes.update(batch.order_causes)
    kept = {order.key: order for order in await orders.read_orders(connection, causes)}
    told = [reopened(key, kept.get(key), batch.orders.get(key, ()), cause) for key, cause in causes.items()]
    return await recompute(connection, told, known_editions)


async def apply_people(connection: AsyncConnection, partition: int, told: ChangedPeople) -> Sequence[bytes]:
    """Takes in who belongs together now; answers the orders whose credits changed, to be published.

    A tie through people lasts as long as order and touch have a person in common, so it can change only for orders of
    those persons whom an identifier left or joined, and for those whose own identifier did.
    """
    mentioned = told.persons.keys() | told.hubs.keys()
    before = await people.read_standings(connection, mentioned)
    changed: dict[people.Named, people.Standing] = {}
    for named in mentioned:
        was = before.get(named, _UNKNOWN)
        standing = _newer(was, told.persons.get(named), told.hubs.get(named))
        if standing != was:
            changed[named] = standing
    if not changed:
        return []
    await people.save_standings(connection, changed, before)
    rows = [
        (tenant_id, facts.identifier_row(identifier, standing.person_id, hub=standing.hub))
        for (tenant_id, identifier), standing in changed.items()
    ]
    await blocks.append(connection, blocks.IDENTIFIERS, rows)
    known_editions = await editions_of(connection, {tenant_id for tenant_id, _ in changed})
    windows = {tenant_id: micros(known.window) for tenant_id, known in known_editions.items()}
    concerned = [
        _changed(named, before.get(named, _UNKNOWN), standing, windows[named[0]]) for named, standing in changed.items()
    ]
    blocked = {(tenant_id, identifier) for tenant_id, known in known_editions.items() for identifier in known.blocked}
    found = await regrouped_orders.orders_by_people(connection, partition, concerned, told.times, blocked)
    orders_ = [
        reopened(order.key, order, (), Cause(BY_PEOPLE, found[order.key], told.times.get(found[order.key], 0)))
        for order in await orders.read_orders(connection, found)
    ]
    return await recompute(connection, orders_, known_editions)


def _newer(before: people.Standing, person: tuple[int, int] | None, hub: tuple[int, bool] | None) -> people.Standing:
    """The standing after what was told, unless something newer was told before: an entry may have been parked."""
    person_id, is_hub, person_position, hub_position = before
    if person is not None and person[0] > person_position:
        person_position, person_id = person
    if hub is not None and hub[0] > hub_position:
        hub_position, is_hub = hub
    return people.Standing(person_id, is_hub, person_position, hub_position)


def _changed(
    named: people.Named, was: people.Standing, now: people.Standing, window_micros: int
) -> regrouped_orders.ByIdentifier:
    # By place: a batch has a thousand of them, and names take half as long again.
    return regrouped_orders.ByIdentifier(
        *named,
        now.hub != was.hub,
        now.hub,
        was.person_id,
        now.person_id,
        window_micros,
        max(now.person_position, now.hub_position),
    )


async def _take_rules(connection: AsyncConnection, partition: int, batch: Batch) -> dict[str, Editions]:
    """The editions as they stand after the batch: rules that decide otherwise than before make a coming one."""
    documents = await rules_store.read_rules(connection, batch.tenants)
    if not batch.settings and not batch.model_sets:
        return {tenant_id: editions(document) for tenant_id, document in documents.items()}
    sets = await _numbered(connection, batch, documents)
    told = {tenant_id: _told(batch, document, tenant_id, sets) for tenant_id, document in documents.items()}
    changed = {tenant_id: document for tenant_id, document in told.items() if document != documents[tenant_id]}
    if changed:
        await rules_store.save_rules(connection, partition, changed)
    return {tenant_id: editions(document) for tenant_id, document in told.items()}


async def _numbered(
    connection: AsyncConnection, batch: Batch, documents: Mapping[str, rules_store.RuleDocuments]
) -> dict[str, rules_store.ModelSetRow]:
    """The set of models at the greatest position of each tenant, each numbered after those before it in the log."""
    ever: dict[str, list[bytes]] = {}
    for one in await rules_store.read_model_sets(connection, batch.model_sets):
        ever.setdefault(one.tenant_id, []).append(one.models)
    taken: list[rules_store.ModelSetRow] = []
    last: dict[str, rules_store.ModelSetRow] = {}
    for tenant_id, sets in batch.model_sets.items():
        held, known = documents[tenant_id].models, ever.get(tenant_id, [])
        for one in sorted(sets, key=lambda told: told.position):
            # An entry that was parked comes after newer ones: it holds no more.
            if one.position > documents[tenant_id].models_position:
                held = editions_wire.numbered(one.models, held, known)
                known.append(held)
                last[tenant_id] = one._replace(models=held)
                taken.append(last[tenant_id])
    await rules_store.add_model_sets(connection, taken)
    return last


def _told(
    batch: Batch,
    stored: rules_store.RuleDocuments,
    tenant_id: str,
    sets: Mapping[str, rules_store.ModelSetRow],
) -> rules_store.RuleDocuments:
    """The documents at the greatest positions, and the edition that they make."""
    now = stored
    position, settings = batch.settings.get(tenant_id, (0, b""))
    if position > stored.settings_position:
        now = now._replace(settings=settings, settings_position=position)
    if tenant_id in sets:
        now = now._replace(models=sets[tenant_id].models, models_position=sets[tenant_id].position)
    if rules_wire.rules(now.settings, now.models) == rules_wire.rules(stored.settings, stored.models):
        return now
    if stored.held_edition is None:
        now = now._replace(held_edition=stored.edition, held_settings=stored.settings, held_models=stored.models)
    # Greater than any before, also for what was parked and comes after newer ones.
    return now._replace(edition=max(now.settings_position, now.models_position, stored.edition + 1))
