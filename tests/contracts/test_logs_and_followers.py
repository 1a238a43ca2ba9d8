"""Logs, followers and generations, on a real Postgres and a real gRPC server."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import Int64Value
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.chassis import log
from services.chassis.chores import paged
from services.chassis.database import close_database, open_database
from services.chassis.follow import Entry, Subscription
from services.chassis.generations import FollowingService
from services.chassis.groups import MOST_ENTRIES
from services.chassis.migrations import migrate
from services.chassis.wakeups import Wakeups

SOURCE_MIGRATION = """
from alembic import op
from services.chassis import log
from services.chassis.chores import paged
revision = "0001"
down_revision = None
def upgrade():
    for statement in log.TABLES:
        op.execute(statement)
"""

SUMS_MIGRATION = """
from alembic import op
from services.chassis import follow, log
revision = "0001"
down_revision = None
def upgrade():
    for statement in (*log.TABLES, *follow.TABLES):
        op.execute(statement)
    op.execute("CREATE TABLE total (partition_id int PRIMARY KEY, total bigint NOT NULL, count bigint NOT NULL)")
"""


def scripts(directory: Path, migration: str) -> Path:
    (directory / "versions").mkdir(parents=True)
    (directory / "versions" / "0001_tables.py").write_text(migration)
    return directory


def numbers(*values: int) -> list[bytes]:
    return [Int64Value(value=value).SerializeToString() for value in values]


class PoisonError(Exception):
    pass


class Sums:
    """A service that sums the numbers of a log, and publishes each doubled.

    Numbers in `poison` fail when they are applied, those in `unreadable` already when they are read.
    """

    def __init__(self) -> None:
        self.poison: set[int] = set()
        self.unreadable: set[int] = set()
        self.read_so_far: list[int] = []

    def read(self, entries: Sequence[Entry[Int64Value]]) -> list[int]:
        values = [entry.message.value for entry in entries]
        if self.unreadable.intersection(values):
            raise PoisonError
        self.read_so_far += values
        return values

    async def apply(self, connection: AsyncConnection, partition: int, values: Sequence[int]) -> Sequence[bytes]:
        if self.poison.intersection(values):
            raise PoisonError
        await connection.execute(
            text(
                """INSERT INTO total VALUES (:partition, :total, :count)
                   ON CONFLICT (partition_id) DO UPDATE
                   SET total = total.total + excluded.total, count = total.count + excluded.count"""
            ),
            {"partition": partition, "total": sum(values), "count": len(values)},
        )
        return numbers(*(2 * value for value in values))


class House:
    """A source log, served; and services that follow it, and one another."""

    def __init__(
        self, url: str, directory: Path, server: grpc.aio.Server, address: str, channel: grpc.aio.Channel
    ) -> None:
        self.url, self.directory, self.server, self.address, self.channel = url, directory, server, address, channel
        self.engine = open_database(url, schema="source")
        self.wakeups = Wakeups(None)
        self.source = log.LogServer(name="source", engine_of=lambda: self.engine, wakeups=self.wakeups)

    async def append(self, partition: int, *values: int) -> None:
        async with self.engine.begin() as connection:
            after = await log.append(connection, partition, numbers(*values))
        self.source.committed(self.source.log_id, partition, after, numbers(*values))

    def sums(self, name: str, decider: Sums, follows: str, **more: Any) -> FollowingService:
        subscription = Subscription(
            log=follows,
            channel=self.channel,
            method=f"/{follows}/Follow",
            message_type=Int64Value,
            read=decider.read,
            apply=decider.apply,
        )
        directory = self.directory / name
        return FollowingService(
            name=name,
            database_url=self.url,
            migrations=directory if directory.exists() else scripts(directory, SUMS_MIGRATION),
            subscriptions=[subscription],
            wakeups=self.wakeups,
            **more,
        )

    @asynccontextmanager
    async def running(self, service: FollowingService) -> AsyncIterator[FollowingService]:
        await service.start()
        task = asyncio.create_task(service.run())
        try:
            yield service
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await service.close()


async def totals(service: FollowingService) -> dict[int, tuple[int, int]]:
    async with service.serving().connect() as connection:
        rows = await connection.execute(text("SELECT partition_id, total, count FROM total ORDER BY partition_id"))
        return {row.partition_id: (row.total, row.count) for row in rows}


async def until(condition: Callable, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - what is waited for happens in a database
            await asyncio.sleep(0.05)


@pytest.fixture
async def house(database_url: str, tmp_path: Path) -> AsyncIterator[House]:
    await migrate(database_url, schema="source", scripts=scripts(tmp_path / "source", SOURCE_MIGRATION))
    server = grpc.aio.server()
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    async with grpc.aio.insecure_channel(address) as channel:
        built = House(database_url, tmp_path, server, address, channel)
        built.server.add_generic_rpc_handlers((built.source.handler("source", "Follow"),))
        watching = asyncio.create_task(built.source.run())
        await server.start()
        yield built
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await server.stop(None)
    await close_database(built.engine)


async def test_positions_are_gapless_and_in_commit_order(house: House) -> None:
    async def writer(seed: int) -> list[tuple[int, bytes]]:
        written = []
        chance = random.Random(seed)
        for step in range(15):
            payloads = [b"%d/%d/%d" % (seed, step, i) for i in range(chance.randint(1, 5))]
            try:
                async with house.engine.begin() as connection:
                    after = await log.append(connection, 3, payloads)
                    await asyncio.sleep(chance.random() / 200)
                    if chance.random() < 0.2:
                        raise PoisonError  # noqa: TRY301 - a failing transaction is what is tested
            except PoisonError:
                continue
            written += [(after + 1 + i, payload) for i, payload in enumerate(payloads)]
        return written

    written = sorted(entry for part in await asyncio.gather(*(writer(seed) for seed in range(6))) for entry in part)
    assert [position for position, _ in written] == list(range(1, len(written) + 1))
    seen = []
    async for batch in house.source.follow(3, 0):
        assert batch.after_position == len(seen)
        seen += batch.entries
        if len(seen) == len(written):
            break
    assert seen == [payload for _, payload in written]


async def test_a_follower_applies_each_entry_once_however_often_it_is_stopped(house: House) -> None:
    sent = 0
    for round_ in range(4):
        async with house.running(house.sums("sums", Sums(), "source")):
            for value in range(40):
                await house.append(value % 5, round_ * 100 + value)
                sent += 1
            # Stopped in the middle: what was not applied is applied by the next one.
            await asyncio.sleep(0.02 * round_)
    async with house.running(house.sums("sums", Sums(), "source")) as service:

        async def complete() -> bool:
            return sum(count for _, count in (await totals(service)).values()) >= sent

        await until(complete)
        expected = {p: sum(r * 100 + v for r in range(4) for v in range(40) if v % 5 == p) for p in range(5)}
        assert {p: total for p, (total, _) in (await totals(service)).items()} == expected


async def test_replicas_share_partitions_and_apply_nothing_twice(house: House) -> None:
    async with house.running(house.sums("sums", Sums(), "source")) as one:
        async with house.running(house.sums("sums", Sums(), "source")):
            for value in range(200):
                await house.append(value % 7, value)

            async def complete() -> bool:
                return sum(count for _, count in (await totals(one)).values()) >= 200

            await until(complete)
        assert sum(total for total, _ in (await totals(one)).values()) == sum(range(200))


class Heard(Sums):
    """Sums, and tells what of which partition it applied."""

    def __init__(self) -> None:
        super().__init__()
        self.partitions: list[int] = []

    async def apply(self, connection: AsyncConnection, partition: int, values: Sequence[int]) -> Sequence[bytes]:
        self.partitions.append(partition)
        return await super().apply(connection, partition, values)


async def test_whoever_is_at_a_partition_keeps_it_while_it_is_busy_and_another_takes_it_over_then(house: House) -> None:
    first, second = Heard(), Heard()
    sent = 0
    async with house.running(house.sums("sums", first, "source")) as one:

        async def complete() -> bool:
            return (await totals(one)).get(1, (0, 0))[1] == sent

        async def send(seconds: float) -> None:
            nonlocal sent
            began = time.monotonic()
            while time.monotonic() - began < seconds:
                await house.append(1, 1)
                sent += 1
                await asyncio.sleep(0.05)

        await send(0.5)
        await until(complete)
        async with house.running(house.sums("sums", second, "source")):
            await send(2.5)
            await until(complete)
            assert second.partitions == []
    async with house.running(house.sums("sums", second, "source")) as one:
        await send(0.1)
        await until(complete)
        assert (await totals(one))[1] == (sent, sent)
        assert set(second.partitions) == {1}


class Overtaken(Sums):
    """Sums while whose first work another replica applies the same entries, unseen by the claim."""

    def __init__(self, other: AsyncEngine) -> None:
        super().__init__()
        self._other: AsyncEngine | None = other

    async def apply(
        self, connection: AsyncConnection, partition: int, entries: Sequence[Entry[Int64Value]]
    ) -> Sequence[bytes]:
        if self._other is not None:
            other, self._other = self._other, None
            async with other.begin() as overtaking:
                await super().apply(overtaking, partition, entries)
                position = {"position": entries[-1].position}
                await overtaking.execute(text("UPDATE sums_1.checkpoint SET position = :position"), position)
        return await super().apply(connection, partition, entries)


async def test_what_another_replica_applied_after_the_claim_looked_is_not_applied_again(house: House) -> None:
    async with house.running(house.sums("sums", Sums(), "source")) as service:
        await house.append(1, 5)

        async def complete() -> bool:
            return (await totals(service)).get(1) == (5, 1)

        await until(complete)
    other = open_database(house.url, schema="sums_1")
    async with house.running(house.sums("sums", Overtaken(other), "source")) as service:
        await house.append(1, 7)
        await house.append(1, 9)

        async def all_of_it() -> bool:
            return (await totals(service)).get(1, (0, 0))[1] >= 3

        await until(all_of_it)
        assert (await totals(service))[1] == (21, 3)
    await close_database(other)


async def test_an_entry_that_fails_is_parked_alone_and_can_be_applied_after_the_mend(house: House) -> None:
    decider = Sums()
    decider.unreadable, decider.poison = {13}, {27}
    async with house.running(house.sums("sums", decider, "source")) as service:
        await house.append(1, *range(40))

        async def complete() -> bool:
            return (await totals(service)).get(1, (0, 0))[1] == 38

        await until(complete)
        [(running, checkpoints)] = await service.checkpoints()
        assert checkpoints["source", 1][1] == 40
        assert await running.follower.replay_parked() == (0, 2)
        decider.unreadable = set()
        assert await running.follower.replay_parked() == (1, 1)
        assert (await totals(service))[1] == (sum(range(40)) - 27, 39)


class Held(Sums):
    """Sums, whose first group is stored only when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.storing: Sequence[int] = ()
        self.let_go = asyncio.Event()

    async def apply(self, connection: AsyncConnection, partition: int, values: Sequence[int]) -> Sequence[bytes]:
        self.storing = values
        await self.let_go.wait()
        return await super().apply(connection, partition, values)


