"""The ledger."""

from touchstone.attribution.v1 import credit_pb2
from touchstone.reporting.v1 import ledger_service_pb2 as pb

from services.reporting.domain.conversion import Rate
from services.reporting.domain.ledger import Cause, Entry, Kind, RulesChange, Standing, counted, kind_of, under
from services.reporting.wire.amounts import money


def entry_message(entry: Entry, model: str, currency_code: str) -> pb.LedgerEntry:
    """A change, its amounts also in the reporting currency."""
    message = pb.LedgerEntry(
        kind=pb.LedgerEntry.Kind.ValueType(_kind(entry, model)),
        day=entry.day.isoformat(),
        source=entry.source,
        order_id=entry.order_id,
        before=_amounts(entry.before, entry.rate_before, model, currency_code),
        after=_amounts(entry.after, entry.rate_after, model, currency_code),
        cause_kind=credit_pb2.Cause.Kind.ValueType(entry.cause or Cause.UNKNOWN),
        cause_position=entry.cause_position,
        credit_position=entry.credit_position,
    )
    message.change_time.FromMicroseconds(entry.cause_micros)
    return message


def _kind(entry: Entry, model: str) -> Kind:
    if entry.cause is None:
        return Kind.RATE
    kind = kind_of(entry.cause, entry.before, entry.after, model)
    return Kind.MODEL if entry.is_models and kind is Kind.SETTINGS else kind


def _amounts(standing: Standing | None, rate: Rate, model: str, currency_code: str) -> pb.LedgerAmounts | None:
    if standing is None:
        return None
    own, said = standing.currency_code, under(standing, model)
    message = pb.LedgerAmounts(
        amount=money(own, standing.gross_micros),
        net=money(own, standing.net_micros),
        outcome=said.outcome,
        excluded_reason=said.excluded_reason,
        tier=said.tier,
        channels=said.channels,
        attributed_amount=money(own, said.gross_micros),
        attributed_net=money(own, said.net_micros),
    )
    how = counted(standing, model, rate, currency_code)
    if how is not None:
        message.counted_amount.CopyFrom(money(currency_code, how.gross_micros))
        message.counted_net.CopyFrom(money(currency_code, how.net_micros))
        message.counted_attributed_amount.CopyFrom(money(currency_code, how.attributed_gross_micros))
        message.counted_attributed_net.CopyFrom(money(currency_code, how.attributed_net_micros))
        if how.rate.day is not None:
            message.exchange_rate = how.rate.rate
            message.exchange_rate_date = how.rate.day.isoformat()
    return message


def settings_change_message(change: RulesChange) -> pb.SettingsChange:
    """Another zone or currency."""
    message = pb.SettingsChange(
        time_zone_before=change.zone_before,
        time_zone_after=change.zone_after,
        currency_code_before=change.currency_before,
        currency_code_after=change.currency_after,
        event_position=change.position,
    )
    message.change_time.FromMicroseconds(change.receive_micros)
    return message
