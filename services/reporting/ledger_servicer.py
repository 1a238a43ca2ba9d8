"""Answers `touchstone.reporting.v1.LedgerService`."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime, time, timedelta
from typing import Any, Final

import grpc
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.reporting.v1 import ledger_service_pb2 as pb
from touchstone.reporting.v1 import ledger_service_pb2_grpc as pb_grpc
from touchstone.reporting.v1 import report_pb2

from services.chassis import callers
from services.reporting import answers, ledger_entries
from services.reporting.domain.paging import page_size, read_text, write_text
from services.reporting.domain.periods import Period, read_period
from services.reporting.domain.rate_history import Day
from services.reporting.domain.tenants import DEFAULT_MODEL, Tenant
from services.reporting.store import ledger_reading
from services.reporting.store.ledger_reading import Place
from services.reporting.wire.ledger import entry_message, settings_change_message
from services.reporting.wire.reports import fill_recount

Context = grpc.aio.ServicerContext[Any, Any]

_LARGEST_PAGE: Final = 2_000


class LedgerServicer(pb_grpc.LedgerServiceServicer):
    """Why figures of days that were over changed. `engine_of` answers the state to read."""

    def __init__(self, engine_of: Callable[[], AsyncEngine]) -> None:
        self._engine_of = engine_of

    async def ListLedgerEntries(
        self,
        request: pb.ListLedgerEntriesRequest,
        context: Context,
    ) -> pb.ListLedgerEntriesResponse:
        """A page of changes, by the time of their causes."""
        tenant_id, model = callers.tenant_id(), request.model or DEFAULT_MODEL
        period = read_period(request.start_date, request.end_date)
        limit = page_size(request.page_size, default=100, largest=_LARGEST_PAGE)
        listed_by = _listed_by(request, tenant_id)
        after = _read_after(request.page_token, listed_by)
        since = request.since.ToMicroseconds()
        async with answers.moment(self._engine_of()) as connection:
            tenant = await answers.read_tenant(connection, tenant_id)
            tenant.model_version(model)
            asked = ledger_entries.Asked(model, _days(period, tenant), since, after, limit + 1)
            found = await ledger_entries.read(connection, tenant, asked)
            rules = [] if request.page_token else await ledger_reading.read_rules(connection, tenant_id, since)
        response = pb.ListLedgerEntriesResponse(
            entries=[entry_message(one, model, tenant.currency_code) for one in found[:limit]],
            settings_changes=[settings_change_message(change) for change in rules],
            metadata=report_pb2.ReportMetadata(
                time_zone=tenant.time_zone,
                currency_code=tenant.currency_code,
                start_date=period.start.isoformat(),
                end_date=period.end.isoformat(),
                model=model,
                model_version=tenant.model_version(model),
            ),
        )
        fill_recount(response.metadata, tenant)
        if len(found) > limit:
            response.next_page_token = write_text(json.dumps(found[limit - 1][:5]), listed_by)
        return response


def _listed_by(request: pb.ListLedgerEntriesRequest, tenant_id: str) -> bytes:
    """All that decides what is listed, and whose it is."""
    asked = pb.ListLedgerEntriesRequest()
    asked.CopyFrom(request)
    asked.ClearField("page_size")
    asked.ClearField("page_token")
    return tenant_id.encode() + b"\0" + asked.SerializeToString(deterministic=True)


def _read_after(token: str, listed_by: bytes) -> Place:
    if not token:
        return ledger_entries.FIRST
    micros, position, order_id, source, seconds = json.loads(read_text(token, listed_by))
    return micros, position, order_id, source, seconds


def _days(period: Period, tenant: Tenant) -> Sequence[Day]:
    """The days of a period, each with the seconds of Unix time at which it begins and at which the next one does."""
    dates = [period.start + timedelta(days=number) for number in range(period.days + 1)]
    starts = [int(datetime.combine(day, time(), tenant.zone).timestamp()) for day in dates]
    return list(zip(dates[:-1], starts[:-1], starts[1:], strict=True))
