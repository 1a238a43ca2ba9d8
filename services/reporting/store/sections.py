"""Sections of a named report, all read by one statement: each statement has a price of its own."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple

from services.reporting.domain.definitions import DAY, MONTH, SKU
from services.reporting.domain.figures import Rows
from services.reporting.domain.reports import Plan
from services.reporting.domain.statement import Amounts
from services.reporting.store.heads import HEADS
from services.reporting.store.moments import Asked, Row, Statement, asked_of
from services.reporting.store.numbers import columns
from services.reporting.store.products import read_name
from services.reporting.store.report_days import Days, days, read_days
from services.reporting.store.report_shapes import Look
from services.reporting.store.report_statements import section, sums
from services.reporting.store.reports import Scope, parameters_of, shape_of

_OTHER_CURRENCIES: Final = """
    SELECT {number}, 0, count(*), array_agg(CAST(currency_code AS text)),
           CAST(array_agg(ARRAY[orders, gross_micros, net_micros]) AS text)
    FROM (
        SELECT currency_code, sum(orders) AS orders, sum(gross_micros) AS gross_micros, sum(net_micros) AS net_micros
        FROM store_cell
        WHERE tenant_id = :tenant_id AND edition = :edition AND day BETWEEN :now_start AND :now_end
          AND currency_code <> ALL(CAST(:currencies AS text[])) AND (orders, gross_micros, net_micros) <> (0, 0, 0)
        GROUP BY currency_code) AS other"""

Part = tuple[tuple[str, bool], ...]
"""The sums that a source tells: each by its metric's name, and whether it is of the compared period."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sections:
    """Plans of one request, all of the same period; one without dimensions is a row of totals.

    `name` says all that decides the statement, whatever values are bound: two of one name ask for the same.
    """

    name: tuple[object, ...]
    plans: Sequence[Plan] = field(compare=False)
    scope: Scope = field(compare=False)


class Found(NamedTuple):
    """The rows of each section with how many it has in all; the orders in other currencies, by currency; products' names.

    A section of days has a row for each, in sequence: where nothing was found, nothing was sold. The names are those for
    people, by SKU.
    """

    sections: list[tuple[Rows, int]]
    others: list[tuple[str, Amounts]]
    names: dict[str, str]


class _Sections(NamedTuple):
    """What asks for some sections, and what each source tells of those that are told in parts, by their numbers."""

    statement: Statement
    days: dict[int, tuple[Days, ...]]
    sums: dict[int, tuple[Part, ...]]


@lru_cache(maxsize=256)
def _sections(sections: Sections) -> _Sections:
    texts: list[str] = []
    of_days: dict[int, tuple[Days, ...]] = {}
    of_sums: dict[int, tuple[Part, ...]] = {}
    for number, plan in enumerate(sections.plans):
        shape = shape_of(plan, sections.scope, plan.dimensions)
        if plan.dimensions == (DAY,):
            told, of_days[number] = days(shape, number)
            texts += told
        elif not plan.dimensions:
            told, found = sums(shape, number)
            of_sums[number] = tuple(tuple((one.metric, one.when is Look.THEN) for one in part) for part in found)
            texts += told
        else:
            texts.append(section(shape, number))
    if sections.scope.currencies is not None:
        texts.append(_OTHER_CURRENCIES.format(number=len(sections.plans)))
    return _Sections(asked_of((*HEADS, *texts)), of_days, of_sums)


def asked(sections: Sections, *, size: int, proposed_partition: int) -> Asked:
    """What is to be asked for the first `size` rows of each section, or for all of the days, and for other currencies.

    The head goes with it: `proposed_partition` is that of a tenant of whom nothing was told.
    """
    bound: dict[str, Any] = {"size": size, "proposed_partition": proposed_partition}
    for plan in sections.plans:
        bound |= parameters_of(plan, sections.scope)
    return _sections(sections).statement.asked(bound)


def found(sections: Sections, rows: Sequence[Row]) -> Found:
    """What the rows that were answered tell."""
    told: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        told[row[0]].append(row)
    names: dict[str, str] = {}
    _, of_days, of_sums = _sections(sections)
    read: list[tuple[Rows, int]] = []
    for number, plan in enumerate(sections.plans):
        if number in of_days:
            read.append(read_days(plan, of_days[number], told[number]))
        elif number in of_sums:
            read.append((_summed(plan, of_sums[number], told[number]), 1))
        else:
            read.append(_listed(plan, told[number][0], names))
    others = [
        (currency, Amounts(*(one or 0 for one in sums)))
        for _, _, _, currencies, amounts in told[len(sections.plans)]
        for currency, *sums in sorted(zip(currencies or (), *columns(amounts, len(Amounts._fields)), strict=True))
    ]
    return Found(read, others, names)


def _listed(plan: Plan, told: Row, product_names: dict[str, str]) -> tuple[Rows, int]:
    """The rows as they come; `product_names` gets those of the products among them."""
    _, _, total_size, cut, told_sums = told
    if cut is None:
        cut = []
    if SKU in plan.dimensions:
        place = plan.dimensions.index(SKU)
        product_names |= {row[place]: read_name(row[-1]) for row in cut if row[-1] is not None}
        cut = [row[:-1] for row in cut]
    if MONTH in plan.dimensions:
        places = [name == MONTH for name in plan.dimensions]
        cut = [[value[:7] if month else value for value, month in zip(row, places, strict=True)] for row in cut]
    periods = 2 if plan.compared else 1
    read = columns(told_sums, periods * len(plan.sums))
    compared = dict(zip(plan.sums, read[1::2], strict=True)) if plan.compared else None
    return Rows([*map(tuple, cut)], dict(zip(plan.sums, read[::periods], strict=True)), compared), total_size


def _summed(plan: Plan, parts: Sequence[Part], told: Sequence[Row]) -> Rows:
    """The row, put together from what each source tells of it; where one tells nothing, nothing was summed."""
    now, then = ({name: [none] for name, none in plan.nothing.items()} for _ in range(2))
    for _, part, _, _, text in told:
        for (name, earlier), [one] in zip(parts[part], columns(text, len(parts[part])), strict=True):
            if one is not None:
                (then if earlier else now)[name] = [one]
    return Rows([()], now, then if plan.compared else None)
