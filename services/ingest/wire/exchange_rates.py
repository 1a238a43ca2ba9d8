"""Exchange rates: requests read, and the events that tell of rates."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from uuid import uuid4

from touchstone.ingest.v1 import event_pb2, exchange_rate_pb2
from touchstone.ingest.v1 import exchange_rate_service_pb2 as pb

from services.ingest.domain.deduplication import Entry
from services.ingest.domain.events import OWN_SOURCE
from services.ingest.domain.exchange_rates import Rate, Told
from services.ingest.domain.sources import SourceKind
from services.ingest.domain.tenants import TenantTerms
from services.ingest.wire.events import entry_of, sender_of
from services.ingest.wire.times import timestamp_of
from services.kernel.failures import InvalidArgumentError


def told(request: pb.ImportExchangeRatesRequest) -> list[Told]:
    """The rates of a request, as they were sent."""
    return [Told(one.date, one.currency_code, one.rate, one.base_currency_code) for one in request.exchange_rates]


def rate_message(rate: Rate) -> exchange_rate_pb2.ExchangeRate:
    """A stored rate."""
    day, currency_code, base = rate.key
    return exchange_rate_pb2.ExchangeRate(
        date=day.isoformat(), currency_code=currency_code, rate=rate.rate, base_currency_code=base
    )


def rates_entries(tenant: TenantTerms, rates: Iterable[Rate], *, trace_parent: str, now: int) -> list[Entry]:
    """The log entries that tell of rates, one for each day and base; `now` in nanoseconds since 1970."""
    receive_time = timestamp_of(now)
    own = sender_of(tenant, OWN_SOURCE, SourceKind.CUSTOM, now=now).at(receive_time, trace_parent)
    days: dict[tuple[date, str], list[exchange_rate_pb2.ExchangeRate]] = defaultdict(list)
    for key, rate in sorted(rates):
        told = exchange_rate_pb2.ExchangeRate(currency_code=key.currency_code, rate=rate)
        days[key.day, key.base_currency_code].append(told)
    entries = []
    for (day, base), of_day in days.items():
        event = event_pb2.Event(
            event_id=f"exchange-rates/{uuid4()}",
            occur_time=receive_time,
            exchange_rates=exchange_rate_pb2.ExchangeRates(date=day.isoformat(), base_currency_code=base, rates=of_day),
        )
        entry = entry_of(event, own)
        if not isinstance(entry, Entry):
            raise InvalidArgumentError("INVALID_FIELD", entry.reason)
        entries.append(entry)
    return entries
