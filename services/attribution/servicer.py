"""Answers why an order's credit is what it is, and whether all of it still holds."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import grpc
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.attribution.v1 import credit_service_pb2 as pb
from touchstone.attribution.v1 import credit_service_pb2_grpc

from services.attribution.agreement import Compared, compare
from services.attribution.domain.attribute import Attribution, Considered, Verdict
from services.attribution.domain.editions import Editions
from services.attribution.domain.models import HOUR, Model
from services.attribution.editions import editions_of
from services.attribution.recount import Reach, Recounted, recount
from services.attribution.store import alarms, orders
from services.attribution.store.moments import at_one_moment
from services.attribution.store.orders import OrderKey, StoredOrder
from services.attribution.wire import credits as credits_wire
from services.attribution.wire import events as events_wire
from services.chassis.callers import tenant_id
from services.kernel.failures import InvalidArgumentError, NotFoundError

_EXPLAINED = Reach(before=90 * 24 * HOUR, after=90 * 24 * HOUR, by_hubs=True)
"""How far around an order touches are explained, those that could earn nothing among them."""

_PAGE = 500
_NAMED_DIFFERENCES = 20
_LISTED_TOUCHES: Final = 1_000
"""Touches in evidence, at most."""

_DEFAULT_MODEL = "conversations"

Context = grpc.aio.ServicerContext[Any, Any]


class CreditServicer(credit_service_pb2_grpc.CreditServiceServicer):
    """`touchstone.attribution.v1.CreditService`, but for FollowCredits: the log's own handler answers that."""

    def __init__(self, serving: Callable[[], AsyncEngine]) -> None:
        self._serving = serving

    async def ExplainOrder(self, request: pb.ExplainOrderRequest, context: Context) -> pb.ExplainOrderResponse:
        """Runs the decision again over more touches than it needs, and says whether it meets what is stored."""
        tenant = tenant_id()
        async with at_one_moment(self._serving()) as connection:
            editions = (await editions_of(connection, {tenant}))[tenant]
            model = _saved(editions, request.model or _DEFAULT_MODEL)
            stored = _the_one(await orders.read_named(connection, tenant, request.order_id), request)
            agrees = not (await compare(connection, [stored])).different
            told = {stored.key: events_wire.told_again(stored.told)}
            rules = replace(editions.in_force.rules, models=(replace(model, active=True),))
            recounted = (await recount(connection, told, {tenant: rules}, _EXPLAINED))[stored.key]
        attribution = _attribution(recounted, model)
        order = recounted.case.order
        listed = attribution._replace(considered=_listed(attribution.considered, order.order_time))
        evidence = credits_wire.evidence(order, listed, agrees=agrees)
        evidence.touch_count = len(attribution.considered)
        return pb.ExplainOrderResponse(evidence=evidence)

    async def VerifyCredits(
        self, request: pb.VerifyCreditsRequest, context: Context
    ) -> AsyncIterator[pb.VerifyCreditsResponse]:
        """Computes all of the tenant's orders again, as they stood when it was asked."""
        tenant = tenant_id()
        answer = pb.VerifyCreditsResponse()
        async with at_one_moment(self._serving()) as connection:
            answer.total = await orders.count_orders(connection, tenant)
            answer.standing_alarms = await alarms.count_alarms(connection, tenant)
            after: OrderKey | None = None
            while page := await orders.read_page(connection, tenant, after, _PAGE):
                after = page[-1].key
                _add(await compare(connection, page), answer)
                yield answer
        if not answer.total:
            yield answer


def _add(compared: Compared, answer: pb.VerifyCreditsResponse) -> None:
    """Adds a page to what was verified so far."""
    answer.checked += compared.checked
    answer.different += len(compared.different)
    room = _NAMED_DIFFERENCES - len(answer.different_order_ids)
    answer.different_order_ids.extend(key.order_id for key in compared.different[:room])


def _the_one(found: list[StoredOrder], request: pb.ExplainOrderRequest) -> StoredOrder:
    matching = [order for order in found if request.source in ("", order.key.source)]
    if not matching:
        raise NotFoundError("ORDER_NOT_FOUND", "No order is known by this id.")
    if len(matching) > 1:
        sources = ", ".join(order.key.source for order in matching)
        raise InvalidArgumentError.of("source", f"the order id is known to several sources, name one of: {sources}")
    return matching[0]


def _saved(editions: Editions, name: str) -> Model:
    """A model that is in force, or else one that is kept, or else one that is coming."""
    in_force, coming = editions.in_force.rules, editions.newest.rules
    known = {model.name: model for model in (*coming.models, *in_force.models, *in_force.applied)}
    if name not in known:
        raise InvalidArgumentError.of("model", f"is not one of: {', '.join(sorted(known)) or 'there is none'}")
    return known[name]


def _attribution(recounted: Recounted, model: Model) -> Attribution:
    return next(attribution for attribution in recounted.attributions if attribution.model == model.name)


def _listed(considered: Sequence[Considered], order_time: int) -> tuple[Considered, ...]:
    """As many touches as evidence lists: those with credit, then those nearest to the order; by time."""
    if len(considered) <= _LISTED_TOUCHES:
        return tuple(considered)

    def importance(index: int) -> tuple[bool, int, int]:
        one = considered[index]
        return (one.verdict is not Verdict.CREDITED, abs(order_time - one.touch.occur_time), index)

    kept = sorted(range(len(considered)), key=importance)[:_LISTED_TOUCHES]
    return tuple(considered[index] for index in sorted(kept))
