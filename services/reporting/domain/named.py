"""Named reports: what is asked for, as plans that can be computed, and what is computed, put together."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cache, lru_cache

from services.kernel.failures import InvalidArgumentError
from services.reporting.domain.catalogue import METRICS
from services.reporting.domain.definitions import DAY, Metric, Sum
from services.reporting.domain.figures import AsOf, Rows, Sums
from services.reporting.domain.named_reports import REPORTS, NamedReport, Table, named_report
from services.reporting.domain.periods import Comparison, compared
from services.reporting.domain.presets import Preset, period_asked_for
from services.reporting.domain.reports import Filter, Order, Plan, check_values
from services.reporting.domain.statement import Amounts
from services.reporting.domain.tenants import Tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedRequest:
    """A named report as it is asked for, nothing checked."""

    report: str
    start_date: str
    end_date: str
    preset: Preset
    comparison: Comparison
    model: str
    filters: tuple[Filter, ...]
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPlan:
    """A named report that can be computed: the plan of all its totals, that of its days, and one for each table.

    `totals` are those that can be summed from days, `undated` those that can't. `untold` are the report's figures that
    are left out for want of a model, by the models that are not active.
    """

    report: NamedReport
    model: str
    whole: Plan
    totals: Plan
    daily: Plan
    undated: Plan | None
    year: Plan | None
    tables: tuple[tuple[Table, Plan], ...]
    untold: Mapping[str, tuple[str, ...]]

    @property
    def sections(self) -> tuple[Plan, ...]:
        """The plans to be computed: of the days, of what does not follow from them, of the year, and of the tables."""
        others = (one for one in (self.undated, self.year) if one)
        return (self.daily, *others, *(table for _, table in self.tables))

    @property
    def name(self) -> tuple[object, ...]:
        """What decides all the plans, whatever the period is and whichever values are kept."""
        filters = tuple(asked.dimension for asked in self.whole.filters)
        return (self.report.name, self.whole.comparison, filters, tuple(self.untold))


def plan_named(request: NamedRequest, today: date, active: Collection[str]) -> NamedPlan:
    """What is to be computed, seen from a day of the tenant; raises `NotFoundError` and `InvalidArgumentError`.

    Figures are compared with the previous period where no other is asked for. A figure that a filter can't narrow is
    left out, unless the report tells it whole; and so is one of a model that is not among the `active` ones: the rest of
    the page is as true as ever.
    """
    report = named_report(request.report)
    period = period_asked_for(request.start_date, request.end_date, request.preset, today)
    _check_model(report, request.model)
    _check_filters(report, request.filters)
    comparison = request.comparison or Comparison.PREVIOUS_PERIOD
    model = request.model or report.model
    untold = _untold(report, model, frozenset(active))
    figures = _told(report.totals, report, request.filters, untold)
    whole = Plan(
        metrics=figures,
        dimensions=(),
        period=period,
        comparison=comparison,
        compared=compared(period, comparison),
        filters=request.filters,
        order_by=(),
    )
    by_days = tuple(metric for metric in figures if _by_days(metric.name))
    summed = tuple(metric for metric in by_days if _summed(metric.name))
    undated = tuple(metric for metric in figures if not (_by_days(metric.name) and _summed(metric.name)))
    year = Comparison.PREVIOUS_YEAR
    tables = ((table, _plan_of(table, report, whole, untold)) for table in report.tables)
    return NamedPlan(
        report=report,
        model=model,
        whole=whole,
        totals=replace(whole, metrics=summed),
        daily=replace(whole, metrics=by_days, dimensions=(DAY,)),
        undated=replace(whole, metrics=undated) if undated else None,
        year=replace(whole, comparison=year, compared=compared(period, year)) if report.year_trend else None,
        tables=tuple((table, planned) for table, planned in tables if planned.metrics),
        untold=untold,
    )


def _check_model(report: NamedReport, model: str) -> None:
    if model and not report.any_model:
        others = ", ".join(other.name for other in REPORTS.values() if other.any_model)
        raise InvalidArgumentError.of(
            "model", f"{report.name} is under {report.model} only; another goes with: {others}"
        )


def _check_filters(report: NamedReport, filters: Sequence[Filter]) -> None:
    for asked in filters:
        parameter = _parameter(asked.dimension)
        if asked.dimension not in report.filters:
            known = ", ".join(map(_parameter, report.filters)) or "nothing"
            raise InvalidArgumentError.of(parameter, f"does not narrow {report.name}; what does: {known}")
        check_values(parameter, asked)


@lru_cache(maxsize=1_024)
def _untold(report: NamedReport, model: str, active: frozenset[str]) -> Mapping[str, tuple[str, ...]]:
    """The figures of a report under a model that can't be told, under each of the models that they lack."""
    names = sorted({*report.totals, *(name for table in report.tables for name in table.metrics)})
    lacking = {name: METRICS[name].lacks(model, active) for name in names}
    absent = sorted({one for models in lacking.values() for one in models})
    return {one: tuple(name for name, models in lacking.items() if one in models) for one in absent}


