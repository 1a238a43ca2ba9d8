"""The statements of reports, put together from what the catalogue says; values are bound, names stand in it."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import TextClause, text

from services.reporting.domain.catalogue import METRICS
from services.reporting.domain.cells import MEASURES, ActivityCell, Cell, CreditCell, UniqueCell
from services.reporting.domain.definitions import (
    COLUMNS,
    CURRENCY,
    DAY,
    TIER,
    TIMES,
    CostDay,
    Difference,
    Metric,
    Slice,
    Sum,
    Total,
)
from services.reporting.domain.periods import Comparison
from services.reporting.domain.reports import Order
from services.reporting.domain.summaries import DAILY, WEEKLY, Cut, cut_name, summary
from services.reporting.store.tables import CELLS

NOW, THEN = "now", "then"

_TABLES: dict[type[Any], str] = {family: table.name for family, table in CELLS.items()}
_MEASURES: dict[type[Any], tuple[str, ...]] = {**MEASURES, CostDay: ()}


class Shape(NamedTuple):
    """What decides a statement's text; its values are bound. Every name in it stands in the catalogue."""

    dimensions: tuple[str, ...]
    sums: tuple[tuple[str, Sum], ...]
    comparison: Comparison
    filters: tuple[str, ...]
    all_currencies: bool
    order_by: tuple[Order, ...]


@lru_cache(maxsize=512)
def page(shape: Shape) -> TextClause:
    """Some rows in the sequence asked for, each with the number of all."""
    return text(
        f"SELECT *, count(*) OVER () AS total_size FROM ({_summed(shape)}) AS summed "
        f"{_ordered(shape)} OFFSET :offset LIMIT :limit"
    )


@lru_cache(maxsize=512)
def count(shape: Shape) -> TextClause:
    """The number of rows."""
    return text(f"SELECT count(*) FROM ({_summed(shape)}) AS summed")


def section(shape: Shape, number: int, limit: str) -> str:
    """The first rows, in the sequence asked for.

    Each is the section's number, its place, the number of all rows, and as texts its dimensions and its sums.
    """
    cut = ", ".join(f"CAST({name} AS text)" for name in shape.dimensions)
    sums = ", ".join(column for column, _, _ in _columns(shape))
    return (
        f"(SELECT {number} AS section, row_number() OVER ({_ordered(shape)}) AS place, count(*) OVER () AS total_size, "
        f"CAST(ARRAY[{cut}] AS text[]) AS dimensions, CAST(ARRAY[{sums}] AS text[]) AS sums "
        f"FROM ({_summed(shape)}) AS summed {_ordered(shape)} LIMIT {limit})"
    )


@lru_cache(maxsize=512)
def totals(shape: Shape) -> TextClause:
    """The sums over all rows."""
    return text(_summed(shape))


def _summed(shape: Shape) -> str:
    """The rows: what the cells of each source give to them in each period, put together."""
    sources = dict.fromkeys(_source(shape, formula.slice) for _, formula in shape.sums)
    parts = " UNION ALL ".join(_part(shape, source, when) for source in sources for when in _periods(shape))
    sums = [
        f"sum({column}) AS {column}" if formula.may_be_absent else f"coalesce(sum({column}), 0) AS {column}"
        for column, _, formula in _columns(shape)
    ]
    return f"SELECT {', '.join((*shape.dimensions, *sums))} FROM ({parts}) AS parts {_grouped(shape)}"


class _Source(NamedTuple):
    """Cells that one look finds: of one family, under one model, with the same filters, all due or some awaited.

    Of those that are standing, the days up to a moment are added up. `cut` is that of the summary that they are read
    from, None for the cells themselves.
    """

    family: type[Cell] | type[CostDay]
    by_model: bool
    model: str
    filters: tuple[str, ...]
    awaited: bool
    standing: bool
    cut: Cut | None


def _source(shape: Shape, slice_: Slice) -> _Source:
    # A named report's filter leaves those figures as they are that it can't tell apart.
    filters = tuple(name for name in shape.filters if name in slice_.dimensions)
    cut = summary(slice_, shape.dimensions, filters)
    return _Source(slice_.family, slice_.by_model, slice_.model, filters, slice_.awaited, slice_.standing, cut)


