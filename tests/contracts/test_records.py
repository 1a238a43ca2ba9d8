"""Records and files of them on a real Postgres, from credits told to what is read."""

import csv
import io
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import openpyxl
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.attribution.v1 import credit_pb2
from touchstone.ingest.v1 import event_pb2, settings_pb2
from touchstone.reporting.v1 import record_pb2
from touchstone.reporting.v1 import record_service_pb2 as pb

from gateway.web.protojson.writing import writer
from services.chassis.callers import Caller, set_caller
from services.chassis.database import open_database
from services.chassis.follow import Entry
from services.chassis.migrations import migrate
from services.kernel.failures import FailedPreconditionError, InvalidArgumentError
from services.reporting import exporting, follower
from services.reporting.domain import records
from services.reporting.record_servicer import RecordServicer

MIGRATIONS = Path(follower.__file__).parent / "migrations"
EUR = 1_000_000
PARTITION = 5
NOVEMBER = {"start_date": "2026-11-01", "end_date": "2026-11-30"}
AWKWARD = '=1+2, "quoted"\r\nand a second line 🧵'


@pytest.fixture(scope="module")
async def engine(new_database: Callable[[], str]) -> AsyncEngine:
    url = new_database()
    await migrate(url, schema="reporting_1", scripts=MIGRATIONS)
    engine = open_database(url, schema="reporting_1")
    async with engine.begin() as connection:
        told = settings_pb2.TenantSettings(time_zone="Europe/Madrid", currency_code="EUR")
        entry = Entry(1, event_pb2.LoggedEvent(tenant_id="acme", event=event_pb2.Event(settings=told)))
        await follower.apply_events(connection, PARTITION, [entry])
    yield engine
    await engine.dispose()


@pytest.fixture(autouse=True)
async def no_orders(engine):
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM order_fact"))
    set_caller(Caller(subject="test", tenant_id="acme", scopes=frozenset({"reports:read"})))


@pytest.fixture
def servicer(engine) -> RecordServicer:
    return RecordServicer(lambda: engine)


def order(
    order_id: str, at: str, gross: int, *channels: str, excluded: int = 0, source: str = "shop", number: str = ""
) -> credit_pb2.OrderCredits:
    """An order of so many units of money, that touches of some channels earn in equal parts."""
    told = credit_pb2.OrderCredits(tenant_id="acme")
    told.order.source, told.order.order_id, told.order.currency_code = source, order_id, "EUR"
    told.order.order_time.FromDatetime(datetime.fromisoformat(at).replace(tzinfo=UTC))
    told.order.gross_micros = told.order.net_micros = gross * EUR
    told.order.display_number, told.order.excluded_reason = number, excluded
    said = told.attributions.add(model="conversations", model_version=1, excluded_reason=excluded)
    for place, channel in enumerate(channels):
        said.matched_by = credit_pb2.MatchBasis.SESSION
        touch = credit_pb2.Touch(event_id=f"t{place}", channel=channel, bot_name="assistant")
        touch.occur_time.FromSeconds(told.order.order_time.seconds - 60)
        micros = gross * EUR // len(channels)
        said.credits.add(
            touch=touch, gross_micros=micros, net_micros=micros, fraction_millionths=1_000_000 // len(channels)
        )
    return told


async def tell(engine: AsyncEngine, *told: credit_pb2.OrderCredits, first: int = 1) -> None:
    async with engine.begin() as connection:
        entries = [Entry(position, one) for position, one in enumerate(told, start=first)]
        await follower.apply_credits(connection, PARTITION, entries)


async def some_orders(engine: AsyncEngine) -> None:
    await tell(
        engine,
        order("1", "2026-11-02T10:00:00", 100, "CHAT", number=AWKWARD),
        order("2", "2026-11-02T10:00:00", 50, "FAQ", "CHAT"),
        order("3", "2026-10-31T23:30:00", 30, number="-7"),
        order("4", "2026-11-30T22:59:59", 20, excluded=credit_pb2.Exclusion.CANCELLED),
        order("5", "2026-11-30T23:00:00", 10, "CHAT"),
        order("6", "2026-11-03T10:00:00", 7, source="other"),
    )


