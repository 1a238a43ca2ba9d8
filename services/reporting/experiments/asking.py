"""What an experiment came to, read in one moment."""

import asyncio
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from services.kernel.failures import NotFoundError
from services.reporting.domain.experiments.definition import Experiment
from services.reporting.domain.experiments.results import Results, results
from services.reporting.domain.experiments.sums import Counted, Part, counted
from services.reporting.domain.periods import Period
from services.reporting.domain.tenants import Tenant
from services.reporting.experiments.rules import Rules, read_rules
from services.reporting.experiments.summing import gather
from services.reporting.store import experiment_sums, exposures, waiting
from services.reporting.store.experiment_sums import START

_MOST_REMEMBERED: Final = 64
_PAGE: Final = 5_000
"""People who are counted at once while the sums aren't complete."""

EVER: Final = Period(start=date.min, end=date.max)
"""Every day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """An experiment, its people counted, and what follows."""

    experiment: Experiment
    counted: Counted
    results: Results


def not_found(experiment_id: str) -> NotFoundError:
    """That a tenant has no such experiment."""
    return NotFoundError("EXPERIMENT_NOT_FOUND", f"there is no experiment {experiment_id!r}")


class Asked(NamedTuple):
    """What is asked for: only people count whose first exposure is in the period, everybody without one."""

    experiment_id: str
    model: str
    period: Period | None


async def report(connection: AsyncConnection, tenant: Tenant, asked: Asked) -> Report:
    """An experiment's report in the connection's moment.

    With a period its cost follows the days of it, without one nothing. Only while everybody is counted anew by other
    rules it follows the people. Raises `NotFoundError` for an experiment that doesn't hold, and `InvalidArgumentError` for a
    model that is not active.
    """
    tenant.model_version(asked.model)
    rules = (await read_rules(connection, tenant)).get(asked.experiment_id)
    if rules is None:
        raise not_found(asked.experiment_id)
    known, period = (tenant.tenant_id, asked.experiment_id), asked.period
    found = (await experiment_sums.read(connection, tenant.tenant_id)).get(asked.experiment_id)
    if found is None or found.rules != rules.name or found.reached is not None:
        parts = await count_all(connection, tenant, rules, period or EVER)
    elif period is None:
        parts = await experiment_sums.read_whole(connection, *known)
    else:
        parts = await experiment_sums.read_cells(connection, *known, period.start, period.end)
    everybody = counted(parts, rules.told, asked.model)
    return Report(experiment=rules.experiment, counted=everybody, results=results(rules.experiment, everybody))


async def count_all(
    connection: AsyncConnection, tenant: Tenant, rules: Rules, period: Period = EVER
) -> dict[Part, int]:
    """Everybody's numbers, counted person by person: what the sums must meet."""
    parts: dict[Part, int] = defaultdict(int)
    experiment_id, after = rules.experiment.experiment_id, START
    while page := await exposures.persons_after(connection, tenant.tenant_id, experiment_id, after, _PAGE):
        gathered = await gather(connection, tenant, [experiment_id], set(page))
        # Off the loop: of many people this takes as long as many other answers.
        amounts = await asyncio.to_thread(gathered.amounts, rules, tenant)
        for of_one in amounts.values():
            for (day, part), number in of_one.items():
                if period.start <= day <= period.end:
                    parts[part] += number
        after = page[-1]
    return {part: number for part, number in parts.items() if number}


async def differing(connection: AsyncConnection, tenant: Tenant) -> int:
    """How many numbers of a tenant's experiments aren't what everybody comes to, of those that are complete."""
    sums = await experiment_sums.read(connection, tenant.tenant_id)
    found = 0
    for name, rules in (await read_rules(connection, tenant)).items():
        known = sums.get(name)
        if known is None or known.rules != rules.name or known.reached is not None:
            continue
        expected = await count_all(connection, tenant, rules)
        for kept in (
            await experiment_sums.read_cells(connection, tenant.tenant_id, name, EVER.start, EVER.end),
            await experiment_sums.read_whole(connection, tenant.tenant_id, name),
        ):
            found += sum(kept.get(part, 0) != expected.get(part, 0) for part in kept.keys() | expected.keys())
    return found


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
