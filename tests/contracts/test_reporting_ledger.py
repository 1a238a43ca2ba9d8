"""The ledger on a real Postgres: why figures of days that were over changed, however the log is cut."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.attribution.v1 import credit_pb2
from touchstone.ingest.v1 import event_pb2, exchange_rate_pb2, model_pb2, settings_pb2
from touchstone.reporting.v1 import ledger_service_pb2 as pb

from services.chassis.callers import Caller, set_caller
from services.chassis.database import open_database
from services.chassis.follow import Entry
from services.chassis.migrations import migrate
from services.kernel.failures import InvalidArgumentError
from services.reporting import follower
from services.reporting.ledger_servicer import LedgerServicer

MIGRATIONS = Path(follower.__file__).parent / "migrations"
EUR = 1_000_000
ORDER, TOUCH, PEOPLE, SETTINGS = 1, 2, 3, 4


@pytest.fixture(scope="module")
async def engine(new_database: Callable[[], str]) -> AsyncEngine:
    url = new_database()
    await migrate(url, schema="reporting_1", scripts=MIGRATIONS)
    engine = open_database(url, schema="reporting_1")
    yield engine
    await engine.dispose()


async def start_over(engine):
    async with engine.begin() as connection:
        found = await connection.execute(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'reporting_1' AND tablename NOT LIKE 'alembic%'")
        )
        tables = [name for (name,) in found if name not in ("claim", "log_identity")]
        await connection.execute(text(f"TRUNCATE {', '.join(tables)}"))


@pytest.fixture
async def empty(engine):
    await start_over(engine)
    return engine


def moment(at: str) -> Timestamp:
    told = Timestamp()
    told.FromDatetime(datetime.fromisoformat(at).replace(tzinfo=UTC))
    return told


def order(order_id, at, gross, *, by, told, cause=ORDER, net=None, excluded=0, channel="", tier=1, edition=0):
    """An order placed at `at`, told of for a cause at position `by` that was received at `told`."""
    entry = credit_pb2.OrderCredits(tenant_id="acme", edition=edition)
    entry.order.source, entry.order.order_id, entry.order.currency_code = "shop", order_id, "EUR"
    entry.order.order_time.CopyFrom(moment(at))
    entry.order.gross_micros, entry.order.net_micros = gross * EUR, (gross if net is None else net) * EUR
    entry.order.excluded_reason = excluded
    entry.cause.kind, entry.cause.position = cause, by
    if told:
        entry.cause.receive_time.CopyFrom(moment(told))
    said = entry.attributions.add(model="conversations", model_version=1, excluded_reason=excluded)
    if channel and not excluded:
        said.matched_by = tier
        touch = credit_pb2.Touch(event_id="t", channel=channel)
        said.credits.add(touch=touch, gross_micros=entry.order.gross_micros, net_micros=entry.order.net_micros)
    entry.attributions.add(model="contact", model_version=1, excluded_reason=excluded)
    return entry


async def tell(engine, told, sizes=(1_000,)):
    start = batch = 0
    while start < len(told):
        size = sizes[batch % len(sizes)]
        entries = [Entry(start + index + 1, one) for index, one in enumerate(told[start : start + size])]
        async with engine.begin() as connection:
            await follower.apply_credits(connection, 5, entries)
        start, batch = start + size, batch + 1


async def tell_event(engine, position, at, **payload):
    logged = event_pb2.LoggedEvent(tenant_id="acme", event=event_pb2.Event(**payload), receive_time=moment(at))
    async with engine.begin() as connection:
        await follower.apply_events(connection, 5, [Entry(position, logged)])


async def ledger(engine, **asked) -> pb.ListLedgerEntriesResponse:
    set_caller(Caller(subject="test", tenant_id="acme", scopes=frozenset({"reports:read"})))
    if "since" in asked:
        asked["since"] = moment(asked["since"])
    request = pb.ListLedgerEntriesRequest(**({"start_date": "2026-11-01", "end_date": "2026-11-30"} | asked))
    return await LedgerServicer(lambda: engine).ListLedgerEntries(request, None)


def amounts(one):
    return one.amount.micros // EUR, one.net.micros // EUR, one.outcome, one.attributed_net.micros // EUR


def shown(answer):
    return [
        (
            pb.LedgerEntry.Kind.Name(one.kind),
            one.day,
            one.order_id,
            amounts(one.before) if one.HasField("before") else None,
            amounts(one.after) if one.HasField("after") else None,
        )
        for one in answer.entries
    ]


LIFE = [
    order("1", "2026-11-01T10:00:00", 100, by=1, told="2026-11-01T10:00:01"),
    order("2", "2026-11-01T23:59:59", 50, by=2, told="2026-11-02T00:00:01"),
    order("1", "2026-11-01T10:00:00", 100, by=3, told="2026-11-01T22:00:00", net=90),
    order("1", "2026-11-01T10:00:00", 100, by=4, told="2026-11-03T10:00:00", net=90, channel="CHAT", cause=TOUCH),
    order("1", "2026-11-01T10:00:00", 100, by=5, told="2026-11-04T10:00:00", net=60, channel="CHAT"),
    order("2", "2026-11-01T23:59:59", 50, by=7, told="2026-11-05T10:00:00", channel="FAQ", tier=6, cause=PEOPLE),
    order("2", "2026-11-01T23:59:59", 50, by=8, told="2026-11-06T10:00:00", cause=PEOPLE),
    order("2", "2026-11-01T23:59:59", 50, by=9, told="2026-11-06T11:00:00"),
    order("1", "2026-11-01T10:00:00", 100, by=10, told="2026-11-07T10:00:00", net=60, excluded=4),
    order("1", "2026-11-01T10:00:00", 100, by=11, told="2026-11-08T10:00:00", net=60, channel="CHAT"),
    order("2", "2026-11-09T10:00:00", 50, by=12, told="2026-11-10T10:00:00"),
]
TOLD = [
    ("LATE_ORDER", "2026-11-01", "2", None, (50, 50, "UNATTRIBUTED", 0)),
    ("LATE_TOUCH", "2026-11-01", "1", (100, 90, "UNATTRIBUTED", 0), (100, 90, "ATTRIBUTED", 90)),
    ("REFUND", "2026-11-01", "1", (100, 90, "ATTRIBUTED", 90), (100, 60, "ATTRIBUTED", 60)),
    ("MERGE", "2026-11-01", "2", (50, 50, "UNATTRIBUTED", 0), (50, 50, "ATTRIBUTED", 50)),
    ("SPLIT", "2026-11-01", "2", (50, 50, "ATTRIBUTED", 50), (50, 50, "UNATTRIBUTED", 0)),
    ("CANCELLATION", "2026-11-01", "1", (100, 60, "ATTRIBUTED", 60), (100, 60, "EXCLUDED", 0)),
    ("REINSTATEMENT", "2026-11-01", "1", (100, 60, "EXCLUDED", 0), (100, 60, "ATTRIBUTED", 60)),
    ("ORDER_CHANGED", "2026-11-01", "2", (50, 50, "UNATTRIBUTED", 0), None),
    ("LATE_ORDER", "2026-11-09", "2", None, (50, 50, "UNATTRIBUTED", 0)),
]


@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4), twice=st.booleans())
@settings(max_examples=8, deadline=None)
async def test_each_change_of_a_day_that_was_over_however_the_log_is_cut(engine, sizes, twice):
    await start_over(engine)
    await tell(engine, LIFE, sizes)
    if twice:
        await tell(engine, LIFE)

    assert shown(await ledger(engine)) == TOLD


async def test_the_tenants_zone_says_which_day_was_over(empty):
    await tell_event(empty, 1, "2026-10-01T00:00:00", settings=settings_pb2.TenantSettings(time_zone="Europe/Madrid"))
    await tell(empty, LIFE[:4])

    assert shown(await ledger(empty)) == [
        ("LATE_TOUCH", "2026-11-01", "1", (100, 90, "UNATTRIBUTED", 0), (100, 90, "ATTRIBUTED", 90))
    ]


async def test_since_period_and_model_choose(empty):
    await tell(empty, LIFE)

    assert shown(await ledger(empty, since="2026-11-05T10:00:00")) == TOLD[3:]
    assert shown(await ledger(empty, start_date="2026-11-02")) == TOLD[-1:]
    kinds = [kind for kind, *_ in shown(await ledger(empty, model="contact"))]
    assert kinds == ["LATE_ORDER", "REFUND", "CANCELLATION", "REINSTATEMENT", "ORDER_CHANGED", "LATE_ORDER"]
    with pytest.raises(InvalidArgumentError, match="model"):
        await ledger(empty, model="none")


async def test_pages_meet(empty):
    await tell(empty, LIFE)

    found, token = [], ""
    while not found or token:
        page = await ledger(empty, page_size=2, page_token=token)
        found, token = found + shown(page), page.next_page_token
    assert found == TOLD
    token = (await ledger(empty, page_size=2)).next_page_token
    with pytest.raises(InvalidArgumentError, match="pageToken"):
        await ledger(empty, page_size=2, page_token=token, model="contact")


RULES = [
    order("1", "2026-11-01T10:00:00", 100, by=1, told="2026-11-01T10:00:01"),
    order("2", "2026-11-01T10:00:00", 50, by=2, told="2026-11-01T10:00:01"),
    # Model at position 9, on the 3rd: decided anew in the background; meanwhile something is told in both editions.
    order("1", "2026-11-01T10:00:00", 100, by=9, told="", cause=SETTINGS, channel="FAQ", edition=9),
    order("1", "2026-11-01T10:00:00", 100, by=10, told="2026-11-04T10:00:00", net=70),
    order("1", "2026-11-01T10:00:00", 100, by=10, told="2026-11-04T10:00:00", net=70, channel="FAQ", edition=9),
    order("2", "2026-11-01T10:00:00", 50, by=9, told="", cause=SETTINGS, edition=9),
]
COMPLETE = credit_pb2.OrderCredits(
    tenant_id="acme",
    edition=9,
    complete=True,
    attributions=[{"model": "conversations", "model_version": 2}, {"model": "contact", "model_version": 1}],
)
AFTER_RULES = order(
    "1", "2026-11-01T10:00:00", 100, by=11, told="2026-11-05T10:00:00", net=60, channel="FAQ", edition=9
)


@pytest.mark.parametrize("sizes", [(1,), (3,), (1_000,), (4, 1, 2)])
async def test_other_models_change_figures_when_they_come_into_force(empty, sizes):
    await tell_event(empty, 9, "2026-11-03T10:00:00", models=model_pb2.ModelSet())
    refund = ("REFUND", "2026-11-01", "1", (100, 100, "UNATTRIBUTED", 0), (100, 70, "UNATTRIBUTED", 0))
    await tell(empty, RULES, sizes)
    assert shown(await ledger(empty)) == [refund]

    await start_over(empty)
    await tell_event(empty, 9, "2026-11-03T10:00:00", models=model_pb2.ModelSet())
    await tell(empty, [*RULES, COMPLETE, AFTER_RULES], sizes)
    assert shown(await ledger(empty)) == [
        ("MODEL", "2026-11-01", "1", (100, 70, "UNATTRIBUTED", 0), (100, 70, "ATTRIBUTED", 70)),
        refund,
        ("REFUND", "2026-11-01", "1", (100, 70, "ATTRIBUTED", 70), (100, 60, "ATTRIBUTED", 60)),
    ]


async def test_another_zone_or_currency_is_told_once(empty):
    for position, at, zone, currency in (
        (1, "2026-11-01T00:00:00", "Europe/Madrid", "EUR"),
        (2, "2026-11-02T00:00:00", "Europe/Madrid", "USD"),
        (3, "2026-11-03T00:00:00", "Europe/Madrid", "USD"),
    ):
        told = settings_pb2.TenantSettings(time_zone=zone, currency_code=currency)
        await tell_event(empty, position, at, settings=told)

    [change] = (await ledger(empty, since="2026-11-01T12:00:00")).settings_changes
    assert (change.currency_code_before, change.currency_code_after, change.event_position) == ("EUR", "USD", 2)
    assert (change.time_zone_before, change.time_zone_after) == ("Europe/Madrid", "Europe/Madrid")


async def test_a_rate_told_late_is_an_entry_of_each_order_that_counts_otherwise_since(empty):
    zone = settings_pb2.TenantSettings(time_zone="UTC", currency_code="USD")
    await tell_event(empty, 1, "2026-10-01T00:00:00", settings=zone)
    await tell(empty, LIFE[:1])
    for position, at, rate in ((2, "2026-11-02T08:00:00", "0.8"), (3, "2026-11-03T08:00:00", "0.5")):
        told = exchange_rate_pb2.ExchangeRates(date="2026-10-30", base_currency_code="USD")
        told.rates.add(currency_code="EUR", rate=rate)
        await tell_event(empty, position, at, exchange_rates=told)
    first, second = (await ledger(empty)).entries

    assert [(pb.LedgerEntry.Kind.Name(one.kind), one.day, one.order_id) for one in (first, second)] == [
        ("RATE", "2026-11-01", "1")
    ] * 2
    assert (first.cause_position, first.before.HasField("counted_amount")) == (2, False)
    assert (first.after.amount.micros, first.after.counted_amount.micros) == (100 * EUR, 125 * EUR)
    assert (first.after.exchange_rate, first.after.exchange_rate_date) == ("0.8", "2026-10-30")
    assert (second.before.counted_net.micros, second.after.counted_net.micros) == (125 * EUR, 200 * EUR)
    assert second.after.counted_amount.currency_code == "USD"
    assert [one.cause_position for one in (await ledger(empty, since="2026-11-02T09:00:00")).entries] == [3]
