"""Answers `touchstone.ingest.v1.ExchangeRateService`."""

import time
from collections.abc import Sequence
from datetime import date
from typing import Any

import grpc
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from touchstone.ingest.v1 import exchange_rate_service_pb2 as pb
from touchstone.ingest.v1 import exchange_rate_service_pb2_grpc as pb_grpc

from services.chassis import callers, telemetry
from services.ingest.domain.deduplication import Entry
from services.ingest.domain.exchange_rates import check_day, check_rates, decide, page_start, page_token
from services.ingest.domain.paging import cut, page_size
from services.ingest.domain.tenants import TenantTerms, existing
from services.ingest.store import exchange_rates as store
from services.ingest.store.directory import TenantDirectory
from services.ingest.store.event_log import EventLog
from services.ingest.store.tenants import find_tenant
from services.ingest.wire import exchange_rates as wire
from services.ingest.wire.tenants import settings_of
from services.kernel.failures import InvalidArgumentError

Context = grpc.aio.ServicerContext[Any, Any]


class ExchangeRateServicer(pb_grpc.ExchangeRateServiceServicer):
    """The rates that amounts are converted by."""

    def __init__(self, engine: AsyncEngine, event_log: EventLog, directory: TenantDirectory) -> None:
        self._engine = engine
        self._event_log = event_log
        self._directory = directory

    async def ListExchangeRates(
        self,
        request: pb.ListExchangeRatesRequest,
        context: Context,
    ) -> pb.ListExchangeRatesResponse:
        """A page of the tenant's rates."""
        size = page_size(request.page_size)
        first = check_day("startDate", request.start_date) if request.start_date else date.min
        last = check_day("endDate", request.end_date) if request.end_date else date.max
        if last < first:
            raise InvalidArgumentError.of("endDate", "is before startDate")
        found = await store.list_rates(
            self._engine,
            callers.tenant_id(),
            days=(first, last),
            only=request.currency_code,
            after=page_start(request.page_token),
            count=size + 1,
        )
        page, end = cut(found, size)
        return pb.ListExchangeRatesResponse(
            exchange_rates=map(wire.rate_message, page), next_page_token=page_token(end.key) if end else ""
        )

    async def ImportExchangeRates(
        self,
        request: pb.ImportExchangeRatesRequest,
        context: Context,
    ) -> pb.ImportExchangeRatesResponse:
        """Stores rates, and appends what is new of them in the same transaction."""
        terms = await self._directory.find_one(callers.tenant_id())

        async def change(connection: AsyncConnection) -> tuple[pb.ImportExchangeRatesResponse, Sequence[Entry]]:
            return await _change(connection, terms, request)

        return await self._event_log.change(terms.partition, change)


async def _change(
    connection: AsyncConnection, terms: TenantTerms, request: pb.ImportExchangeRatesRequest
) -> tuple[pb.ImportExchangeRatesResponse, Sequence[Entry]]:
    found = existing(await find_tenant(connection, terms.tenant_id))
    rates = check_rates(wire.told(request), settings_of(found.tenant).currency_code)
    stored, unchanged = decide(rates, await store.find(connection, terms.tenant_id, rates), replace=request.replace)
    answer = pb.ImportExchangeRatesResponse(stored=len(stored), unchanged=unchanged)
    if not stored:
        return answer, ()
    await store.store(connection, terms.tenant_id, stored)
    trace_parent = telemetry.current_trace_parent()
    return answer, wire.rates_entries(terms, stored, trace_parent=trace_parent, now=time.time_ns())
