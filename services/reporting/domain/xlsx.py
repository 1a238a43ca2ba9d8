"""A sheet of records as XLSX (ECMA-376), written as it is read: no library writes one without keeping it all first."""

import re
import zipfile
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from typing import Any, Final
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

from services.reporting.domain.records import Is, RecordKind

_ZIP_LEVEL: Final = 1
_LONGEST_TEXT: Final = 32_767
"""Characters that a cell can hold."""
_UNIX_EPOCH: Final = 25_569
"""The day of 1970-01-01 where 1899-12-30 is 0."""
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal() - _UNIX_EPOCH
_DAY: Final = 86_400
_QUARTER: Final = 900
"""Seconds in which no zone changes its offset."""

_HEAD, _MOMENT, _MONEY, _PERCENT, _DATE = 1, 2, 3, 4, 5
"""Styles, by their places in `_STYLES`."""

# What XML can't hold; and "_x0041_", which a spreadsheet would read as a character.
_UNWRITABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_SPECIAL: Final = re.compile("[&<>\r\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]|_x[0-9A-Fa-f]{4}_")
_ESCAPE_LIKE: Final = re.compile("_(?=x[0-9A-Fa-f]{4}_)")

_XML: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN: Final = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_PARTS: Final = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="rId2" Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>',
    "xl/styles.xml": f"<styleSheet {_MAIN}>"
    '<numFmts count="3"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd\\ hh:mm:ss"/>'
    '<numFmt numFmtId="165" formatCode="#,##0.00##"/>'
    '<numFmt numFmtId="166" formatCode="yyyy\\-mm\\-dd"/></numFmts>'
    '<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="6"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/>'
    '<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="165" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="10" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="166" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>',
}
_WORKBOOK: Final = (
    f'<workbook {_MAIN} xmlns:r="{_OFFICE}"><sheets><sheet name="%s" sheetId="1" r:id="rId1"/></sheets></workbook>'
)
_SHEET: Final = (
    f'<worksheet {_MAIN}><sheetViews><sheetView workbookViewId="0">'
    '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
    '<sheetFormatPr defaultRowHeight="15"/><cols><col min="1" max="%d" width="19" customWidth="1"/></cols><sheetData>'
)


class _Sink:
    """What was written since it was last taken; it can't be sought, so the archive is written from front to back."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, part: bytes) -> int:
        self._parts.append(bytes(part))
        return len(part)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


class Workbook:
    """A workbook of one sheet of records, its header frozen. What each step answers follows what came before.

    Texts are cells of text, so that none is a formula; moments are the zone's wall clock; money and parts are numbers.
    """

    def __init__(self, kind: RecordKind, zone: ZoneInfo) -> None:
        self._kind, self._zone = kind, zone
        self._sink = _Sink()
        self._archive = zipfile.ZipFile(self._sink, "w", zipfile.ZIP_DEFLATED, compresslevel=_ZIP_LEVEL)  # type: ignore[call-overload]
        self._offsets: dict[int, int] = {}
        self._writers: dict[Is, Callable[[Iterable[Any]], list[str]]] = {
            Is.TEXT: _texts,
            Is.WORD: _texts,
            Is.MOMENT: self._moments,
            Is.MONEY: _money,
            Is.COUNT: _counts,
            Is.FRACTION: _fractions,
            Is.COUNTED: _money,
            Is.RATE: _rates,
            Is.DAY: _days,
        }
        parts = _PARTS | {"xl/workbook.xml": _WORKBOOK % kind.name}
        for name, part in parts.items():
            self._archive.writestr(_entry(name), _XML + part)
        self._sheet = self._archive.open(_entry("xl/worksheets/sheet1.xml"), "w")
        names = [f'<c s="{_HEAD}" t="inlineStr"><is><t>{column.name}</t></is></c>' for column in kind.columns]
        self._write(_XML + _SHEET % len(kind.columns) + _row(names))

    def rows(self, rows: Sequence[Sequence[Any]]) -> bytes:
        """More records, in the columns of their kind."""
        if rows:
            columns = zip(self._kind.columns, zip(*rows, strict=True), strict=True)
            cells = [self._writers[column.holds](values) for column, values in columns]
            self._write("".join(map(_row, zip(*cells, strict=True))))
        return self._sink.take()

    def end(self) -> bytes:
        """What comes last."""
        self._write("</sheetData></worksheet>")
        self._sheet.close()
        self._archive.close()
        return self._sink.take()

    def _write(self, xml: str) -> None:
        self._sheet.write(xml.encode())

    def _moments(self, values: Iterable[int | None]) -> list[str]:
        return ["<c/>" if at is None else f'<c s="{_MOMENT}"><v>{self._serial(at)}</v></c>' for at in values]

    def _serial(self, seconds: int) -> float:
        quarter = seconds // _QUARTER
        offset = self._offsets.get(quarter)
        if offset is None:
            offset = self._offsets[quarter] = _offset(quarter * _QUARTER, self._zone)
        return (seconds + offset) / _DAY + _UNIX_EPOCH


def _entry(name: str) -> zipfile.ZipInfo:
    """A file of the archive without a time: the same records make the same bytes, whenever they are written."""
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry._compresslevel = _ZIP_LEVEL  # type: ignore[attr-defined]  # noqa: SLF001 - public only from Python 3.13 on
    return entry


def _offset(seconds: int, zone: ZoneInfo) -> int:
    shift = datetime.fromtimestamp(seconds, zone).utcoffset()
    return int(shift.total_seconds()) if shift else 0


def _row(cells: Iterable[str]) -> str:
    return f"<row>{''.join(cells)}</row>"


def _texts(values: Iterable[str]) -> list[str]:
    column = list(values)
    # What has to be escaped is rare: one look at all of the column finds out that nothing is.
    if _SPECIAL.search("".join(column)) or max(map(len, column)) > _LONGEST_TEXT:
        column = [_escaped(value) for value in column]
    return [
        f'<c t="inlineStr"><is><t xml:space="preserve">{value}</t></is></c>' if value else "<c/>" for value in column
    ]


def _escaped(value: str) -> str:
    plain = _ESCAPE_LIKE.sub("_x005F_", _UNWRITABLE.sub("", value))[:_LONGEST_TEXT]
    return escape(plain, {"\r": "_x000D_"})


def _money(values: Iterable[int | None]) -> list[str]:
    return ["<c/>" if micros is None else f'<c s="{_MONEY}"><v>{micros / 1_000_000}</v></c>' for micros in values]


def _fractions(values: Iterable[int | None]) -> list[str]:
    return ["<c/>" if part is None else f'<c s="{_PERCENT}"><v>{part / 1_000_000}</v></c>' for part in values]


def _counts(values: Iterable[int | None]) -> list[str]:
    return ["<c/>" if count is None else f"<c><v>{count}</v></c>" for count in values]


def _rates(values: Iterable[str]) -> list[str]:
    return [f"<c><v>{rate}</v></c>" if rate else "<c/>" for rate in values]


def _days(values: Iterable[str]) -> list[str]:
    return [
        f'<c s="{_DATE}"><v>{date.fromisoformat(day).toordinal() - _EPOCH_ORDINAL}</v></c>' if day else "<c/>"
        for day in values
    ]
