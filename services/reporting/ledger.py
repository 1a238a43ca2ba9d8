"""Keeps what changes of orders after their day, as the log tells of it, and which rules were told when."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection
from touchstone.attribution.v1 import credit_pb2
from touchstone.ingest.v1 import event_pb2

from services.chassis.follow import Entry
from services.reporting.domain.facts import OrderFact
from services.reporting.domain.ledger import RulesChange, changes, is_late
from services.reporting.domain.tenants import Tenant
from services.reporting.store import ledger
from services.reporting.store.facts import StoredFact
from services.reporting.wire.orders import fact_of, stored_fact_of
from services.reporting.wire.settings import settings_of

Credits = credit_pb2.OrderCredits
Key = tuple[str, int, str, str]
"""The tenant, the edition, the source and the order's id."""


async def note(
    connection: AsyncConnection,
    entries: Sequence[Entry[Credits]],
    in_force: Mapping[str, int],
    before: Mapping[Key, StoredFact],
    read: Mapping[int, OrderFact],
) -> None:
    """Keeps what consecutive entries of the credit log change of days that may be over.

    `in_force` are the tenants' editions before these entries; `before` the facts of the entries' orders, in their
    editions, as they were stored before, and `read` what was read of all these, by position. The facts have been replaced
    already. What is kept follows from the log and its sequence alone, however it is cut into batches, and whatever the
    tenant's zone.
    """
    walk = _Walk(in_force, read, {key: _At(fact.credit_position, fact.payload) for key, fact in before.items()})
    told = {_key(entry.message) for entry in entries if not entry.message.complete}
    coming = await ledger.with_coming(connection, in_force) if told else set()
    if coming:
        orders = {(key[0], *key[2:]) for key in told if key[0] in coming}
        for fact in await ledger.in_all_editions(connection, sorted(orders)):
            walk.knows(fact[:4], _At(fact.credit_position, fact.payload), told)
    for entry in entries:
        walk.take(entry, coming=entry.message.tenant_id in coming)
    walk.settle_all()
    if walk.forgotten:
        await ledger.forget_of_rules(connection, sorted(walk.forgotten))
    await ledger.add(connection, [*walk.rows, *(row for rows in walk.of_rules.values() for row in rows)])
    if walk.completed:
        await ledger.add_editions(connection, walk.completed)


def _key(told: Credits) -> Key:
    return told.tenant_id, told.edition, told.order.source, told.order.order_id


class _At(NamedTuple):
    """What was told of an order, or is stored of it, and its position in the log."""

    position: int
    told: Credits | bytes


class _Walk:
    """Entries in sequence, and each order as it stands at every step."""

    def __init__(self, in_force: Mapping[str, int], read: Mapping[int, OrderFact], state: dict[Key, _At]) -> None:
        self._read = read
        self._in_force = dict(in_force)
        self._state = state
        self._touched: dict[str, set[tuple[str, str]]] = defaultdict(set)
        self._editions: dict[tuple[str, str, str], set[int]] = defaultdict(set)
        for tenant_id, edition, source, order_id in state:
            self._editions[tenant_id, source, order_id].add(edition)
        self.rows: list[ledger.Row] = []
        self.of_rules: dict[Key, list[ledger.Row]] = {}
        self.forgotten: set[Key] = set()
        self.completed: list[tuple[str, int, int]] = []

    def knows(self, key: Key, stored: _At, told: set[Key]) -> None:
        """Takes in an order as it stands in an edition that no entry tells of."""
        if key not in told:
            self._state[key] = stored
            self._editions[key[0], key[2], key[3]].add(key[1])

    def take(self, entry: Entry[Credits], *, coming: bool) -> None:
        told = entry.message
        tenant_id, edition, source, order_id = key = _key(told)
        now = self._in_force.get(tenant_id, 0)
        if edition < now:
            return
        if told.complete:
            if edition > now:
                self._settle(tenant_id)
                self._in_force[tenant_id] = edition
                self.completed.append((tenant_id, edition, entry.position))
            return
        was = self._state.get(key)
        if was is not None and was.position >= entry.position:
            return
        self._state[key] = _At(entry.position, told)
        if coming:
            self._touched[tenant_id].add((source, order_id))
            self._editions[tenant_id, source, order_id].add(edition)
        if edition == now:
            self._add_rows(was, entry)

    def settle_all(self) -> None:
        """What the coming editions, as they now stand, change of the orders touched."""
        for tenant_id in list(self._touched):
            self._settle(tenant_id)

    def _settle(self, tenant_id: str) -> None:
        now = self._in_force.get(tenant_id, 0)
        for source, order_id in sorted(self._touched.pop(tenant_id, ())):
            was = self._state.get((tenant_id, now, source, order_id))
            for edition in self._editions[tenant_id, source, order_id]:
                key = (tenant_id, edition, source, order_id)
                if edition > now and key in self._state:
                    self.forgotten.add(key)
                    self.of_rules[key] = self._rows_of(was, self._state[key], of_rules=True)

    def _add_rows(self, was: _At | None, entry: Entry[Credits]) -> None:
        order, cause = entry.message.order, entry.message.cause
        cause_micros = cause.receive_time.ToMicroseconds()
        # Older programs told no time. And nearly all orders are told of at once: they are not even read.
        if cause_micros and (was is not None or is_late(order.order_time.seconds, cause_micros)):
            now = _At(entry.position, entry.message)
            self.rows += [
                row for row in self._rows_of(was, now, of_rules=False) if is_late(row.order_seconds, cause_micros)
            ]

    def _rows_of(self, was: _At | None, now: _At, *, of_rules: bool) -> list[ledger.Row]:
        after = self._fact(now)
        cause = credit_pb2.Cause() if isinstance(now.told, bytes) else now.told.cause
        cause_micros = cause.receive_time.ToMicroseconds()
        return [
            ledger.Row(
                after.tenant_id,
                after.edition,
                now.position,
                after.source,
                after.order_id,
                change.order_seconds,
                of_rules,
                cause.kind,
                cause.position,
                cause_micros,
                change.before,
                change.after,
                change.changed,
            )
            for change in changes(None if was is None else self._fact(was), after)
        ]

    def _fact(self, at: _At) -> OrderFact:
        read = self._read.get(at.position)
        if read is not None:
            return read
        return stored_fact_of(at.told) if isinstance(at.told, bytes) else fact_of(at.told)


async def note_rules(
    connection: AsyncConnection, entries: Sequence[Entry[event_pb2.LoggedEvent]], known: Mapping[str, Tenant]
) -> None:
    """Keeps which settings and models consecutive entries of the event log tell of; tenants are as known before."""
    rows: list[RulesChange] = []
    newest = {tenant_id: tenant.newest for tenant_id, tenant in known.items()}
    present = {tenant_id: (tenant.time_zone, tenant.currency_code) for tenant_id, tenant in newest.items()}
    for entry in entries:
        logged = entry.message
        payload = logged.event.WhichOneof("payload")
        if payload not in ("settings", "models"):
            continue
        before = after = present[logged.tenant_id]
        if payload == "settings" and entry.position > newest[logged.tenant_id].settings_position:
            after = present[logged.tenant_id] = settings_of(logged.event.settings)
        micros = logged.receive_time.ToMicroseconds()
        zones, currencies = zip(before, after, strict=True)
        rows.append(RulesChange(logged.tenant_id, entry.position, micros, payload == "models", *zones, *currencies))
    if rows:
        await ledger.add_rules(connection, rows)
