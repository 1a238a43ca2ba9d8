"""Cells that others are counted from: what visits have to do with orders, and the days of members."""

from collections.abc import AsyncIterator, Collection
from datetime import date

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.arrays import numbers, texts
from services.reporting.domain.cells import Cell, Measures, MemberCell, VisitCell

Member = tuple[str, int, str, str]
"""The tenant, the edition, the figure, and who it is."""

_CHUNK = 1_000

# Each is looked up by its key: a join might be planned while the table is empty, and kept.
_READ_VISITS = text(
    """SELECT visit.tenant_id, visit.edition, visit.session_id, visit.placed, visit.personalized, visit.recommended
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:editions AS bigint[]), CAST(:session_ids AS text[]))
           AS told (tenant_id, edition, session_id)
       CROSS JOIN LATERAL (
           SELECT tenant_id, edition, session_id, placed, personalized, recommended FROM visit_cell
           WHERE tenant_id = told.tenant_id AND edition = told.edition AND session_id = told.session_id LIMIT 1
       ) AS visit"""
)

# The few editions that there are, are found one after the other, each by one look into the index.
_READ_VISITS_OF = text(
    """WITH RECURSIVE kept AS (
           SELECT told.tenant_id, earliest.edition
           FROM (SELECT DISTINCT tenant_id FROM unnest(CAST(:tenant_ids AS text[])) AS named (tenant_id)) AS told
           CROSS JOIN LATERAL (
               SELECT edition FROM visit_cell WHERE tenant_id = told.tenant_id ORDER BY edition LIMIT 1) AS earliest
         UNION ALL
           SELECT kept.tenant_id, later.edition
           FROM kept CROSS JOIN LATERAL (
               SELECT edition FROM visit_cell WHERE tenant_id = kept.tenant_id AND edition > kept.edition
               ORDER BY edition LIMIT 1) AS later)
       SELECT visit.tenant_id, visit.edition, visit.session_id, visit.placed, visit.personalized, visit.recommended
       FROM unnest(CAST(:tenant_ids AS text[]), CAST(:session_ids AS text[])) AS told (tenant_id, session_id)
       JOIN kept ON kept.tenant_id = told.tenant_id
       CROSS JOIN LATERAL (
           SELECT tenant_id, edition, session_id, placed, personalized, recommended FROM visit_cell
           WHERE tenant_id = kept.tenant_id AND edition = kept.edition AND session_id = told.session_id LIMIT 1
       ) AS visit"""
)

_READ_MEMBERS = text(
    """SELECT found.tenant_id, found.edition, found.figure, found.member, found.day, found.times
       FROM unnest(
           CAST(:tenant_ids AS text[]), CAST(:editions AS bigint[]), CAST(:figures AS text[]), CAST(:members AS text[])
       ) AS told (tenant_id, edition, figure, member)
       CROSS JOIN LATERAL (
           SELECT tenant_id, edition, figure, member, day, times FROM member_cell
           WHERE tenant_id = told.tenant_id AND edition = told.edition AND figure = told.figure
             AND member = told.member OFFSET 0) AS found"""
)


_READ_VISITS_AFTER = text(
    """SELECT tenant_id, edition, session_id, placed, personalized, recommended FROM visit_cell
       WHERE tenant_id = :tenant_id AND edition = :edition AND session_id > :session_id
       ORDER BY session_id LIMIT :count"""
)

_READ_MEMBERS_AFTER = text(
    """SELECT tenant_id, edition, figure, member, day, times FROM member_cell
       WHERE tenant_id = :tenant_id AND edition = :edition AND (figure, member, day) > (:figure, :member, :day)
       ORDER BY figure, member, day LIMIT :count"""
)


async def read_visits(connection: AsyncConnection, visits: Collection[VisitCell]) -> dict[VisitCell, Measures]:
    """Those of the cells that there are."""
    ordered = sorted(visits)
    parameters = {
        "tenant_ids": texts(visit.tenant_id for visit in ordered),
        "editions": numbers(visit.edition for visit in ordered),
        "session_ids": texts(visit.session_id for visit in ordered),
    }
    rows = await connection.execute(_READ_VISITS, parameters)
    return {VisitCell(*row[:3]): tuple(row[3:]) for row in rows}


async def read_visits_of(connection: AsyncConnection, named: Collection[tuple[str, str]]) -> dict[VisitCell, Measures]:
    """The cells of some sessions, each told by its tenant and its id, in all editions."""
    ordered = sorted(named)
    parameters = {"tenant_ids": texts(one for one, _ in ordered), "session_ids": texts(one for _, one in ordered)}
    rows = await connection.execute(_READ_VISITS_OF, parameters)
    return {VisitCell(*row[:3]): tuple(row[3:]) for row in rows}


async def read_members(connection: AsyncConnection, members: Collection[Member]) -> dict[MemberCell, int]:
    """How many times each of some members counts on each day."""
    ordered = sorted(members)
    parameters = {
        "tenant_ids": texts(member[0] for member in ordered),
        "editions": numbers(member[1] for member in ordered),
        "figures": texts(member[2] for member in ordered),
        "members": texts(member[3] for member in ordered),
    }
    rows = await connection.execute(_READ_MEMBERS, parameters)
    return {MemberCell(*row[:5]): row[5] for row in rows}


async def read_all_visits(
    connection: AsyncConnection, tenant_id: str, edition: int
) -> AsyncIterator[dict[Cell, Measures]]:
    """The cells of a tenant's visits in an edition, in chunks."""
    session_id = ""
    while True:
        bound = {"tenant_id": tenant_id, "edition": edition, "session_id": session_id, "count": _CHUNK}
        rows = (await connection.execute(_READ_VISITS_AFTER, bound)).all()
        yield {VisitCell(*row[:3]): tuple(row[3:]) for row in rows}
        if len(rows) < _CHUNK:
            return
        session_id = rows[-1].session_id


async def read_all_members(
    connection: AsyncConnection, tenant_id: str, edition: int
) -> AsyncIterator[dict[Cell, Measures]]:
    """The cells of a tenant's members in an edition, in chunks; all days of one member are in one chunk."""
    last, cells = MemberCell(tenant_id, edition, "", "", date.min), dict[Cell, Measures]()
    while True:
        rows = (await connection.execute(_READ_MEMBERS_AFTER, {**last._asdict(), "count": _CHUNK})).all()
        cells |= {MemberCell(*row[:5]): (row[5],) for row in rows}
        if len(rows) < _CHUNK:
            yield cells
            return
        last = MemberCell(*rows[-1][:5])
        begun = {cell: times for cell, times in cells.items() if cell[:4] == last[:4]}
        yield {cell: times for cell, times in cells.items() if cell not in begun}
        cells = begun
