"""Zones, currencies and rates told at any moment, with as much of the background done as there was time for."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.ingest.v1 import event_pb2, exchange_rate_pb2
from touchstone.reporting.v1 import report_service_pb2 as pb

from services.chassis.callers import Caller, set_caller
from services.chassis.follow import Entry
from services.kernel.money import minor_unit
from services.reporting import background, counting, follower
from services.reporting.answers import read_tenant
from services.reporting.domain.conversion import HELD_DAYS
from services.reporting.store import rollups, tenants, waiting
from tests.properties import test_reporting_rollups as shop
from tests.properties.test_reporting_rollups import (
    CURRENCIES,
    IN_FORCE,
    MODELS,
    ZONES,
    Credits,
    newest,
    orders,
    plus,
    settings_event,
    start_over,
    triple,
)
from tests.reporting.drilling import buckets_of, drilled
from tests.reporting.settling import settle

engine, servicer = shop.engine, shop.servicer

ACME = "acme"
DAY = ("2026-10-25", "2026-10-25")
FIRST, LAST = date(2026, 10, 17), date(2026, 10, 26)


class Rate(NamedTuple):
    """A rate told to a tenant: so many units of the currency for one of the base."""

    tenant_id: str
    base: str
    currency: str
    day: date
    rate: str


class Pause(NamedTuple):
    """Time for a page of background work: of counting anew, or of converting anew."""

    converting: bool


def of_acme(told: Credits) -> Credits:
    told.tenant_id = ACME
    return told


MOSTLY_EUR = st.sampled_from(["EUR", "EUR", "EUR", *CURRENCIES])
rates = st.builds(
    Rate,
    st.just(ACME),
    MOSTLY_EUR,
    st.sampled_from(CURRENCIES),
    st.integers(0, (LAST - FIRST).days).map(lambda days: FIRST + timedelta(days)),
    st.sampled_from(["0.0031", "0.354", "1.1589", "3", "181.25"]),
).filter(lambda rate: rate.base != rate.currency)
zones = st.tuples(st.just(ACME), st.sampled_from(ZONES), MOSTLY_EUR)
pauses = st.builds(Pause, st.booleans())
told = orders().map(of_acme)
lives = st.tuples(
    st.lists(st.one_of(told, told, rates), min_size=4, max_size=8),
    st.lists(st.one_of(told, told, zones, rates, pauses, pauses), min_size=8, max_size=20),
).map(lambda parts: [(ACME, "Europe/Madrid", "EUR"), *parts[0], *parts[1]])


@pytest.fixture(autouse=True)
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "COUNTED_AT_ONCE", 1)
    monkeypatch.setattr(counting, "_PAGE", 1)


def rates_event(told: Rate) -> event_pb2.LoggedEvent:
    rate = exchange_rate_pb2.ExchangeRate(currency_code=told.currency, rate=told.rate)
    of_day = exchange_rate_pb2.ExchangeRates(date=told.day.isoformat(), base_currency_code=told.base, rates=[rate])
    return event_pb2.LoggedEvent(tenant_id=told.tenant_id, event=event_pb2.Event(exchange_rates=of_day))


async def work(engine: AsyncEngine, pause: Pause) -> None:
    if pause.converting:
        waits, do = waiting.partitions, background.convert_some
    else:
        waits, do = tenants.coming, background.count_some
    async with engine.begin() as connection:
        for partition in await waits(connection):
            await do(connection, partition)


async def live(engine: AsyncEngine, life: Sequence[object], positions: Sequence[int]) -> None:
    await start_over(engine)
    for position, told in zip(positions, life, strict=True):
        if isinstance(told, Pause):
            await work(engine, told)
            continue
        async with engine.begin() as connection:
            if isinstance(told, Credits):
                await follower.apply_credits(connection, 0, [Entry(position, told)])
            else:
                event = rates_event(told) if isinstance(told, Rate) else settings_event(*told)
                await follower.apply_events(connection, 0, [Entry(position, event)])


async def cells_of(engine: AsyncEngine, tenant_id: str) -> dict:
    async with engine.connect() as connection:
        tenant = await read_tenant(connection, tenant_id)
        assert tenant.coming is None
        read = rollups.read(connection, tenant_id, tenant.book)
        return {
            cell._replace(edition=IN_FORCE) if "edition" in cell._fields else cell: measures
            async for cell, measures in read
        }


async def verified(servicer, tenant_id: str) -> bool:
    set_caller(Caller(subject="test", tenant_id=tenant_id, scopes=frozenset({"admin", "reports:read"})))
    *_, last = [answer async for answer in servicer.VerifyRollups(pb.VerifyRollupsRequest(), None)]
    return last.different_cells == 0


def rate_of(life: Sequence[object], tenant_id: str, base: str, currency: str, day: date) -> Decimal | None:
    told = {
        one.day: one.rate
        for one in life
        if isinstance(one, Rate) and one[:3] == (tenant_id, base, currency) and 0 <= (day - one.day).days <= HELD_DAYS
    }
    return Decimal(told[max(told)]) if told else None


def settled(life: Sequence[object], tenant_id: str) -> tuple[str, str]:
    told = [one[1:] for one in life if type(one) is tuple and one[0] == tenant_id]
    return told[-1] if told else ("UTC", "")


def expected_store(life: Sequence[object], tenant_id: str) -> dict[str, tuple[int, ...]]:
    zone, base = settled(life, tenant_id)
    sums: dict[str, tuple[int, ...]] = defaultdict(lambda: (0, 0, 0))
    for (tenant, _), told in newest(life).items():
        order = told.order
        if tenant != tenant_id or not order.HasField("order_time"):
            continue
        day = datetime.fromtimestamp(order.order_time.seconds, ZoneInfo(zone)).date()
        if day != date(2026, 10, 25):
            continue
        currency, amounts = order.currency_code, (order.gross_micros, order.net_micros)
        rate = rate_of(life, tenant_id, base, currency, day)
        if currency != base and rate is not None:
            unit = minor_unit(base)
            units = [(Decimal(micros) / rate / unit).quantize(Decimal(1), ROUND_HALF_EVEN) for micros in amounts]
            currency, amounts = base, tuple(int(one) * unit for one in units)
        sums[currency] = plus(sums[currency], (1, *amounts))
    return dict(sums)


@given(life=lives, credits_first=st.booleans())
@settings(max_examples=18, deadline=None, phases=(Phase.generate,))
async def test_whatever_was_told_when_figures_are_a_recount_and_a_rebuild(engine, servicer, life, credits_first):
    await live(engine, life, range(3, len(life) + 3))
    # Half done or not, sums and facts agree at any moment.
    assert await verified(servicer, ACME)
    for model in MODELS:
        whole = await shop.statement(servicer, ACME, model)
        assert {triple(one.difference) for one in (whole, *whole.unconverted)} == {(0, 0, 0)}
        assert await drilled(engine, *DAY, model) == buckets_of(whole)
    await settle(engine)

    lived = await cells_of(engine, ACME)
    assert await verified(servicer, ACME)
    whole = await shop.statement(servicer, ACME, MODELS[0])
    assert (whole.metadata.time_zone, whole.metadata.currency_code) == settled(life, ACME)
    assert await drilled(engine, *DAY, MODELS[0]) == buckets_of(whole)
    read = {one.store.amount.currency_code: triple(one.store) for one in (whole, *whole.unconverted)}
    assert {currency: sums for currency, sums in read.items() if any(sums)} == expected_store(life, ACME)

    # A rebuild is told the same at the same positions, the logs in another sequence to each other.
    kept = [(position, told) for position, told in enumerate(life, start=3) if not isinstance(told, Pause)]
    kept.sort(key=lambda one: isinstance(one[1], Credits) is credits_first)
    await live(engine, [told for _, told in kept], [position for position, _ in kept])
    await settle(engine)
    assert await cells_of(engine, ACME) == lived