@pytest.mark.parametrize("unreadable", [set[int](), {700}])
async def test_a_full_group_is_read_while_the_one_before_it_is_stored(house: House, unreadable: set[int]) -> None:
    decider, count = Held(), 3 * MOST_ENTRIES
    decider.unreadable = unreadable
    await house.append(1, *range(count))
    async with house.running(house.sums("sums", decider, "source")) as service:

        async def begun() -> bool:
            return bool(decider.storing)

        async def read_ahead() -> bool:
            return len(decider.read_so_far) > len(decider.storing)

        async def complete() -> bool:
            return (await totals(service)).get(1, (0, 0))[1] == count - len(unreadable)

        await until(begun)
        if not unreadable:
            await until(read_ahead)
        decider.let_go.set()
        await until(complete)
        assert (await totals(service))[1][0] == sum(range(count)) - sum(unreadable)
        if not unreadable:
            assert decider.read_so_far == list(range(count))


async def test_a_rebuild_swaps_in_the_same_state_and_who_follows_it_starts_over(house: House) -> None:
    retired: list[str] = []
    first = house.sums("first", Sums(), "source", on_retired=lambda: retired.append("first"))
    house.server.add_generic_rpc_handlers((first.log_server.handler("first", "Follow"),))
    second = house.sums("second", Sums(), "first", on_retired=lambda: retired.append("second"))
    async with house.running(first), house.running(second):
        await house.append(1, *range(50))

        async def complete() -> bool:
            return (await totals(second)).get(1) == (2 * sum(range(50)), 50)

        await until(complete)
        assert retired == []
        old_log = first.log_server.log_id
        generation = await first.start_rebuild()
        assert await first.start_rebuild() == generation
        await house.append(1, *range(50, 60))
        await until(lambda: _true(first.is_serving(generation)))
        assert (await totals(first))[1][0] <= sum(range(60))

        async def followed() -> bool:
            return first.log_server.log_id != old_log and (await totals(second)).get(1) == (2 * sum(range(60)), 60)

        await until(followed)
        assert (await totals(first))[1] == (sum(range(60)), 60)
        # Each process is told once the old state is not followed any more: also of a log that was replaced.
        await until(lambda: _true(retired == ["first", "second"]))
        assert await second.start_rebuild() >= 2


