"""Records from values alone: days and moments, tokens, names of files, and sheets."""

import io
from datetime import date, datetime
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.kernel.failures import InvalidArgumentError
from services.reporting.domain.files import Format, file_name, format_of
from services.reporting.domain.periods import Period, day_of
from services.reporting.domain.records import ORDERS, Asked, Column, Is, RecordKind, read_token, spans, write_token
from services.reporting.domain.xlsx import Workbook

NOTES = RecordKind(
    name="notes",
    columns=(Column("at", Is.MOMENT), Column("note", Is.TEXT), Column("amount", Is.MONEY), Column("part", Is.FRACTION)),
    keys=("at",),
)


def days(start: str, end: str) -> Period:
    return Period(start=date.fromisoformat(start), end=date.fromisoformat(end))


@pytest.mark.parametrize(
    ("zone", "start", "end"),
    [
        ("UTC", "2026-11-01", "2026-11-30"),
        ("Europe/Madrid", "2026-03-29", "2026-03-29"),
        ("America/St_Johns", "2010-11-07", "2010-11-07"),
        ("America/St_Johns", "2010-11-06", "2010-11-06"),
        ("Pacific/Apia", "2011-12-29", "2011-12-31"),
        ("America/Havana", "2026-11-01", "2026-11-01"),
        ("Africa/Monrovia", "1970-06-01", "1970-06-02"),
    ],
)
def test_a_moment_is_in_the_spans_of_its_day_alone(zone, start, end):
    period, known = days(start, end), ZoneInfo(zone)
    found = spans(period, known)
    edges = [edge for span in found for edge in span]
    around = range(edges[0] - 2 * 86_400, edges[-1] + 2 * 86_400, 59)
    for moment in (*around, *edges, *(edge - 1 for edge in edges)):
        within = any(low <= moment < high for low, high in found)
        assert within == (period.start <= day_of(moment, known) <= period.end), moment


def test_a_day_that_clocks_leave_out_has_no_moments():
    assert spans(days("2011-12-30", "2011-12-30"), ZoneInfo("Pacific/Apia")) == ()


def test_a_day_may_lie_in_two_pieces():
    assert len(spans(days("2010-11-07", "2010-11-07"), ZoneInfo("America/St_Johns"))) == 2


def test_periods_may_be_as_long_as_the_calendar():
    [(low, high)] = spans(days("0001-01-01", "9999-12-31"), ZoneInfo("Europe/Madrid"))
    assert low < 0 < high


def test_a_token_is_of_one_request():
    asked = Asked(kind=ORDERS, period=days("2026-11-01", "2026-11-30"), model="contact", filters={"source": ("a", "b")})
    same = Asked(kind=ORDERS, period=asked.period, model="contact", filters={"source": ("b", "a")})
    token = write_token([1_762_000_000, "shöp", "1"], asked.identity("acme"))

    assert read_token(token, same.identity("acme")) == [1_762_000_000, "shöp", "1"]
    assert read_token("", asked.identity("acme")) is None
    for other in (token[:-4], "?", token):
        with pytest.raises(InvalidArgumentError, match="after"):
            read_token(other, asked.identity("basalt"), field="after")


def test_files_say_what_they_hold():
    period = days("2026-11-01", "2026-11-21")
    assert file_name("acme", "orders", period, Format.CSV) == "touchstone-acme-orders-2026-11-01-2026-11-21.csv"
    assert file_name('a"\r\n/é', "orders", period, Format.XLSX).startswith("touchstone-a_____-orders-")
    assert format_of("ndjson") is Format.NDJSON
    with pytest.raises(InvalidArgumentError, match="csv, xlsx, json, ndjson"):
        format_of("CSV")


def opened(rows: list[tuple], *, zone: str = "UTC") -> list[tuple]:
    book = Workbook(NOTES, ZoneInfo(zone))
    parts = [book.rows(rows[:1]), book.rows([]), book.rows(rows[1:]), book.end()]
    sheet = openpyxl.load_workbook(io.BytesIO(b"".join(parts)))["notes"]
    return [tuple(cell.value for cell in row) for row in sheet.iter_rows(min_row=2)]


def test_sheets_show_the_zones_clock():
    # An hour before and an hour after clocks are set back.
    rows = [(1_792_886_400, "a", 56_090_000, 250_000), (1_792_893_600, "", None, None)]
    first, second = opened(rows, zone="Europe/Madrid")
    assert first == (datetime(2026, 10, 25, 2), "a", 56.09, 0.25)  # noqa: DTZ001 - a sheet's times have no zone
    assert second == (datetime(2026, 10, 25, 3), None, None, None)  # noqa: DTZ001 - as above


@settings(max_examples=30)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12), min_size=1, max_size=5)
)
def test_texts_in_sheets_come_back(notes):
    read = opened([(0, note, 0, 0) for note in notes])
    # openpyxl leaves what stands for a character as it is.
    assert [row[1].replace("_x005F_", "_") for row in read] == notes


@pytest.mark.parametrize(
    "note", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "a & b < c > d", "two\nlines", " kept ", "🧵"]
)
def test_no_text_in_a_sheet_is_a_formula(note):
    [(_, read, _, _)] = opened([(0, note, 0, 0)])
    assert read == note


def test_what_xml_cannot_hold_is_left_out():
    assert opened([(0, "a\x00b\x0bc\ufffe", 0, 0)])[0][1] == "abc"
    assert len(opened([(0, "x" * 40_000, 0, 0)])[0][1]) == 32_767
