"""The event log's writing end: whatever waits for a partition goes into one transaction."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import NamedTuple, TypeAlias, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.chassis import log, telemetry
from services.chassis.database import is_transient
from services.ingest.domain.deduplication import Entry, Status, decide, first_of_each_key
from services.ingest.domain.deliveries import Batch, conflicting, health
from services.ingest.store.at_once import AtOnce
from services.ingest.store.event_keys import claim, place
from services.ingest.store.parked import park
from services.ingest.store.renamed import as_known
from services.ingest.store.sources import add_health
from services.ingest.store.vault import Vault

_ENTRIES_AT_ONCE = 2_000
"""A transaction takes no further batch when it has so many entries: who waits behind it has a deadline."""

_entries = telemetry.histogram("touchstone.ingest.commit.entries", "Entries committed together.", "{entry}")
_failures = telemetry.counter("touchstone.ingest.commit.failures", "Batches that could not be committed.")

AnswerT = TypeVar("AnswerT")

Committed = Callable[[int, int, Sequence[bytes]], None]
"""Told of what was committed: the partition, the position before the first entry, the entries."""


_Statuses: TypeAlias = "asyncio.Future[list[Status]]"


class _Waiting(NamedTuple):
    batch: Batch
    statuses: _Statuses


class _Appended(NamedTuple):
    after: int
    payloads: list[bytes]
    statuses: list[list[Status]]
    """Of each batch, those of its entries."""


class EventLog:
    """Appends with group commit: one writer for each partition that has work, and a commit for all that waits.

    Whoever waits is answered after the commit. Who stops waiting hurts nobody: their batch is withdrawn, or committed
    all the same when its transaction has begun.
    """

    def __init__(self, engine: AsyncEngine, vault: Vault, committed: Committed) -> None:
        self._engine = engine
        self._at_once = AtOnce(engine)
        self._vault = vault
        self._committed = committed
        self._waiting: dict[int, dict[_Statuses, Batch]] = {}
        self._writers: dict[int, asyncio.Task[None]] = {}

    async def append(self, batch: Batch, renamed: Collection[str] = ()) -> list[Status]:
        """Commits a batch, and answers what became of each of its entries.

        `renamed` are tenants of whose events some have other names by now. Raises what the database raised: when it is
        away, the same call may succeed later, and what was committed after all is then a duplicate.
        """
        if renamed:
            batch = batch._replace(entries=await as_known(self._engine, self._vault, batch.entries, renamed))
        statuses: _Statuses = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(batch.partition, {})[statuses] = batch
        if batch.partition not in self._writers:
            self._writers[batch.partition] = asyncio.create_task(self._write(batch.partition))
        try:
            return await statuses
        finally:
            # While the database hangs, callers give up and come again: what they left must not pile up.
            if statuses.cancelled():
                self._waiting.get(batch.partition, {}).pop(statuses, None)

    async def change(
        self, partition: int, decide_change: Callable[[AsyncConnection], Awaitable[tuple[AnswerT, Sequence[Entry]]]]
    ) -> AnswerT:
        """Changes rows and appends what tells of it, in one transaction that nothing else of the partition overlaps.

        `decide_change` makes the change on the connection it is given, and answers the entries to append.
        """
        async with self._engine.begin() as connection:
            head = await log.lock_head(connection, partition)
            answer, entries = await decide_change(connection)
            appended = await _append(connection, self._vault, head, [Batch(partition, entries)])
        self._committed(partition, appended.after, appended.payloads)
        return answer

    async def close(self) -> None:
        """Closes the connections that it holds beside the engine's."""
        await self._at_once.close()

    async def _write(self, partition: int) -> None:
        try:
            while waiting := self._take(partition):
                await self._commit(partition, waiting)
        finally:
            del self._writers[partition]

    def _take(self, partition: int) -> list[_Waiting]:
        waiting = self._waiting.get(partition, {})
        taken: list[_Waiting] = []
        entries = 0
        while waiting and entries < _ENTRIES_AT_ONCE:
            statuses = next(iter(waiting))
            taken.append(_Waiting(waiting.pop(statuses), statuses))
            entries += len(taken[-1].batch.entries)
        return taken

    async def _commit(self, partition: int, waiting: list[_Waiting]) -> None:
        try:
            appended = await self._append(partition, [one.batch for one in waiting])
        except Exception as error:  # noqa: BLE001 - it concerns those who wait, and they are told; the writer goes on
            if len(waiting) == 1 or is_transient(error):
                _failures.add(len(waiting))
                for one in waiting:
                    if not one.statuses.done():
                        one.statuses.set_exception(error)
                return
            # One of them can't be committed: the others don't fail with it.
            half = len(waiting) // 2
            await self._commit(partition, waiting[:half])
            await self._commit(partition, waiting[half:])
            return
        self._committed(partition, appended.after, appended.payloads)
        _entries.record(len(appended.payloads))
        for one, statuses in zip(waiting, appended.statuses, strict=True):
            # A caller that hung up has cancelled its future.
            if not one.statuses.done():
                one.statuses.set_result(statuses)

    async def _append(self, partition: int, batches: Sequence[Batch]) -> _Appended:
        """Appends batches in a transaction: a single statement, unless something is known already or can't be used."""
        entries = [entry for batch in batches for entry in batch.entries]
        if entries and not any(batch.unusable for batch in batches):
            heard = health([delivery for batch in batches for delivery in batch.heard])
            after = await self._at_once.append_new(partition, entries, heard)
            if after is not None:
                accepted = [[Status.ACCEPTED] * len(batch.entries) for batch in batches]
                return _Appended(after, [entry.payload for entry in entries], accepted)
        async with self._engine.begin() as connection:
            head = await log.lock_head(connection, partition)
            return await _append(connection, self._vault, head, batches)


async def _append(connection: AsyncConnection, vault: Vault, head: int, batches: Sequence[Batch]) -> _Appended:
    """Appends batches of one partition, whose head row is locked: nothing they are compared with can change."""
    entries = [entry for batch in batches for entry in batch.entries]
    statuses, payloads = await _append_entries(connection, batches[0].partition, head, entries)
    of_batches = []
    for batch in batches:
        of_batches.append(statuses[: len(batch.entries)])
        statuses = statuses[len(batch.entries) :]
    unusable = [part for batch in batches for part in batch.unusable]
    for batch, of_batch in zip(batches, of_batches, strict=True):
        unusable += conflicting(batch, of_batch)
    if unusable:
        await park(connection, vault, unusable)
    heard = [delivery for batch in batches for delivery in batch.heard]
    if heard:
        await add_health(connection, health(heard))
    return _Appended(head, payloads, of_batches)


async def _append_entries(
    connection: AsyncConnection, partition: int, head: int, entries: Sequence[Entry]
) -> tuple[list[Status], list[bytes]]:
    """Appends what is new of the entries; answers what became of each, and what was appended."""
    if not entries:
        return [], []
    firsts = first_of_each_key(entries)
    known = await claim(connection, head, list(firsts.values()))
    fresh = [entry for key, entry in firsts.items() if key not in known]
    if known and fresh:
        await place(connection, head, fresh)
    payloads = [entry.payload for entry in fresh]
    if payloads:
        await log.append(connection, partition, payloads)
    return decide(entries, firsts, known), payloads
