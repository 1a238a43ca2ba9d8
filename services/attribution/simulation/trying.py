"""Tries a model on a period's columns, beside another."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Final

import numpy as np

from services.attribution.domain.models import DAY, Anchor, Model
from services.attribution.domain.spans import EVER
from services.attribution.domain.touches import Channel
from services.attribution.simulation import moves as moving
from services.attribution.simulation import totals
from services.attribution.simulation.asking import Learning, Trial
from services.attribution.simulation.cases import HANDLED, Cases, Flags
from services.attribution.simulation.eligible import counted_orders, filtered_values, looked_at
from services.attribution.simulation.evaluate import Outcome, amount_columns, evaluate
from services.attribution.simulation.loading import Loading
from services.attribution.simulation.markov import removal_effects
from services.attribution.simulation.paths import paths
from services.attribution.simulation.result import MovedOrder, Result, Weight
from services.attribution.simulation.shapley import shapley_values
from services.attribution.simulation.stopping import Stop
from services.attribution.simulation.tables import Source, event_names
from services.attribution.store import facts
from services.attribution.store.blocks import ORDERS, TOUCHES
from services.kernel.failures import FailedPreconditionError

_USUAL_REACH: Final = 30 * DAY
"""How far back touches are loaded in any case, so that the next question is likely to find its own."""

_CHUNKS: Final = 8
"""Parts in which orders are done: so often is told how far it is, and looked whether to stop."""

Progress = Callable[[int, int], None]
"""Told how many orders are done, and how many there are."""


def loading(trial: Trial) -> Loading:
    """What a trial needs."""
    models = (trial.simulated, trial.compared)
    reach = EVER if any(model.anchor is Anchor.SESSION for model in models) else max(model.window for model in models)
    return Loading(
        trial.from_time,
        trial.through_time,
        max(_USUAL_REACH, reach),
        blocked=frozenset(map(facts.identifier_number, trial.rules.blocked)),
        # Moved orders are told with all of their amount.
        amounts=frozenset(("gross_micros", "net_micros")).union(*map(amount_columns, models)),
        values=frozenset[str]().union(*map(filtered_values, models)) - {HANDLED},
        lines=any(model.by_line for model in models),
        carts=any(model.through_cart for model in models),
        conversations=any(model.conversational for model in models),
        count_crawlers=trial.rules.count_crawlers,
    )


def try_on(cases: Cases, trial: Trial, source: Source, stop: Stop, progress: Progress) -> Result:
    """What the trial finds. `source` names the orders and touches that are told of one by one."""
    counted, counted_then = (_counted(cases, trial, model) for model in (trial.simulated, trial.compared))
    learned = learn(cases, trial, source)
    simulated = trial.simulated
    if learned:
        simulated = replace(simulated, weights={channel: one.weight for channel, one in learned.items()})
    done = _Done(len(cases.orders), progress)
    evaluated = partial(_evaluated, cases, stop=stop, done=done, count_crawlers=trial.rules.count_crawlers)
    now, then = evaluated(simulated, counted), evaluated(trial.compared, counted_then)
    moved = moving.moves(now, then)
    return Result(
        simulated=totals.sums(cases, now),
        compared=totals.sums(cases, then),
        orders=int(np.count_nonzero(counted)),
        moved=len(moved.order),
        moved_orders=_listed(cases, source, moved, (now, then), trial.moved_order_count),
        learned=learned,
    )


def _counted(cases: Cases, trial: Trial, model: Model) -> Flags:
    return counted_orders(cases, {**trial.rules.counted, **model.counted}, count_tests=trial.rules.count_tests)


class _Done:
    """How far two models are, as orders: each model is half of an order's work."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._total, self._progress, self._halves = total, progress, 0

    def add(self, orders: int) -> None:
        self._halves += orders
        self._progress(self._halves // 2, self._total)


def _evaluated(cases: Cases, model: Model, counted: Flags, *, stop: Stop, done: _Done, count_crawlers: bool) -> Outcome:
    cases = looked_at(cases, model)
    bounds = np.linspace(0, len(cases.orders), _CHUNKS + 1).astype(np.int64)
    places = np.searchsorted(cases.pairs.order, bounds)
    outcomes = []
    for chunk in range(_CHUNKS):
        stop.look()
        part = replace(cases, pairs=cases.pairs.between(int(places[chunk]), int(places[chunk + 1])))
        outcomes.append(evaluate(part, model, counted, count_crawlers=count_crawlers))
        done.add(int(bounds[chunk + 1] - bounds[chunk]))
    return Outcome.joined(outcomes)


def learn(cases: Cases, trial: Trial, source: Source) -> dict[Channel, Weight]:
    """The weights of channels, as numbers that a saved model can have, too; none without learning.

    Raises FailedPreconditionError where there is nothing to learn from.
    """
    if trial.learning is Learning.NONE:
        return {}
    counted = _counted(cases, trial, trial.simulated)
    walked = paths(
        cases,
        trial.simulated,
        counted,
        lambda rows: source.names(TOUCHES, rows),
        count_crawlers=trial.rules.count_crawlers,
    )
    if not any(path and one.converted for path, one in walked.items()):
        message = "No order that counts in the period has a touch that the model looks at."
        raise FailedPreconditionError("NOTHING_TO_LEARN", message)
    if trial.learning is Learning.MARKOV:
        effects = removal_effects(walked)
        return {one: Weight(_storable(found.credit), found.removal_effect) for one, found in effects.items()}
    values = shapley_values(walked)
    together = sum(values.values())
    return {one: Weight(_storable(value / together), None) for one, value in values.items()}


def _storable(weight: Fraction) -> Fraction:
    return Fraction(float(weight))


def _listed(
    cases: Cases, source: Source, moved: moving.Moves, outcomes: tuple[Outcome, Outcome], count: int
) -> list[MovedOrder]:
    """The moved orders of the greatest amounts, then by source and id."""
    amounts = cases.orders.amounts["gross_micros"][moved.order]
    if len(amounts) > count:
        # All that could be among the first: those as great as the last of them too, since names decide between these.
        chosen = np.flatnonzero(amounts >= np.partition(amounts, len(amounts) - count)[len(amounts) - count])
        moved, amounts = moving.Moves(moved.order[chosen], moved.reason[chosen]), amounts[chosen]
    names = source.names(ORDERS, cases.orders.row[moved.order])
    listed = sorted(
        (-amount, names[row], order, why)
        for amount, row, order, why in zip(
            amounts.tolist(),
            cases.orders.row[moved.order].tolist(),
            moved.order.tolist(),
            moved.reason.tolist(),
            strict=True,
        )
    )[:count]
    credited = [_credited(outcome, [order for _, _, order, _ in listed]) for outcome in outcomes]
    rows = [row for touches in credited for mine in touches.values() for row in mine]
    events = event_names(source, np.array(rows, np.int64))
    return [
        MovedOrder(
            source=name[0],
            order_id=name[1],
            currency_code=facts.currency_code(int(cases.orders.currency[order])),
            gross_micros=-amount,
            reason=moving.Reason(why),
            simulated=tuple(events[row][1] for row in credited[0][order]),
            compared=tuple(events[row][1] for row in credited[1][order]),
        )
        for amount, name, order, why in listed
    ]


def _credited(outcome: Outcome, orders: list[int]) -> dict[int, list[int]]:
    """The credited touches of some orders, each once though it may be credited for several lines."""
    found = {}
    for order in orders:
        first, last = np.searchsorted(outcome.order, order), np.searchsorted(outcome.order, order, "right")
        found[order] = list(dict.fromkeys(outcome.touch[first:last].tolist()))
    return found
