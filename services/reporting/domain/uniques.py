"""Unique figures: how many different ones there were in any period, exact, from sums.

Of everybody who is counted on a day, the cell also tells on which day he was counted before. Whoever was counted
before, but not since the period began, is new to the period: these are the different ones. So no list of people is
read for a figure, and nobody is added twice.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date

from services.reporting.domain.cells import Cell, Measures, MemberCell, UniqueCell

NEVER = date.min
"""The day before for those who were never counted before."""


def unique_cells(members: Iterable[MemberCell]) -> dict[Cell, Measures]:
    """The cells of members, each one on a day, who are told wholly: all days of each of them."""
    days: dict[tuple[str, int, str, str], list[date]] = defaultdict(list)
    for tenant_id, edition, figure, member, day in members:
        days[tenant_id, edition, figure, member].append(day)
    cells: dict[Cell, int] = defaultdict(int)
    for (tenant_id, edition, figure, _), counted in days.items():
        before = NEVER
        for day in sorted(counted):
            cells[UniqueCell(tenant_id, edition, figure, day, before)] += 1
            before = day
    return {cell: (people,) for cell, people in cells.items()}
