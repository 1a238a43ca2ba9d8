"""Attribution on a real Postgres: its followers are handed batches, and what they leave and publish is looked at."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.attribution.v1 import credit_pb2
from touchstone.identity.v1 import people_pb2
from touchstone.ingest.v1 import event_pb2

import services.attribution
from services.attribution.follower import apply_events, apply_people
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
        return await self._apply("events", events, apply_events)

    async def tell_people(self, *changes: people_pb2.PeopleChange) -> list[credit_pb2.OrderCredits]:
        """One batch of the people log; answers what was published of it."""
        return await self._apply("people", changes, apply_people)

    async def _apply(self, log: str, messages: Sequence, apply) -> list[credit_pb2.OrderCredits]:
        first = self._positions[log] + 1
        self._positions[log] += len(messages)
        entries = [Entry(position, message) for position, message in enumerate(messages, start=first)]
        async with self.engine.begin() as connection:
            payloads = await apply(connection, 0, entries)
        published = [credit_pb2.OrderCredits.FromString(payload) for payload in payloads]
        self.published += published
        return published

    async def stored(self, tenant_id: str) -> dict[tuple[str, str], bytes]:
        """The credits that are kept, by (source, order id)."""
        async with self.engine.connect() as connection:
            rows = await connection.execute(
                text(
                    "SELECT source, order_id, credits FROM known_order WHERE tenant_id = :tenant AND credits IS NOT NULL"
                ),
                {"tenant": tenant_id},
            )
            return {(row.source, row.order_id): bytes(row.credits) for row in rows}

    def last_published(self, tenant_id: str) -> dict[tuple[str, str], bytes]:
        """What a follower of the credit log knows in the end, without the causes."""
        known = {}
        for entry in self.published:
            if entry.tenant_id == tenant_id:
                bare = credit_pb2.OrderCredits()
                bare.CopyFrom(entry)
                bare.ClearField("cause")
                known[entry.order.source, entry.order.order_id] = bare.SerializeToString(deterministic=True)
        return known
