"""Reports, summed from the rollups: one statement for a page of rows, one for the totals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Date,
    Numeric,
    Select,
    Subquery,
    Table,
    and_,
    cast,
    func,
    literal,
    or_,
    select,
    text,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from services.reporting.domain.catalogue import CURRENCY, DAY, METRICS, MONTH, TIMES, WEEK, Metric, Quotient, Slice, Sum
from services.reporting.domain.cells import MEASURES, CreditCell
from services.reporting.domain.figures import Row
from services.reporting.domain.periods import Comparison, Period
from services.reporting.domain.reports import Plan, bucket_name, bucket_start
from services.reporting.store.tables import CELLS

_ONE_YEAR = text("interval '1 year'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Whose figures, under which model, and in which currencies; None for all."""

    tenant_id: str
    model: str
    currencies: tuple[str, ...] | None


async def read_rows(
    connection: AsyncConnection, plan: Plan, scope: Scope, *, offset: int, limit: int
) -> tuple[list[Row], int]:
    """A page of a report's rows, and how many there are in all."""
    report = _Report(plan, scope, plan.dimensions)
    rows = (await connection.execute(report.page(offset=offset, limit=limit))).mappings().all()
    # Behind the last row there is none that could tell: there may be fewer than when the token was written.
    total = rows[0]["total_size"] if rows else (await connection.execute(report.count())).scalar_one()
    return [report.row(row) for row in rows], total


async def read_totals(connection: AsyncConnection, plan: Plan, scope: Scope) -> Row:
    """The sums over all of a report's rows in one currency: `scope` names it."""
    report = _Report(plan, scope, ())
    row = (await connection.execute(report.page(offset=0, limit=1))).mappings().one()
    return report.row(row)


