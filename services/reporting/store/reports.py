"""Reports, summed from the rollups: one statement for a page of rows, one for the totals."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.reporting.domain.catalogue import METRICS
from services.reporting.domain.cells import MEASURES, ActivityCell, CreditCell
from services.reporting.domain.definitions import COLUMNS, DAY, TIMES, Metric, Quotient, Slice, Sum
from services.reporting.domain.figures import Row
from services.reporting.domain.periods import Comparison
from services.reporting.domain.reports import Order, Plan, bucket_name, bucket_start
from services.reporting.store.tables import CELLS

NOW, THEN = "now", "then"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Whose figures, in which edition, under which model, and in which currencies; None for all."""

    tenant_id: str
    edition: int
    model: str
    currencies: tuple[str, ...] | None


async def read_rows(
    connection: AsyncConnection, plan: Plan, scope: Scope, *, offset: int, limit: int
) -> tuple[list[Row], int]:
    """A page of a report's rows, and how many there are in all."""
    shape = _shape(plan, scope, plan.dimensions)
    parameters = _parameters(plan, scope)
    page = await connection.execute(_page(shape), {**parameters, "offset": offset, "limit": limit})
    rows = [(_row(plan, plan.dimensions, row), row["total_size"]) for row in page.mappings()]
    # Behind the last row there is none that could tell: there may be fewer than when the token was written.
    total_size = rows[0][1] if rows else (await connection.execute(_count(shape), parameters)).scalar_one()
    return [row for row, _ in rows], total_size


async def read_totals(connection: AsyncConnection, plan: Plan, scope: Scope) -> Row:
    """The sums over all of a report's rows in one currency: `scope` names it."""
    rows = await connection.execute(_totals(_shape(plan, scope, ())), _parameters(plan, scope))
    return _row(plan, (), rows.mappings().one())


class _Shape(NamedTuple):
    """What decides a statement's text; its values are bound. Every name in it stands in the catalogue."""

    dimensions: tuple[str, ...]
    sums: tuple[tuple[str, Sum], ...]
    comparison: Comparison
    filters: tuple[str, ...]
    all_currencies: bool
    order_by: tuple[Order, ...]


def _shape(plan: Plan, scope: Scope, dimensions: tuple[str, ...]) -> _Shape:
    filters = tuple(asked.dimension for asked in plan.filters)
    every = scope.currencies is None
    return _Shape(dimensions, tuple(plan.sums.items()), plan.comparison, filters, every, plan.order_by)


def _parameters(plan: Plan, scope: Scope) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "tenant_id": scope.tenant_id,
        "edition": scope.edition,
        "model": scope.model,
        "now_start": plan.period.start,
        "now_end": plan.period.end,
    }
    if scope.currencies is not None:
        parameters["currencies"] = list(scope.currencies)
    if plan.compared:
        parameters |= {"then_start": plan.compared.start, "then_end": plan.compared.end}
    for asked in plan.filters:
        parameters[f"{asked.dimension}_values"] = [_bound(asked.dimension, value) for value in asked.values]
    return parameters


def _bound(dimension: str, value: str) -> date | str:
    return bucket_start(dimension, value) if dimension in TIMES else value


def _row(plan: Plan, dimensions: tuple[str, ...], columns: Mapping[Any, Any]) -> Row:
    return Row(
        dimensions=tuple(bucket_name(name, columns[name]) if name in TIMES else columns[name] for name in dimensions),
        sums={name: int(columns[f"now_{name}"]) for name in plan.sums},
        compared={name: int(columns[f"then_{name}"]) for name in plan.sums} if plan.compared else None,
    )


@lru_cache(maxsize=512)
def _page(shape: _Shape) -> TextClause:
    """Some rows in the sequence asked for, each with the number of all."""
    return text(
        f"SELECT *, count(*) OVER () AS total_size FROM ({_summed(shape)}) AS summed "
        f"{_ordered(shape)} OFFSET :offset LIMIT :limit"
    )


@lru_cache(maxsize=512)
def _count(shape: _Shape) -> TextClause:
    """The number of rows."""
    return text(f"SELECT count(*) FROM ({_summed(shape)}) AS summed")


@lru_cache(maxsize=512)
def _totals(shape: _Shape) -> TextClause:
    """The sums over all rows."""
    return text(_summed(shape))


def _summed(shape: _Shape) -> str:
    """The rows: what each slice gives to them in each period, put together."""
    slices = dict.fromkeys(formula.slice for _, formula in shape.sums)
    parts = " UNION ALL ".join(_part(shape, slice_, when) for slice_ in slices for when in _periods(shape))
    sums = [f"coalesce(sum({column}), 0) AS {column}" for column, _, _ in _columns(shape)]
    return f"SELECT {', '.join((*shape.dimensions, *sums))} FROM ({parts}) AS parts {_grouped(shape)}"


