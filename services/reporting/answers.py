"""Answers to requests, each read in one moment: nothing in them can disagree."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import date
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.chassis import follow
from services.kernel.failures import FailureError
from services.kernel.partitions import proposed_partition
from services.reporting.domain.definitions import SKU
from services.reporting.domain.figures import AsOf, Report, Rows
from services.reporting.domain.named import NamedAnswer, NamedPlan, NamedRequest, plan_named, put_together
from services.reporting.domain.periods import Period, day_of
from services.reporting.domain.reports import Plan, check_models
from services.reporting.domain.statement import WholeStatement, compose
from services.reporting.domain.tenants import Tenant
from services.reporting.remembered import Remembered, Seen
from services.reporting.store import heads, moments, products, reports, sections, statements, tenants
from services.reporting.wire.settings import cost_of


@asynccontextmanager
async def moment(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection whose statements all see the same moment."""
    async with engine.connect() as connection:
        yield await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


async def read_tenant(connection: AsyncConnection, tenant_id: str) -> Tenant:
    """The tenant; one of whom nothing was told yet has the defaults."""
    known = await tenants.read(connection, [tenant_id])
    return known.get(tenant_id) or Tenant(tenant_id=tenant_id, partition=proposed_partition(tenant_id))


async def report(engine: AsyncEngine, tenant_id: str, plan: Plan, model: str, *, offset: int, limit: int) -> Report:
    """Computes a report; raises `InvalidArgumentError` for a model that is not active."""
    async with moment(engine) as connection:
        tenant = await read_tenant(connection, tenant_id)
        return await report_at(connection, tenant, plan, model, offset=offset, limit=limit)


async def report_at(
    connection: AsyncConnection, tenant: Tenant, plan: Plan, model: str, *, offset: int, limit: int
) -> Report:
    """Computes a report in the connection's moment.

    Raises `InvalidArgumentError` naming `metrics` for one that is of a certain model, where that is not active.
    """
    tenant.model_version(model)
    check_models(plan, model, tenant.models)
    shown = plan.currencies(tenant.currency_code)
    scope = _scope(tenant, model, shown)
    rows, total_size = await reports.read_rows(connection, plan, scope, offset=offset, limit=limit)
    return Report(
        tenant=tenant,
        rows=rows,
        total_size=total_size,
        totals=await _totals(connection, plan, tenant, model),
        others=await statements.read_other_currencies(connection, tenant, plan.period, shown),
        as_of=await as_of(connection, tenant.partition),
        names=await _names(connection, tenant, plan, rows),
    )


async def _names(connection: AsyncConnection, tenant: Tenant, plan: Plan, rows: Rows) -> Mapping[str, str]:
    """The names for people of the products in some rows."""
    if SKU not in plan.dimensions:
        return {}
    place = plan.dimensions.index(SKU)
    skus = {dimensions[place] for dimensions in rows.dimensions}
    return await products.read_names(connection, tenant.tenant_id, skus) if skus else {}


class Question(NamedTuple):
    """What is to be asked for a named report, as seen from what is known of the tenant."""

    plan: NamedPlan
    sections: sections.Sections
    asked: moments.Asked


async def named(
    engine: AsyncEngine, remembered: Remembered[Question], tenant_id: str, request: NamedRequest, now: float
) -> NamedAnswer:
    """Computes a named report; `now`, in seconds of Unix time, says which day is the tenant's present one.

    Raises `InvalidArgumentError` naming `model` where the one asked for is not active. What the report itself has of
    certain models that are not is left out. `remembered` spares a round trip to read the tenant first: it is read in the
    same moment as the figures, and these are asked for again where they should have been asked for in another way.
    """
    proposed = proposed_partition(tenant_id)
    guess = remembered.get(tenant_id)
    question = None if guess is None else _guessed(guess, request, now)
    while True:
        rows = await moments.read(engine, question.asked if question else heads.asked(tenant_id, proposed))
        head = heads.head(rows)
        tenant = head.tenant or Tenant(tenant_id=tenant_id, partition=proposed)
        if question is not None and guess is not None and tenant == guess.tenant:
            break
        guess, before = remembered.put(tenant), question
        question = _question(guess, request, now)
        if before is not None and before.asked == question.asked:
            break
    found, others, names = sections.found(question.sections, rows)
    as_of_ = _as_of(tenant.partition, head.applied)
    return put_together(tenant, question.plan, found, others=others, as_of=as_of_, names=names)


def _guessed(seen: Seen[Question], request: NamedRequest, now: float) -> Question | None:
    """The question by what is remembered of a tenant; None where it can't be asked: maybe it can by now."""
    with suppress(FailureError):
        return _question(seen, request, now)
    return None


def _question(seen: Seen[Question], request: NamedRequest, now: float) -> Question:
    today = day_of(int(now), seen.tenant.zone)
    return seen.question((request, today), lambda: _made(seen.tenant, request, today))


def _made(tenant: Tenant, request: NamedRequest, today: date) -> Question:
    plan = plan_named(request, today, tenant.models)
    if request.model:
        tenant.model_version(request.model)
    scope = _scope(tenant, plan.model, plan.whole.currencies(tenant.currency_code))
    asked = sections.Sections(name=(*plan.name, scope.currencies is None), plans=plan.sections, scope=scope)
    proposed = proposed_partition(tenant.tenant_id)
    return Question(plan, asked, sections.asked(asked, size=request.limit, proposed_partition=proposed))


async def _totals(connection: AsyncConnection, plan: Plan, tenant: Tenant, model: str) -> Rows | None:
    currency = plan.total_currency(tenant.currency_code)
    if currency is None:
        return None
    return await reports.read_totals(connection, plan, _scope(tenant, model, (currency,)))


def _scope(tenant: Tenant, model: str, currencies: tuple[str, ...] | None) -> reports.Scope:
    return reports.Scope(
        tenant_id=tenant.tenant_id,
        edition=tenant.book,
        model=model,
        currencies=currencies,
        cost=cost_of(tenant),
    )


async def as_of(connection: AsyncConnection, partition: int) -> AsOf:
    """Through which positions of the logs the figures of a partition speak."""
    return _as_of(partition, await follow.applied(connection, partition))


def _as_of(partition: int, applied: Mapping[str, follow.Applied]) -> AsOf:
    events, credits_ = applied.get("events"), applied.get("credits")
    return AsOf(
        partition=partition,
        event_position=events.position if events else 0,
        credit_position=credits_.position if credits_ else 0,
        apply_time=max((followed.apply_time for followed in applied.values()), default=None),
    )


async def positions(engine: AsyncEngine, partitions: Collection[int]) -> dict[int, tuple[int, int]]:
    """Through which positions of the event log and the credit log figures of some partitions speak."""
    async with engine.connect() as connection:
        applied = await follow.positions(connection, partitions)
    return {
        partition: (applied.get((partition, "events"), 0), applied.get((partition, "credits"), 0))
        for partition in partitions
    }


async def statement(engine: AsyncEngine, tenant_id: str, period: Period, model: str) -> WholeStatement:
    """The statement, and those of other currencies; raises `InvalidArgumentError` for a model that is not active."""
    async with moment(engine) as connection:
        tenant = await read_tenant(connection, tenant_id)
        tenant.model_version(model)
        parts = await statements.read_parts(connection, tenant, model, period)
    return compose(parts, tenant)
