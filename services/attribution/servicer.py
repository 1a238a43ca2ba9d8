"""Answers why an order's credit is what it is, whether all of it still holds, and by which models."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.attribution.v1 import credit_service_pb2 as pb
from touchstone.attribution.v1 import (
    credit_service_pb2_grpc,
    model_service_pb2,
    model_service_pb2_grpc,
)

from services.attribution.domain.attribute import Attribution
from services.attribution.domain.models import HOUR
from services.attribution.recount import Reach, recount, rules_of
from services.attribution.store import orders
from services.attribution.store.moments import at_one_moment
from services.attribution.store.orders import OrderKey, StoredOrder
from services.attribution.wire import credits as credits_wire
from services.attribution.wire import events as events_wire
from services.attribution.wire import rules as rules_wire
from services.chassis.callers import tenant_id
from services.kernel.failures import InvalidArgumentError, NotFoundError

_EXPLAINED = Reach(before=90 * 24 * HOUR, after=90 * 24 * HOUR, by_hubs=True)
"""How far around an order touches are explained, those that could earn nothing among them."""

_PAGE = 500
_NAMED_DIFFERENCES = 20
_DEFAULT_MODEL = "conversations"
_DEFAULT_PAGE_SIZE = 100
_LARGEST_PAGE_SIZE = 1000

Context = grpc.aio.ServicerContext[Any, Any]


class CreditServicer(credit_service_pb2_grpc.CreditServiceServicer):
    """`touchstone.attribution.v1.CreditService`, but for FollowCredits: the log's own handler answers that."""

    def __init__(self, serving: Callable[[], AsyncEngine]) -> None:
        self._serving = serving

    async def ExplainOrder(self, request: pb.ExplainOrderRequest, context: Context) -> pb.ExplainOrderResponse:
        """Runs the decision again over more touches than it needs, and says whether it meets what is stored."""
        tenant = tenant_id()
        async with at_one_moment(self._serving()) as connection:
            rules = (await rules_of(connection, {tenant}))[tenant]
            stored = _the_one(await orders.read_named(connection, tenant, request.order_id), request)
            told = {stored.key: events_wire.told_again(stored.told)}
            recounted = (await recount(connection, told, {tenant: rules}, _EXPLAINED))[stored.key]
        attribution = _by_model(recounted.attributions, request.model or _DEFAULT_MODEL)
        agrees = recounted.entry == stored.credits
        return pb.ExplainOrderResponse(evidence=credits_wire.evidence(recounted.case.order, attribution, agrees=agrees))

    async def VerifyCredits(
        self, request: pb.VerifyCreditsRequest, context: Context
    ) -> AsyncIterator[pb.VerifyCreditsResponse]:
        """Computes all of the tenant's orders again, as they stood when it was asked."""
        tenant = tenant_id()
        answer = pb.VerifyCreditsResponse()
        async with at_one_moment(self._serving()) as connection:
            rules = await rules_of(connection, {tenant})
            answer.total = await orders.count_orders(connection, tenant)
            after: OrderKey | None = None
            while page := await orders.read_page(connection, tenant, after, _PAGE):
                after = page[-1].key
                told = {order.key: events_wire.told_again(order.told) for order in page if order.credits is not None}
                recounted = await recount(connection, told, rules)
                _compare(page, {key: one.entry for key, one in recounted.items()}, answer)
                yield answer
        if not answer.total:
            yield answer


class ModelServicer(model_service_pb2_grpc.ModelServiceServicer):
    """`touchstone.attribution.v1.ModelService`."""

    def __init__(self, serving: Callable[[], AsyncEngine]) -> None:
        self._serving = serving

    async def ListModels(
        self, request: model_service_pb2.ListModelsRequest, context: Context
    ) -> model_service_pb2.ListModelsResponse:
        """A page of the tenant's models; a page's token is the name that it ends with."""
        tenant = tenant_id()
        async with self._serving().connect() as connection:
            rules = (await rules_of(connection, {tenant}))[tenant]
        models = sorted((model for model in rules.models if model.name > request.page_token), key=lambda one: one.name)
        size = min(request.page_size or _DEFAULT_PAGE_SIZE, _LARGEST_PAGE_SIZE)
        return model_service_pb2.ListModelsResponse(
            models=[rules_wire.model_message(model) for model in models[:size]],
            next_page_token=models[size - 1].name if len(models) > size else "",
        )


def _the_one(found: list[StoredOrder], request: pb.ExplainOrderRequest) -> StoredOrder:
    matching = [order for order in found if request.source in ("", order.key.source)]
    if not matching:
        raise NotFoundError("ORDER_NOT_FOUND", "No order is known by this id.")
    if len(matching) > 1:
        sources = ", ".join(order.key.source for order in matching)
        raise InvalidArgumentError.of("source", f"the order id is known to several sources, name one of: {sources}")
    return matching[0]


def _by_model(attributions: tuple[Attribution, ...], name: str) -> Attribution:
    by_name = {attribution.model: attribution for attribution in attributions}
    if name not in by_name:
        raise InvalidArgumentError.of("model", f"is not one of: {', '.join(by_name) or 'none is active'}")
    return by_name[name]


def _compare(page: list[StoredOrder], recounted: dict[OrderKey, bytes], answer: pb.VerifyCreditsResponse) -> None:
    """Adds a page to what was verified so far."""
    answer.checked += len(recounted)
    different = [
        order.key.order_id for order in page if order.credits is not None and recounted.get(order.key) != order.credits
    ]
    answer.different += len(different)
    answer.different_order_ids.extend(different[: _NAMED_DIFFERENCES - len(answer.different_order_ids)])
