"""The orders behind each bucket of the statement are listed, and their amounts sum to the bucket."""

from collections import Counter, defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st
from touchstone.attribution.v1 import credit_pb2
from touchstone.ingest.v1 import interaction_pb2
from touchstone.reporting.v1 import record_pb2, record_service_pb2

from services.reporting.record_servicer import RecordServicer
from services.reporting.servicer import ReportServicer
from tests.properties import test_reporting_rollups as rollups

engine, servicer = rollups.engine, rollups.servicer

DAY = {"start_date": "2026-10-25", "end_date": "2026-10-25"}
Outcome = record_pb2.OrderRecord


async def listed(list_page, request_type, **asked):
    """All pages of records, three at a time."""
    found, token = [], ""
    while not found or token:
        page = await list_page(request_type(**DAY, **asked, page_size=3, page_token=token), None)
        found += page.records
        token = page.next_page_token
        if not token:
            break
    return found


def add(sums, currency, orders, gross, net):
    sums[currency] = rollups.plus(sums.get(currency, (0, 0, 0)), (orders, gross, net))


def by_currency(records):
    sums = {}
    for record in records:
        add(sums, record.amount.currency_code, 1, record.amount.micros, record.net.micros)
    return sums


def of(bucket):
    """A bucket as `by_currency` has it; one of nothing isn't there."""
    amounts = rollups.triple(bucket)
    return {bucket.amount.currency_code: amounts} if any(amounts) else {}


def merged(buckets):
    together = {}
    for bucket in buckets:
        together |= of(bucket)
    return together


@given(log=rollups.logs, sizes=rollups.cuts, model=st.sampled_from(rollups.MODELS))
@settings(max_examples=12, deadline=None)
async def test_every_bucket_is_the_sum_of_its_orders(engine, servicer: ReportServicer, log, sizes, model):
    await rollups.apply(engine, log, sizes)
    records = RecordServicer(lambda: engine)

    async def orders(**asked):
        return await listed(records.ListOrderRecords, record_service_pb2.ListOrderRecordsRequest, model=model, **asked)

    for tenant_id in rollups.TENANTS:
        whole = await rollups.statement(servicer, tenant_id, model)
        every = (whole, *whole.unconverted)
        assert by_currency(await orders()) == merged(one.store for one in every)

        attributed = await orders(outcome=[Outcome.ATTRIBUTED])
        rest, tiers = by_currency(await orders(outcome=[Outcome.UNATTRIBUTED])), defaultdict(dict)
        for record in attributed:
            currency, credited = record.amount.currency_code, (record.attributed.micros, record.attributed_net.micros)
            add(tiers[credit_pb2.MatchBasis.Tier.Name(record.tier)], currency, 1, *credited)
            # What a model attributes may be a part of an order; the rest of the amount is unattributed.
            left = (record.amount.micros - credited[0], record.net.micros - credited[1])
            if any(left):
                add(rest, currency, 0, *left)
        assert {key: amounts for key, amounts in rest.items() if any(amounts)} == merged(
            one.unattributed for one in every
        )
        assert dict(tiers) == {
            tier: merged(part for one in every for part in one.attributed.by_tier if part.tier == tier)
            for tier in {part.tier for one in every for part in one.attributed.by_tier}
        }
        for tier in tiers:
            of_tier = await orders(outcome=[Outcome.ATTRIBUTED], tier=[tier])
            assert Counter(record.order_id for record in of_tier) == Counter(
                record.order_id for record in attributed if credit_pb2.MatchBasis.Tier.Name(record.tier) == tier
            )

        for reason in {part.reason for one in every for part in one.excluded}:
            found = await orders(outcome=[Outcome.EXCLUDED], reason=[reason])
            assert by_currency(found) == merged(part for one in every for part in one.excluded if part.reason == reason)
        excluded = await orders(outcome=[Outcome.EXCLUDED])
        assert len(excluded) == sum(part.orders for one in every for part in one.excluded)

        for channel in interaction_pb2.Interaction.Channel.keys()[1:]:
            credits_ = await listed(
                records.ListCreditRecords, record_service_pb2.ListCreditRecordsRequest, model=model, channel=[channel]
            )
            sums, placed = by_currency(credits_), defaultdict(set)
            for record in credits_:
                placed[record.amount.currency_code].add((record.source, record.order_id))
            told = merged(part for one in every for part in one.attributed.by_channel if part.channel == channel)
            assert {
                currency: (len(placed[currency]), *amounts[1:]) for currency, amounts in sums.items() if any(amounts)
            } == told
