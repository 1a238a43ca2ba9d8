"""Sections of a named report, all read by one statement: each statement has a price of its own."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from typing import Any, Final, NamedTuple

from services.reporting.domain.definitions import DAY, MONTH, SKU
from services.reporting.domain.figures import Row
from services.reporting.domain.reports import Plan
from services.reporting.domain.statement import Amounts
from services.reporting.store.moments import Asked
from services.reporting.store.products import read_name
from services.reporting.store.report_shapes import Look
from services.reporting.store.report_statements import section, spread
from services.reporting.store.reports import Scope, parameters_of, shape_of

_NAMED: Final = re.compile(r":([a-z_]+)")

_OTHER_CURRENCIES: Final = """
    SELECT {number}, row_number() OVER (ORDER BY currency_code), count(*) OVER (), ARRAY[CAST(currency_code AS text)],
           ARRAY[CAST(sum(orders) AS text), CAST(sum(gross_micros) AS text), CAST(sum(net_micros) AS text)]
    FROM store_cell
    WHERE tenant_id = :tenant_id AND edition = :edition AND day BETWEEN :now_start AND :now_end
      AND currency_code <> ALL(CAST(:currencies AS text[])) AND (orders, gross_micros, net_micros) <> (0, 0, 0)
    GROUP BY currency_code"""

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

    The names are those for people, by SKU.
    """

    sections: list[tuple[list[Row], int]]
    others: list[tuple[str, Amounts]]
    names: dict[str, str]


class _Statement(NamedTuple):
    """The text, the names of its parameters in sequence, and the parts of each section that is told in parts."""

    text: bytes
    names: tuple[str, ...]
    parts: tuple[tuple[Part, ...] | None, ...]


_Told = tuple[int, int, int, list[str], list[Any]]


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


def found(sections: Sections, rows: list[tuple[Any, ...]]) -> Found:
    """What the rows that were answered tell."""
    told: dict[int, list[_Told]] = {
        number: list(of_section) for number, of_section in groupby(sorted(rows), key=lambda row: row[0])
    }
    names: dict[str, str] = {}
    read = [
        _listed(plan, told.get(number, []), names) if parts is None else _spread(plan, parts, told.get(number, []))
        for number, (plan, parts) in enumerate(zip(sections.plans, _statement(sections).parts, strict=True))
    ]
    others = [(currency, Amounts(*map(int, sums))) for _, _, _, [currency], sums in told.get(len(sections.plans), [])]
    return Found(read, others, names)


def _listed(plan: Plan, told: Sequence[_Told], product_names: dict[str, str]) -> tuple[list[Row], int]:
    """The rows as they come; `product_names` gets those of the products among them."""
    names = tuple(plan.sums)
    sku = plan.dimensions.index(SKU) if SKU in plan.dimensions else None
    months = [place for place, name in enumerate(plan.dimensions) if name == MONTH]
    rows = []
    for _, _, _, dimensions, sums in told:
        whole = [None if one is None else int(one) for one in sums]
        if sku is not None and (named := dimensions.pop()) is not None:
            product_names[dimensions[sku]] = read_name(named)
        for place in months:
            dimensions[place] = dimensions[place][:7]
        now, then = (whole[::2], dict(zip(names, whole[1::2], strict=True))) if plan.compared else (whole, None)
        rows.append(Row(dimensions=tuple(dimensions), sums=dict(zip(names, now, strict=True)), compared=then))
    return rows, told[0][2] if told else 0


def _spread(plan: Plan, parts: Sequence[Part], told: Sequence[_Told]) -> tuple[list[Row], int]:
    """The rows, put together from what each source tells of them; where one tells nothing, nothing was summed."""
    nothing = plan.nothing
    rows: dict[str, tuple[dict[str, int | None], dict[str, int | None]]] = {}
    if not plan.dimensions:
        rows[""] = ({**nothing}, {**nothing})
    for _, place, _, values, sums in told:
        part = parts[place]
        # No array at all is told by a source that has no row.
        for value, of_value in zip(values or (), sums or (), strict=True):
            if (row := rows.get(value)) is None:
                row = rows[value] = ({**nothing}, {**nothing})
            for (name, then), one in zip(part, of_value, strict=True):
                if one is not None:
                    row[then][name] = int(one)
    compared = plan.compared is not None
    return [_row(plan, value, now, then if compared else None) for value, (now, then) in rows.items()], len(rows)


def _row(plan: Plan, value: str, now: Mapping[str, int | None], then: Mapping[str, int | None] | None) -> Row:
    return Row(dimensions=(value,) if plan.dimensions else (), sums=now, compared=then)
