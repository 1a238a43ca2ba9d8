"""Settings and exchange rates as the event log tells of them."""

from datetime import date
from zoneinfo import ZoneInfo

from touchstone.ingest.v1 import event_pb2, settings_pb2

from services.reporting.domain.conversion import ToldRate
from services.reporting.domain.tenants import UTC, Cost, Tenant


def settings_of(settings: settings_pb2.TenantSettings) -> tuple[str, str]:
    """The zone and the reporting currency; raises `ZoneInfoNotFoundError` for a zone that this machine doesn't know."""
    return ZoneInfo(settings.time_zone or UTC).key, settings.currency_code


def cost_of(tenant: Tenant) -> Cost | None:
    """What the tenant's assistant costs; None when it was not told."""
    told = settings_pb2.TenantSettings.FromString(tenant.settings)
    if not told.HasField("assistant_monthly_cost"):
        return None
    return Cost(told.assistant_monthly_cost.currency_code, told.assistant_monthly_cost.micros)


def language_of(settings: bytes) -> str:
    """The language tag in a settings document as the tenant's row holds it; empty for none."""
    return settings_pb2.TenantSettings.FromString(settings).language_code


def rates_of(logged: event_pb2.LoggedEvent, position: int) -> list[ToldRate]:
    """The exchange rates that an event tells of, which stands at a position of its log."""
    told = logged.event.exchange_rates
    day, received = date.fromisoformat(told.date), logged.receive_time.ToMicroseconds()
    return [
        ToldRate(logged.tenant_id, told.base_currency_code, one.currency_code, day, one.rate, position, received)
        for one in told.rates
    ]