async def test_a_replica_that_has_not_seen_a_swap_retires_nothing_that_is_served(house: House) -> None:
    held: set[int] = {1}

    async def holding(_connection: AsyncConnection) -> set[int]:
        return held

    unaware = house.sums("sums", Sums(), "source")
    async with house.running(house.sums("sums", Sums(), "source", unfinished=[holding])) as service:
        await house.append(1, *range(50))
        second = await service.start_rebuild()
        # It runs both generations, and never looks at the registry again.
        await unaware.start()
        held.clear()
        await until(lambda: _true(service.is_serving(second)))
        assert not unaware.is_serving(second)
        async with house.engine.begin() as connection:
            await log.replace(connection)
        await until(lambda: _true(service.is_serving(second + 1)))
        await house.append(1, 50)

        async def complete() -> bool:
            return (await totals(service)).get(1) == (sum(range(51)), 51)

        await until(complete)
        await unaware.close()


class Settling:
    """Work that nobody's entry asks for: takes each total to the hundreds, ten at a time, while it is allowed to."""

    def __init__(self) -> None:
        self.failures = 0
        self.allowed = asyncio.Event()

    async def waiting(self, connection: AsyncConnection) -> list[int]:
        rows = await connection.execute(text("SELECT partition_id FROM total WHERE total < 100"))
        return [row.partition_id for row in rows]

    async def page(self, connection: AsyncConnection, partition: int) -> list[bytes]:
        await self.allowed.wait()
        bound = {"partition": partition}
        await connection.execute(text("UPDATE total SET total = total + 10 WHERE partition_id = :partition"), bound)
        if self.failures:
            self.failures -= 1
            raise ValueError("shopper@example.com")
        return numbers(10)


