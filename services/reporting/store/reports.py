"""Reports, summed from the rollups: one statement for a page of rows, one for the totals."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from services.reporting.domain.blocks import Run, blocks
from services.reporting.domain.definitions import COST_SHARES, TIMES, CostDay
from services.reporting.domain.figures import Rows
from services.reporting.domain.periods import Period
from services.reporting.domain.reports import Plan, bucket_name, bucket_start
from services.reporting.domain.tenants import Cost
from services.reporting.store.report_shapes import Look, Shape, days_of
from services.reporting.store.report_statements import count, page, totals


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Whose figures, in which edition, under which model, in which currencies, None for all; what the assistant costs.

    What is not due at `as_of_nanos`, since 1970, is not counted; at the transaction's own moment where it is None.
    """

    tenant_id: str
    edition: int
    model: str
    currencies: tuple[str, ...] | None
    cost: Cost | None = None
    as_of_nanos: int | None = None


async def read_rows(
    connection: AsyncConnection, plan: Plan, scope: Scope, *, offset: int, limit: int
) -> tuple[Rows, int]:
    """A page of a report's rows, and how many there are in all."""
    shape = shape_of(plan, scope, plan.dimensions)
    parameters = parameters_of(plan, scope)
    found = await connection.execute(page(shape), {**parameters, "offset": offset, "limit": limit})
    rows = found.all()
    # Behind the last row there is none that could tell: there may be fewer than when the token was written.
    total_size = rows[0][-1] if rows else (await connection.execute(count(shape), parameters)).scalar_one()
    return _rows(plan, plan.dimensions, rows), total_size


async def read_totals(connection: AsyncConnection, plan: Plan, scope: Scope) -> Rows:
    """The sums over all of a report's rows in one currency, a single row: `scope` names it."""
    rows = await connection.execute(totals(shape_of(plan, scope, ())), parameters_of(plan, scope))
    return _rows(plan, (), [rows.one()])


def shape_of(plan: Plan, scope: Scope, dimensions: tuple[str, ...]) -> Shape:
    """What decides the text of a plan's statement."""
    filters = tuple(asked.dimension for asked in plan.filters)
    every = scope.currencies is None
    return Shape(dimensions, tuple(plan.sums.items()), plan.comparison, filters, every, plan.order_by)


def parameters_of(plan: Plan, scope: Scope) -> dict[str, Any]:
    """The values of a plan's statement."""
    parameters: dict[str, Any] = {
        "tenant_id": scope.tenant_id,
        "edition": scope.edition,
        "model": scope.model,
        "now_start": plan.period.start,
        "now_end": plan.period.end,
    }
    if scope.currencies is not None:
        parameters["currencies"] = list(scope.currencies)
        parameters["currencies_or_none"] = [*scope.currencies, ""]
    if any(formula.slice.family is CostDay for formula in plan.sums.values()):
        parameters |= {
            "cost_currency": scope.cost.currency_code if scope.cost else None,
            "cost_shares": scope.cost.monthly_micros * COST_SHARES if scope.cost else 0,
        }
    if any(formula.slice.awaited for formula in plan.sums.values()):
        parameters["as_of_nanos"] = scope.as_of_nanos
    parameters |= _blocks(Look.NOW, plan.period)
    if plan.compared:
        days = days_of(plan.comparison)
        parameters |= {f"{days}_start": plan.compared.start, f"{days}_end": plan.compared.end}
        parameters[f"{days}_month"] = plan.compared.end.replace(day=1)
        parameters |= _blocks(days, plan.compared)
    for asked in plan.filters:
        parameters[f"{asked.dimension}_values"] = [_bound(asked.dimension, value) for value in asked.values]
    return parameters


def _blocks(name: str, period: Period) -> dict[str, Any]:
    told = blocks(period)
    runs = told._asdict().items()
    parameters: dict[str, Any] = {
        f"{name}_{block}_{field}": getattr(run, field) if run else None for block, run in runs for field in Run._fields
    }
    parameters[f"{name}_tail_days"] = told.tail.days if told.tail else []
    return parameters


def _bound(dimension: str, value: str) -> date | str:
    return bucket_start(dimension, value) if dimension in TIMES else value


def _rows(plan: Plan, dimensions: tuple[str, ...], rows: Sequence[Sequence[Any]]) -> Rows:
    """Rows of a statement: the dimensions, then each sum, with that of the compared period beside it where there is one."""
    cut = len(dimensions)
    names = [partial(bucket_name, name) if name in TIMES else str for name in dimensions]
    told = [tuple(name(value) for name, value in zip(names, row, strict=False)) for row in rows]
    periods = 2 if plan.compared else 1
    columns = [[_whole(row[place]) for row in rows] for place in range(cut, cut + periods * len(plan.sums))]
    compared = dict(zip(plan.sums, columns[1::2], strict=True)) if plan.compared else None
    return Rows(told, dict(zip(plan.sums, columns[::periods], strict=True)), compared)


def _whole(sum_: Decimal | None) -> int | None:
    return None if sum_ is None else int(sum_)
