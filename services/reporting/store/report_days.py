"""The days of a named report: its cells as they are, each put on its day here, which Postgres would take longer for."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from services.reporting.domain.cells import CreditCell, StoreCell, TallyCell
from services.reporting.domain.definitions import CostDay, Sum
from services.reporting.domain.figures import Rows
from services.reporting.domain.reports import Plan
from services.reporting.store.moments import Row
from services.reporting.store.numbers import numbers
from services.reporting.store.report_shapes import Look, Shape, day_in_period
from services.reporting.store.report_sources import SUMMED, Source, conditions, table
from services.reporting.store.report_statements import Part, once, parts_of

_AT: Final = "at_day"


class Days(NamedTuple):
    """What a look at a source tells of the days.

    `fields` tell its kinds of cells apart, and `measures` are what it tells of each; `sums` are made from them, by the
    names of their metrics.
    """

    look: Look
    fields: tuple[str, ...]
    measures: tuple[str, ...]
    sums: dict[str, Sum]


def days(shape: Shape, number: int) -> tuple[list[str], tuple[Days, ...]]:
    """A statement for each look at a source, and what it tells.

    Each row is the cells of a kind: the section's number, the source's, how many cells, the values of the fields, and as
    a text an array of arrays: the cells' days, counted from the period's first one, and each measure. Days of the
    compared period that come just before it are negative; those of another one are the days they are compared with.
    """
    statements = []
    told = []
    for place, part in enumerate(parts_of(shape)):
        one = _days(part)
        cells = f"{_cells(shape, part, one)} {_grouped(one.fields)}"
        # A share of the cost is a part of a millionth, and may be too large a number for any other kind.
        kind, written = ("numeric", "trunc({})") if part.source.family is CostDay else ("bigint", "{}")
        arrays = [f"array_agg(CAST({_AT} AS {kind}))", *(f"array_agg({written.format(name)})" for name in one.measures)]
        fields = f"ARRAY[{', '.join(f'CAST({name} AS text)' for name in one.fields)}]" if one.fields else "NULL"
        statements.append(
            f"SELECT {number}, {place}, count(*), CAST({fields} AS text[]), CAST(ARRAY[{', '.join(arrays)}] AS text) "
            f"FROM {cells}"
        )
        told.append(one)
    return statements, tuple(told)


def _days(part: Part) -> Days:
    sums = {column.metric: column.formula for column in part.columns}
    kinds = dict.fromkeys(formula.slice.where for formula in sums.values())
    fields = tuple(dict.fromkeys(name for kind in kinds for name, _ in kind)) if len(kinds) > 1 else ()
    asked = {name for formula in sums.values() for name in (formula.measure, formula.less) if name}
    return Days(part.look, fields, tuple(sorted(asked)), sums)


def _cells(shape: Shape, part: Part, one: Days) -> str:
    """The cells; where there may be many of a day and kind, their sums."""
    source, look = part.source, part.look
    kinds = tuple(dict.fromkeys(formula.slice.where for formula in one.sums.values()))
    day = day_in_period(shape, look) if look is Look.THEN else "day"
    at = f"({day} - CAST(:now_start AS date)) AS {_AT}"
    from_ = f"{table(shape, source, look)} WHERE {' AND '.join(conditions(shape, source, kinds, look))}"
    if _few(source):
        return f"(SELECT {', '.join((at, *one.fields, *one.measures))} FROM {from_}) AS cells"
    if source.family is CreditCell:
        from_, at = f"({once(shape, source, (at,), from_)}) AS credited", _AT
    measures = [f"CAST(sum({name}) AS bigint) AS {name}" for name in one.measures]
    keys = ", ".join(map(str, range(1, len(one.fields) + 2)))
    due = " OR ".join(f"sum({name}) <> 0" for name in SUMMED[source.family])
    some = f"HAVING {due}" if source.awaited else ""
    return f"(SELECT {', '.join((at, *one.fields, *measures))} FROM {from_} GROUP BY {keys} {some}) AS cells"


def _few(source: Source) -> bool:
    """That there is hardly more than one cell of a day and kind."""
    return not source.awaited and (source.cut is not None or source.family in (StoreCell, TallyCell, CostDay))


def _grouped(fields: Sequence[str]) -> str:
    return f"GROUP BY {', '.join(fields)}" if fields else ""


def read_days(plan: Plan, told: Sequence[Days], rows: Sequence[Row]) -> tuple[Rows, int]:
    """A row for each day of the period, and how many there are; what no cell tells of is nothing."""
    days = plan.period.days
    # The compared period's stand behind the period's: so they are found by negative numbers.
    length = 2 * days if plan.compared else days
    whole = {name: [none] * length for name, none in plan.nothing.items()}
    for _, place, count, fields, text in rows:
        if not count or text is None:
            continue
        one = told[place]
        at, *columns = numbers(text, count)
        if one.look is Look.THEN:
            at = [day - days for day in at]
        measures = dict(zip(one.measures, columns, strict=True))
        for name, formula in _of_kind(one, fields or ()):
            values = measures[formula.measure]
            if formula.less:
                values = [value - less for value, less in zip(values, measures[formula.less], strict=True)]
            _add(whole[name], at, values)
    first = plan.period.start.toordinal()
    cut = [(type(plan.period.start).fromordinal(first + day).isoformat(),) for day in range(days)]
    now = {name: sums[:days] for name, sums in whole.items()}
    return Rows(cut, now, {name: sums[days:] for name, sums in whole.items()} if plan.compared else None), days


def _of_kind(one: Days, values: Sequence[str]) -> Iterator[tuple[str, Sum]]:
    """The sums that take in cells of a kind, which is told by its fields' values."""
    kind = dict(zip(one.fields, values, strict=True))
    for name, formula in one.sums.items():
        if not kind or all(kind[field] == _text(value) for field, value in formula.slice.where):
            yield name, formula


def _text(value: str | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else value


def _add(sums: list[int | None], at: Sequence[int], values: Sequence[int]) -> None:
    for place, value in zip(at, values, strict=True):
        sums[place] = (sums[place] or 0) + value
