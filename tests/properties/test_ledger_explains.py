"""Whatever was told late, the ledger's entries add up to what figures of past days changed by, rates included."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from touchstone.attribution.v1 import credit_pb2
from touchstone.ingest.v1 import event_pb2, exchange_rate_pb2, settings_pb2
from touchstone.reporting.v1 import ledger_service_pb2 as ledger_pb
from touchstone.reporting.v1 import report_service_pb2 as pb

from services.chassis.callers import Caller, set_caller
from services.chassis.follow import Entry
from services.kernel.money import split
from services.reporting import follower
from services.reporting.ledger_servicer import LedgerServicer
from services.reporting.servicer import ReportServicer
from tests.contracts import test_reporting_ledger as house
from tests.reporting.settling import settle

engine = house.engine

PERIOD = {"start_date": "2026-11-06", "end_date": "2026-11-08"}
FIRST = datetime(2026, 11, 6, 9, tzinfo=UTC)
PLACED = {"1": (FIRST, "USD"), "2": (FIRST + timedelta(days=2), "USD"), "3": (FIRST, "EUR"), "4": (FIRST, "JPY")}


class Told(NamedTuple):
    """An order as it is told of; credits in equal parts, and a part of it to nobody."""

    order_id: str
    gross: int
    net: int
    excluded: bool
    credits: int


class Rate(NamedTuple):
    """A rate of a day of the period, or of days before."""

    currency: str
    day: int
    rate: str


cents = st.integers(1, 3_000)
told = st.builds(Told, st.sampled_from(sorted(PLACED)), cents, cents, st.booleans(), st.integers(0, 3))
rates = st.builds(
    Rate, st.sampled_from(["USD", "JPY"]), st.integers(-2, 2), st.sampled_from(["1.1", "1.25", "3", "171"])
)
lives = st.lists(st.one_of(told, told, rates), min_size=2, max_size=12)


def stamp(at: datetime) -> Timestamp:
    found = Timestamp()
    found.FromDatetime(at)
    return found


def credits_of(one: Told, position: int, received: datetime) -> credit_pb2.OrderCredits:
    entry = credit_pb2.OrderCredits(tenant_id="acme")
    at, currency = PLACED[one.order_id]
    order, unit = entry.order, 1_000_000 if currency == "JPY" else 10_000
    order.source, order.order_id, order.currency_code = "shop", one.order_id, currency
    order.order_time.CopyFrom(stamp(at))
    order.gross_micros, order.net_micros = one.gross * unit, min(one.gross, one.net) * unit
    order.excluded_reason = 4 if one.excluded else 0
    entry.cause.kind, entry.cause.position = credit_pb2.Cause.ORDER, position
    entry.cause.receive_time.CopyFrom(stamp(received))
    said = entry.attributions.add(model="conversations", model_version=1, excluded_reason=order.excluded_reason)
    if one.credits and not one.excluded:
        said.matched_by = 1
        # The last part is nobody's.
        for gross, net in list(
            zip(
                split(order.gross_micros, [1] * (one.credits + 1), currency),
                split(order.net_micros, [1] * (one.credits + 1), currency),
                strict=True,
            )
        )[:-1]:
            said.credits.add(touch=credit_pb2.Touch(event_id="t", channel=1), gross_micros=gross, net_micros=net)
    return entry


async def tell(engine, step, position, received) -> None:
    async with engine.begin() as connection:
        if isinstance(step, Told):
            await follower.apply_credits(connection, 5, [Entry(position, credits_of(step, position, received))])
            return
        rate = exchange_rate_pb2.ExchangeRate(currency_code=step.currency, rate=step.rate)
        day = (FIRST + timedelta(days=step.day)).date().isoformat()
        event = event_pb2.Event(
            exchange_rates=exchange_rate_pb2.ExchangeRates(date=day, base_currency_code="EUR", rates=[rate])
        )
        logged = event_pb2.LoggedEvent(tenant_id="acme", event=event, receive_time=stamp(received))
        await follower.apply_events(connection, 5, [Entry(position, logged)])


async def figures(engine) -> Counter:
    async def parked_of(_tenant_id: str) -> int:
        return 0

    set_caller(Caller(subject="test", tenant_id="acme", scopes=frozenset({"reports:read"})))
    request = pb.GetStatementRequest(**PERIOD)
    whole = (await ReportServicer(lambda: engine, parked_of).GetStatement(request, None)).statement
    buckets = {"STORE": whole.store, "ATTRIBUTED": whole.attributed}
    buckets |= {one.reason: one for one in whole.excluded}
    return counted(
        {(name, what): value for name, one in buckets.items() for what, value in zip("ogn", triple(one), strict=True)}
    )


def triple(bucket):
    return bucket.orders, bucket.amount.micros, bucket.net.micros


def counted(sums) -> Counter:
    return Counter({key: value for key, value in sums.items() if value})


def explained(entries) -> Counter:
    sums: Counter = Counter()
    for entry in entries:
        for side, sign in (("before", -1), ("after", 1)):
            if not entry.HasField(side) or not (stood := getattr(entry, side)).HasField("counted_amount"):
                continue
            amounts = (1, stood.counted_amount.micros, stood.counted_net.micros)
            buckets = {"STORE": amounts}
            if stood.outcome == "ATTRIBUTED":
                buckets["ATTRIBUTED"] = (
                    1,
                    stood.counted_attributed_amount.micros,
                    stood.counted_attributed_net.micros,
                )
            if stood.excluded_reason:
                buckets[stood.excluded_reason] = amounts
            for name, values in buckets.items():
                for what, value in zip("ogn", values, strict=True):
                    sums[name, what] += sign * value
    return counted(sums)


async def ledger(engine, since, size) -> list:
    found, token = [], ""
    while True:
        request = ledger_pb.ListLedgerEntriesRequest(**PERIOD, since=since, page_size=size, page_token=token)
        page = await LedgerServicer(lambda: engine).ListLedgerEntries(request, None)
        found += page.entries
        token = page.next_page_token
        if not token:
            return found


@given(before=lives, after=lives, early=st.integers(0, 3), size=st.integers(1, 5))
@settings(max_examples=10, deadline=None, phases=(Phase.generate,))
async def test_entries_are_what_figures_of_days_that_were_over_changed_by(engine, before, after, early, size):
    await house.start_over(engine)
    told_settings = settings_pb2.TenantSettings(time_zone="Europe/Madrid", currency_code="EUR")
    await house.tell_event(engine, 1, "2026-11-01T00:00:00", settings=told_settings)
    over = datetime(2026, 11, 9, 12, tzinfo=UTC)
    for number, step in enumerate(before):
        # Some of it on the days themselves.
        received = over + timedelta(hours=number - (48 if number < early else 0))
        await tell(engine, step, number + 2, received)
    await settle(engine)
    then, since = await figures(engine), over + timedelta(days=2)
    for number, step in enumerate(after):
        await tell(engine, step, number + 50, since + timedelta(hours=number // 2))
    await settle(engine)

    entries = await ledger(engine, stamp(since), size)
    now = await figures(engine)
    assert {key: now[key] - then[key] for key in now | then if now[key] != then[key]} == explained(entries)
    assert len({(one.change_time.ToMicroseconds(), one.order_id, one.credit_position) for one in entries}) == len(
        entries
    )
