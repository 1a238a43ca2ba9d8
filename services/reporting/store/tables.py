"""The tables of the rollups, one a family of cells: their columns are the keys' fields and the measures."""

from datetime import date
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Date, MetaData, Table, Text
from sqlalchemy.types import TypeEngine

from services.reporting.domain.cells import (
    MEASURES,
    ActivityCell,
    ActivitySummary,
    Cell,
    CreditCell,
    CreditSummary,
    Cut,
    MemberCell,
    OutcomeCell,
    ProductCell,
    ProductSummary,
    SpanCell,
    StoreCell,
    TallyCell,
    UniqueCell,
    UniqueSummary,
    VisitCell,
)
from services.reporting.domain.facts import Contact

_TYPES: dict[type, type[TypeEngine[Any]]] = {str: Text, int: BigInteger, date: Date, bool: Boolean}

_NAMES: dict[type[Cell], str] = {
    StoreCell: "store_cell",
    ProductCell: "product_cell",
    OutcomeCell: "outcome_cell",
    CreditCell: "credit_cell",
    SpanCell: "span_cell",
    ActivityCell: "activity_cell",
    TallyCell: "tally_cell",
    VisitCell: "visit_cell",
    MemberCell: "member_cell",
    UniqueCell: "unique_cell",
    UniqueSummary: "unique_summary",
    ProductSummary: "product_summary",
    CreditSummary: "credit_summary",
    ActivitySummary: "activity_summary",
}

_FOLLOWING = {
    CreditCell: frozenset(("contacts", *Contact._fields)),
    SpanCell: frozenset(Contact._fields),
    ActivityCell: frozenset(Cut._fields),
    CreditSummary: frozenset(("currency_code", "value")),
    ActivitySummary: frozenset(("currency_code", "value", "detail")),
}
"""Fields that follow from the rest of the key: a few long values would not fit into an index."""


def _table(family: type[Cell]) -> Table:
    following = _FOLLOWING.get(family, frozenset())
    keys = [
        Column(name, _TYPES[kind], primary_key=name not in following) for name, kind in family.__annotations__.items()
    ]
    return Table(_NAMES[family], MetaData(), *keys, *(Column(name, BigInteger) for name in MEASURES[family]))


CELLS: dict[type[Cell], Table] = {family: _table(family) for family in MEASURES}
"""The table of each family."""
