"""The erasing, step after step; each step is repeated from its last committed page, wherever it was interrupted."""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

import grpc
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from touchstone.identity.v1 import people_service_pb2_grpc
from touchstone.mesh.v1 import maintenance_service_pb2_grpc

from services.chassis import log
from services.chassis.database import is_transient
from services.ingest.domain.deduplication import Key
from services.ingest.domain.erasing import Erasing
from services.ingest.domain.privacy import Asked, DemandKind, State
from services.ingest.erasing import awaiting, planning
from services.ingest.erasing.planning import IdentityBehindError, Place
from services.ingest.store import bodies, privacy, renamed, rewriting, tenants
from services.ingest.store import erasures as runs
from services.ingest.store.erasures import Counted, Erasure, Step
from services.ingest.store.rewriting import NewEntry, PageEntry
from services.ingest.store.vault import Vault
from services.ingest.wire.bodies import BodySearch
from services.ingest.wire.rewriting import Rewritten, rewritten, settings_in

_LOOK_SECONDS = 5.0
_AGAIN_SECONDS = 0.5
_GATHER = timedelta(seconds=2)
"""How long a request waits for others to share the rewriting; each that comes lets all wait as long again."""

REST: Final = 20.0
"""How many times as long as an erasing took beyond a minute, the installation does without the next."""

_log = logging.getLogger(__name__)