def _part(shape: Shape, source: _Source, when: str) -> str:
    """What a source gives in one period; the sums of other sources and periods are nothing in it."""
    own = [at == when and _source(shape, formula.slice) == source for _, at, formula in _columns(shape)]
    kinds = dict.fromkeys(
        formula.slice.where for belongs, (_, _, formula) in zip(own, _columns(shape), strict=True) if belongs
    )
    sums = [
        f"{_sum(formula, among=len(kinds)) if belongs else _NOTHING} AS {column}"
        for belongs, (column, _, formula) in zip(own, _columns(shape), strict=True)
    ]
    cut = [f"{_dimension(shape, name, when)} AS {name}" for name in shape.dimensions]
    table, conditions = _from(source, _days(shape, when)), " AND ".join(_conditions(shape, source, tuple(kinds), when))
    if source.family is CreditCell and source.cut is None:
        table = f"({_once(shape, source, cut, f'{table} WHERE {conditions}')}) AS cells"
        return f"SELECT {', '.join((*shape.dimensions, *sums))} FROM {table} {_grouped(shape)}"
    # What is all awaited yet makes no row.
    due = "HAVING sum(amount) <> 0" if source.awaited else ""
    if len(kinds) == 1:
        return f"SELECT {', '.join((*cut, *sums))} FROM {table} WHERE {conditions} {_grouped(shape)} {due}"
    # Each cell is summed once, by its kind, and only what that leaves is looked at for each of the figures.
    fields = [name for name in dict.fromkeys(name for where in kinds for name, _ in where) if name not in cut]
    measures = [f"sum({measure}) AS {measure}" for measure in _MEASURES[source.family]]
    grouped = ", ".join(map(str, range(1, len(cut) + len(fields) + 1)))
    table = f"(SELECT {', '.join((*cut, *fields, *measures))} FROM {table} WHERE {conditions} GROUP BY {grouped} {due}) AS cells"
    return f"SELECT {', '.join((*shape.dimensions, *sums))} FROM {table} {_grouped(shape)}"


def _once(shape: Shape, source: _Source, cut: Sequence[str], cells: str) -> str:
    """The cells of a model's credits, each row of which counts an order once.

    The cells of one set of contacts count the same orders: one of each set tells them, where all are looked at.
    """
    measures = ("sum(gross_micros) AS gross_micros", "sum(net_micros) AS net_micros")
    if {*shape.dimensions, *source.filters} <= {*TIMES, CURRENCY, TIER}:
        first = "sum(orders) FILTER (WHERE place = 0) AS orders"
        return f"SELECT {', '.join((*cut, first, *measures))} FROM {cells} {_grouped(shape)}"
    return (
        f"SELECT {', '.join((*cut, *_MEASURES[source.family]))} FROM {cells} AND contacts = 1 "
        f"UNION ALL SELECT {', '.join((*cut, 'max(orders) AS orders', *measures))} FROM {cells} AND contacts > 1 "
        f"{_grouped(shape, 'day', 'currency_code', 'tier', 'contact_set')}"
    )


_NOTHING = "CAST(NULL AS numeric)"


_NOT_DUE = "due_nanos > coalesce(CAST(:as_of_nanos AS bigint), CAST(extract(epoch FROM now()) * 1000000000 AS bigint))"
_ACTIVITY = ("tenant_id", "figure", "day", "currency_code")
_ORDERS = ("tenant_id", "edition", "model", "day", "currency_code")


def _from(source: _Source, days: str) -> str:
    if source.awaited:
        names = _ACTIVITY + source.cut if source.cut is not None else ActivityCell._fields
        pending = f"SELECT {', '.join(names)}, -amount FROM activity_pending WHERE {_NOT_DUE}"
        return f"(SELECT {', '.join(names)}, amount FROM {_cells(source, days)} UNION ALL {pending}) AS due_cell"
    if source.family is not CostDay:
        return _cells(source, days)
    return (
        "(SELECT CAST(:tenant_id AS text) AS tenant_id, CAST(told AS date) AS day, "
        "CAST(:cost_currency AS text) AS currency_code, "
        "CAST(:cost_shares AS numeric) / extract(day FROM date_trunc('month', told) + interval '1 month - 1 day') "
        f"AS shares FROM generate_series(CAST(:{days}_start AS timestamp), CAST(:{days}_end AS timestamp), "
        "interval '1 day') AS told WHERE CAST(:cost_currency AS text) IS NOT NULL) AS cost_day"
    )