async def orders(servicer: RecordServicer, **asked) -> pb.ListOrderRecordsResponse:
    return await servicer.ListOrderRecords(pb.ListOrderRecordsRequest(**(NOVEMBER | asked)), None)


async def file(servicer: RecordServicer, format_: str, *, of: str = "Order", **asked) -> tuple[pb.ExportFile, bytes]:
    request = getattr(pb, f"Export{of}RecordsRequest")(**(NOVEMBER | asked), format=format_)
    parts = [part async for part in getattr(servicer, f"Export{of}Records")(request, None)]
    told = pb.ExportFile()
    assert parts[0].extensions[0].Unpack(told)
    return told, b"".join(part.data for part in parts)


async def test_orders_of_the_tenants_days_by_time(engine, servicer):
    await some_orders(engine)
    page = await orders(servicer)

    shown = [(one.order_id, one.Outcome.Name(one.outcome), one.channels, one.credits) for one in page.records]
    assert shown == [
        ("3", "UNATTRIBUTED", "", 0),
        ("1", "ATTRIBUTED", "CHAT", 1),
        ("2", "ATTRIBUTED", "CHAT,FAQ", 2),
        ("6", "UNATTRIBUTED", "", 0),
        ("4", "EXCLUDED", "", 0),
    ]
    assert (page.total_size, page.next_page_token) == (5, "")
    assert page.records[2].attributed.micros == 50 * EUR
    assert not page.records[0].HasField("attributed")
    assert page.metadata.time_zone == "Europe/Madrid"


async def test_filters_keep_what_has_one_of_the_values(engine, servicer):
    await some_orders(engine)

    async def kept(**asked) -> list[str]:
        page = await orders(servicer, **asked)
        assert page.total_size == len(page.records)
        return [one.order_id for one in page.records]

    assert await kept(channel=["FAQ"]) == ["2"]
    assert await kept(channel=["FAQ", "CHAT"], tier=["SESSION"]) == ["1", "2"]
    assert await kept(outcome=["UNATTRIBUTED"], source=["other", "third"]) == ["6"]
    assert await kept(reason=["CANCELLED", "TEST"]) == ["4"]
    assert await kept(outcome=["ATTRIBUTED"], start_date="2026-11-03") == []


async def test_pages_meet_whatever_is_told_meanwhile(engine, servicer):
    await tell(engine, *(order(str(n), "2026-11-05T10:00:00", n) for n in range(10, 17)))
    first = await orders(servicer, page_size=3)
    await tell(engine, order("05", "2026-11-05T10:00:00", 1), order("165", "2026-11-05T10:00:00", 1), first=100)
    second = await orders(servicer, page_size=3, page_token=first.next_page_token)
    third = await orders(servicer, page_size=3, page_token=second.next_page_token)

    assert [one.order_id for one in first.records] == ["10", "11", "12"]
    assert [one.order_id for one in second.records] == ["13", "14", "15"]
    assert [one.order_id for one in third.records] == ["16", "165"]
    assert not third.next_page_token
    with pytest.raises(InvalidArgumentError, match="pageToken"):
        await orders(servicer, page_size=3, page_token=first.next_page_token, source=["shop"])


