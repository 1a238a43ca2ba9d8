"""Reports: what is asked for, checked against the catalogue, as a plan that can be computed."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from services.kernel.failures import InvalidArgumentError
from services.reporting.domain.catalogue import METRICS
from services.reporting.domain.definitions import (
    CURRENCY,
    DAY,
    DIMENSIONS,
    KNOWN_VALUES,
    MONTH,
    WEEK,
    Metric,
    Sum,
)
from services.reporting.domain.periods import Comparison, Period, compared, read_period

MOST_METRICS = 20
MOST_DIMENSIONS = 4
MOST_FILTER_VALUES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Keeps what has one of some values of a dimension."""

    dimension: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Orders rows by one column, `metric` or `dimension`; the other is None."""

    metric: str | None
    dimension: str | None
    descending: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A report as it is asked for, nothing checked."""

    metrics: Sequence[str]
    dimensions: Sequence[str]
    start_date: str
    end_date: str
    comparison: Comparison
    filters: Sequence[Filter]
    order_by: Sequence[Order]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A report that can be computed."""

    metrics: tuple[Metric, ...]
    dimensions: tuple[str, ...]
    period: Period
    comparison: Comparison
    compared: Period | None
    filters: tuple[Filter, ...]
    order_by: tuple[Order, ...]

    @property
    def sums(self) -> Mapping[str, Sum]:
        """The sums that the metrics are computed from, by the names of those metrics that they are."""
        return _sums(tuple(metric.name for metric in self.metrics))

    @property
    def nothing(self) -> Mapping[str, int | None]:
        """The sums where nothing was summed: 0, or None of what is told then by its absence."""
        return _nothing(tuple(metric.name for metric in self.metrics))

    def currencies(self, reporting_currency: str) -> tuple[str, ...] | None:
        """The currencies of the rows; None for all. Amounts in different ones stand in different rows."""
        for asked in self.filters:
            if asked.dimension == CURRENCY:
                return asked.values
        return None if CURRENCY in self.dimensions else (reporting_currency,)

    def total_currency(self, reporting_currency: str) -> str | None:
        """The one currency of the totals: the reporting one, or the only one asked for. None when there is none."""
        currencies = self.currencies(reporting_currency)
        if currencies is not None and len(currencies) == 1:
            return currencies[0]
        return reporting_currency if currencies is None or reporting_currency in currencies else None


def check_models(plan: Plan, model: str, active: Collection[str]) -> None:
    """Raises `InvalidArgumentError` for the first metric of a model that is not active; `model` is the request's."""
    for index, metric in enumerate(plan.metrics):
        if lacking := metric.lacks(model, active):
            one, *others = map(repr, lacking)
            of = f"models {', '.join([one, *others])}, none of which is" if others else f"model {one}, which is not"
            there_are = ", ".join(sorted(active)) or "none"
            told = f"{metric.name} is of the {of} active; there are: {there_are}"
            raise InvalidArgumentError.of(f"metrics[{index}]", told)


@lru_cache(maxsize=1_024)
def _sums(metrics: tuple[str, ...]) -> dict[str, Sum]:
    parts = _parts(METRICS[name] for name in metrics)
    return {metric.name: metric.formula for metric in parts if isinstance(metric.formula, Sum)}


@lru_cache(maxsize=1_024)
def _nothing(metrics: tuple[str, ...]) -> dict[str, int | None]:
    return {name: None if formula.may_be_absent else 0 for name, formula in _sums(metrics).items()}


def plan(request: Request) -> Plan:
    """Checks a request; raises `InvalidArgumentError`, which names the field and lists what there is."""
    metrics = _read_names("metrics", request.metrics, METRICS, MOST_METRICS)
    if not metrics:
        raise InvalidArgumentError.of("metrics", f"names none; there are: {_list(METRICS)}")
    dimensions = _read_names("dimensions", request.dimensions, DIMENSIONS, MOST_DIMENSIONS)
    for index, name in enumerate(dimensions):
        _require_together(f"dimensions[{index}]", name, metrics)
    period = read_period(request.start_date, request.end_date)
    return Plan(
        metrics=tuple(METRICS[name] for name in metrics),
        dimensions=dimensions,
        period=period,
        comparison=request.comparison,
        compared=compared(period, request.comparison),
        filters=_read_filters(request.filters, metrics, dimensions),
        order_by=_read_order(request.order_by, metrics, dimensions),
    )


def _read_names(field: str, names: Sequence[str], known: Iterable[str], most: int) -> tuple[str, ...]:
    if len(names) > most:
        raise InvalidArgumentError.of(field, f"names {len(names)}; at most {most} go into one report")
    for index, name in enumerate(names):
        if name not in known:
            raise InvalidArgumentError.of(f"{field}[{index}]", f"there is no {name!r}; there are: {_list(known)}")
        if name in names[:index]:
            raise InvalidArgumentError.of(f"{field}[{index}]", f"names {name!r} a second time")
    return tuple(names)