def _part(shape: _Shape, slice_: Slice, when: str) -> str:
    """What a slice gives in one period; the sums of other slices and periods are 0 in it."""
    own = [formula.slice == slice_ and at == when for _, at, formula in _columns(shape)]
    sums = [
        f"{_sum(formula) if belongs else 0} AS {column}"
        for belongs, (column, _, formula) in zip(own, _columns(shape), strict=True)
    ]
    cut = [f"{_dimension(shape, name, when)} AS {name}" for name in shape.dimensions]
    table, conditions = CELLS[slice_.family].name, " AND ".join(_conditions(shape, slice_, when))
    if slice_.family is not CreditCell:
        return f"SELECT {', '.join((*cut, *sums))} FROM {table} WHERE {conditions} {_grouped(shape)}"
    # The cells of one set of contacts count the same orders: once in each row.
    once = ("max(orders) AS orders", "sum(gross_micros) AS gross_micros", "sum(net_micros) AS net_micros")
    cells = (
        f"SELECT {', '.join((*cut, *MEASURES[slice_.family]))} FROM {table} WHERE {conditions} AND contacts = 1 "
        f"UNION ALL SELECT {', '.join((*cut, *once))} FROM {table} WHERE {conditions} AND contacts > 1 "
        f"{_grouped(shape, 'day', 'currency_code', 'tier', 'contact_set')}"
    )
    return f"SELECT {', '.join((*shape.dimensions, *sums))} FROM ({cells}) AS cells {_grouped(shape)}"


def _periods(shape: _Shape) -> tuple[str, ...]:
    return (NOW,) if shape.comparison is Comparison.NONE else (NOW, THEN)


def _columns(shape: _Shape) -> Iterator[tuple[str, str, Sum]]:
    """Each sum in each period: its column, the period, and how it is summed."""
    for name, formula in shape.sums:
        for when in _periods(shape):
            yield f"{when}_{name}", when, formula


def _sum(formula: Sum) -> str:
    return f"sum({formula.measure} - {formula.less})" if formula.less else f"sum({formula.measure})"


def _grouped(shape: _Shape, *besides: str) -> str:
    # By number: the name of a dimension may be that of another column, too.
    keys = [*map(str, range(1, len(shape.dimensions) + 1)), *besides]
    return f"GROUP BY {', '.join(keys)}" if keys else ""


def _conditions(shape: _Shape, slice_: Slice, when: str) -> Iterator[str]:
    yield "tenant_id = :tenant_id"
    if "edition" in slice_.family._fields:
        yield "edition = :edition"
    if "model" in slice_.family._fields:
        yield "model = :model" if slice_.by_model else f"model = '{slice_.model}'"
    yield f"day BETWEEN :{when}_start AND :{when}_end"
    if not shape.all_currencies and slice_.family is ActivityCell:
        # What is no money has no currency, and is in every report.
        yield "currency_code = ANY(array_append(CAST(:currencies AS text[]), ''))"
    elif not shape.all_currencies:
        yield "currency_code = ANY(CAST(:currencies AS text[]))"
    for name, value in slice_.where:
        yield f"{name} = '{value}'"
    for name in shape.filters:
        kind = "date" if name in TIMES else "text"
        yield f"{_dimension(shape, name, when)} = ANY(CAST(:{name}_values AS {kind}[]))"
    yield f"({' OR '.join(f'{measure} <> 0' for measure in MEASURES[slice_.family])})"


def _dimension(shape: _Shape, name: str, when: str) -> str:
    if name in TIMES:
        day = _day(shape, when)
        return day if name == DAY else f"CAST(date_trunc('{name}', {day}) AS date)"
    return COLUMNS.get(name, name)


def _day(shape: _Shape, when: str) -> str:
    """A cell's day; of the compared period, the day of the present one that it is compared with.

    Every day is compared with one, and only one, also around 29 February.
    """
    if when == NOW:
        return "day"
    if shape.comparison is Comparison.PREVIOUS_PERIOD:
        return "(day + (CAST(:now_start AS date) - CAST(:then_start AS date)))"
    year_later = "CAST(day + interval '1 year' AS date)"
    return f"greatest(CAST(:now_start AS date), least(CAST(:now_end AS date), {year_later}))"


def _ordered(shape: _Shape) -> str:
    if not shape.dimensions:
        return ""
    asked = [
        f"{_figure(METRICS[order.metric]) if order.metric else order.dimension} "
        f"{'DESC' if order.descending else 'ASC'} NULLS LAST"
        for order in shape.order_by
    ]
    return f"ORDER BY {', '.join((*asked, *shape.dimensions))}"


def _figure(metric: Metric) -> str:
    if not isinstance(metric.formula, Quotient):
        return f"now_{metric.name}"
    above, below = _figure(METRICS[metric.formula.numerator]), _figure(METRICS[metric.formula.denominator])
    return f"({above} / nullif({below}, 0))"
