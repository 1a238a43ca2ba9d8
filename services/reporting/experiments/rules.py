"""By what an experiment's people are counted: other rules make other numbers."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from services.reporting.domain.experiments.definition import Experiment, History, history
from services.reporting.domain.tenants import Tenant
from services.reporting.experiments.reading import experiments_of
from services.reporting.store import experiments
from services.reporting.store.experiment_sums import digest

_KEPT: Final = "by day, and of all days"
"""What is kept of numbers: where less was, everybody is counted anew."""


class Rules(NamedTuple):
    """An experiment that holds, the shares that its variants had, and a name for all that counts people by them."""

    experiment: Experiment
    told: History
    name: str


async def read_rules(connection: AsyncConnection, tenant: Tenant) -> dict[str, Rules]:
    """The rules of each experiment that a tenant has, as the tenant's orders are counted."""
    sets = [(row.occur_time, row.document) for row in await experiments.read_every(connection, tenant.tenant_id)]
    return _rules(tuple(sets), tenant.time_zone, tenant.currency_code, tenant.book)


@lru_cache(maxsize=64)
def _rules(sets: Sequence[tuple[int, bytes]], time_zone: str, currency_code: str, book: int) -> dict[str, Rules]:
    told = [(time, experiments_of(document)) for time, document in sets]
    found: dict[str, Rules] = {}
    for experiment_id, experiment in told[-1][1].items() if told else ():
        shares = history((time, those[experiment_id]) for time, those in told if experiment_id in those)
        name = digest(_KEPT, experiment, shares, time_zone, currency_code, book)
        found[experiment_id] = Rules(experiment, shares, name)
    return found