def _require_together(field: str, dimension: str, metrics: Sequence[str]) -> None:
    for name in metrics:
        metric = METRICS[name]
        if dimension not in metric.dimensions:
            others = [other.name for other in METRICS.values() if dimension in other.dimensions]
            raise InvalidArgumentError.of(
                field,
                f"{name} can't be cut by {dimension}; {name} goes with: {_list(metric.dimensions)}; "
                f"{dimension} goes with: {_list(others)}",
            )


def _read_filters(filters: Sequence[Filter], metrics: Sequence[str], dimensions: Sequence[str]) -> tuple[Filter, ...]:
    for index, asked in enumerate(filters):
        field = f"filters[{index}]"
        if asked.dimension not in DIMENSIONS:
            raise InvalidArgumentError.of(
                f"{field}.dimension", f"there is no {asked.dimension!r}; there are: {_list(DIMENSIONS)}"
            )
        if any(asked.dimension == earlier.dimension for earlier in filters[:index]):
            raise InvalidArgumentError.of(f"{field}.dimension", f"names {asked.dimension!r} a second time")
        _require_together(f"{field}.dimension", asked.dimension, metrics)
        _require_days_apart(f"{field}.dimension", asked.dimension, metrics)
        check_values(f"{field}.values", asked)
        if asked.dimension == CURRENCY and len(asked.values) > 1 and CURRENCY not in dimensions:
            raise InvalidArgumentError.of(
                f"{field}.values",
                "names several currencies, which are never summed: name one, or add the dimension currency",
            )
    return tuple(filters)


def _require_days_apart(field: str, dimension: str, metrics: Sequence[str]) -> None:
    """Refuses to pick days out of a period for figures that don't follow from their days'."""
    for name in metrics:
        if dimension in (DAY, WEEK, MONTH) and not METRICS[name].by_days:
            raise InvalidArgumentError.of(
                field,
                f"{name} counts nobody twice in a period: name the period itself instead of some {dimension}s of it",
            )


def check_values(field: str, asked: Filter) -> None:
    """Refuses too many values, and those of which it is known that there is no such; `field` names them."""
    if not 1 <= len(asked.values) <= MOST_FILTER_VALUES:
        raise InvalidArgumentError.of(field, f"holds {len(asked.values)} values; 1 to {MOST_FILTER_VALUES} are taken")
    for index, value in enumerate(asked.values):
        if asked.dimension in KNOWN_VALUES:
            known = KNOWN_VALUES[asked.dimension]
            if value not in known:
                raise InvalidArgumentError.of(
                    f"{field}[{index}]", f"there is no {asked.dimension} {value!r}; there are: {_list(known)}"
                )
        elif asked.dimension in (DAY, WEEK, MONTH):
            try:
                bucket_start(asked.dimension, value)
            except ValueError as error:
                raise InvalidArgumentError.of(
                    f"{field}[{index}]", f"is not a {asked.dimension} such as {_EXAMPLES[asked.dimension]}"
                ) from error


_EXAMPLES = {DAY: "2026-11-01", WEEK: "2026-11-02, a Monday", MONTH: "2026-11"}


def bucket_start(dimension: str, value: str) -> date:
    """The first day of a day, week or month, from its name in reports; raises `ValueError` for what names none."""
    first = date.fromisoformat(f"{value}-01" if dimension == MONTH else value)
    if bucket_name(dimension, first) != value or (dimension == WEEK and first.weekday()):
        raise ValueError(value)
    return first


def bucket_name(dimension: str, first: date) -> str:
    """The name in reports of the day, week or month that begins on a day."""
    return first.isoformat()[:7] if dimension == MONTH else first.isoformat()


def _read_order(orders: Sequence[Order], metrics: Sequence[str], dimensions: Sequence[str]) -> tuple[Order, ...]:
    for index, order in enumerate(orders):
        field = f"orderBy[{index}]"
        if order.metric is None and order.dimension is None:
            raise InvalidArgumentError.of(field, "names neither a metric nor a dimension")
        if order.metric is not None and order.metric not in metrics:
            raise InvalidArgumentError.of(
                f"{field}.metric", f"{order.metric!r} is not asked for; there are: {_list(metrics)}"
            )
        if order.dimension is not None and order.dimension not in dimensions:
            raise InvalidArgumentError.of(
                f"{field}.dimension", f"{order.dimension!r} is not asked for; there are: {_list(dimensions) or 'none'}"
            )
    return tuple(orders)


def _parts(metrics: Iterable[Metric]) -> Iterable[Metric]:
    for metric in metrics:
        if isinstance(metric.formula, Sum):
            yield metric
        else:
            yield from _parts(METRICS[name] for name in metric.formula.operands)


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)
