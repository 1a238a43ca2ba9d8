"""Answers by which models orders are attributed, and puts others in their place."""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import grpc
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.attribution.v1 import model_service_pb2 as pb
from touchstone.attribution.v1 import model_service_pb2_grpc
from touchstone.ingest.v1 import event_service_pb2

from services.attribution.domain.models import Model
from services.attribution.editions import editions_of
from services.attribution.store import orders
from services.attribution.store import rules as rules_store
from services.attribution.store.moments import at_one_moment
from services.attribution.wire import editions as editions_wire
from services.attribution.wire import rules as rules_wire
from services.chassis.callers import seconds_left, tenant_id
from services.kernel.failures import TooLateError

if TYPE_CHECKING:
    from touchstone.ingest.v1.event_service_pb2_grpc import EventServiceAsyncStub

PATIENCE: Final = 8.0
"""Seconds for which a new set of models is waited for."""

_DEFAULT_PAGE_SIZE = 100
_LARGEST_PAGE_SIZE = 1000
_LOOKS: Final = (0.01, 0.02, 0.05, 0.1)
"""Seconds between looks whether a new set is there, the last of them again and again."""

Context = grpc.aio.ServicerContext[Any, Any]


class ModelServicer(model_service_pb2_grpc.ModelServiceServicer):
    """`touchstone.attribution.v1.ModelService`: the models that were told last, also while figures don't show them."""

    def __init__(self, serving: Callable[[], AsyncEngine], events: "EventServiceAsyncStub") -> None:
        self._serving = serving
        self._events = events

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:
        """A page of the tenant's models; a page's token is the name that it ends with."""
        tenant = tenant_id()
        async with at_one_moment(self._serving()) as connection:
            known = (await editions_of(connection, {tenant}))[tenant]
            done = await rules_store.orders_done(connection, tenant)
            total = await orders.count_orders(connection, tenant) if done is not None else 0
        models = _after(known.newest.rules.models, request.page_token)
        size = min(request.page_size or _DEFAULT_PAGE_SIZE, _LARGEST_PAGE_SIZE)
        return pb.ListModelsResponse(
            models=[rules_wire.model_message(model) for model in models[:size]],
            next_page_token=models[size - 1].name if len(models) > size else "",
            recomputation=None if done is None else pb.Recomputation(done=min(done, total), total=total),
        )

    async def ReplaceModels(
        self,
        request: pb.ReplaceModelsRequest,
        context: Context,
    ) -> pb.ReplaceModelsResponse:
        """Appends the set to the event log; answers it once this service has followed it and given it its versions."""
        tenant = tenant_id()
        told = editions_wire.checked_set(request.models)
        event_id = f"models-{uuid4()}"
        await self._append(editions_wire.models_event(tenant, event_id, told, time.time_ns()))
        return pb.ReplaceModelsResponse(models=editions_wire.models_of(await self._followed(tenant, event_id)))

    async def _append(self, delivery: event_service_pb2.Delivery) -> None:
        asked = event_service_pb2.AppendDeliveriesRequest(deliveries=[delivery])
        answer = await self._events.AppendDeliveries(asked)
        for result in answer.results:
            for event in result.events:
                if event.status == event_service_pb2.EventResult.REJECTED:
                    raise RuntimeError(f"ingest refused a set of models: {event.reason}")

    async def _followed(self, tenant: str, event_id: str) -> bytes:
        """The set that an event told, as the follower has numbered it.

        Raises TooLateError where this service lags too far behind: the set holds later, but its versions aren't known.
        """
        left = seconds_left()
        give_up = time.monotonic() + (PATIENCE if left is None else min(PATIENCE, left - 0.5))
        looks = iter(_LOOKS)
        while True:
            async with self._serving().connect() as connection:
                found = await rules_store.find_model_set(connection, tenant, event_id)
            if found is not None:
                return found.models
            if time.monotonic() > give_up:
                raise TooLateError("MODELS_NOT_READY", "The models are accepted and hold soon: list them in a moment.")
            await asyncio.sleep(next(looks, _LOOKS[-1]))


def _after(models: tuple[Model, ...], name: str) -> list[Model]:
    return sorted((model for model in models if model.name > name), key=lambda model: model.name)
