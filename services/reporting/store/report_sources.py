"""The cells that reports are summed from: the table of each kind, and which of its rows a look takes in."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from services.reporting.domain.cells import MEASURES, ActivityCell, Cell, CreditCell, ProductCell, UniqueCell
from services.reporting.domain.definitions import TIMES, CostDay, Slice
from services.reporting.domain.summaries import DAILY, WEEKLY, Cut, cut_name, summary
from services.reporting.store.report_blocks import different, products, standing
from services.reporting.store.report_shapes import Look, Shape, bounds, day_in_period, dimension, looks, period_of
from services.reporting.store.tables import CELLS

SUMMED: Final[dict[type[Any], tuple[str, ...]]] = {**MEASURES, CostDay: ()}
"""The measures of each family."""

_TABLES: Final[dict[type[Any], str]] = {family: table.name for family, table in CELLS.items()}
_NOT_DUE: Final = (
    "due_nanos > coalesce(CAST(:as_of_nanos AS bigint), CAST(extract(epoch FROM now()) * 1000000000 AS bigint))"
)
_ACTIVITY: Final = ("tenant_id", "figure", "day", "currency_code")
_ORDERS: Final = ("tenant_id", "edition", "model", "day", "currency_code")

Kind = tuple[tuple[str, str | bool], ...]
"""Fields of a key and the values that cells of one kind have there."""


class Source(NamedTuple):
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

    @property
    def by_blocks(self) -> bool:
        """That weeks are read, and no more days than there must be."""
        return self.family is ProductCell and self.cut == (WEEKLY,)

    def looks(self, shape: Shape) -> tuple[Look, ...]:
        """The looks to take at them. Who counted before in a period is another one in each, and so are its blocks."""
        return looks(shape, apart=self.by_blocks or (self.family is UniqueCell and self.cut is None))

    def earlier(self, shape: Shape) -> str:
        """Where both periods are looked at: that a cell belongs to the compared one."""
        return f"day <= {bounds(shape, Look.THEN)[1]}" if self.standing else "day < :now_start"


def source(shape: Shape, slice_: Slice) -> Source:
    """The cells that tell of a slice."""
    # A named report's filter leaves those figures as they are that it can't tell apart.
    filters = tuple(name for name in shape.filters if name in slice_.dimensions)
    cut = summary(slice_, shape.dimensions, filters)
    return Source(slice_.family, slice_.by_model, slice_.model, filters, slice_.awaited, slice_.standing, cut)


def table(shape: Shape, source_: Source, look: Look) -> str:
    """What the cells of a source are read from; more than a look takes in may be in it."""
    if source_.awaited:
        names = _ACTIVITY + source_.cut if source_.cut is not None else ActivityCell._fields
        # In the sequence of the index to go by: while the table is empty, any that begins with the tenant looks as good.
        pending = f"FROM activity_pending WHERE {_NOT_DUE} ORDER BY tenant_id, figure, due_nanos"
        return (
            f"(SELECT {', '.join(names)}, amount FROM {_cells(shape, source_, look)} "
            f"UNION ALL (SELECT {', '.join(names)}, -amount {pending})) AS due_cell"
        )
    if source_.family is not CostDay:
        return _cells(shape, source_, look)
    first, last = bounds(shape, look)
    return (
        "(SELECT CAST(:tenant_id AS text) AS tenant_id, CAST(told AS date) AS day, "
        "CAST(:cost_currency AS text) AS currency_code, "
        "CAST(:cost_shares AS numeric) / extract(day FROM date_trunc('month', told) + interval '1 month - 1 day') "
        f"AS shares FROM generate_series(CAST({first} AS timestamp), CAST({last} AS timestamp), "
        "interval '1 day') AS told WHERE CAST(:cost_currency AS text) IS NOT NULL) AS cost_day"
    )


def _cells(shape: Shape, source_: Source, look: Look) -> str:
    """The cells of a source, or what they are summed up to."""
    if source_.cut is None:
        return _TABLES[source_.family]
    measures = ", ".join(SUMMED[source_.family])
    if source_.family is CreditCell:
        named = "".join(f"value AS {name}, " for name in source_.cut)
        where = f"FROM credit_summary WHERE cut = '{cut_name(source_.cut)}'"
        return f"(SELECT {', '.join(_ORDERS)}, {named}{measures} {where}) AS credit_sum"
    if source_.standing or source_.by_blocks or source_.family is UniqueCell:
        return f"({' UNION ALL '.join(_together(shape, source_, source_.cut, look))}) AS together"
    if source_.family is ActivityCell:
        named = "".join(f"{at} AS {name}, " for at, name in zip(("value", "detail"), source_.cut, strict=False))
        where = f"FROM activity_summary WHERE cut = '{cut_name(source_.cut)}'"
        return f"(SELECT {', '.join(_ACTIVITY)}, {named}{measures} {where}) AS activity_sum"
    return f"(SELECT {', '.join(_ORDERS)}, {measures} FROM product_summary WHERE cut = '{DAILY}') AS product_sum"


def _together(shape: Shape, source_: Source, cut: Cut, look: Look) -> Iterator[str]:
    """What must be added up to make a source's cells."""
    if source_.standing:
        return standing(shape, cut, look)
    return different(shape, cut, look) if source_.family is UniqueCell else products(period_of(shape, look))


