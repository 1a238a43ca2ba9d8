"""Answers `touchstone.reporting.v1.LedgerService`."""

import json
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, Final

import grpc
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.attribution.v1 import credit_pb2
from touchstone.reporting.v1 import ledger_service_pb2 as pb
from touchstone.reporting.v1 import ledger_service_pb2_grpc as pb_grpc
from touchstone.reporting.v1 import report_pb2
from touchstone.type.v1 import money_pb2

from services.chassis import callers
from services.reporting import answers
from services.reporting.domain.ledger import Cause, Kind, Standing, UnderModel, kind_of
from services.reporting.domain.paging import page_size, read_text, write_text
from services.reporting.domain.periods import Period, read_period
from services.reporting.domain.tenants import DEFAULT_MODEL, Tenant
from services.reporting.store import ledger

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
            days = _days(period, tenant)
            found = await ledger.read(
                connection, tenant_id, model, days, since_micros=since, after=after, count=limit + 1
            )
            rules = [] if request.page_token else await ledger.read_rules(connection, tenant_id, since)
        response = pb.ListLedgerEntriesResponse(
            entries=[_entry(one, days[one.day_index][0], model) for one in found[:limit]],
            settings_changes=[_settings_change(row) for row in rules],
            metadata=report_pb2.ReportMetadata(
                time_zone=tenant.time_zone,
                currency_code=tenant.currency_code,
                start_date=period.start.isoformat(),
                end_date=period.end.isoformat(),
                model=model,
                model_version=tenant.model_version(model),
            ),
        )
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


def _read_after(token: str, listed_by: bytes) -> ledger.After:
    if not token:
        return ledger.FIRST
    micros, position, order_id, source, seconds = json.loads(read_text(token, listed_by))
    return micros, position, order_id, source, seconds


def _days(period: Period, tenant: Tenant) -> Sequence[tuple[date, int, int]]:
    """The days of a period, each with the seconds of Unix time at which it begins and at which the next one does."""
    dates = [period.start + timedelta(days=number) for number in range(period.days + 1)]
    starts = [int(datetime.combine(day, time(), tenant.zone).timestamp()) for day in dates]
    return list(zip(dates[:-1], starts[:-1], starts[1:], strict=True))


def _entry(found: ledger.Found, day: date, model: str) -> pb.LedgerEntry:
    kind = kind_of(Cause(found.cause), found.before, found.after, model)
    entry = pb.LedgerEntry(
        kind=pb.LedgerEntry.Kind.ValueType(Kind.MODEL if found.is_models and kind is Kind.SETTINGS else kind),
        day=day.isoformat(),
        source=found.source,
        order_id=found.order_id,
        before=_amounts(found.before, model),
        after=_amounts(found.after, model),
        cause_kind=credit_pb2.Cause.Kind.ValueType(found.cause),
        cause_position=found.cause_position,
        credit_position=found.credit_position,
    )
    entry.change_time.FromMicroseconds(found.cause_micros)
    return entry


def _amounts(standing: Standing | None, model: str) -> pb.LedgerAmounts | None:
    if standing is None:
        return None
    under = standing.models.get(model) or UnderModel("", "", "", (), 0, 0)

    def money(micros: int) -> money_pb2.Money:
        return money_pb2.Money(currency_code=standing.currency_code, micros=micros)

    return pb.LedgerAmounts(
        amount=money(standing.gross_micros),
        net=money(standing.net_micros),
        outcome=under.outcome,
        excluded_reason=under.excluded_reason,
        tier=under.tier,
        channels=under.channels,
        attributed_amount=money(under.gross_micros),
        attributed_net=money(under.net_micros),
    )


def _settings_change(row: ledger.RulesRow) -> pb.SettingsChange:
    change = pb.SettingsChange(
        time_zone_before=row.zone_before,
        time_zone_after=row.zone_after,
        currency_code_before=row.currency_before,
        currency_code_after=row.currency_after,
        event_position=row.position,
    )
    change.change_time.FromMicroseconds(row.receive_micros)
    return change
