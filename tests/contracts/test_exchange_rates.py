"""Exchange rates on a real Postgres: stored once, listed in pages, and told in the log."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from touchstone.ingest.v1 import event_pb2, exchange_rate_pb2, settings_pb2
from touchstone.ingest.v1 import exchange_rate_service_pb2 as pb

import services.ingest
from services.chassis.callers import Caller, set_caller
from services.chassis.database import open_database
from services.chassis.migrations import migrate
from services.ingest.domain.events import Limits
from services.ingest.domain.tenants import Tenant
from services.ingest.servicer.exchange_rates import ExchangeRateServicer
from services.ingest.store import tenants
from services.ingest.store.directory import TenantDirectory
from services.ingest.store.event_log import EventLog
from services.ingest.store.vault import Vault
from services.kernel.failures import AlreadyExistsError

MIGRATIONS = Path(services.ingest.__file__).parent / "migrations"


async def test_rates_are_stored_once_and_told_in_the_log(database_url):
    await migrate(database_url, schema="ingest", scripts=MIGRATIONS)
    engine, vault, log = open_database(database_url, schema="ingest"), Vault(b"k" * 32), []
    event_log = EventLog(engine, vault, lambda *told: log.extend(told[2]))
    settings = settings_pb2.TenantSettings(currency_code="EUR", time_zone="UTC").SerializeToString()
    tenant = Tenant(tenant_id="acme", partition=3, settings=settings, create_time=datetime(2026, 11, 21, tzinfo=UTC))
    async with engine.begin() as connection:
        await tenants.insert_tenant(
            connection, vault, tenant, hash_key=b"h" * 32, create_fingerprint=b"f", limits=Limits()
        )
    set_caller(Caller(subject="test", tenant_id="acme", scopes=frozenset({"admin"})))
    servicer = ExchangeRateServicer(engine, event_log, TenantDirectory(engine, vault))

    async def told(*rates, replace=False):
        request = pb.ImportExchangeRatesRequest(replace=replace)
        for day, currency, rate in rates:
            request.exchange_rates.add(date=day, currency_code=currency, rate=rate)
        answer = await servicer.ImportExchangeRates(request, None)
        return answer.stored, answer.unchanged

    first = [("2026-11-20", "USD", "1.16"), ("2026-11-19", "USD", "1.15"), ("2026-11-20", "JPY", "180.50")]
    assert await told(*first) == (3, 0)
    assert await told(*first, ("2026-11-20", "KWD", "0.354")) == (1, 3)
    with pytest.raises(AlreadyExistsError):
        await told(("2026-11-20", "USD", "1.17"), ("2026-11-21", "USD", "1.17"))
    assert await told(("2026-11-20", "USD", "1.17"), replace=True) == (1, 0)

    events = [event_pb2.LoggedEvent.FromString(payload).event.exchange_rates for payload in log]
    assert [
        (one.date, one.base_currency_code, [(rate.currency_code, rate.rate) for rate in one.rates]) for one in events
    ] == [
        ("2026-11-19", "EUR", [("USD", "1.15")]),
        ("2026-11-20", "EUR", [("JPY", "180.5"), ("USD", "1.16")]),
        ("2026-11-20", "EUR", [("KWD", "0.354")]),
        ("2026-11-20", "EUR", [("USD", "1.17")]),
    ]

    async def listed(**asked):
        answer = await servicer.ListExchangeRates(pb.ListExchangeRatesRequest(**asked), None)
        return [(one.date, one.currency_code, one.rate) for one in answer.exchange_rates], answer.next_page_token

    page, token = await listed(page_size=2)
    assert page == [("2026-11-19", "USD", "1.15"), ("2026-11-20", "JPY", "180.5")]
    assert (await listed(page_size=2, page_token=token)) == (
        [("2026-11-20", "KWD", "0.354"), ("2026-11-20", "USD", "1.17")],
        "",
    )
    assert await listed(currency_code="USD", start_date="2026-11-20", end_date="2026-11-20") == (
        [("2026-11-20", "USD", "1.17")],
        "",
    )
    [one] = (await servicer.ListExchangeRates(pb.ListExchangeRatesRequest(end_date="2026-11-19"), None)).exchange_rates
    assert one == exchange_rate_pb2.ExchangeRate(
        date="2026-11-19", currency_code="USD", rate="1.15", base_currency_code="EUR"
    )
    await event_log.close()
    await engine.dispose()
