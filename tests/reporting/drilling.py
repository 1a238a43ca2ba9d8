"""The orders and credits behind a statement, added up as its buckets are."""

from collections import defaultdict
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.reporting.v1 import record_service_pb2 as pb

from services.reporting.record_servicer import RecordServicer

Amounts = tuple[int, ...]
Buckets = dict[tuple[str, ...], Amounts]
"""Orders, gross and net, by currency and bucket."""


async def drilled(engine: AsyncEngine, start_date: str, end_date: str, model: str) -> Buckets:
    """What rows add up to: what is converted in the reporting currency, what is not in its own."""
    servicer = RecordServicer(lambda: engine)
    period: dict[str, Any] = {"start_date": start_date, "end_date": end_date, "model": model, "page_size": 2_000}
    orders = (await servicer.ListOrderRecords(pb.ListOrderRecordsRequest(**period), None)).records
    credits_ = (await servicer.ListCreditRecords(pb.ListCreditRecordsRequest(**period), None)).records
    sums: Buckets = defaultdict(lambda: (0, 0, 0))

    def put(*key: str, amounts: Amounts) -> None:
        sums[key] = tuple(map(sum, zip(sums[key], amounts, strict=True)))

    for one in orders:
        amount, net, attributed, attributed_net = counted(one)
        currency, outcome = amount.currency_code, one.Outcome.Name(one.outcome)
        put(currency, "STORE", amounts=(1, amount.micros, net.micros))
        if outcome == "EXCLUDED":
            reason = one.DESCRIPTOR.fields_by_name["reason"].enum_type.values_by_number[one.reason].name
            put(currency, outcome, reason, amounts=(1, amount.micros, net.micros))
        elif outcome == "ATTRIBUTED":
            put(currency, outcome, amounts=(1, attributed.micros, attributed_net.micros))
            rest = (0, amount.micros - attributed.micros, net.micros - attributed_net.micros)
            put(currency, "UNATTRIBUTED", amounts=rest)
        else:
            put(currency, outcome, amounts=(1, amount.micros, net.micros))
    seen = set()
    for one in credits_:
        amount, net = (one.counted_amount, one.counted_net) if one.HasField("counted_amount") else (one.amount, one.net)
        channel = one.DESCRIPTOR.fields_by_name["channel"].enum_type.values_by_number[one.channel].name
        first = (one.source, one.order_id, channel) not in seen
        seen.add((one.source, one.order_id, channel))
        put(amount.currency_code, "CHANNEL", channel, amounts=(int(first), amount.micros, net.micros))
    return {key: amounts for key, amounts in sums.items() if any(amounts)}


def counted(one: Any) -> tuple[Any, Any, Any, Any]:
    """What an order counts as."""
    if one.HasField("counted_amount"):
        return one.counted_amount, one.counted_net, one.counted_attributed, one.counted_attributed_net
    return one.amount, one.net, one.attributed, one.attributed_net


def buckets_of(whole: Any) -> Buckets:
    """The same as a statement says it."""
    sums: Buckets = {}
    for one in (whole, *whole.unconverted):
        currency = one.store.amount.currency_code
        for name, bucket in (("STORE", one.store), ("ATTRIBUTED", one.attributed), ("UNATTRIBUTED", one.unattributed)):
            sums[currency, name] = _triple(bucket)
        sums |= {(currency, "EXCLUDED", bucket.reason): _triple(bucket) for bucket in one.excluded}
        sums |= {(currency, "CHANNEL", bucket.channel): _triple(bucket) for bucket in one.attributed.by_channel}
    return {key: amounts for key, amounts in sums.items() if any(amounts)}


def _triple(bucket: Any) -> Amounts:
    return bucket.orders, bucket.amount.micros, bucket.net.micros
