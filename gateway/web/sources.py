"""How to verify and read each source's deliveries, known for a few seconds."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import grpc
from touchstone.ingest.v1.source_service_pb2 import ResolveSourceResponse

from gateway.web import errors
from gateway.web.webhooks.platforms import PLATFORMS, Platform
from gateway.web.webhooks.translation import Reader

Resolve: TypeAlias = Callable[[str, str], Awaitable[ResolveSourceResponse]]

_KNOWN_FOR: Final = 10.0
_ASKED_AGAIN_AFTER: Final = 1.0
_MOST_KNOWN: Final = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSource:
    """A source as it was a moment ago."""

    tenant_id: str
    source: str
    platform: Platform
    keys: list[bytes]
    """What its deliveries may be signed with."""
    reader: Reader
    asked_at: float
    """On the monotonic clock, before ingest was asked."""


@dataclass(slots=True)
class Sources:
    """Asks ingest, and remembers what it said. That a source is unknown is never remembered."""

    resolve: Resolve
    clock: Callable[[], float] = time.monotonic
    _known: dict[tuple[str, str], KnownSource] = field(default_factory=dict)
    _asking: dict[tuple[str, str], "asyncio.Task[KnownSource]"] = field(default_factory=dict)

    def fresh(self, tenant_id: str, source: str) -> KnownSource | None:
        """What is known without asking."""
        known = self._known.get((tenant_id, source))
        return known if known is not None and self.clock() - known.asked_at < _KNOWN_FOR else None

    async def get(self, tenant_id: str, source: str) -> KnownSource:
        """The source. Raises `HttpError` 404 when there is none."""
        known = self.fresh(tenant_id, source)
        if known is not None:
            return known
        try:
            return await self._ask(tenant_id, source)
        except grpc.aio.AioRpcError:
            # While ingest is away, what was known still verifies; nothing is stored without ingest.
            last = self._known.get((tenant_id, source))
            if last is None:
                raise
            return last

    async def renewed(self, known: KnownSource) -> KnownSource:
        """The source as it is now, for a signature that didn't hold: a new secret works at once.

        Ingest is asked at most once a second about each source, however many false signatures come; the rest wait
        for the next answer.
        """
        wait = known.asked_at + _ASKED_AGAIN_AFTER - self.clock()
        if wait > 0:
            await asyncio.sleep(wait)
        newer = self.fresh(known.tenant_id, known.source)
        if newer is not None and newer.asked_at > known.asked_at:
            return newer
        return await self._ask(known.tenant_id, known.source)

    async def _ask(self, tenant_id: str, source: str) -> KnownSource:
        key = (tenant_id, source)
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(self._resolved(tenant_id, source))
            asking.add_done_callback(lambda _: self._asking.pop(key, None))
        # A client that hangs up must not take the answer from the others.
        return await asyncio.shield(asking)

    async def _resolved(self, tenant_id: str, source: str) -> KnownSource:
        asked_at = self.clock()
        try:
            told = await self.resolve(tenant_id, source)
        except grpc.aio.AioRpcError as error:
            if error.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT):
                self._known.pop((tenant_id, source), None)
                raise errors.not_found("SOURCE_NOT_FOUND", "There is no such source.") from error
            raise
        platform = PLATFORMS[told.source.kind]
        known = KnownSource(
            tenant_id=tenant_id,
            source=source,
            platform=platform,
            keys=platform.keys(told.secrets),
            reader=Reader(
                id_prefix=told.source.id_prefix,
                signed_ids_only=told.source.require_signed_ids,
                secrets=tuple(told.secrets),
            ),
            asked_at=asked_at,
        )
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[tenant_id, source] = known
        return known
