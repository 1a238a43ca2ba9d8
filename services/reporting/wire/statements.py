"""The statement."""

from typing import Any

from touchstone.reporting.v1 import statement_pb2

from services.reporting.domain.periods import Period
from services.reporting.domain.statement import Amounts, Statement, WholeStatement
from services.reporting.wire.amounts import money
from services.reporting.wire.reports import metadata_message


def whole_statement_message(
    whole: WholeStatement, model: str, period: Period, parked_events: int
) -> statement_pb2.Statement:
    """The statement in the reporting currency, with those of the other currencies.

    It tells no log positions: the same orders give the same statement, byte for byte, however they came.
    """
    message = _statement_message(whole.ours)
    message.parked_events = parked_events
    message.unconverted.extend(_statement_message(other) for other in whole.others)
    left_out = [(other.currency_code, other.store) for other in whole.others]
    message.metadata.CopyFrom(metadata_message(whole.tenant, model, period, left_out, parked_events))
    return message


def _statement_message(statement: Statement) -> statement_pb2.Statement:
    currency = statement.currency_code
    return statement_pb2.Statement(
        store=statement_pb2.Bucket(**_amounts(currency, statement.store)),
        attributed=statement_pb2.AttributedBucket(
            **_amounts(currency, statement.attributed),
            by_channel=[
                statement_pb2.ChannelBucket(channel=name, **_amounts(currency, amounts))
                for name, amounts in statement.by_channel
            ],
            by_tier=[
                statement_pb2.TierBucket(tier=name, **_amounts(currency, amounts))
                for name, amounts in statement.by_tier
            ],
        ),
        unattributed=statement_pb2.Bucket(**_amounts(currency, statement.unattributed)),
        excluded=[
            statement_pb2.ExcludedBucket(reason=name, **_amounts(currency, amounts))
            for name, amounts in statement.excluded
        ],
        difference=statement_pb2.Bucket(**_amounts(currency, statement.difference)),
    )


def _amounts(currency_code: str, amounts: Amounts) -> dict[str, Any]:
    """The fields that all buckets have."""
    return {
        "orders": amounts.orders,
        "amount": money(currency_code, amounts.gross_micros),
        "net": money(currency_code, amounts.net_micros),
    }
