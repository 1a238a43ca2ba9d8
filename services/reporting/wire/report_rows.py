"""Rows of reports as messages."""

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from touchstone.reporting.v1 import report_pb2, report_service_pb2

from services.reporting.domain.definitions import CURRENCY, SKU
from services.reporting.domain.figures import Rows
from services.reporting.domain.reports import Plan
from services.reporting.wire.report_blocks import blocks
from services.reporting.wire.report_columns import Column, columns_of, put

Listing: TypeAlias = report_pb2.ReportSection | report_service_pb2.RunReportResponse
"""What has rows."""

_MANY: Final = 100
"""Figures from which on it is quicker to write them all at once."""

_FIELDS: Final = report_pb2.ReportRow.DESCRIPTOR.fields_by_name
_DIMENSIONS: Final = _FIELDS["dimensions"].number
_DISPLAY_NAMES: Final = _FIELDS["display_names"].number
_KEY, _VALUE = 1, 2
_BYTES: Final = 2
_MOST: Final = 0x7F


def fill_rows(message: Listing, plan: Plan, rows: Rows, currency: str, names: Mapping[str, str]) -> None:
    """Adds the rows; amounts are in `currency` where rows are not cut by it. `names` are those of products, by SKU."""
    columns = list(columns_of(plan, rows))
    if CURRENCY not in plan.dimensions and len(columns) * len(rows.dimensions) >= _MANY:
        message.MergeFromString(_written(message, plan, rows, blocks(columns, currency), names))
        return
    for place, cut in enumerate(rows.dimensions):
        dimensions = dict(zip(plan.dimensions, cut, strict=True))
        row = message.rows.add(dimensions=dimensions)
        _put_all(row, columns, place, dimensions.get(CURRENCY, currency))
        if name := names.get(dimensions.get(SKU, "")):
            row.display_names[SKU] = name


def _written(message: Listing, plan: Plan, rows: Rows, figures: Sequence[bytes], names: Mapping[str, str]) -> bytes:
    """All rows as bytes of the message that has them: `figures` are those of each."""
    number = message.DESCRIPTOR.fields_by_name["rows"].number
    keys = [_field(_KEY, name.encode()) for name in plan.dimensions]
    sku = plan.dimensions.index(SKU) if names and SKU in plan.dimensions else None
    written = []
    for cut, told in zip(rows.dimensions, figures, strict=True):
        parts = [
            _field(_DIMENSIONS, key + _field(_VALUE, value.encode())) for key, value in zip(keys, cut, strict=True)
        ]
        if sku is not None and (name := names.get(cut[sku])):
            parts.append(_field(_DISPLAY_NAMES, keys[sku] + _field(_VALUE, name.encode())))
        written.append(_field(number, b"".join((*parts, told))))
    return b"".join(written)


def _field(number: int, told: bytes) -> bytes:
    """A field, of a number below 16, that holds bytes: its tag, how many follow, and these."""
    head = [number << 3 | _BYTES]
    length = len(told)
    while length > _MOST:
        head.append(length & _MOST | _MOST + 1)
        length >>= 7
    return bytes((*head, length)) + told


def fill_row(message: report_pb2.ReportRow, plan: Plan, rows: Rows, currency: str) -> None:
    """Writes the only one of some rows, which has no dimensions."""
    # A report without figures has a row, too.
    message.SetInParent()
    _put_all(message, list(columns_of(plan, rows)), 0, currency)


def _put_all(message: report_pb2.ReportRow, columns: list[Column], place: int, currency: str) -> None:
    for title, values in columns:
        if (figure := values[place]) is not None:
            put(message, title, figure, currency)
