"""A sheet of records in LibreOffice: what each cell holds and of which type it is."""

import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest

from services.reporting.domain.records import Column, Is, RecordKind
from services.reporting.domain.xlsx import Workbook

SOFFICE = shutil.which("soffice")
pytestmark = pytest.mark.skipif(
    SOFFICE is None, reason="LibreOffice is not here: apt-get install --no-install-recommends libreoffice-calc"
)

OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"

KIND = RecordKind(
    name="notes",
    columns=(
        Column("at", Is.MOMENT),
        Column("note", Is.TEXT),
        Column("word", Is.WORD),
        Column("amount", Is.MONEY),
        Column("part", Is.FRACTION),
        Column("count", Is.COUNT),
        Column("rate", Is.RATE),
        Column("day", Is.DAY),
    ),
    keys=("at",),
)
NOTES = (
    '=HYPERLINK("http://example.com")',
    "+1",
    "-7",
    "@SUM(A1)",
    "00123",
    "2026-11-01",
    "1e5",
    'two\nlines, "quoted" & <b>',
    "🧵 _x0041_",
)
# An hour before and an hour after clocks are set back in Madrid.
MOMENTS = ((1_792_886_400, "2026-10-25T02:00:00"), (1_792_893_600, "2026-10-25T03:00:00"))

Cell = tuple[str, str]
"""A cell's type, and its value as the file writes it."""


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[list[Cell]]:
    """The sheet's rows as LibreOffice has read them, without the header."""
    place = tmp_path_factory.mktemp("sheet")
    book = Workbook(KIND, ZoneInfo("Europe/Madrid"))
    told = [
        (MOMENTS[number % 2][0], note, "CHAT", 56_090_000, 250_000, 3, "1.0837", "2026-10-25")
        for number, note in enumerate(NOTES)
    ]
    told.append((MOMENTS[0][0], "", "", None, None, None, "", ""))
    (place / "notes.xlsx").write_bytes(book.rows(told) + book.end())
    subprocess.run(
        [
            str(SOFFICE),
            f"-env:UserInstallation=file://{place}/profile",
            "--headless",
            *("--convert-to", "fods", "--outdir", str(place), str(place / "notes.xlsx")),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return _read(place / "notes.fods")[1:]


def _read(path: Path) -> list[list[Cell]]:
    [sheet] = ET.parse(path).getroot().iter(f"{TABLE}table")
    assert sheet.get(f"{TABLE}name") == "notes"
    lines = [_cells(line) for line in sheet.iter(f"{TABLE}table-row")]
    return [line for line in lines if any(type_ for type_, _ in line)]


def _cells(line: ET.Element) -> list[Cell]:
    return [
        (cell.get(f"{OFFICE}value-type", ""), _value(cell))
        for cell in line.iter(f"{TABLE}table-cell")
        for _ in range(min(int(cell.get(f"{TABLE}number-columns-repeated", "1")), len(KIND.columns)))
    ][: len(KIND.columns)]


def _value(cell: ET.Element) -> str:
    assert cell.get(f"{TABLE}formula") is None
    if cell.get(f"{OFFICE}value-type") == "string":
        return "\n".join("".join(part.itertext()) for part in cell.iter(f"{TEXT}p"))
    return cell.get(f"{OFFICE}value") or cell.get(f"{OFFICE}date-value") or ""


def test_each_cell_has_its_type_and_its_value(rows):
    for number, note in enumerate(NOTES):
        assert rows[number] == [
            ("date", MOMENTS[number % 2][1]),
            ("string", note),
            ("string", "CHAT"),
            ("float", "56.09"),
            ("percentage", "0.25"),
            ("float", "3"),
            ("float", "1.0837"),
            ("date", "2026-10-25"),
        ]


def test_what_is_absent_is_an_empty_cell(rows):
    assert rows[len(NOTES)] == [("date", MOMENTS[0][1]), *[("", "")] * 7]
