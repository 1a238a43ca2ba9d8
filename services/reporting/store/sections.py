"""Sections of a named report, all read by one statement: each statement has a price of its own."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from typing import Any, Final

from psycopg import AsyncRawCursor
from sqlalchemy.ext.asyncio import AsyncConnection

from services.reporting.domain.definitions import DAY, MONTH
from services.reporting.domain.figures import Row
from services.reporting.domain.reports import Plan
from services.reporting.store.report_statements import section
from services.reporting.store.reports import Scope, parameters_of, shape_of

_ONE_PLAN: Final = b"SET LOCAL plan_cache_mode = force_generic_plan"
_ALL: Final = "ALL"
_NAMED: Final = re.compile(r":([a-z_]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sections:
    """Plans of one request; one without dimensions is a row of totals.

    `name` says all that decides the statement, whatever values are bound: two of one name ask for the same.
    """

    name: tuple[object, ...]
    plans: Sequence[Plan] = field(compare=False)
    scope: Scope = field(compare=False)


@lru_cache(maxsize=256)
def _statement(sections: Sections) -> tuple[bytes, tuple[str, ...]]:
    """The statement, and the names of its parameters in sequence."""
    parts = [
        section(shape_of(plan, sections.scope, plan.dimensions), number, _ALL if DAY in plan.dimensions else ":size")
        for number, plan in enumerate(sections.plans)
    ]
    together = " UNION ALL ".join(parts)
    names = tuple(dict.fromkeys(_NAMED.findall(together)))
    places = {name: f"${place}" for place, name in enumerate(names, start=1)}
    return _NAMED.sub(lambda found: places[found[1]], together).encode(), names


async def read(connection: AsyncConnection, sections: Sections, *, size: int) -> list[tuple[list[Row], int]]:
    """The first `size` rows of each section, and how many it has in all; of days, all."""
    statement, names = _statement(sections)
    bound: dict[str, Any] = {"size": size}
    for plan in sections.plans:
        bound |= parameters_of(plan, sections.scope)
    raw: Any = (await connection.get_raw_connection()).driver_connection
    # Prepared from the first time on, whatever the values are: to plan so long a statement takes longer than to run it.
    async with AsyncRawCursor(raw) as cursor:
        await cursor.execute(_ONE_PLAN)
        await cursor.execute(statement, [bound[name] for name in names], prepare=True)
        found = sorted(await cursor.fetchall())
    told = {number: list(rows) for number, rows in groupby(found, key=lambda row: row[0])}
    return [_section(plan, told.get(number, [])) for number, plan in enumerate(sections.plans)]


def _section(plan: Plan, found: Sequence[tuple[int, int, int, list[str], list[str | None]]]) -> tuple[list[Row], int]:
    names = tuple(plan.sums)
    months = [place for place, name in enumerate(plan.dimensions) if name == MONTH]
    rows = []
    for _, _, _, dimensions, told in found:
        sums = [None if one is None else int(one.partition(".")[0]) for one in told]
        for place in months:
            dimensions[place] = dimensions[place][:7]
        now, then = (sums[::2], dict(zip(names, sums[1::2], strict=True))) if plan.compared else (sums, None)
        rows.append(Row(dimensions=tuple(dimensions), sums=dict(zip(names, now, strict=True)), compared=then))
    return rows, found[0][2] if found else 0
