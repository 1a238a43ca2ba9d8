"""Generations: a service's state, built again from position 0 beside the one that is served, and swapped in whole."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.chassis.chores import Chore, Waiting
from services.chassis.database import close_database, is_transient, open_database
from services.chassis.follow import Follower, LogReplacedError, Subscription
from services.chassis.log import LogServer
from services.chassis.migrations import migrate
from services.chassis.wakeups import Wakeups
from services.kernel.failures import FailedPreconditionError

_REGISTRY_SCRIPTS = Path(__file__).parent / "registry"
_LOOK_SECONDS = 0.5
_SERVED_READS_SECONDS = 30.0

_LOCK_REGISTRY = text("LOCK TABLE generation IN SHARE ROW EXCLUSIVE MODE")

_READ_GENERATIONS = text("SELECT generation, state FROM generation ORDER BY generation")

_ADD_GENERATION = text("INSERT INTO generation (state) VALUES (:state) RETURNING generation")

_RETIRE_BUILDING = text(
    """UPDATE generation SET state = 'retired', retire_time = now()
       WHERE generation = :generation AND state = 'building'"""
)

_RETIRE_SERVED_FOR = text(
    """UPDATE generation SET state = 'retired', retire_time = now()
       WHERE state = 'serving'
         AND EXISTS (SELECT FROM generation WHERE generation = :generation AND state = 'building')"""
)

_SERVE = text("UPDATE generation SET state = 'serving' WHERE generation = :generation AND state = 'building'")

_READ_OUTLIVED = text(
    """SELECT generation FROM generation
       WHERE state = 'retired' AND retire_time < now() - make_interval(secs => :seconds) ORDER BY generation"""
)

_READ_RETIRED = text("SELECT generation FROM generation WHERE state = 'retired' ORDER BY generation")

_FORGET = text("DELETE FROM generation WHERE generation = :generation")

_READ_CHECKPOINTS = text("SELECT log, partition_id, log_id, position FROM checkpoint")

_READ_LOG_ID = text("SELECT log_id FROM log_identity")

_log = logging.getLogger(__name__)

Checkpoints = dict[tuple[str, int], tuple[str, int]]
"""The log id and position applied, by (log, partition)."""


@dataclass(slots=True)
class Running:
    """A generation as this process runs it."""

    number: int
    engine: AsyncEngine
    follower: Follower
    log_id: str
    task: asyncio.Task[None]


class FollowingService:
    """The state of a service that follows logs, in as many generations as there are.

    Generation N's tables are in the schema `<name>_N`, made by the same migrations; one generation is serving, and a
    second one may be building. Which is which stands in the schema `<name>`, so all replicas agree.
    """

    def __init__(
        self,
        *,
        name: str,
        database_url: str,
        migrations: Path,
        subscriptions: Sequence[Subscription[Any]],
        wakeups: Wakeups,
        chores: Sequence[Chore] = (),
        unfinished: Sequence[Waiting] = (),
        on_committed: Callable[[int], None] = lambda _partition: None,
        on_retired: Callable[[], None] = lambda: None,
    ) -> None:
        """`chores` are done in every generation. One in which something is `unfinished` isn't swapped in.

        `on_committed` is told of each partition to whose state, in any generation, this process has committed; it must
        be quick. `on_retired` is called when a generation was stopped in the place of which another is served: what the
        process remembers of the old one's entries may name people who were erased.
        """
        self._name = name
        self._url = make_url(database_url).render_as_string(hide_password=False)
        self._migrations = migrations
        self._subscriptions = subscriptions
        self._chores = chores
        self._unfinished = unfinished
        self._on_committed = on_committed
        self._on_retired = on_retired
        self._registry = open_database(self._url, schema=name, pool_size=2)
        self._running: dict[int, Running] = {}
        self._serving: int | None = None
        self._served_before: Checkpoints | None = None
        self._reconciling = asyncio.Lock()
        self.log_server = LogServer(name=name, engine_of=self.serving, wakeups=wakeups)

    def serving(self) -> AsyncEngine:
        """The engine of the generation that answers requests."""
        if self._serving is None:
            raise FailedPreconditionError("NOT_READY", "the service is starting")
        return self._running[self._serving].engine

    async def ready(self) -> bool:
        """True when there is a state to answer from."""
        return self._serving is not None

    async def start(self) -> None:
        """Makes the first generation, where there is none, and begins to follow with those that there are."""
        await migrate(self._url, schema=self._name, scripts=_REGISTRY_SCRIPTS)
        async with self._registry.begin() as connection:
            await connection.execute(_LOCK_REGISTRY)
            if not (await connection.execute(_READ_GENERATIONS)).all():
                await connection.execute(_ADD_GENERATION, {"state": "serving"})
        await self._reconcile()

    async def run(self) -> None:
        """Keeps this process in step with the registry: starts, swaps and retires generations."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.log_server.run())
            while True:
                for running in self._running.values():
                    if running.task.done():
                        running.task.result()
                try:
                    await self._reconcile()
                    await self._swap_if_caught_up()
                    await self._drop_outlived()
                except Exception as error:
                    if not is_transient(error):
                        raise
                    _log.warning("the generations can't be read: the database is away")
                await asyncio.sleep(_LOOK_SECONDS)

    async def close(self) -> None:
        """Stops following and closes every connection."""
        for number in list(self._running):
            await self._stop(number)
        await close_database(self._registry)

    async def start_rebuild(self) -> int:
        """Begins a new generation, unless one is building; answers its number."""
        async with self._registry.begin() as connection:
            number = await self._ensure_building(connection)
        await self._reconcile()
        return number

    async def checkpoints(self) -> list[tuple[Running, Checkpoints]]:
        """Each generation that this process runs with what it has applied, the serving one first."""
        order = sorted(self._running.values(), key=lambda running: (running.number != self._serving, running.number))
        return [(running, await self._read_checkpoints(running.engine)) for running in order]

    async def retired(self) -> list[int]:
        """Generations out of use whose tables are not dropped yet."""
        async with self._registry.connect() as connection:
            return [row.generation for row in await connection.execute(_READ_RETIRED)]

    def is_serving(self, number: int) -> bool:
        """True for the generation that answers requests."""
        return number == self._serving

    async def _ensure_building(self, connection: AsyncConnection) -> int:
        await connection.execute(_LOCK_REGISTRY)
        for row in (await connection.execute(_READ_GENERATIONS)).all():
            if row.state == "building":
                return int(row.generation)
        return int((await connection.execute(_ADD_GENERATION, {"state": "building"})).scalar_one())

    async def _reconcile(self) -> None:
        """Runs what the registry names, and stops what it doesn't any more."""
        # Two at once would each start the same generation, and one of them would follow for ever unseen.
        async with self._reconciling:
            async with self._registry.connect() as connection:
                states = {row.generation: row.state for row in (await connection.execute(_READ_GENERATIONS)).all()}
            await self._run_as_named(states)

    async def _run_as_named(self, states: Mapping[int, str]) -> None:
        for number, state in states.items():
            if state != "retired" and number not in self._running:
                await self._start(number)
            if state == "serving" and self._serving != number:
                self._serving = number
                _log.info("%s serves generation %d", self._name, number)
        for number in [number for number in self._running if states.get(number, "retired") == "retired"]:
            await self._stop(number)
            self._on_retired()

    async def _start(self, number: int) -> None:
        schema = f"{self._name}_{number}"
        await migrate(self._url, schema=schema, scripts=self._migrations)
        engine = open_database(self._url, schema=schema)
        async with engine.connect() as connection:
            log_id = str((await connection.execute(_READ_LOG_ID)).scalar_one())

        def published(partition: int, after: int, payloads: Sequence[bytes]) -> None:
            self.log_server.committed(log_id, partition, after, payloads)
            self._on_committed(partition)

        follower = Follower(
            engine=engine,
            subscriptions=self._subscriptions,
            on_published=published,
            is_traced=lambda: self.is_serving(number),
        )
        task = asyncio.create_task(self._follow(number, engine, follower), name=f"follow generation {number}")
        self._running[number] = Running(number, engine, follower, log_id, task)

    async def _follow(self, number: int, engine: AsyncEngine, follower: Follower) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(follower.run())
                for chore in self._chores:
                    group.create_task(chore(engine, follower.take_turn))
        except* LogReplacedError:
            _log.info("%s: a log that it follows starts over, so its state is built anew", self._name)
            await self._begin_anew(number)
        except* Exception as failures:
            # Nothing that could be parked or retried: better to start again than to stand still unseen.
            _log.critical("following ended: %s", type(failures.exceptions[0]).__name__)
            raise

    async def _begin_anew(self, number: int) -> None:
        while True:
            try:
                async with self._registry.begin() as connection:
                    await connection.execute(_LOCK_REGISTRY)
                    # Was it building, then from a log that is gone. The registry tells: what this process knows to
                    # be served may have been another generation until a moment ago.
                    await connection.execute(_RETIRE_BUILDING, {"generation": number})
                    await self._ensure_building(connection)
            except Exception as error:
                if not is_transient(error):
                    raise
                await asyncio.sleep(_LOOK_SECONDS)
            else:
                return

    async def _stop(self, number: int) -> None:
        running = self._running.pop(number)
        running.task.cancel()
        await asyncio.gather(running.task, return_exceptions=True)
        await close_database(running.engine)

    async def _swap_if_caught_up(self) -> None:
        building = [running for running in self._running.values() if running.number != self._serving]
        if not building or self._serving is None:
            self._served_before = None
            return
        newest = max(building, key=lambda running: running.number)
        built = await self._read_checkpoints(newest.engine)
        served = await self._read_checkpoints(self._running[self._serving].engine)
        before, self._served_before = self._served_before, served
        # Compared with what was served a moment ago: under load neither is ever exactly where the other is.
        if before is None or not _caught_up(newest.follower, built, before):
            return
        if any(is_early(one, newest.follower, before) for one in self._subscriptions):
            return
        async with newest.engine.connect() as connection:
            for waiting in self._unfinished:
                if await waiting(connection):
                    return
        async with self._registry.begin() as connection:
            await connection.execute(_LOCK_REGISTRY)
            # Nothing happens where its log was replaced meanwhile, or another replica was quicker.
            await connection.execute(_RETIRE_SERVED_FOR, {"generation": newest.number})
            await connection.execute(_SERVE, {"generation": newest.number})
        await self._reconcile()

    async def _drop_outlived(self) -> None:
        """Drops the tables of generations that no replica can be reading any more."""
        async with self._registry.begin() as connection:
            for row in (await connection.execute(_READ_OUTLIVED, {"seconds": _SERVED_READS_SECONDS})).all():
                await connection.execute(text(f"DROP SCHEMA IF EXISTS {self._name}_{row.generation} CASCADE"))
                await connection.execute(_FORGET, {"generation": row.generation})

    @staticmethod
    async def _read_checkpoints(engine: AsyncEngine) -> Checkpoints:
        async with engine.connect() as connection:
            rows = (await connection.execute(_READ_CHECKPOINTS)).all()
        return {(row.log, row.partition_id): (row.log_id, row.position) for row in rows}


def _caught_up(follower: Follower, built: Checkpoints, served: Checkpoints) -> bool:
    """True when a generation is not behind: behind the one served, or the head of a log that the latter can't follow."""
    for key in follower.followed:
        if key not in follower.heads:
            return False
        log_id, head = follower.heads[key]
        served_id, served_position = served.get(key, (log_id, 0))
        target = served_position if served_id == log_id else head
        if built.get(key, (log_id, 0))[1] < target:
            return False
    return True


def is_early(subscription: Subscription[Any], follower: Follower, served: Checkpoints) -> bool:
    """True while a log was replaced from which another is made, and that one is still as it was before."""
    followed_before: dict[str, set[str]] = {}
    for (log, _), (log_id, _) in served.items():
        followed_before.setdefault(log, set()).add(log_id)
    now: dict[str, set[str]] = {}
    for (log, _), (log_id, _) in follower.heads.items():
        now.setdefault(log, set()).add(log_id)

    def is_as_before(log: str) -> bool:
        return not now.get(log, set()).isdisjoint(followed_before.get(log, set()))

    replaced = any(log in followed_before and not is_as_before(log) for log in subscription.made_from)
    return replaced and is_as_before(subscription.log)
