"""Amounts in several currencies on a real Postgres: converted by rates told early, late and again, and by hand."""

import io
from collections.abc import Sequence
from datetime import date, datetime

import openpyxl
from sqlalchemy import text
from touchstone.ingest.v1 import event_pb2, exchange_rate_pb2
from touchstone.reporting.v1 import record_service_pb2 as records_pb
from touchstone.reporting.v1 import report_service_pb2 as pb

from services.chassis.follow import Entry
from services.reporting import background, follower
from services.reporting.record_servicer import RecordServicer
from tests.contracts import test_reporting_answers as house
from tests.contracts.test_reporting_answers import EUR, PARTITION, acting, order, report, table, tell, tell_settings
from tests.reporting.settling import settle

engine, servicer, nothing_told = house.engine, house.servicer, house.nothing_told


async def tell_rates(engine, position: int, day: str, *rates: tuple[str, str], base: str = "EUR") -> None:
    told = exchange_rate_pb2.ExchangeRates(date=date.fromisoformat(day).isoformat(), base_currency_code=base)
    for currency, rate in rates:
        told.rates.add(currency_code=currency, rate=rate)
    entry = Entry(position, event_pb2.LoggedEvent(tenant_id="acme", event=event_pb2.Event(exchange_rates=told)))
    async with engine.begin() as connection:
        assert await follower.apply_events(connection, PARTITION, [entry]) == ()


async def statement(servicer):
    acting()
    request = pb.GetStatementRequest(start_date="2026-11-01", end_date="2026-11-30")
    return (await servicer.GetStatement(request, None)).statement


def money(bucket) -> tuple[int, int]:
    return bucket.orders, bucket.amount.micros


def others(whole) -> Sequence[tuple[str, int]]:
    return [(one.store.amount.currency_code, one.store.orders) for one in whole.unconverted]


async def test_an_order_counts_in_the_reporting_currency_as_soon_as_there_is_a_rate(engine, servicer):
    await tell_settings(engine, 1, "Europe/Madrid", "EUR")
    # Friday's rate is there, the order comes on Sunday.
    await tell_rates(engine, 2, "2026-11-13", ("USD", "1.25"), ("JPY", "180"))
    await tell(
        engine,
        order("1", "2026-11-15T10:00:00", 10, channel="CHAT", currency="USD"),
        order("2", "2026-11-15T10:00:00", 1, currency="EUR"),
        order("3", "2026-11-22T10:00:00", 100, channel="FAQ", currency="USD", net=60, sku="a"),
        order("4", "2026-11-15T10:00:00", 500, currency="KWD", excluded="CANCELLED"),
    )
    whole = await statement(servicer)
    assert (money(whole.store), money(whole.attributed), money(whole.unattributed)) == (
        (2, 9 * EUR),
        (1, 8 * EUR),
        (1, 1 * EUR),
    )
    assert others(whole) == [("KWD", 1), ("USD", 1)]
    assert [(one.orders, one.amount.currency_code) for one in whole.metadata.unconverted] == [(1, "KWD"), (1, "USD")]

    # Nine days later the rate holds no more; its own comes late, and another one in its place.
    await tell_rates(engine, 3, "2026-11-22", ("USD", "2"))
    assert others(await statement(servicer)) == [("KWD", 1), ("USD", 1)]
    await settle(engine)
    whole = await statement(servicer)
    assert (money(whole.store), whole.store.net.micros, others(whole)) == ((3, 59 * EUR), 39 * EUR, [("KWD", 1)])
    await tell_rates(engine, 5, "2026-11-22", ("USD", "4"))
    await tell_rates(engine, 4, "2026-11-22", ("USD", "3"))
    await settle(engine)
    whole = await statement(servicer)
    assert (money(whole.store), money(whole.attributed)) == ((3, 34 * EUR), (2, 33 * EUR))
    assert [(one.channel, one.amount.micros) for one in whole.attributed.by_channel] == [
        ("CHAT", 8 * EUR),
        ("FAQ", 25 * EUR),
    ]
    assert money(whole.difference) == (0, 0)
    assert table(await report(servicer, metrics=["store_revenue", "attributed_revenue"]), []) == [(33, 34)]

    await tell_rates(engine, 6, "2026-11-14", ("KWD", "0.5"))
    await settle(engine)
    whole = await statement(servicer)
    assert [(one.reason, one.amount.micros) for one in whole.excluded] == [("CANCELLED", 1_000 * EUR)]
    assert (money(whole.difference), others(whole)) == ((0, 0), [])