def _cells(source: _Source, days: str) -> str:
    """The cells of a source, or what they are summed up to."""
    if source.cut is None:
        return _TABLES[source.family]
    measures = ", ".join(_MEASURES[source.family])
    if source.family is CreditCell:
        named = "".join(f"value AS {name}, " for name in source.cut)
        where = f"FROM credit_summary WHERE cut = '{cut_name(source.cut)}'"
        return f"(SELECT {', '.join(_ORDERS)}, {named}{measures} {where}) AS credit_sum"
    if source.family is ActivityCell:
        named = "".join(f"{at} AS {name}, " for at, name in zip(("value", "detail"), source.cut, strict=False))
        where = f"FROM activity_summary WHERE cut = '{cut_name(source.cut)}'"
        return f"(SELECT {', '.join(_ACTIVITY)}, {named}{measures} {where}) AS activity_sum"
    if source.family is UniqueCell:
        counted = "SELECT tenant_id, edition, figure, day"
        known = f"{counted}, -people FROM unique_cell WHERE previous_day >= :{days}_start"
        whole = "" if source.cut == (DAILY,) else f" UNION ALL {known}"
        return f"({counted}, amount AS people FROM tally_cell{whole}) AS different"
    columns = f"SELECT {', '.join(_ORDERS)}, sku, {measures} FROM"
    if source.cut == (DAILY,):
        return f"({columns} product_summary WHERE cut = '{DAILY}') AS product_sum"
    # The weeks that lie wholly in the period, and the days before and behind them.
    monday = f"(CAST(:{days}_start AS date) + (8 - CAST(extract(isodow FROM CAST(:{days}_start AS date)) AS int)) % 7)"
    behind = f"(CAST(:{days}_end AS date) + 1 - CAST(extract(isodow FROM CAST(:{days}_end AS date) + 1) AS int) + 1)"
    return (
        f"({columns} product_summary WHERE cut = '{WEEKLY}' AND day >= {monday} AND day < {behind} "
        f"UNION ALL {columns} product_cell WHERE day < {monday} "
        f"UNION ALL {columns} product_cell WHERE day >= greatest({monday}, {behind})) AS product_sum"
    )


def _days(shape: Shape, when: str) -> str:
    """What the parameters of a period's first and last day begin with."""
    return when if when == NOW else days_of(shape.comparison)


def days_of(comparison: Comparison) -> str:
    """What the parameters of a compared period's first and last day begin with."""
    return comparison.name.lower()


def _periods(shape: Shape) -> tuple[str, ...]:
    return (NOW,) if shape.comparison is Comparison.NONE else (NOW, THEN)


def _columns(shape: Shape) -> Iterator[tuple[str, str, Sum]]:
    """Each sum in each period: its column, the period, and how it is summed."""
    for name, formula in shape.sums:
        for when in _periods(shape):
            yield f"{when}_{name}", when, formula


def _sum(formula: Sum, *, among: int) -> str:
    """A sum of a source's cells; of those of one kind where several are looked at."""
    measure = f"sum({formula.measure} - {formula.less})" if formula.less else f"sum({formula.measure})"
    return measure if among == 1 else f"{measure} FILTER (WHERE {_all(formula.slice.where)})"


def _all(where: tuple[tuple[str, str | bool], ...]) -> str:
    return " AND ".join(f"{name} = '{value}'" for name, value in where) or "true"