class _Report:
    """The statements of a report that is cut by some dimensions."""

    def __init__(self, plan: Plan, scope: Scope, dimensions: Sequence[str]) -> None:
        self._plan = plan
        self._scope = scope
        self._dimensions = tuple(dimensions)
        self._periods = [("now", plan.period), *([("then", plan.compared)] if plan.compared else [])]
        self._rows = self._summed()

    def page(self, *, offset: int, limit: int) -> Select[Any]:
        """Some rows in the sequence asked for, each with the number of all."""
        every = [*self._rows.c, func.count().over().label("total_size")]
        return select(*every).order_by(*self._order()).offset(offset).limit(limit)

    def count(self) -> Select[Any]:
        """The number of rows."""
        return select(func.count()).select_from(self._rows)

    def row(self, columns: Mapping[Any, Any]) -> Row:
        """A row as it was read."""
        return Row(
            dimensions=tuple(_name(dimension, columns[dimension]) for dimension in self._dimensions),
            sums={name: int(columns[f"now_{name}"]) for name in self._plan.sums},
            compared={name: int(columns[f"then_{name}"]) for name in self._plan.sums} if self._plan.compared else None,
        )

    def _summed(self) -> Subquery:
        """The rows: what each slice gives to them in each period, put together."""
        slices = dict.fromkeys(formula.slice for formula in self._plan.sums.values())
        parts = union_all(
            *(self._part(slice_, when, period) for slice_ in slices for when, period in self._periods)
        ).subquery()
        cut = [parts.c[name] for name in self._dimensions]
        sums = [func.coalesce(func.sum(parts.c[name]), 0).label(name) for name in self._names()]
        return select(*cut, *sums).group_by(*cut).subquery()

    def _part(self, slice_: Slice, when: str, period: Period) -> Select[Any]:
        """What a slice gives in one period; the sums of other slices and periods are 0 in it."""
        cells = self._cells(slice_, when, period)
        sums: list[ColumnElement[Any]] = []
        for name, formula in self._plan.sums.items():
            for at, _ in self._periods:
                belongs = at == when and formula.slice == slice_
                sums.append((_summed_measure(cells, formula) if belongs else literal(0)).label(f"{at}_{name}"))
        cut = [cells.c[name] for name in self._dimensions]
        return select(*cut, *sums).group_by(*cut)

    def _cells(self, slice_: Slice, when: str, period: Period) -> Subquery:
        """The cells of a slice in one period, with the dimensions' values beside the measures."""
        table, measures = CELLS[slice_.family], MEASURES[slice_.family]
        cut = [self._dimension(table, name, when).label(name) for name in self._dimensions]
        kept = select(*cut).where(*self._conditions(slice_, table, when, period))
        if slice_.family is not CreditCell:
            return kept.add_columns(*(table.c[name] for name in measures)).subquery()
        # The cells of one set of contacts count the same orders.
        orders, *amounts = (table.c[name] for name in measures)
        once = (table.c.day, table.c.currency_code, table.c.tier, table.c.contact_set)
        summed = [func.max(orders).label(orders.name), *(func.sum(amount).label(amount.name) for amount in amounts)]
        return kept.add_columns(*summed).group_by(*cut, *once).subquery()

    def _conditions(self, slice_: Slice, table: Table, when: str, period: Period) -> list[ColumnElement[bool]]:
        conditions = [
            table.c.tenant_id == self._scope.tenant_id,
            table.c.day.between(period.start, period.end),
            or_(*(table.c[name] != 0 for name in MEASURES[slice_.family])),
            *(table.c[name] == value for name, value in slice_.where),
        ]
        if "model" in table.c:
            conditions.append(table.c.model == (self._scope.model if slice_.by_model else ""))
        if self._scope.currencies is not None:
            conditions.append(table.c.currency_code.in_(self._scope.currencies))
        for asked in self._plan.filters:
            values = [_first_day_or_text(asked.dimension, value) for value in asked.values]
            conditions.append(self._dimension(table, asked.dimension, when).in_(values))
        return [and_(*conditions)]

    def _dimension(self, table: Table, name: str, when: str) -> ColumnElement[Any]:
        if name in TIMES:
            day = self._day(table, when)
            return day if name == DAY else cast(func.date_trunc(name, day), Date)
        return table.c.currency_code if name == CURRENCY else table.c[name]

    def _day(self, table: Table, when: str) -> ColumnElement[date]:
        """A cell's day; of the compared period, the day of the present one that it is compared with."""
        period, then = self._plan.period, self._plan.compared
        if when == "now" or then is None:
            return table.c.day
        if self._plan.comparison is Comparison.PREVIOUS_PERIOD:
            return table.c.day + literal((period.start - then.start) // timedelta(days=1))
        # Every day is compared with one, and only one, also around 29 February.
        later = cast(table.c.day + _ONE_YEAR, Date)
        return func.greatest(period.start, func.least(period.end, later, type_=Date), type_=Date)

    def _names(self) -> list[str]:
        return [f"{when}_{name}" for name in self._plan.sums for when, _ in self._periods]

    def _order(self) -> list[ColumnElement[Any]]:
        if not self._dimensions:
            return []
        asked = []
        for order in self._plan.order_by:
            column = self._figure(METRICS[order.metric]) if order.metric else self._rows.c[str(order.dimension)]
            asked.append((column.desc() if order.descending else column.asc()).nulls_last())
        return [*asked, *(self._rows.c[name] for name in self._dimensions)]

    def _figure(self, metric: Metric) -> ColumnElement[Any]:
        if isinstance(metric.formula, Quotient):
            above = self._figure(METRICS[metric.formula.numerator])
            below = self._figure(METRICS[metric.formula.denominator])
            return cast(above, Numeric) / func.nullif(below, 0)
        return self._rows.c[f"now_{metric.name}"]


def _summed_measure(cells: Subquery, formula: Sum) -> ColumnElement[Any]:
    measure = cells.c[formula.measure]
    return func.coalesce(func.sum(measure - cells.c[formula.less] if formula.less else measure), 0)


def _first_day_or_text(dimension: str, value: str) -> date | str:
    return bucket_start(dimension, value) if dimension in (DAY, WEEK, MONTH) else value


def _name(dimension: str, value: Any) -> str:
    return bucket_name(dimension, value) if dimension in TIMES else str(value)