async def test_credits_are_told_one_by_one_and_a_page_may_end_inside_an_order(engine, servicer):
    await some_orders(engine)

    async def page(token: str, **asked) -> pb.ListCreditRecordsResponse:
        request = pb.ListCreditRecordsRequest(**NOVEMBER, page_size=2, page_token=token, **asked)
        return await servicer.ListCreditRecords(request, None)

    first = await page("")
    second = await page(first.next_page_token)
    shown = [
        (one.order_id, one.place, one.event_id, one.channel, one.amount.micros, one.fraction) for one in first.records
    ]
    assert shown == [("1", 1, "t0", 1, 100 * EUR, 1.0), ("2", 1, "t0", 2, 25 * EUR, 0.5)]
    assert [(one.order_id, one.place, one.event_id) for one in second.records] == [("2", 2, "t1")]
    assert (first.total_size, second.next_page_token) == (3, "")
    assert [one.event_id for one in (await page("", channel=["FAQ"])).records] == ["t0"]
    told, csv_bytes = await file(servicer, "csv", of="Credit", after=first.next_page_token)
    assert told.records == 1
    assert [row["event_id"] for row in csv.DictReader(io.StringIO(csv_bytes.decode()))] == ["t1"]


async def test_a_newer_entry_replaces_what_is_shown(engine, servicer):
    await tell(engine, order("1", "2026-11-02T10:00:00", 100, "CHAT"))
    await tell(engine, order("1", "2026-11-02T10:00:00", 100, excluded=credit_pb2.Exclusion.TEST), first=2)
    await tell(engine, order("1", "2026-11-02T10:00:00", 100, "CHAT"))

    [shown] = (await orders(servicer)).records
    assert (shown.Outcome.Name(shown.outcome), shown.credits) == ("EXCLUDED", 0)


async def test_csv_holds_what_records_say_and_no_formula(engine, servicer):
    await some_orders(engine)
    told, written = await file(servicer, "csv")

    assert told.name == "touchstone-acme-orders-2026-11-01-2026-11-30.csv"
    assert told.records == 5
    assert written.count(b"\r\n") == 6 + 1
    rows = list(csv.DictReader(io.StringIO(written.decode(), newline="")))
    assert [row["order_id"] for row in rows] == [one.order_id for one in (await orders(servicer)).records]
    assert [row["display_number"] for row in rows] == ["'-7", "'" + AWKWARD, "", "", ""]
    assert (rows[0]["order_time"], rows[0]["amount"]) == ("2026-11-01 00:30:00+01", "30")
    assert (rows[2]["attributed"], rows[3]["attributed"]) == ("50", "")
    assert rows[4]["reason"] == "CANCELLED"


async def test_json_says_what_the_records_say(engine, servicer):
    await some_orders(engine)
    write = writer(record_pb2.OrderRecord.DESCRIPTOR)
    expected = [write(one) for one in (await orders(servicer)).records]

    assert json.loads((await file(servicer, "json"))[1]) == expected
    assert [json.loads(line) for line in (await file(servicer, "ndjson"))[1].splitlines()] == expected
    empty = {"start_date": "2020-01-01", "end_date": "2020-01-01"}
    assert (await file(servicer, "json", **empty))[1] == b"[]"
    assert (await file(servicer, "ndjson", **empty))[1] == b""


async def test_xlsx_opens_with_typed_cells_and_a_frozen_header(engine, servicer):
    await some_orders(engine)
    told, written = await file(servicer, "xlsx")
    sheet = openpyxl.load_workbook(io.BytesIO(written))["orders"]

    names, *rows = sheet.iter_rows(values_only=True)
    first, second = dict(zip(names, rows[0], strict=True)), dict(zip(names, rows[1], strict=True))
    assert told.name.endswith(".xlsx")
    assert sheet.freeze_panes == "A2"
    assert first["order_time"] == datetime(2026, 11, 1, 0, 30)  # noqa: DTZ001 - a sheet's times have no zone
    assert (first["amount"], first["display_number"], first["attributed"]) == (30, "-7", None)
    assert second["display_number"].replace("_x000D_", "\r") == AWKWARD
    assert [cell.data_type for cell in sheet[3]][:7] == ["d", "s", "s", "s", "n", "s", "n"]
    assert len(rows) == told.records == 5