def _any(kinds: tuple[tuple[tuple[str, str | bool], ...], ...]) -> str:
    """That a cell is of one of some kinds; where one field tells them apart, in the form that an index answers."""
    fields = {tuple(name for name, _ in where) for where in kinds}
    if len(kinds) > 1 and len(fields) == 1 and len(names := fields.pop()) == 1:
        values = ", ".join(f"'{where[0][1]}'" for where in kinds)
        return f"{names[0]} IN ({values})"
    return f"({' OR '.join(f'({_all(where)})' for where in kinds)})"


def _grouped(shape: Shape, *besides: str) -> str:
    # By number: the name of a dimension may be that of another column, too.
    keys = [*map(str, range(1, len(shape.dimensions) + 1)), *besides]
    return f"GROUP BY {', '.join(keys)}" if keys else ""


def _conditions(
    shape: Shape, source: _Source, kinds: tuple[tuple[tuple[str, str | bool], ...], ...], when: str
) -> Iterator[str]:
    family = source.family
    yield "tenant_id = :tenant_id"
    if "edition" in family._fields:
        yield "edition = :edition"
    if "model" in family._fields:
        yield "model = :model" if source.by_model else f"model = '{source.model}'"
    if not source.standing:
        yield f"day BETWEEN :{_days(shape, when)}_start AND :{_days(shape, when)}_end"
    elif when == THEN:
        yield f"day <= :{_days(shape, when)}_end"
    if family is UniqueCell and source.cut is None:
        yield _first_in_row(shape, when)
    if not shape.all_currencies and family is ActivityCell:
        # What is no money has no currency, and is in every report.
        yield "currency_code = ANY(array_append(CAST(:currencies AS text[]), ''))"
    elif not shape.all_currencies and "currency_code" in family._fields:
        yield "currency_code = ANY(CAST(:currencies AS text[]))"
    yield _any(kinds)
    for name in source.filters:
        kind = "date" if name in TIMES else "text"
        yield f"{_dimension(shape, name, when)} = ANY(CAST(:{name}_values AS {kind}[]))"
    if measures := _MEASURES[family]:
        yield f"({' OR '.join(f'{measure} <> 0' for measure in measures)})"


def _first_in_row(shape: Shape, when: str) -> str:
    """That whoever a cell counts was not counted before in the same row: in the period, and in its day, week or month."""
    before = f"previous_day < :{_days(shape, when)}_start"
    begins = [_dimension(shape, name, when) for name in shape.dimensions if name in TIMES]
    if not begins:
        return before
    return f"({before} OR {_day(shape, when, 'previous_day')} < greatest({', '.join(begins)}))"


def _dimension(shape: Shape, name: str, when: str) -> str:
    if name in TIMES:
        day = _day(shape, when)
        return day if name == DAY else f"CAST(date_trunc('{name}', {day}) AS date)"
    return COLUMNS.get(name, name)


def _day(shape: Shape, when: str, day: str = "day") -> str:
    """A cell's day; of the compared period, the day of the present one that it is compared with.

    Every day is compared with one, and only one, also around 29 February.
    """
    if when == NOW:
        return day
    if shape.comparison is Comparison.PREVIOUS_PERIOD:
        return f"({day} + (CAST(:now_start AS date) - CAST(:{_days(shape, when)}_start AS date)))"
    year_later = f"CAST({day} + interval '1 year' AS date)"
    return f"greatest(CAST(:now_start AS date), least(CAST(:now_end AS date), {year_later}))"


def _ordered(shape: Shape) -> str:
    if not shape.dimensions:
        return ""
    asked = [
        f"{_figure(METRICS[order.metric]) if order.metric else order.dimension} "
        f"{'DESC' if order.descending else 'ASC'} NULLS LAST"
        for order in shape.order_by
    ]
    return f"ORDER BY {', '.join((*asked, *shape.dimensions))}"


def _figure(metric: Metric) -> str:
    formula = metric.formula
    if isinstance(formula, Sum):
        return f"now_{metric.name}" if formula.divisor == 1 else f"(now_{metric.name} / {formula.divisor})"
    left, right = (_figure(METRICS[name]) for name in formula.operands)
    if isinstance(formula, Difference):
        return f"({left} - {right})"
    if isinstance(formula, Total):
        return f"({left} + {right})"
    return f"({left} * {formula.scale} / nullif({right}, 0))"