async def test_work_in_the_background_is_done_in_pages_and_published(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    settling = Settling()
    settling.failures = 1
    settling.allowed.set()
    service = house.sums("sums", Sums(), "source", chores=[paged("settling", settling.waiting, settling.page)])
    async with house.running(service):
        await house.append(1, 30)
        await house.append(2, 85, 2)
        await until(lambda: _is(totals(service), {1: (100, 1), 2: (107, 2)}))
        async with service.serving().connect() as connection:
            heads = await connection.execute(text("SELECT partition_id, position FROM log_head WHERE position > 0"))
            assert sorted(map(tuple, heads)) == [(1, 1 + 7), (2, 2 + 2)]
        await house.append(1, 5)
        await until(lambda: _is(totals(service), {1: (105, 2), 2: (107, 2)}))
    assert [one.getMessage().split(" at ")[0] for one in caplog.records if one.levelname == "ERROR"] == [
        "settling failed: ValueError"
    ]
    assert "shopper" not in caplog.text


async def test_a_generation_is_not_served_before_its_work_is_done(house: House) -> None:
    settling = Settling()
    settling.allowed.set()
    service = house.sums(
        "sums",
        Sums(),
        "source",
        chores=[paged("settling", settling.waiting, settling.page)],
        unfinished=[settling.waiting],
    )
    async with house.running(service):
        await house.append(1, 95)
        await until(lambda: _is(totals(service), {1: (105, 1)}))
        settling.allowed.clear()
        generation = await service.start_rebuild()

        async def caught_up() -> bool:
            return all(("source", 1) in applied for _, applied in await service.checkpoints())

        await until(caught_up)
        await asyncio.sleep(1.5)
        assert not service.is_serving(generation)
        settling.allowed.set()
        await until(lambda: _true(service.is_serving(generation)))
        assert await totals(service) == {1: (105, 1)}


async def _is(awaited: Awaitable[object], expected: object) -> bool:
    return await awaited == expected


def following(generation: int) -> list[asyncio.Task]:
    """The tasks that follow for a generation, whoever holds them."""
    return [task for task in asyncio.all_tasks() if task.get_name() == f"follow generation {generation}"]


async def test_a_generation_is_started_once_however_many_ask_for_it(house: House) -> None:
    service = house.sums("sums", Sums(), "source")
    await service.start()
    asked = await asyncio.gather(*(service.start_rebuild() for _ in range(4)))
    assert asked == [2] * 4
    assert len(following(2)) == 1
    await service.close()
    assert following(1) == following(2) == []


async def test_a_neighbour_that_is_away_is_told_of_once(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "services.chassis.follow")
    async with house.running(house.sums("sums", Sums(), "source")) as service:
        await house.append(1, 1)
        await until(lambda: _counted(service, 1))
        await house.server.stop(None)
        # Long enough for several tries of each partition.
        await asyncio.sleep(1)
        [told] = [line for line in caplog.messages if "stopped" in line]
        # The calls that were open may hear that they were cancelled before they hear that nobody is there.
        assert told in {"following source stopped: UNAVAILABLE", "following source stopped: CANCELLED"}
        again = grpc.aio.server()
        again.add_generic_rpc_handlers((house.source.handler("source", "Follow"),))
        assert again.add_insecure_port(house.address) > 0
        await again.start()
        await house.append(1, 2)
        await until(lambda: _counted(service, 2))
        await until(lambda: _true("following source goes on" in caplog.messages))
        assert len(caplog.messages) == 2
    await again.stop(None)


async def _counted(service: FollowingService, count: int) -> bool:
    return sum(applied for _, applied in (await totals(service)).values()) == count


async def _true(value: bool) -> bool:
    return value
