"""What an experiment came to, read and computed in one moment."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection
from touchstone.attribution.v1 import credit_pb2

from services.kernel.failures import NotFoundError
from services.reporting import counting
from services.reporting.domain.experiments.definition import Experiment, history
from services.reporting.domain.experiments.exposures import key_prefix, read
from services.reporting.domain.experiments.people import population
from services.reporting.domain.experiments.results import Results, results
from services.reporting.domain.experiments.sums import Counted, count
from services.reporting.domain.facts import OrderFact
from services.reporting.domain.periods import Period, day_of
from services.reporting.domain.tenants import Tenant
from services.reporting.experiments.reading import SECOND, experiments_of, most_emails, purchase, sold
from services.reporting.kinds.exposures import EXPOSURES
from services.reporting.store import experiments, waiting
from services.reporting.wire.orders import fact_of

_MOST_REMEMBERED: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """An experiment, its people counted, and what follows; `unidentified` visitors are in no variant."""

    experiment: Experiment
    counted: Counted
    results: Results
    unidentified: int


def not_found(experiment_id: str) -> NotFoundError:
    """That a tenant has no such experiment."""
    return NotFoundError("EXPERIMENT_NOT_FOUND", f"there is no experiment {experiment_id!r}")


class Asked(NamedTuple):
    """What is asked for: only people count whose first exposure is in the period, everybody without one."""

    experiment_id: str
    model: str
    period: Period | None


async def report(connection: AsyncConnection, tenant: Tenant, asked: Asked) -> Report:
    """Computes an experiment's report in the connection's moment.

    Its cost follows the people who were exposed and their orders, whatever else the shop has. Raises `NotFoundError`
    for an experiment that doesn't hold, and `InvalidArgumentError` for a model that is not active.
    """
    experiment_id, model, period = asked
    tenant.model_version(model)
    sets = [
        (row.occur_time, experiments_of(row.document))
        for row in await experiments.read_every(connection, tenant.tenant_id)
    ]
    if not sets or experiment_id not in sets[-1][1]:
        raise not_found(experiment_id)
    experiment = sets[-1][1][experiment_id]
    told = history((time, those[experiment_id]) for time, those in sets if experiment_id in those)
    states = await experiments.read_exposed(connection, tenant.tenant_id, EXPOSURES.name, key_prefix(experiment_id))
    # Off the loop: of many people this takes as long as many other answers.
    exposed = await asyncio.to_thread(lambda: [read(state) for state in states])
    keys = {key for one in exposed for key in one.keys}
    payloads = await experiments.read_orders(connection, tenant.tenant_id, tenant.edition, keys)
    orders, facts = await asyncio.to_thread(_orders, payloads)
    as_counted = await counting.orders_as_counted(connection, facts, tenant)

    def computed() -> Report:
        purchases = [purchase(order, fact, model) for order, fact in zip(orders, as_counted, strict=True)]
        everybody = population(exposed, purchases, most_emails(tenant.settings))
        people = [person for person in everybody.people if _is_in(person.exposed_at, period, tenant)]
        counted = count(experiment, people, tenant.currency_code, told)
        return Report(
            experiment=experiment,
            counted=counted,
            results=results(experiment, counted),
            unidentified=everybody.unidentified,
        )

    return await asyncio.to_thread(computed)


def _is_in(time: int, period: Period | None, tenant: Tenant) -> bool:
    return period is None or period.start <= day_of(time // SECOND, tenant.zone) <= period.end


def _orders(payloads: Sequence[bytes]) -> tuple[list[credit_pb2.OrderCredits], list[OrderFact]]:
    orders = sold(payloads)
    return orders, [fact_of(order) for order in orders]


class Remembered:
    """Reports as they were last computed, of which some are kept: while nothing was followed since, they hold.

    What decides a report is the tenant as it is counted and the positions through which the logs are followed; while
    orders wait to be converted by rates told late, nothing is kept.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, Asked], tuple[object, Report]] = OrderedDict()

    async def report(self, connection: AsyncConnection, tenant: Tenant, asked: Asked, state: object) -> Report:
        """The report of an experiment under a model; `state` is equal exactly where everything followed is.

        Raises as `report` does.
        """
        key = (tenant.tenant_id, asked)
        known = self._known.get(key)
        if known is not None and known[0] == (state, tenant):
            self._known.move_to_end(key)
            return known[1]
        found = await report(connection, tenant, asked)
        if not await waiting.is_waiting(connection, tenant.tenant_id):
            self._known[key] = ((state, tenant), found)
            if len(self._known) > _MOST_REMEMBERED:
                self._known.popitem(last=False)
        return found
