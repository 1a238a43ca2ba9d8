"""Summaries: cells added up by what the named reports are cut by, so that a report reads few of them.

They follow from the cells alone, and are written with them: a figure is the same, whichever it is read from.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

from services.reporting.domain.blocks import week_of
from services.reporting.domain.catalogue import METRICS
from services.reporting.domain.cells import (
    ActivityCell,
    ActivitySummary,
    Cell,
    CreditCell,
    CreditSummary,
    Measures,
    ProductCell,
    ProductSummary,
    TallyCell,
    UniqueCell,
    UniqueSummary,
)
from services.reporting.domain.definitions import COLUMNS, CURRENCY, DAY, SKU, TIMES, Slice
from services.reporting.domain.named_reports import REPORTS
from services.reporting.domain.uniques import NEVER

DAILY: Final = "day"
WEEKLY: Final = "week"
"""The cuts of products: all of a day, and each of a week. Of who is unique: a day's."""
MONTHLY: Final = "month"
"""The cut of what stands at a moment: the months before it, and the days since."""
WHOLE: Final = "whole"
"""Who is unique in the whole of a period: the days', less those who had counted before in it."""
WEEKS: Final = "weeks"
WEEK_OF_DAY: Final = "week of day"
WEEK_BEFORE: Final = "week before"
"""The cuts of those who had counted before: the weeks of both days, and the week of one beside the other as it is."""

Cut = tuple[str, ...]
"""Fields of cells that a summary keeps, in alphabetic sequence; a field that every cell of it has in common is one too."""

_MOST_FIELDS: Final = 2


def fields(slice_: Slice, dimensions: Collection[str]) -> Cut:
    """What is to be known of a slice's cells to cut and to filter them by dimensions; days and currencies always are."""
    cut = {COLUMNS.get(name, name) for name in dimensions if name not in TIMES and name != CURRENCY}
    return tuple(sorted(cut | {name for name, _ in slice_.where if name != "figure"}))


def _asked_for() -> Iterator[tuple[Slice, Cut]]:
    """What the named reports ask for, where nothing narrows them."""
    for report in REPORTS.values():
        sections = (((), report.totals), *((table.dimensions, table.metrics) for table in report.tables))
        for dimensions, metrics in sections:
            for slice_ in {slice_ for name in metrics for slice_ in METRICS[name].slices}:
                yield slice_, fields(slice_, dimensions)


def _cuts() -> tuple[frozenset[Cut], dict[str, frozenset[Cut]]]:
    of_credits: set[Cut] = set()
    of_activity: dict[str, set[Cut]] = defaultdict(set)
    for slice_, cut in _asked_for():
        if slice_.family is CreditCell:
            of_credits.add(cut)
        elif slice_.family is ActivityCell and len(cut) <= _MOST_FIELDS:
            of_activity[str(dict(slice_.where)["figure"])].add(cut)
    return frozenset(of_credits), {figure: frozenset(cuts) for figure, cuts in of_activity.items()}


_OF_CREDITS, _OF_ACTIVITY = _cuts()
_STANDING = frozenset(str(dict(slice_.where)["figure"]) for slice_, _ in _asked_for() if slice_.standing)


def summary(slice_: Slice, dimensions: Collection[str], filters: Collection[str]) -> Cut | None:
    """The cut of the summary that tells of a slice all that is asked for; None where there is none."""
    cut = fields(slice_, {*dimensions, *filters})
    if slice_.family is CreditCell:
        # An order stands in the sums of two values, so these can't be added up.
        alone = cut == fields(slice_, dimensions)
        return cut if alone and cut in _OF_CREDITS else None
    if slice_.family is ActivityCell:
        figure = str(dict(slice_.where)["figure"])
        if slice_.standing:
            return (MONTHLY,) if figure in _STANDING else None
        return cut if cut in _OF_ACTIVITY.get(figure, ()) else None
    times = {*dimensions, *filters} & {*TIMES}
    if slice_.family is UniqueCell:
        return (DAILY,) if DAY in dimensions else None if times else (WHOLE,)
    if slice_.family is ProductCell and not cut:
        return (DAILY,)
    # A week can't be told apart by days.
    return (WEEKLY,) if slice_.family is ProductCell and cut == (SKU,) and not times else None


