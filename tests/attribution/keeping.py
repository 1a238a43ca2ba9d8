"""Attribution on a real Postgres: its followers are handed batches, and what they leave and publish is looked at."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Self

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from touchstone.attribution.v1 import credit_pb2
from touchstone.identity.v1 import people_pb2
from touchstone.ingest.v1 import event_pb2

import services.attribution
from services.attribution.background import UNFINISHED, decide_coming, decide_waiting
from services.attribution.editions import editions_of
from services.attribution.follower import Batch, ChangedPeople, apply_events, apply_people
from services.attribution.store.orders import read_page
from services.chassis.database import open_database
from services.chassis.follow import Entry
from services.chassis.migrations import migrate

MIGRATIONS = Path(services.attribution.__file__).parent / "migrations"


class Keeper:
    """A service's state, and all that it published."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.published: list[credit_pb2.OrderCredits] = []
        self._positions = {"events": 0, "people": 0}

    @classmethod
    async def on(cls, database_url: str) -> Self:
        await migrate(database_url, schema="attribution_1", scripts=MIGRATIONS)
        return cls(open_database(database_url, schema="attribution_1"))

    async def tell(self, *events: event_pb2.LoggedEvent) -> list[credit_pb2.OrderCredits]:
        """One batch of the event log; answers what was published of it."""
        return await self._apply("events", events, Batch, apply_events)

    async def tell_people(self, *changes: people_pb2.PeopleChange) -> list[credit_pb2.OrderCredits]:
        """One batch of the people log; answers what was published of it."""
        return await self._apply("people", changes, ChangedPeople, apply_people)

    async def _apply(self, log: str, messages: Sequence, read, apply) -> list[credit_pb2.OrderCredits]:
        first = self._positions[log] + 1
        self._positions[log] += len(messages)
        entries = [Entry(position, message) for position, message in enumerate(messages, start=first)]
        return await self._publish(lambda connection: apply(connection, 0, read(entries)))

    async def _publish(
        self, work: Callable[[AsyncConnection], Awaitable[Sequence[bytes]]]
    ) -> list[credit_pb2.OrderCredits]:
        async with self.engine.begin() as connection:
            payloads = await work(connection)
        published = [credit_pb2.OrderCredits.FromString(payload) for payload in payloads]
        self.published += published
        return published

    async def decide_coming(self) -> list[credit_pb2.OrderCredits]:
        """One page of a coming edition; answers what was published of it."""
        return await self._publish(lambda connection: decide_coming(connection, 0))

    async def decide_waiting(self) -> list[credit_pb2.OrderCredits]:
        """One page of the orders that wait; answers what was published of it."""
        return await self._publish(lambda connection: decide_waiting(connection, 0))

    async def settle(self) -> list[credit_pb2.OrderCredits]:
        """Everything that is done in the background; answers what was published of it."""
        start = len(self.published)
        for waiting, page in ((UNFINISHED[0], self.decide_coming), (UNFINISHED[1], self.decide_waiting)):
            while await self._waits(waiting):
                await page()
        return self.published[start:]

    async def _waits(self, waiting) -> bool:
        async with self.engine.connect() as connection:
            return bool(await waiting(connection))

    async def stored(self, tenant_id: str) -> dict[tuple[str, str], bytes]:
        """The credits that are kept in the edition in force, by (source, order id)."""
        async with self.engine.connect() as connection:
            in_force = (await editions_of(connection, [tenant_id]))[tenant_id].in_force.number
            page = await read_page(connection, tenant_id, None, 100_000)
        known = ((order.key, order.under(in_force, None).credits) for order in page)
        return {(key.source, key.order_id): credits_ for key, credits_ in known if credits_ is not None}

    def last_published(self, tenant_id: str) -> dict[tuple[str, str], bytes]:
        """What a follower of the credit log knows in the end of the edition in force, without the causes."""
        told: dict[int, dict[tuple[str, str], bytes]] = {}
        in_force = 0
        for entry in self.published:
            if entry.tenant_id == tenant_id and entry.complete:
                in_force = entry.edition
            elif entry.tenant_id == tenant_id:
                bare = credit_pb2.OrderCredits()
                bare.CopyFrom(entry)
                bare.ClearField("cause")
                bare.ClearField("edition")
                key = entry.order.source, entry.order.order_id
                told.setdefault(entry.edition, {})[key] = bare.SerializeToString(deterministic=True)
        return told.get(in_force, {})