async def test_a_file_has_a_limit_and_says_so_before_its_first_byte(engine, servicer, monkeypatch):
    await some_orders(engine)
    monkeypatch.setattr(records, "LARGEST_FILE", 4)
    with pytest.raises(FailedPreconditionError, match="There are 5 records"):
        await file(servicer, "csv")
    assert (await file(servicer, "csv", outcome=["ATTRIBUTED"]))[0].records == 2
    with pytest.raises(InvalidArgumentError, match="format"):
        await file(servicer, "pdf")
    with pytest.raises(InvalidArgumentError, match="no active model"):
        await file(servicer, "csv", model="other")


async def test_a_file_left_before_its_end_leaves_the_pool_whole(engine, servicer):
    await tell(engine, *(order(str(n), "2026-11-05T10:00:00", n) for n in range(3_000)))
    for format_ in ("csv", "xlsx", "ndjson"):
        parts = servicer.ExportOrderRecords(pb.ExportOrderRecordsRequest(**NOVEMBER, format=format_), None)
        assert [await anext(parts) for _ in range(2)]
        await parts.aclose()
    assert (await orders(servicer)).total_size == 3_000


async def test_rows_are_read_some_at_a_time(engine, servicer, monkeypatch):
    await tell(engine, *(order(str(n), "2026-11-05T10:00:00", n) for n in range(4_100)))
    sizes = []
    written = exporting.json_objects
    monkeypatch.setattr(exporting, "json_objects", lambda kind, rows: sizes.append(len(rows)) or written(kind, rows))

    told, lines = await file(servicer, "ndjson")
    assert lines.count(b"\n") == told.records == sum(sizes) == 4_100
    assert max(sizes) <= 2_000


@pytest.mark.parametrize("of", ["Order", "Credit"])
async def test_a_file_comes_in_parts_that_make_the_whole(engine, servicer, of):
    await some_orders(engine)
    whole, written = await file(servicer, "ndjson", of=of)
    assert whole.next == ""
    parts, after = [], ""
    while True:
        told, part = await file(servicer, "ndjson", of=of, after=after, max_records=2)
        parts.append(part)
        assert part.count(b"\n") == told.records
        if not told.next:
            break
        after = told.next
    assert b"".join(parts) == written
    assert len(parts) == (whole.records + 1) // 2


async def test_a_part_of_more_records_than_a_file_may_have_is_taken(engine, servicer, monkeypatch):
    await some_orders(engine)
    monkeypatch.setattr(records, "LARGEST_FILE", 4)
    first, written = await file(servicer, "csv", max_records=1_000)
    rest, others = await file(servicer, "csv", max_records=1_000, after=first.next)

    assert (first.records, rest.records, rest.next) == (4, 1, "")
    header, *lines = written.splitlines()
    assert [header, *lines, *others.splitlines()[1:]] == (await whole_csv(servicer, monkeypatch)).splitlines()
    with pytest.raises(InvalidArgumentError, match="maxRecords"):
        await file(servicer, "csv", max_records=-1)
    with pytest.raises(InvalidArgumentError, match="after"):
        await file(servicer, "csv", max_records=1, after=first.next, source=["shop"])


async def whole_csv(servicer: RecordServicer, monkeypatch: pytest.MonkeyPatch) -> bytes:
    monkeypatch.setattr(records, "LARGEST_FILE", 1_000)
    return (await file(servicer, "csv"))[1]


@pytest.mark.parametrize("format_", ["csv", "xlsx", "json", "ndjson"])
async def test_a_file_asked_for_again_is_the_same_byte_for_byte(engine, servicer, format_, monkeypatch):
    await some_orders(engine)
    first = await file(servicer, format_)
    monkeypatch.setattr(time, "localtime", lambda *_: time.struct_time((2031, 5, 6, 7, 8, 9, 0, 0, 0)))
    assert await file(servicer, format_) == first
    # The same is told in another sequence to another place.
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM order_fact"))
    await some_orders(engine)
    assert await file(servicer, format_) == first