def cut_name(cut: Cut) -> str:
    """The name of a cut, as a summary's key has it."""
    return " ".join(cut)


@lru_cache(maxsize=65_536)
def _name(*values: str) -> str:
    return hashlib.sha256(json.dumps(values, ensure_ascii=False).encode()).hexdigest()[:32]


def summaries(sums: Mapping[Cell, Measures]) -> dict[Cell, Measures]:
    """What sums add to the summaries. Of credits, the sums of all kinds of contacts of an order must be among them."""
    found: dict[Cell, list[int]] = {}
    sets: dict[tuple[object, ...], list[tuple[CreditCell, Measures]]] = defaultdict(list)
    for cell, measures in sums.items():
        if isinstance(cell, CreditCell):
            sets[cell[: CreditCell._fields.index("place")]].append((cell, measures))
        for summed in _alone(cell):
            _add(found, summed, measures)
    for alike in sets.values():
        _add_set(found, alike)
    return {cell: tuple(measures) for cell, measures in found.items() if any(measures)}


def _add_set(found: dict[Cell, list[int]], alike: Sequence[tuple[CreditCell, Measures]]) -> None:
    """Adds the cells of one set of contacts, each of which counts the same orders."""
    for cut in _OF_CREDITS:
        once: dict[Cell, list[int]] = {}
        for cell, (orders, gross, net) in alike:
            known = once.setdefault(_of_credit(cell, cut), [orders, 0, 0])
            known[1] += gross
            known[2] += net
        for summed, together in once.items():
            _add(found, summed, together)


def _add(found: dict[Cell, list[int]], cell: Cell, measures: Sequence[int]) -> None:
    known = found.get(cell)
    if known is None:
        found[cell] = list(measures)
        return
    for place, measure in enumerate(measures):
        known[place] += measure


def _alone(cell: Cell) -> Iterable[Cell]:
    """The summaries that a cell is in, whatever others there are."""
    if isinstance(cell, ActivityCell):
        return _of_activity(cell)
    if isinstance(cell, ProductCell):
        return _of_product(cell)
    return _of_unique(cell) if isinstance(cell, UniqueCell) else ()


def _of_activity(cell: ActivityCell) -> Iterator[ActivitySummary]:
    for cut in _OF_ACTIVITY.get(cell.figure, ()):
        values = (*(getattr(cell, name) for name in cut), "", "")[:_MOST_FIELDS]
        name = _name(cell.currency_code, *values)
        yield ActivitySummary(
            cell.tenant_id, cell.figure, cell.day, cut_name(cut), name, cell.currency_code, values[0], values[1]
        )
    if cell.figure in _STANDING:
        name = _name(cell.currency_code, "", "")
        month = cell.day.replace(day=1)
        yield ActivitySummary(cell.tenant_id, cell.figure, month, MONTHLY, name, cell.currency_code, "", "")


def _of_unique(cell: UniqueCell) -> Iterator[Cell]:
    # Whoever counts on a day, and was last counted on any other, is one of the day's.
    yield TallyCell(*cell[:4])
    if cell.previous_day != NEVER:
        whose, day, before = cell[:3], cell.day, cell.previous_day
        yield UniqueSummary(*whose, WEEKS, week_of(before), week_of(day))
        yield UniqueSummary(*whose, WEEK_OF_DAY, before, week_of(day))
        yield UniqueSummary(*whose, WEEK_BEFORE, week_of(before), day)


def _of_product(cell: ProductCell) -> Iterator[ProductSummary]:
    tenant_id, edition, model, day, currency, sku = cell
    yield ProductSummary(tenant_id, edition, model, DAILY, day, currency, "")
    yield ProductSummary(tenant_id, edition, model, WEEKLY, week_of(day), currency, sku)


def _of_credit(cell: CreditCell, cut: Cut) -> CreditSummary:
    value = getattr(cell, cut[0]) if cut else ""
    name = _name(cell.currency_code, value)
    return CreditSummary(
        cell.tenant_id, cell.edition, cell.model, cut_name(cut), cell.day, name, cell.currency_code, value
    )
