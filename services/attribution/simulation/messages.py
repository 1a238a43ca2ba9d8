"""Trials and what they found, as messages."""

from dataclasses import replace
from zoneinfo import ZoneInfo

from touchstone.attribution.v1 import model_service_pb2 as pb
from touchstone.ingest.v1 import model_pb2
from touchstone.type.v1 import money_pb2

from services.attribution.domain.models import Model, Rule
from services.attribution.domain.rules import Rules
from services.attribution.domain.touches import Channel
from services.attribution.simulation.asking import Learning, Trial, period, saved
from services.attribution.simulation.result import MovedOrder, Result
from services.attribution.simulation.totals import ModelSums, Sums
from services.attribution.wire.checks import check_model
from services.kernel.failures import InvalidArgumentError

_COMPARED = "conversations"
_USUAL_MOVED = 100
_MOST_MOVED = 1000
_TRIED = "simulated"
_NONE = ModelSums(Sums(0, 0, 0), {})


def trial(request: pb.SimulateModelRequest, rules: Rules, zone: ZoneInfo) -> Trial:
    """What is asked. Raises InvalidArgumentError that names the field at fault."""
    if request.HasField("model") == bool(request.saved_model):
        raise InvalidArgumentError.of("model", "is needed, or else savedModel, and not both")
    tried = (
        _read(request.model, learned=bool(request.learning))
        if request.HasField("model")
        else saved(rules, request.saved_model, "savedModel")
    )
    from_time, through_time = period(request.start_date, request.end_date, zone)
    try:
        learning = Learning(request.learning)
    except ValueError as error:
        raise InvalidArgumentError.of("learning", "is not known") from error
    if learning and (tried.rule is not Rule.DATA_DRIVEN or tried.conversational):
        problem = "is of models of the rule DATA_DRIVEN, and not of those that look at conversations as a whole"
        raise InvalidArgumentError.of("learning", problem)
    if not 0 <= request.moved_order_count <= _MOST_MOVED:
        raise InvalidArgumentError.of("movedOrderCount", f"must be 0 to {_MOST_MOVED}")
    return Trial(
        simulated=replace(tried, name=_TRIED, active=True),
        compared=replace(saved(rules, request.compare_with or _COMPARED, "compareWith"), active=True),
        learning=learning,
        from_time=from_time,
        through_time=through_time,
        moved_order_count=request.moved_order_count or _USUAL_MOVED,
        rules=rules,
    )


def _read(message: model_pb2.Model, *, learned: bool) -> Model:
    """The model, after the checks that a saved one passes; its name doesn't matter."""
    named = model_pb2.Model()
    named.CopyFrom(message)
    named.name = _TRIED
    return check_model(named, "model", learned=learned)


def simulation(asked: Trial, found: Result) -> pb.Simulation:
    """The result."""
    return pb.Simulation(
        currencies=[
            pb.SimulatedCurrency(
                currency_code=currency,
                simulated=_sums(found.simulated.get(currency, _NONE), currency),
                compared=_sums(found.compared.get(currency, _NONE), currency),
            )
            for currency in sorted(found.simulated.keys() | found.compared.keys())
        ],
        orders=found.orders,
        moved=found.moved,
        moved_orders=[_moved(order) for order in found.moved_orders],
        learned_weights=[
            pb.LearnedWeight(
                channel=channel.name,
                weight=float(learned.weight),
                removal_effect=0.0 if learned.removal_effect is None else float(learned.removal_effect),
            )
            for channel, learned in sorted(found.learned.items(), key=lambda one: one[0].name)
        ],
        compared_model=asked.compared.name,
        compared_model_version=asked.compared.version,
    )


def _sums(found: ModelSums, currency: str) -> pb.SimulatedSums:
    def channel_sums(channel: Channel, sums: Sums) -> pb.SimulatedChannel:
        return pb.SimulatedChannel(
            channel=channel.name,
            orders=sums.orders,
            amount=_money(currency, sums.gross_micros),
            net=_money(currency, sums.net_micros),
        )

    return pb.SimulatedSums(
        orders=found.all.orders,
        amount=_money(currency, found.all.gross_micros),
        net=_money(currency, found.all.net_micros),
        by_channel=[
            channel_sums(channel, sums)
            for channel, sums in sorted(found.by_channel.items(), key=lambda one: one[0].name)
        ],
    )


def _moved(order: MovedOrder) -> pb.MovedOrder:
    return pb.MovedOrder(
        source=order.source,
        order_id=order.order_id,
        amount=_money(order.currency_code, order.gross_micros),
        reason=pb.MovedOrder.Reason.ValueType(order.reason),
        simulated_event_ids=order.simulated,
        compared_event_ids=order.compared,
    )


def _money(currency: str, micros: int) -> money_pb2.Money:
    return money_pb2.Money(currency_code=currency, micros=micros)