def _told(
    names: Sequence[str], report: NamedReport, filters: Sequence[Filter], untold: Mapping[str, Sequence[str]]
) -> tuple[Metric, ...]:
    """The metrics that the filters can narrow, and those that are told whole, but for those that can't be told."""
    narrowing = frozenset(asked.dimension for asked in filters)
    left_out = frozenset(name for of_model in untold.values() for name in of_model)
    return tuple(metric for metric in _narrowed(tuple(names), report.whole, narrowing) if metric.name not in left_out)


@lru_cache(maxsize=1_024)
def _narrowed(names: tuple[str, ...], whole: tuple[str, ...], narrowing: frozenset[str]) -> tuple[Metric, ...]:
    metrics = (METRICS[name] for name in names)
    return tuple(metric for metric in metrics if narrowing <= set(metric.dimensions) or metric.name in whole)


@cache
def _by_days(name: str) -> bool:
    return DAY in METRICS[name].dimensions


@cache
def _summed(name: str) -> bool:
    return METRICS[name].by_days


def _plan_of(table: Table, report: NamedReport, whole: Plan, untold: Mapping[str, Sequence[str]]) -> Plan:
    metrics = _told(table.metrics, report, whole.filters, untold)
    by = tuple(Order(metric=metric.name, dimension=None, descending=True) for metric in metrics[:1])
    return replace(whole, metrics=metrics, dimensions=table.dimensions, order_by=by)


def _parameter(dimension: str) -> str:
    first, *others = dimension.split("_")
    return first + "".join(other.capitalize() for other in others)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedAnswer:
    """A named report's rows: of its totals, of every day, of each table with how many there are in all.

    `totals` and `year` are single rows. `names` are those for people of products, by SKU.
    """

    tenant: Tenant
    plan: NamedPlan
    totals: Rows
    daily: Rows
    year: Rows | None
    tables: Sequence[tuple[Rows, int]]
    others: Sequence[tuple[str, Amounts]]
    as_of: AsOf
    names: Mapping[str, str]


def put_together(
    tenant: Tenant,
    plan: NamedPlan,
    found: Sequence[tuple[Rows, int]],
    *,
    others: Sequence[tuple[str, Amounts]],
    as_of: AsOf,
    names: Mapping[str, str],
) -> NamedAnswer:
    """The answer, from the rows of each of the plan's sections with how many it has in all; every day has a row."""
    (daily, _), *rest = found
    totals = total_of(plan.totals, daily)
    if plan.undated:
        (undated, _), *rest = rest
        totals = joined(totals, undated)
    year = None
    if plan.year:
        (year, _), *rest = rest
    return NamedAnswer(
        tenant=tenant,
        plan=plan,
        totals=totals,
        daily=daily,
        year=year,
        tables=rest,
        others=others,
        as_of=as_of,
        names=names,
    )


def total_of(plan: Plan, rows: Rows) -> Rows:
    """The sums over rows; each sum of `plan` is one of theirs."""
    compared_ = None if rows.compared is None else _totals(plan, rows.compared)
    return Rows(((),), _totals(plan, rows.sums), compared_)


def joined(left: Rows, right: Rows) -> Rows:
    """Rows of which each has the sums of one on the left and of one on the right; those are different ones."""
    compared_ = None if left.compared is None else {**left.compared, **(right.compared or {})}
    return Rows(left.dimensions, {**left.sums, **right.sums}, compared_)


def _totals(plan: Plan, sums: Sums) -> Sums:
    return {name: (_sum(formula, sums[name]),) for name, formula in plan.sums.items()}


def _sum(formula: Sum, parts: Sequence[int | None]) -> int | None:
    if not formula.may_be_absent:
        return sum(filter(None, parts))
    told = [part for part in parts if part is not None]
    return sum(told) if told else None