class Eraser:
    """Meets requests for erasure, one group after the other."""

    def __init__(
        self,
        engine: AsyncEngine,
        vault: Vault,
        people: "people_service_pb2_grpc.PeopleServiceAsyncStub",
        followers: "Mapping[str, maintenance_service_pb2_grpc.MaintenanceServiceAsyncStub]",
        *,
        gather: timedelta = _GATHER,
        rest: float = REST,
    ) -> None:
        self._engine = engine
        self._autocommitting = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._vault = vault
        self._people = people
        self._followers = followers
        self._gather = gather
        self._rest = rest
        self._asked = asyncio.Event()

    def asked(self) -> None:
        """Wakes the task: something was asked."""
        self._asked.set()

    async def run(self) -> None:
        """Erases what is asked for, for ever. What can't go on now, because somebody is away, goes on later."""
        while True:
            again = True
            try:
                again = await self._turn()
            except IdentityBehindError:
                _log.debug("identity has not read everything yet")
            except grpc.aio.AioRpcError as error:
                _log.warning("erasing goes on later: %s", error.code().name)
            except Exception as error:  # noqa: BLE001 - what shops send is still taken, whatever hinders erasing
                again = False
                if is_transient(error):
                    _log.warning("erasing goes on later: the database is away")
                else:
                    _log.exception("erasing is tried again later")
            self._asked.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), _AGAIN_SECONDS if again else _LOOK_SECONDS)

    async def _turn(self) -> bool:
        """Goes as far as it can; answers whether there is more to do."""
        if not await runs.is_waiting(self._engine):
            return False
        # Given up with its connection, should this process end here.
        async with self._autocommitting.connect() as holding:
            if await runs.try_lock(holding):
                try:
                    await self.erase()
                finally:
                    await runs.unlock(holding)
        return True

    async def erase(self) -> bool:
        """Takes what is under way, or what is asked for, as far as it goes now; answers whether it is done."""
        await runs.begin(self._engine, self._vault, now=datetime.now(UTC), gather=self._gather)
        erasures = await runs.read_erasures(self._engine, self._vault)
        if any(one.step is Step.PLANNING for one in erasures) and not await self._may_begin(erasures):
            return False
        for erasure in erasures:
            await self._erase_tenant(erasure)
        return bool(erasures) and await self._end(erasures)

    async def _may_begin(self, erasures: Sequence[Erasure]) -> bool:
        async with self._engine.connect() as connection:
            log_id = await log.read_id(connection)
        told = await awaiting.progress(self._followers)
        return awaiting.all_at_rest(told, frozenset(self._followers), log_id, _through(erasures))

    async def _erase_tenant(self, erasure: Erasure) -> None:
        asked = await self._read_asked(erasure)
        if erasure.step is Step.PLANNING:
            await self._plan(erasure, asked)
            erasure = erasure._replace(step=Step.REWRITING, position=0)
        if erasure.step < Step.REWRITTEN:
            plan = await runs.read_plan(self._engine, self._vault, erasure.tenant_id)
            [terms] = await tenants.read_terms(self._engine, self._vault, [erasure.tenant_id])
            erasing = Erasing(erasure.key, terms.hash_key, asked, plan)
            if erasure.step is Step.REWRITING:
                await self._rewrite(erasure, asked, erasing)
            await self._forget(erasure, asked, BodySearch(terms.hash_key, plan))

    async def _read_asked(self, erasure: Erasure) -> list[Asked]:
        async with self._engine.connect() as connection:
            return await privacy.read_open(
                connection,
                self._vault,
                tenant_id=erasure.tenant_id,
                states=[State.RUNNING],
                kinds=privacy.ERASURES,
            )

    async def _plan(self, erasure: Erasure, asked: Sequence[Asked]) -> None:
        place = Place(erasure.tenant_id, erasure.partition, erasure.through_position)
        plan = await planning.plan(self._engine, self._people, place, asked)
        sizes = Counter(request for requests in plan.values() for request in requests)
        async with self._engine.begin() as connection:
            await runs.keep_plan(connection, self._vault, erasure.tenant_id, plan)
            counted = {asked[request].request_id: Counted(identifiers=size) for request, size in sizes.items()}
            await runs.count(connection, erasure.tenant_id, counted)
            await runs.move(connection, erasure.tenant_id, Step.REWRITING)

    async def _rewrite(self, erasure: Erasure, asked: Sequence[Asked], erasing: Erasing) -> None:
        place = Place(erasure.tenant_id, erasure.partition, erasure.through_position)
        async for page in planning.entries(self._engine, place, erasure.position):
            # A thread of its own: a page takes longer than a webhook may wait.
            done = await asyncio.to_thread(_rewritten, page, erasing)
            await self._put(erasure, asked, done, page[-1].position)
        async with self._engine.begin() as connection:
            await self._rewrite_settings(connection, erasure)
            await runs.move(connection, erasure.tenant_id, Step.FORGETTING)

    async def _put(self, erasure: Erasure, asked: Sequence[Asked], done: Sequence[Rewritten], through: int) -> None:
        """Commits a page: its entries, what they count for, and how far it goes."""
        events = Counter(request for one in done for request in one.requests)
        counted = {asked[request].request_id: Counted(events=number) for request, number in events.items()}
        async with self._engine.begin() as connection:
            await runs.count(connection, erasure.tenant_id, counted)
            await runs.move(connection, erasure.tenant_id, Step.REWRITING, through)
            new = [self._new_entry(erasure.tenant_id, one) for one in done]
            await rewriting.rewrite(connection, erasure.partition, erasure.tenant_id, new)

    def _new_entry(self, tenant_id: str, one: Rewritten) -> NewEntry:
        key = Key(tenant_id, one.source, one.event_id)
        return NewEntry(one.position, one.payload, key, renamed.new_name(self._vault, key) if one.is_renamed else None)

    async def _rewrite_settings(self, connection: AsyncConnection, erasure: Erasure) -> None:
        """The settings as they hold are those of their entry."""
        await log.lock_head(connection, erasure.partition)
        entry = await rewriting.read_settings(connection, erasure.tenant_id)
        await rewriting.set_settings(connection, erasure.tenant_id, settings_in(entry))

    async def _forget(self, erasure: Erasure, asked: Sequence[Asked], search: BodySearch) -> None:
        """Forgets parked bodies that name somebody, and requests to know what is held of them."""
        through, after = max(one.create_time for one in asked), ""
        while page := await bodies.read_bodies(
            self._engine, self._vault, tenant_id=erasure.tenant_id, after=after, through=through
        ):
            named = await asyncio.to_thread(_named, page, asked, search)
            await self._forget_bodies(erasure.tenant_id, asked, named)
            after = page[-1].parked_id
        async with self._engine.begin() as connection:
            open_ones = await privacy.read_open(
                connection,
                self._vault,
                tenant_id=erasure.tenant_id,
                states=[State.PENDING],
                kinds=[DemandKind.ACCESS],
            )
            known = [one.request_id for one in open_ones if search.names_any(one.named.identifiers)]
            await privacy.forget(connection, tenant_id=erasure.tenant_id, request_ids=known, now=datetime.now(UTC))
            await runs.move(connection, erasure.tenant_id, Step.REWRITTEN)

    async def _forget_bodies(self, tenant_id: str, asked: Sequence[Asked], named: Mapping[str, set[int]]) -> None:
        if not named:
            return
        numbers = Counter(request for requests in named.values() for request in requests)
        counted = {asked[request].request_id: Counted(bodies=number) for request, number in numbers.items()}
        async with self._engine.begin() as connection:
            await runs.count(connection, tenant_id, counted)
            await bodies.forget_bodies(connection, self._vault, tenant_id=tenant_id, parked_ids=list(named))

    async def _end(self, erasures: Sequence[Erasure]) -> bool:
        """Lets every service start over, waits until all have, and destroys what the tokens were made by."""
        async with self._engine.begin() as connection:
            is_rewritten = await runs.is_rewritten(connection)
            if any(erasure.step < Step.REPLACED for erasure in erasures):
                if is_rewritten:
                    await log.replace(connection)
                await runs.move_all(connection, Step.REPLACED)
            log_id = await log.read_id(connection)
        if is_rewritten:
            told = await awaiting.progress(self._followers)
            if not awaiting.all_left_behind(told, frozenset(self._followers), log_id, _through(erasures)):
                return False
        async with self._engine.begin() as connection:
            await runs.end(connection, now=datetime.now(UTC), rest=self._rest)
        await rewriting.tidy(self._autocommitting)
        return True


def _through(erasures: Sequence[Erasure]) -> dict[int, int]:
    """The last position concerned of each partition."""
    through: dict[int, int] = {}
    for erasure in erasures:
        through[erasure.partition] = max(erasure.through_position, through.get(erasure.partition, 0))
    return through


def _rewritten(page: Sequence[PageEntry], erasing: Erasing) -> list[Rewritten]:
    found = (rewritten(entry.payload, entry.position, erasing) for entry in page if entry.payload is not None)
    return [one for one in found if one is not None]


def _named(page: Sequence[bodies.Body], asked: Sequence[Asked], search: BodySearch) -> dict[str, set[int]]:
    """The requests (indexes) that each body is forgotten for; one that came after a request stays for it."""
    found = {
        one.parked_id: {
            request
            for request in search.requests_named(one.body, one.headers)
            if one.receive_time <= asked[request].create_time
        }
        for one in page
    }
    return {parked_id: requests for parked_id, requests in found.items() if requests}