async def test_rows_show_both_amounts_and_the_rate_with_its_day(engine):
    await tell_settings(engine, 1, "Europe/Madrid", "EUR")
    await tell_rates(engine, 2, "2026-11-13", ("USD", "1.25"))
    await tell(
        engine,
        order("1", "2026-11-15T10:00:00", 10, channel="CHAT", currency="USD"),
        order("2", "2026-11-15T10:00:00", 1, channel="FAQ", currency="EUR"),
        order("3", "2026-11-15T10:00:00", 500, currency="KWD"),
    )
    acting()
    records, asked = RecordServicer(lambda: engine), {"start_date": "2026-11-01", "end_date": "2026-11-30"}
    told = (await records.ListOrderRecords(records_pb.ListOrderRecordsRequest(**asked), None)).records
    [first, second] = (await records.ListCreditRecords(records_pb.ListCreditRecordsRequest(**asked), None)).records

    shown = [(one.amount.currency_code, one.counted_amount.currency_code, one.counted_amount.micros) for one in told]
    assert shown == [("USD", "EUR", 8 * EUR), ("EUR", "EUR", EUR), ("KWD", "", 0)]
    assert [one.counted_attributed.micros for one in told] == [8 * EUR, EUR, 0]
    assert [(one.exchange_rate, one.exchange_rate_date) for one in told] == [("1.25", "2026-11-13"), ("", ""), ("", "")]
    assert (first.amount.micros, first.counted_amount.micros, first.exchange_rate) == (10 * EUR, 8 * EUR, "1.25")
    assert (second.counted_net.micros, second.exchange_rate_date) == (EUR, "")
    for format_, wanted in (
        ("csv", b",EUR,8,8,8,8,1.25,2026-11-13"),
        ("ndjson", b'"countedAttributed":{"currencyCode":"EUR"'),
    ):
        exported = records.ExportOrderRecords(records_pb.ExportOrderRecordsRequest(**asked, format=format_), None)
        assert wanted in b"".join([part.data async for part in exported])
    exported = records.ExportOrderRecords(records_pb.ExportOrderRecordsRequest(**asked, format="xlsx"), None)
    sheet = openpyxl.load_workbook(io.BytesIO(b"".join([part.data async for part in exported])))["orders"]
    assert [cell.value for cell in sheet[2]][-7:] == ["EUR", 8, 8, 8, 8, 1.25, datetime(2026, 11, 13)]  # noqa: DTZ001


async def test_another_reporting_currency_is_served_when_everything_is_counted_by_it(engine, servicer, monkeypatch):
    monkeypatch.setattr(background, "COUNTED_AT_ONCE", 1)
    await tell_settings(engine, 1, "UTC", "EUR")
    await tell_rates(engine, 2, "2026-11-01", ("USD", "1.25"))
    await tell_rates(engine, 3, "2026-11-01", ("EUR", "0.8"), base="USD")
    await tell(
        engine,
        order("1", "2026-11-01T10:00:00", 10, channel="CHAT", currency="USD"),
        order("2", "2026-11-01T10:00:00", 10, currency="EUR"),
    )
    await tell_settings(engine, 4, "UTC", "USD")
    async with engine.begin() as connection:
        await background.count_some(connection, PARTITION)
    # Half of it is counted; what comes meanwhile counts in both.
    await tell(engine, order("1", "2026-11-01T10:00:00", 20, channel="CHAT", currency="USD"), first=3)
    whole = await statement(servicer)
    assert (whole.metadata.currency_code, money(whole.store)) == ("EUR", (2, 26 * EUR))
    recount = whole.metadata.recount
    assert (recount.done, recount.total, recount.currency_code, recount.time_zone) == (0, 2, "USD", "UTC")
    async with engine.begin() as connection:
        await background.count_some(connection, PARTITION)
    assert (await statement(servicer)).metadata.recount.done == 1
    await settle(engine)
    whole = await statement(servicer)
    assert not whole.metadata.HasField("recount")
    assert (whole.metadata.currency_code, money(whole.store), others(whole)) == ("USD", (2, 32_500_000), [])
    assert (money(whole.attributed), money(whole.difference)) == ((1, 20 * EUR), (0, 0))
    async with engine.connect() as connection:
        books = (await connection.execute(text("SELECT DISTINCT book FROM foreign_order"))).scalars().all()
        cells = (await connection.execute(text("SELECT DISTINCT edition FROM store_cell"))).scalars().all()
    assert books == cells
    assert len(cells) == 1
