"""The statements of reports, put together from what the catalogue says; values are bound, names stand in it."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from sqlalchemy import TextClause, text

from services.reporting.domain.catalogue import METRICS
from services.reporting.domain.cells import CreditCell, StoreCell, TallyCell
from services.reporting.domain.definitions import (
    CURRENCY,
    DAY,
    SKU,
    TIER,
    TIMES,
    CostDay,
    Difference,
    Metric,
    Sum,
    Total,
)
from services.reporting.store.products import name_of
from services.reporting.store.report_shapes import Column, Look, Shape, columns, dimension, grouped
from services.reporting.store.report_sources import SUMMED, Source, conditions, of_kind, source, table

_EARLIER: Final = "earlier"
_NOTHING: Final = "CAST(NULL AS numeric)"


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


@lru_cache(maxsize=512)
def totals(shape: Shape) -> TextClause:
    """The sums over all rows."""
    return text(_summed(shape))


def section(shape: Shape, number: int) -> str:
    """The first rows, in the sequence asked for, as one; `:size` says how many.

    It is the section's number, 0, the number of all rows, an array with one of the dimensions of each, and as a text an
    array with one of the sums of each; the arrays are NULL where there is no row. Behind the dimensions of a product
    stands what its name for people is read from, NULL where none was told.
    """
    cut = f"ARRAY[{', '.join(f'CAST({name} AS text)' for name in shape.dimensions)}]"
    rows = (
        f"SELECT count(*) OVER () AS total_size, {cut} AS dimensions, {_told(tuple(columns(shape)))} AS sums "
        f"FROM ({_summed(shape)}) AS summed {_ordered(shape)} LIMIT :size"
    )
    named = "dimensions"
    if SKU in shape.dimensions:
        named = f"array_append(dimensions, {name_of(f'dimensions[{shape.dimensions.index(SKU) + 1}]')})"
    together = f"coalesce(max(total_size), 0), array_agg({named}), CAST(array_agg(sums) AS text)"
    return f"SELECT {number}, 0, {together} FROM ({rows}) AS page"


def sums(shape: Shape, number: int) -> tuple[list[str], list[tuple[Column, ...]]]:
    """The sums over everything, as each source tells its part of them; a statement for each, and its columns.

    The shape has no dimensions. A part is one row: the section's number, the part's, 1, nothing, and as a text an array of
    the sums.
    """
    statements = []
    parts = list(parts_of(shape))
    for place, part in enumerate(parts):
        names = [column.name for column in part.columns]
        statements.append(
            f"SELECT {number}, {place}, 1, CAST(NULL AS text[]), CAST({_told(part.columns)} AS text) "
            f"FROM ({_part(shape, part, names)}) AS part"
        )
    return statements, [part.columns for part in parts]


def _told(found: Sequence[Column]) -> str:
    """An array of sums; a share of the cost is a part of a millionth."""
    whole = (f"trunc({column.name})" if column.formula.slice.family is CostDay else column.name for column in found)
    return f"ARRAY[{', '.join(whole)}]"


class Part(NamedTuple):
    """What a look at a source gives to the rows."""

    source: Source
    look: Look
    columns: tuple[Column, ...]


def parts_of(shape: Shape) -> Iterator[Part]:
    """The looks to take at each source, with the columns that each fills."""
    of_sources: dict[Source, list[Column]] = {}
    for column in columns(shape):
        of_sources.setdefault(source(shape, column.formula.slice), []).append(column)
    for source_, found in of_sources.items():
        for look in source_.looks(shape):
            yield Part(source_, look, tuple(column for column in found if look in (Look.BOTH, column.when)))


def _summed(shape: Shape) -> str:
    """The rows: what the cells of each source give to them in each period, put together."""
    parts = list(parts_of(shape))
    names = [column.name for column in columns(shape)]
    if len(parts) == 1 and shape.dimensions:
        sums = [_or_nothing(column, column.name) for column in columns(shape)]
        return f"SELECT {', '.join((*shape.dimensions, *sums))} FROM ({_part(shape, parts[0], names)}) AS parts"
    # Only one part has any of a column, and one row of each.
    sums = [_or_nothing(column, f"max({column.name})") for column in columns(shape)]
    together = " UNION ALL ".join(_part(shape, part, names) for part in parts)
    return f"SELECT {', '.join((*shape.dimensions, *sums))} FROM ({together}) AS parts {grouped(shape)}"


def _or_nothing(column: Column, told: str) -> str:
    return f"{told} AS {column.name}" if column.formula.may_be_absent else f"coalesce({told}, 0) AS {column.name}"


def _part(shape: Shape, part: Part, names: Sequence[str]) -> str:
    """What a look at a source gives, in the columns named; the sums of other sources and periods are nothing in it."""
    source_, look = part.source, part.look
    kinds = tuple(dict.fromkeys(column.formula.slice.where for column in part.columns))
    cut = [f"{dimension(shape, name, look)} AS {name}" for name in shape.dimensions]
    from_ = table(shape, source_, look)
    where = " AND ".join(conditions(shape, source_, kinds, look))
    earlier = [f"({source_.earlier(shape)}) AS {_EARLIER}"] if look is Look.BOTH else []
    if source_.family is CreditCell and source_.cut is None:
        cells = once(shape, source_, (*cut, *earlier), f"{from_} WHERE {where}")
        sums = _sums(part, names, _EARLIER, among=len(kinds))
        return f"SELECT {', '.join((*shape.dimensions, *sums))} FROM ({cells}) AS cells {grouped(shape)}"
    if len(kinds) == 1 or _few(shape, source_):
        sums = _sums(part, names, source_.earlier(shape), among=len(kinds))
        some = f"HAVING {found}" if (found := _some(part, source_.earlier(shape))) else ""
        return f"SELECT {', '.join((*cut, *sums))} FROM {from_} WHERE {where} {grouped(shape)} {some}"
    # Each cell is summed once, by its kind, and only what that leaves is looked at for each of the figures.
    fields = [
        name for name in dict.fromkeys(name for kind in kinds for name, _ in kind) if name not in shape.dimensions
    ]
    measures = [f"sum({measure}) AS {measure}" for measure in SUMMED[source_.family]]
    keys = (*cut, *earlier, *fields)
    due = "HAVING sum(amount) <> 0" if source_.awaited else ""
    by_kind = ", ".join(map(str, range(1, len(keys) + 1)))
    from_ = f"(SELECT {', '.join((*keys, *measures))} FROM {from_} WHERE {where} GROUP BY {by_kind} {due}) AS cells"
    sums = _sums(part, names, _EARLIER, among=len(kinds))
    return f"SELECT {', '.join((*shape.dimensions, *sums))} FROM {from_} {grouped(shape)}"


def _few(shape: Shape, source_: Source) -> bool:
    """That there is hardly more than one cell of a kind for each row: to sum each kind first would look at them twice."""
    summed = source_.cut is not None or source_.family in (StoreCell, TallyCell)
    return shape.dimensions == (DAY,) and summed and not source_.awaited


def once(shape: Shape, source_: Source, cut: Sequence[str], cells: str) -> str:
    """The cells of a model's credits, each row of which counts an order once.

    The cells of one set of contacts count the same orders: one of each set tells them, where all are looked at.
    """
    measures = ("sum(gross_micros) AS gross_micros", "sum(net_micros) AS net_micros")
    if {*shape.dimensions, *source_.filters} <= {*TIMES, CURRENCY, TIER}:
        first = "sum(orders) FILTER (WHERE place = 0) AS orders"
        keys = ", ".join(map(str, range(1, len(cut) + 1)))
        return f"SELECT {', '.join((*cut, first, *measures))} FROM {cells} {f'GROUP BY {keys}' if keys else ''}"
    return (
        f"SELECT {', '.join((*cut, *SUMMED[source_.family]))} FROM {cells} AND contacts = 1 "
        f"UNION ALL SELECT {', '.join((*cut, 'max(orders) AS orders', *measures))} FROM {cells} AND contacts > 1 "
        f"{grouped(shape, 'day', 'currency_code', 'tier', 'contact_set')}"
    )


def _sums(part: Part, names: Sequence[str], earlier: str, *, among: int) -> list[str]:
    """A part's sums in the columns named."""
    own = {column.name: _sum(part, column, earlier, among=among) for column in part.columns}
    return [f"{own.get(name, _NOTHING)} AS {name}" for name in names]


