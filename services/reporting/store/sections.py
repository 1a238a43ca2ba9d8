"""Sections of a named report, all read by one statement: each statement has a price of its own."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple

from services.reporting.domain.definitions import DAY, MONTH, SKU
from services.reporting.domain.figures import Rows
from services.reporting.domain.reports import Plan
from services.reporting.domain.statement import Amounts
from services.reporting.store.moments import Asked
from services.reporting.store.products import read_name
from services.reporting.store.report_shapes import Look
from services.reporting.store.report_statements import section, spread
from services.reporting.store.reports import Scope, parameters_of, shape_of

_NAMED: Final = re.compile(r":([a-z_]+)")

_NO_NUMBER: Final = "NULL"
_NO_BRACES: Final = str.maketrans("", "", "{}")

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


class _Statement(NamedTuple):
    """The text, the names of its parameters in sequence, and the parts of each section that is told in parts."""

    text: bytes
    names: tuple[str, ...]
    parts: tuple[tuple[Part, ...] | None, ...]


_Told = tuple[int, int, int, list[Any] | None, str | None]


@lru_cache(maxsize=256)
def _statement(sections: Sections) -> _Statement:
    texts: list[str] = []
    parts: list[tuple[Part, ...] | None] = []
    for number, plan in enumerate(sections.plans):
        shape = shape_of(plan, sections.scope, plan.dimensions)
        if plan.dimensions in ((), (DAY,)):
            told, columns = spread(shape, number)
            texts += told
            parts.append(tuple(tuple((column.metric, column.when is Look.THEN) for column in one) for one in columns))
        else:
            texts.append(section(shape, number))
            parts.append(None)
    if sections.scope.currencies is not None:
        texts.append(_OTHER_CURRENCIES.format(number=len(sections.plans)))
    together = " UNION ALL ".join(texts)
    names = tuple(dict.fromkeys(_NAMED.findall(together)))
    places = {name: f"${place}" for place, name in enumerate(names, start=1)}
    return _Statement(_NAMED.sub(lambda found: places[found[1]], together).encode(), names, tuple(parts))


def asked(sections: Sections, *, size: int) -> Asked:
    """What is to be asked for the first `size` rows of each section, or for all of the days, and for other currencies."""
    statement = _statement(sections)
    bound: dict[str, Any] = {"size": size}
    for plan in sections.plans:
        bound |= parameters_of(plan, sections.scope)
    return statement.text, [bound[name] for name in statement.names]


def found(sections: Sections, rows: list[_Told]) -> Found:
    """What the rows that were answered tell."""
    told: dict[int, list[_Told]] = defaultdict(list)
    for row in rows:
        told[row[0]].append(row)
    names: dict[str, str] = {}
    read = [
        _listed(plan, told[number][0], names) if parts is None else _spread(plan, parts, told[number])
        for number, (plan, parts) in enumerate(zip(sections.plans, _statement(sections).parts, strict=True))
    ]
    others = [
        (currency, Amounts(*(one or 0 for one in sums)))
        for _, _, _, currencies, amounts in told[len(sections.plans)]
        for currency, *sums in sorted(zip(currencies or (), *_columns(amounts, len(Amounts._fields)), strict=True))
    ]
    return Found(read, others, names)


def _listed(plan: Plan, told: _Told, product_names: dict[str, str]) -> tuple[Rows, int]:
    """The rows as they come; `product_names` gets those of the products among them."""
    _, _, total_size, cut, sums = told
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
    columns = _columns(sums, periods * len(plan.sums))
    compared = dict(zip(plan.sums, columns[1::2], strict=True)) if plan.compared else None
    return Rows([*map(tuple, cut)], dict(zip(plan.sums, columns[::periods], strict=True)), compared), total_size


def _spread(plan: Plan, parts: Sequence[Part], told: Sequence[_Told]) -> tuple[Rows, int]:
    """The rows, put together from what each source tells of them; where one tells nothing, nothing was summed."""
    days = [(plan.period.start + timedelta(days=number)).isoformat() for number in range(plan.period.days)]
    values = days if plan.dimensions else [""]
    places = {value: place for place, value in enumerate(values)}
    now, then = ({name: [none] * len(values) for name, none in plan.nothing.items()} for _ in range(2))
    for _, part, _, of_values, sums in told:
        at = [places[value] for value in of_values or ()]
        for (name, earlier), column in zip(parts[part], _columns(sums, len(parts[part])), strict=True):
            whole = (then if earlier else now)[name]
            for place, one in zip(at, column, strict=True):
                if one is not None:
                    whole[place] = one
    rows = Rows([(value,) if plan.dimensions else () for value in values], now, then if plan.compared else None)
    return rows, len(values)


def _columns(told: str | None, count: int) -> list[list[int | None]]:
    """An array's text as `count` columns of whole numbers: one of as many each, or such a one itself."""
    if told is None:
        return [[] for _ in range(count)]
    parts = told.translate(_NO_BRACES).split(",")
    numbers: list[int | None]
    if _NO_NUMBER in told:
        numbers = [None if part == _NO_NUMBER else int(part) for part in parts]
    else:
        numbers = [*map(int, parts)]
    return [numbers[place::count] for place in range(count)]
