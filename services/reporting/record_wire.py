"""Records: what credits show of orders, what is asked for, and records as messages."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from touchstone.attribution.v1 import credit_pb2
from touchstone.ingest.v1 import interaction_pb2
from touchstone.reporting.v1 import record_pb2, report_pb2
from touchstone.type.v1 import money_pb2

from services.kernel.failures import InvalidArgumentError
from services.reporting.domain.activity_records import CONVERSATIONS, JOURNEYS
from services.reporting.domain.figures import AsOf
from services.reporting.domain.periods import read_period
from services.reporting.domain.records import CREDITS, CURRENCIES, ORDERS, Asked, Is, RecordKind, Shown
from services.reporting.domain.tenants import DEFAULT_MODEL, Tenant

_CHANNELS: Final = {number: name if number else "" for name, number in interaction_pb2.Interaction.Channel.items()}
_TIERS: Final = {number: name if number else "" for name, number in credit_pb2.MatchBasis.Tier.items()}
_REASONS: Final = {number: name if number else "" for name, number in credit_pb2.Exclusion.Reason.items()}

_MESSAGES: Final[Mapping[str, type[Message]]] = {
    ORDERS.name: record_pb2.OrderRecord,
    CREDITS.name: record_pb2.CreditRecord,
    CONVERSATIONS.name: record_pb2.ConversationRecord,
    JOURNEYS.name: record_pb2.JourneyRecord,
}
_FILTERS: Final = (
    "outcome",
    "reason",
    "tier",
    "channel",
    "source",
    "origin_type",
    "bot",
    "agent",
    "touchpoint",
    "campaign",
    "classification",
    "tag",
    "status",
    "journey",
    "notification_channel",
)
"""The fields of requests that narrow what is asked for; those of a kind of records are columns of it, or lists of its store."""

_LISTS: Final = {
    (ORDERS.name, "channel"): "channels",
    (CONVERSATIONS.name, "tag"): "tag_names",
    (JOURNEYS.name, "notification_channel"): "notification_channels",
}
"""The columns of a kind that hold several of a filter's values."""


def shown_of(credits_: credit_pb2.OrderCredits) -> Shown:
    """What records show of an order."""
    order = credits_.order
    reason = order.excluded_reason
    said = {
        one.model: _said(one, reason) for one in credits_.attributions if one.credits or one.excluded_reason != reason
    }
    return Shown(
        order.order_time.seconds if order.HasField("order_time") else None,
        _storable(order.display_number),
        _storable(order.status),
        order.currency_code,
        _REASONS[reason],
        order.gross_micros,
        order.net_micros,
        order.tax_micros,
        order.shipping_micros,
        orjson.dumps(said).decode().replace("\\u0000", "") if said else "",
    )


def _said(one: credit_pb2.Attribution, reason: int) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if one.excluded_reason != reason:
        said["r"] = _REASONS[one.excluded_reason]
    if not one.excluded_reason and one.credits:
        credits_ = [_credit(credit) for credit in one.credits]
        said |= {
            "t": _TIERS[one.matched_by],
            "g": sum(credit[10] for credit in credits_),
            "n": sum(credit[11] for credit in credits_),
            "s": ",".join(sorted({credit[1] for credit in credits_})),
            "c": credits_,
        }
    return said


def _credit(credit: credit_pb2.Credit) -> list[Any]:
    touch = credit.touch
    return [
        touch.occur_time.seconds,
        _CHANNELS[touch.channel],
        touch.touchpoint,
        touch.conversation_id,
        touch.bot_name,
        touch.agent_id,
        touch.campaign,
        touch.event_id,
        credit.line_id,
        credit.fraction_millionths,
        credit.gross_micros,
        credit.net_micros,
    ]


def _storable(text: str) -> str:
    """Postgres' texts hold every character but one."""
    return text.replace("\0", "")


def asked_of(kind: RecordKind, request: Any) -> Asked:
    """What a request for records of a kind asks for; raises `InvalidArgumentError` for days or values that are none."""
    fields = request.DESCRIPTOR.fields_by_name
    filters = {
        _LISTS.get((kind.name, name), name): tuple(_written(fields[name], value) for value in values)
        for name in _FILTERS
        if name in fields and (values := getattr(request, name))
    }
    return Asked(
        kind=kind,
        period=read_period(request.start_date, request.end_date),
        model=(request.model or DEFAULT_MODEL) if kind.by_model else "",
        filters=filters,
    )


def _written(field: FieldDescriptor, value: Any) -> str:
    """A filter's value as columns have it: a name for a number, nothing for none."""
    if field.enum_type is None:
        return str(value)
    if value not in field.enum_type.values_by_number:
        raise InvalidArgumentError.of(field.json_name, f"there is no {field.enum_type.name} {value}")
    return field.enum_type.values_by_number[value].name if value else ""


def messages(kind: RecordKind, rows: Sequence[Sequence[Any]]) -> list[Message]:
    """Records as they are answered."""
    return [_message(kind, row) for row in rows]


def _message(kind: RecordKind, row: Sequence[Any]) -> Message:
    message, fields = _MESSAGES[kind.name], dict[str, Any]()
    currencies = {CURRENCIES[name]: row[at] for at, (name, _) in enumerate(kind.columns) if name in CURRENCIES}
    for (name, holds), value in zip(kind.columns, row, strict=True):
        if name in CURRENCIES or value is None or value == "":
            continue
        match holds:
            case Is.MOMENT:
                fields[name] = Timestamp(seconds=value)
            case Is.MONEY | Is.COUNTED:
                fields[name] = money_pb2.Money(currency_code=currencies[holds], micros=value)
            case Is.FRACTION:
                fields[name] = value / 1_000_000
            case _:
                fields[name] = value
    return message(**fields)


def metadata_message(tenant: Tenant, asked: Asked, as_of: AsOf) -> report_pb2.ReportMetadata:
    """What records stand for."""
    message = report_pb2.ReportMetadata(
        time_zone=tenant.time_zone,
        currency_code=tenant.currency_code,
        start_date=asked.period.start.isoformat(),
        end_date=asked.period.end.isoformat(),
        model=asked.model,
        model_version=tenant.model_version(asked.model) if asked.kind.by_model else 0,
        as_of=report_pb2.AsOf(
            partition=as_of.partition, event_position=as_of.event_position, credit_position=as_of.credit_position
        ),
    )
    if as_of.apply_time:
        message.as_of.apply_time.FromDatetime(as_of.apply_time)
    return message