def _sum(part: Part, column: Column, earlier: str, *, among: int) -> str:
    """A sum of a source's cells: of those of one kind and one period, where more are looked at."""
    formula = column.formula
    measure = f"sum({formula.measure} - {formula.less})" if formula.less else f"sum({formula.measure})"
    only = [of_kind(formula.slice.where)] if among > 1 else []
    return _filtered(measure, [*only, *_in_period(part, column.when, earlier)])


def _in_period(part: Part, when: Look, earlier: str) -> list[str]:
    """That a cell belongs to a period, where both are looked at. What stands at the end of one, did so in the other."""
    if part.look is not Look.BOTH:
        return []
    if when is Look.THEN:
        return [f"({earlier})"]
    return [] if part.source.standing else [f"NOT ({earlier})"]


def _filtered(measure: str, only: Sequence[str]) -> str:
    return f"{measure} FILTER (WHERE {' AND '.join(only)})" if only else measure


def _some(part: Part, earlier: str) -> str:
    """That there is some of it, where cells are taken off others: what is all awaited yet, or of other days, makes no row."""
    if not part.source.awaited and not part.source.by_blocks:
        return ""
    whens = (Look.NOW, Look.THEN) if part.look is Look.BOTH else (part.look,)
    sums = (
        _filtered(f"sum({measure})", _in_period(part, when, earlier))
        for measure in SUMMED[part.source.family]
        for when in whens
    )
    return " OR ".join(f"{amount} <> 0" for amount in sums)


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
