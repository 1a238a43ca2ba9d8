"""What an experiment came to, read and computed in one moment."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from services.kernel.failures import NotFoundError
from services.reporting import counting, wire
from services.reporting.domain.experiments.definition import Experiment, history
from services.reporting.domain.experiments.exposures import key_prefix, read
from services.reporting.domain.experiments.people import population
from services.reporting.domain.experiments.results import Results, results
from services.reporting.domain.experiments.sums import Counted, count
from services.reporting.domain.tenants import Tenant
from services.reporting.experiments.reading import experiments_of, most_emails, purchase, sold
from services.reporting.kinds.exposures import EXPOSURES
from services.reporting.store import experiments


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


async def report(connection: AsyncConnection, tenant: Tenant, experiment_id: str, model: str) -> Report:
    """Computes an experiment's report in the connection's moment.

    Its cost follows the people who were exposed and their orders, whatever else the shop has. Raises `NotFoundError`
    for an experiment that doesn't hold, and `InvalidArgumentError` for a model that is not active.
    """
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
    exposed = [read(state) for state in states]
    keys = {key for one in exposed for key in one.keys}
    orders = sold(await experiments.read_orders(connection, tenant.tenant_id, tenant.edition, keys))
    facts = await counting.orders_as_counted(connection, [wire.fact_of(order) for order in orders], tenant)
    purchases = [purchase(order, fact, model) for order, fact in zip(orders, facts, strict=True)]
    everybody = population(exposed, purchases, most_emails(tenant.settings))
    counted = count(experiment, everybody.people, tenant.currency_code, told)
    return Report(
        experiment=experiment,
        counted=counted,
        results=results(experiment, counted),
        unidentified=everybody.unidentified,
    )
