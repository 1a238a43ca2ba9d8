"""Answers what any model would say of a period, beside one that holds."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import grpc
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.attribution.v1 import model_service_pb2 as pb
from touchstone.ingest.v1 import settings_pb2

from services.attribution.editions import editions
from services.attribution.simulation import messages, one_by_one
from services.attribution.simulation.asking import Learning, Trial
from services.attribution.simulation.datasets import Datasets, Key
from services.attribution.simulation.result import Result
from services.attribution.simulation.stopping import Stop
from services.attribution.simulation.trying import Progress, learn, loading, try_on
from services.attribution.store.columns import Place, has_gap, place_of, reading
from services.attribution.store.moments import at_one_moment
from services.attribution.store.rules import read_rules
from services.chassis.callers import tenant_id

_SILENCE: Final = 1.0
"""Seconds after which the last message is sent again, so that nobody takes the stream for dead."""

Context = grpc.aio.ServicerContext[Any, Any]


class _Asked(NamedTuple):
    """A trial, whose it is and where that is kept. `gap`: columns lack a part of what was told before there were such."""

    tenant_id: str
    place: Place
    trial: Trial
    gap: bool


class Simulator:
    """`SimulateModel` of `touchstone.attribution.v1.ModelService`. One trial at a time; the others wait their turn."""

    def __init__(self, serving: Callable[[], AsyncEngine], datasets: Datasets | None = None) -> None:
        self._serving = serving
        self._datasets = datasets or Datasets()
        self._turn = asyncio.Semaphore(1)
        self._working: set[asyncio.Task[Result]] = set()

    def serve_on(self, server: grpc.aio.Server, service: str) -> None:
        """Lets the server answer SimulateModel, in the place of the servicer that was added before."""
        handler = grpc.unary_stream_rpc_method_handler(
            self.simulate,
            request_deserializer=pb.SimulateModelRequest.FromString,
            response_serializer=pb.SimulateModelResponse.SerializeToString,
        )
        server.add_registered_method_handlers(service, {"SimulateModel": handler})

    async def simulate(
        self, request: pb.SimulateModelRequest, _context: Context
    ) -> AsyncIterator[pb.SimulateModelResponse]:
        """How far it is, and in the end the result. Whoever cancels the call ends the work within a second."""
        asked = await self._asked(request)
        told = asyncio.Queue[pb.SimulateModelResponse]()
        loop, stop = asyncio.get_running_loop(), Stop()

        def progress(done: int, total: int) -> None:
            loop.call_soon_threadsafe(told.put_nowait, pb.SimulateModelResponse(done=done, total=total))

        working = asyncio.create_task(self._work(asked, stop, progress))
        self._working.add(working)
        working.add_done_callback(self._ended)
        message, hearing = pb.SimulateModelResponse(), asyncio.ensure_future(told.get())
        try:
            yield message
            while not working.done() or not told.empty() or hearing.done():
                await asyncio.wait((hearing, working), timeout=_SILENCE, return_when=asyncio.FIRST_COMPLETED)
                if hearing.done():
                    message, hearing = hearing.result(), asyncio.ensure_future(told.get())
                elif working.done():
                    continue
                yield message
            found = working.result()
            yield pb.SimulateModelResponse(
                done=message.total, total=message.total, simulation=messages.simulation(asked.trial, found)
            )
        finally:
            hearing.cancel()
            stop.stop()

    async def _asked(self, request: pb.SimulateModelRequest) -> _Asked:
        tenant = tenant_id()
        async with at_one_moment(self._serving()) as connection:
            documents = (await read_rules(connection, {tenant}))[tenant]
            place, gap = await place_of(connection), await has_gap(connection)
        settings = settings_pb2.TenantSettings.FromString(documents.settings or b"")
        zone = ZoneInfo(settings.time_zone or "UTC")
        return _Asked(tenant, place, messages.trial(request, editions(documents).newest.rules, zone), gap)

    def _ended(self, working: asyncio.Task[Result]) -> None:
        self._working.discard(working)
        if not working.cancelled():
            # Whoever waited for it has heard; nobody else has to.
            working.exception()

    async def _work(self, asked: _Asked, stop: Stop, progress: Progress) -> Result:
        async with self._turn:
            if by_columns(asked.trial, gap=asked.gap):
                return await asyncio.to_thread(self._try_on, asked, stop, progress)
            learned, keys = await asyncio.to_thread(self._prepare, asked, stop)
            async with at_one_moment(self._serving()) as connection:
                return await one_by_one.try_each(connection, keys, asked.trial, learned, stop=stop, progress=progress)

    def _try_on(self, asked: _Asked, stop: Stop, progress: Progress) -> Result:
        tenant, place, trial, _ = asked
        with reading(place, tenant, stop.look) as (reader, cancel), stop.interrupting(cancel):
            key = Key(place.schema, tenant, trial.from_time, trial.through_time)
            cases = self._datasets.get(reader, key, loading(trial), stop)
            return try_on(cases, trial, reader, stop, progress)

    def _prepare(self, asked: _Asked, stop: Stop) -> tuple[Any, Any]:
        """What columns say before orders are decided one by one: the weights, where any are learned, and the orders."""
        tenant, place, trial, _ = asked
        with reading(place, tenant, stop.look) as (reader, cancel), stop.interrupting(cancel):
            learned = {}
            if trial.learning is not Learning.NONE:
                key = Key(place.schema, tenant, trial.from_time, trial.through_time)
                learned = learn(self._datasets.get(reader, key, loading(trial), stop), trial, reader)
            return learned, one_by_one.keys(reader, tenant, trial)


def by_columns(trial: Trial, *, gap: bool) -> bool:
    """True when columns have all that the trial's models look at: those of whole orders and single touches always do."""
    return not gap or not any(model.by_line or model.conversational for model in (trial.simulated, trial.compared))
