"""Rows of reports as messages."""

from collections.abc import Mapping
from typing import Final, TypeAlias

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
from touchstone.reporting.v1 import report_pb2

from services.reporting.domain.definitions import CURRENCY, SKU
from services.reporting.domain.figures import Rows
from services.reporting.domain.reports import Plan
from services.reporting.wire.report_blocks import blocks
from services.reporting.wire.report_columns import Column, columns_of, put

Messages: TypeAlias = "RepeatedCompositeFieldContainer[report_pb2.ReportRow]"

_MANY: Final = 100
"""Figures from which on it is quicker to write them all at once."""


def fill_rows(messages: Messages, plan: Plan, rows: Rows, currency: str, names: Mapping[str, str]) -> None:
    """Adds the rows; amounts are in `currency` where rows are not cut by it. `names` are those of products, by SKU."""
    columns = list(columns_of(plan, rows))
    at_once = CURRENCY not in plan.dimensions and len(columns) * len(rows.dimensions) >= _MANY
    written = blocks(columns, currency) if at_once else None
    for place, cut in enumerate(rows.dimensions):
        dimensions = dict(zip(plan.dimensions, cut, strict=True))
        message = messages.add(dimensions=dimensions)
        if written is not None:
            message.MergeFromString(written[place])
        else:
            _put_all(message, columns, place, dimensions.get(CURRENCY, currency))
        if names and (name := names.get(dimensions.get(SKU, ""))):
            message.display_names[SKU] = name


def fill_row(message: report_pb2.ReportRow, plan: Plan, rows: Rows, currency: str) -> None:
    """Writes the only one of some rows, which has no dimensions."""
    # A report without figures has a row, too.
    message.SetInParent()
    _put_all(message, list(columns_of(plan, rows)), 0, currency)


def _put_all(message: report_pb2.ReportRow, columns: list[Column], place: int, currency: str) -> None:
    for title, values in columns:
        if (figure := values[place]) is not None:
            put(message, title, figure, currency)