def conditions(shape: Shape, source_: Source, kinds: tuple[Kind, ...], look: Look) -> Iterator[str]:
    """What a cell of some kinds must be, to be taken in by a look."""
    family, (first, last) = source_.family, bounds(shape, look)
    yield "tenant_id = :tenant_id"
    if "edition" in family._fields:
        yield "edition = :edition"
    if "model" in family._fields:
        yield "model = :model" if source_.by_model else f"model = '{source_.model}'"
    if not source_.standing and not source_.by_blocks:
        yield f"day BETWEEN {first} AND {last}"
    elif source_.standing and look is Look.THEN:
        yield f"day <= {last}"
    if family is UniqueCell and source_.cut is None:
        yield _first_in_row(shape, look)
    if not shape.all_currencies and family is ActivityCell:
        # What is no money has no currency, and is in every report.
        yield "currency_code = ANY(CAST(:currencies_or_none AS text[]))"
    elif not shape.all_currencies and "currency_code" in family._fields:
        yield "currency_code = ANY(CAST(:currencies AS text[]))"
    yield _any(kinds)
    for name in source_.filters:
        kind = "date" if name in TIMES else "text"
        yield f"{dimension(shape, name, look)} = ANY(CAST(:{name}_values AS {kind}[]))"
    # Where cells are taken off others it is looked at what comes of them.
    if (measures := SUMMED[family]) and not source_.by_blocks:
        yield f"({' OR '.join(f'{measure} <> 0' for measure in measures)})"


def of_kind(kind: Kind) -> str:
    """That a cell is of a kind."""
    return " AND ".join(f"{name} = '{value}'" for name, value in kind) or "true"


def _any(kinds: tuple[Kind, ...]) -> str:
    """That a cell is of one of some kinds; where one field tells them apart, in the form that an index answers."""
    fields = {tuple(name for name, _ in kind) for kind in kinds}
    if len(kinds) > 1 and len(fields) == 1 and len(names := fields.pop()) == 1:
        values = ", ".join(f"'{kind[0][1]}'" for kind in kinds)
        return f"{names[0]} IN ({values})"
    return f"({' OR '.join(f'({of_kind(kind)})' for kind in kinds)})"


def _first_in_row(shape: Shape, look: Look) -> str:
    """That whoever a cell counts was not counted before in the same row: in the period, and in its day, week or month."""
    before = f"previous_day < {bounds(shape, look)[0]}"
    begins = [dimension(shape, name, look) for name in shape.dimensions if name in TIMES]
    if not begins:
        return before
    return f"({before} OR {day_in_period(shape, look, 'previous_day')} < greatest({', '.join(begins)}))"
