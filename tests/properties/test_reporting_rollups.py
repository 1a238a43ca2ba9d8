"""Whatever the credit log tells, in whatever batches, the rollups are a recount and the statement leaves nothing."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.attribution.v1 import credit_pb2
from touchstone.ingest.v1 import event_pb2, interaction_pb2, settings_pb2
from touchstone.reporting.v1 import report_service_pb2 as pb

from services.chassis.callers import Caller, set_caller
from services.chassis.database import open_database
from services.chassis.follow import Entry
from services.chassis.migrations import migrate
from services.kernel.money import minor_unit, split
from services.reporting import follower
from services.reporting.servicer import ReportServicer
from services.reporting.store.tables import CELLS
from tests.reporting.settling import TABLES, settle

MIGRATIONS = Path(follower.__file__).parent / "migrations"
TENANTS = ("acme", "basalt")
CURRENCIES = ("EUR", "JPY", "KWD")
ZONES = ("UTC", "Europe/Madrid", "Pacific/Apia", "America/St_Johns")
MODELS = ("conversations", "linear")
IN_FORCE = 5
# Around a night in which Europe's clocks go back.
EARLIEST = int(datetime(2026, 10, 24, 20, tzinfo=UTC).timestamp())
REASONS = credit_pb2.Exclusion.Reason.values()
CHANNELS = [1, 2, 4]
Credits = credit_pb2.OrderCredits


@st.composite
def attributions(draw: st.DrawFn, order: credit_pb2.OrderSnapshot, model: str) -> credit_pb2.Attribution:
    said = credit_pb2.Attribution(model=model, model_version=1, excluded_reason=order.excluded_reason)
    if model == "linear":
        # It has statuses of its own.
        said.excluded_reason = draw(st.sampled_from([order.excluded_reason] * 3 + [0, *REASONS]))
    most = 1 if model == "conversations" else 3
    touches = 0 if said.excluded_reason else draw(st.integers(0, most))
    gross = split(order.gross_micros, [1] * touches, order.currency_code) if touches else []
    net = split(order.net_micros, [1] * touches, order.currency_code) if touches else []
    for index in range(touches):
        said.matched_by = draw(st.sampled_from([1, 2, 6])) if index == 0 else said.matched_by
        touch = credit_pb2.Touch(
            event_id=str(index),
            channel=draw(st.sampled_from(CHANNELS)),
            touchpoint=draw(st.sampled_from(["", 'web"site\\'])),
            bot_name=draw(st.sampled_from(["", "Ada"])),
        )
        said.credits.add(touch=touch, gross_micros=gross[index], net_micros=net[index])
    return said


@st.composite
def orders(draw: st.DrawFn) -> Credits:
    currency = draw(st.sampled_from(CURRENCIES))
    unit = minor_unit(currency)
    gross = draw(st.integers(0, 500)) * unit
    order = credit_pb2.OrderSnapshot(
        source="shop",
        order_id=str(draw(st.integers(1, 4))),
        currency_code=currency,
        gross_micros=gross,
        net_micros=draw(st.sampled_from([gross, gross // 2 // unit * unit, 0])),
        excluded_reason=draw(st.sampled_from([0, 0, 0, *REASONS])),
    )
    if draw(st.integers(0, 9)):
        order.order_time.CopyFrom(Timestamp(seconds=EARLIEST + draw(st.integers(0, 16)) * 3600))
    for _ in range(draw(st.integers(0, 3))):
        order.lines.add(sku=draw(st.sampled_from("ab")), quantity=draw(st.integers(0, 2)), gross_micros=unit)
    # What is told in a coming edition has no part in any figure.
    edition = draw(st.sampled_from([IN_FORCE, IN_FORCE, IN_FORCE, IN_FORCE + 1]))
    credits_ = Credits(tenant_id=draw(st.sampled_from(TENANTS)), order=order, edition=edition)
    credits_.attributions.extend(draw(attributions(order, model)) for model in MODELS)
    return credits_


zones = st.tuples(st.sampled_from(TENANTS), st.sampled_from(ZONES), st.sampled_from(CURRENCIES))
logs = st.lists(st.one_of(orders(), orders(), orders(), zones), min_size=1, max_size=25)
cuts = st.lists(st.integers(1, 8), min_size=1, max_size=8)


@pytest.fixture(scope="module")
async def engine(new_database: Callable[[], str]) -> AsyncEngine:
    url = new_database()
    await migrate(url, schema="reporting_1", scripts=MIGRATIONS)
    engine = open_database(url, schema="reporting_1")
    yield engine
    await engine.dispose()


@pytest.fixture(scope="module")
def servicer(engine) -> ReportServicer:
    return servicer_of(engine)


def servicer_of(engine: AsyncEngine) -> ReportServicer:
    async def parked_of(_tenant_id: str) -> int:
        return 0

    return ReportServicer(lambda: engine, parked_of)


def settings_event(tenant_id: str, zone: str, currency: str) -> event_pb2.LoggedEvent:
    told = settings_pb2.TenantSettings(time_zone=zone, currency_code=currency)
    return event_pb2.LoggedEvent(tenant_id=tenant_id, event=event_pb2.Event(settings=told))


def complete(tenant_id: str) -> Credits:
    told = Credits(tenant_id=tenant_id, edition=IN_FORCE, complete=True)
    for name in MODELS:
        told.attributions.add(model=name, model_version=3)
    return told


async def start_over(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        for table in ("tenant", "order_fact", *TABLES, *(cells.name for cells in CELLS.values())):
            await connection.execute(text(f"DELETE FROM {table}"))
        entries = [Entry(index, complete(tenant)) for index, tenant in enumerate(TENANTS, start=1)]
        await follower.apply_credits(connection, 0, entries)


async def apply(engine: AsyncEngine, log: Sequence[Credits | tuple[str, str, str]], sizes: Sequence[int]) -> None:
    """Applies as the chassis does: each log in its sequence, in batches, some of them twice."""
    await start_over(engine)
    pending: list[Entry[Credits]] = []
    batches = 0

    async def flush() -> None:
        nonlocal batches
        for _ in range(1 + batches % 2):
            async with engine.begin() as connection:
                assert await follower.apply_credits(connection, 0, pending) == ()
        batches += 1
        pending.clear()

    for position, told in enumerate(log, start=3):
        if isinstance(told, tuple):
            async with engine.begin() as connection:
                await follower.apply_events(connection, 0, [Entry(position, settings_event(*told))])
            continue
        pending.append(Entry(position, told))
        if len(pending) >= sizes[batches % len(sizes)]:
            await flush()
    if pending:
        await flush()
    await settle(engine)


async def statement(servicer: ReportServicer, tenant_id: str, model: str):
    set_caller(Caller(subject="test", tenant_id=tenant_id, scopes=frozenset({"reports:read"})))
    request = pb.GetStatementRequest(start_date="2026-10-25", end_date="2026-10-25", model=model)
    return (await servicer.GetStatement(request, None)).statement


def newest(log: Sequence[Credits | tuple[str, str, str]]) -> dict[tuple[str, str], Credits]:
    in_force = (told for told in log if isinstance(told, Credits) and told.edition == IN_FORCE)
    return {(told.tenant_id, told.order.order_id): told for told in in_force}


def last_settings(log: Sequence[Credits | tuple[str, str, str]], tenant_id: str) -> tuple[str, str]:
    told = [one[1:] for one in log if isinstance(one, tuple) and one[0] == tenant_id]
    return told[-1] if told else ("UTC", "")


def in_period(log, tenant_id: str, first: date = date(2026, 10, 25), last: date = date(2026, 10, 25)) -> list[Credits]:
    zone = ZoneInfo(last_settings(log, tenant_id)[0])
    return [
        told
        for (tenant, _), told in newest(log).items()
        if tenant == tenant_id
        and told.order.HasField("order_time")
        and first <= datetime.fromtimestamp(told.order.order_time.seconds, zone).date() <= last
    ]


def placed(said: credit_pb2.OrderCredits, model: str) -> tuple[str, credit_pb2.Attribution | None]:
    attribution = next(one for one in said.attributions if one.model == model)
    if attribution.excluded_reason:
        return credit_pb2.Exclusion.Reason.Name(attribution.excluded_reason), None
    return ("ATTRIBUTED", attribution) if attribution.credits else ("UNATTRIBUTED", None)


def triple(bucket) -> tuple[int, int, int]:
    return bucket.orders, bucket.amount.micros, bucket.net.micros


def plus(left: tuple[int, ...], right: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(map(sum, zip(left, right, strict=True)))


@given(log=logs, sizes=cuts, model=st.sampled_from(MODELS))
@settings(max_examples=30, deadline=None)
async def test_the_statement_is_what_the_newest_orders_say(engine, servicer, log, sizes, model):
    await apply(engine, log, sizes)

    for tenant_id in TENANTS:
        expected = defaultdict(lambda: (0, 0, 0))
        for told in in_period(log, tenant_id):
            order, (outcome, _) = told.order, placed(told, model)
            amounts = (1, order.gross_micros, order.net_micros)
            for key in ((order.currency_code, "STORE"), (order.currency_code, outcome)):
                expected[key] = plus(expected[key], amounts)
        whole = await statement(servicer, tenant_id, model)
        assert (whole.metadata.time_zone, whole.metadata.currency_code) == last_settings(log, tenant_id)
        assert [one.store.amount.currency_code for one in whole.unconverted] == sorted(
            {currency for currency, _ in expected} - {whole.metadata.currency_code}
        )
        for one in (whole, *whole.unconverted):
            currency = one.store.amount.currency_code
            assert triple(one.difference) == (0, 0, 0)
            assert triple(one.store) == expected[currency, "STORE"]
            assert triple(one.attributed) == expected[currency, "ATTRIBUTED"]
            assert triple(one.unattributed) == expected[currency, "UNATTRIBUTED"]
            assert {excluded.reason: triple(excluded) for excluded in one.excluded} == {
                name: amounts
                for (of, name), amounts in expected.items()
                if of == currency and name not in ("STORE", "ATTRIBUTED", "UNATTRIBUTED")
            }


@given(log=logs, sizes=cuts)
@settings(max_examples=30, deadline=None)
async def test_rollups_are_a_recount(engine, servicer, log, sizes):
    await apply(engine, log, sizes)

    for tenant_id in TENANTS:
        set_caller(Caller(subject="test", tenant_id=tenant_id, scopes=frozenset({"admin"})))
        *_, last = [answer async for answer in servicer.VerifyRollups(pb.VerifyRollupsRequest(), None)]
        facts = sum(tenant == tenant_id for tenant, _ in newest(log))
        assert (last.checked, last.total, last.different_cells) == (facts, facts, 0)


@given(log=logs, sizes=cuts, others=cuts, shuffle=st.randoms(use_true_random=False), model=st.sampled_from(MODELS))
@settings(max_examples=20, deadline=None)
async def test_the_statement_does_not_tell_how_orders_came(engine, servicer, log, sizes, others, shuffle, model):
    await apply(engine, log, sizes)
    before = [(await statement(servicer, tenant, model)).SerializeToString(deterministic=True) for tenant in TENANTS]

    final: list = list(newest(log).values())
    final += [(tenant, *last_settings(log, tenant)) for tenant in TENANTS]
    shuffle.shuffle(final)
    await apply(engine, final, others)

    after = [(await statement(servicer, tenant, model)).SerializeToString(deterministic=True) for tenant in TENANTS]
    assert after == before


DIMENSIONS = ("channel", "touchpoint", "bot", "tier", "currency", "day")


@given(
    log=logs,
    sizes=cuts,
    model=st.sampled_from(MODELS),
    dimensions=st.lists(st.sampled_from(DIMENSIONS), unique=True, max_size=4),
    channels=st.sampled_from([(), ("CHAT",), ("CHAT", "FAQ")]),
)
@settings(max_examples=30, deadline=None)
async def test_an_order_counts_once_in_each_row_that_has_a_part_of_it(
    engine, servicer, log, sizes, model, dimensions, channels
):
    await apply(engine, log, sizes)

    for tenant_id in TENANTS:
        zone, reporting_currency = last_settings(log, tenant_id)
        rows, revenue, total = defaultdict(set), Counter(), set()
        for told in in_period(log, tenant_id, date(2026, 10, 24), date(2026, 10, 26)):
            _, attribution = placed(told, model)
            currency = told.order.currency_code
            if attribution is None or ("currency" not in dimensions and currency != reporting_currency):
                continue
            for credit in attribution.credits:
                channel = interaction_pb2.Interaction.Channel.Name(credit.touch.channel)
                if channels and channel not in channels:
                    continue
                values = {
                    "channel": channel,
                    "touchpoint": credit.touch.touchpoint,
                    "bot": credit.touch.bot_name,
                    "tier": credit_pb2.MatchBasis.Tier.Name(attribution.matched_by),
                    "currency": currency,
                    "day": datetime.fromtimestamp(told.order.order_time.seconds, ZoneInfo(zone)).date().isoformat(),
                }
                key = tuple(values[name] for name in dimensions)
                rows[key].add(told.order.order_id)
                revenue[key] += credit.gross_micros
                if currency == reporting_currency:
                    total.add(told.order.order_id)
        set_caller(Caller(subject="test", tenant_id=tenant_id, scopes=frozenset({"reports:read"})))
        request = pb.RunReportRequest(
            metrics=["attributed_orders", "attributed_revenue"],
            dimensions=dimensions,
            start_date="2026-10-24",
            end_date="2026-10-26",
            model=model,
            filters=[pb.Filter(dimension="channel", values=channels)] if channels else [],
        )
        report = await servicer.RunReport(request, None)

        read = {
            tuple(row.dimensions[name] for name in dimensions): (
                row.metrics["attributed_orders"].count,
                row.metrics["attributed_revenue"].money.micros,
            )
            for row in report.rows
        }
        expected = {key: (len(ids), revenue[key]) for key, ids in rows.items()}
        assert read == (expected if dimensions else (expected or {(): (0, 0)}))
        assert [tuple(row.dimensions[name] for name in dimensions) for row in report.rows] == sorted(read)
        assert report.total_size == len(read)
        assert report.totals.metrics["attributed_orders"].count == len(total)
