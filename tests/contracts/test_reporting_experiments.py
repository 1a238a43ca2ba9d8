"""Experiments on a real Postgres: told, assigned, exposed, bought, and what it came to."""

import random
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import pytest
from touchstone.ingest.v1 import event_pb2
from touchstone.reporting.v1 import experiment_pb2 as reported
from touchstone.reporting.v1 import experiment_service_pb2 as pb

from services.kernel.failures import InvalidArgumentError, NotFoundError
from services.reporting.experiments import asking
from tests.contracts.experimenting import (
    EUR,
    START,
    engines,
    experiment,
    exposure,
    ingest,
    order,
    replace,
    report,
    servicer,
    without_positions,
)

__all__ = ["engines", "ingest", "servicer"]

EXPOSURES = (
    exposure("1", "plain", 1, visitor="v1"),
    exposure("2", "plain", 1, visitor="v2", email="two@shop.example"),
    exposure("3", "plain", 1, visitor="v3"),
    exposure("4", "bright", 1, visitor="v4"),
    exposure("5", "bright", 1, visitor="v5", customer="c5"),
    exposure("6", "bright", 1, visitor="v6", email="six@shop.example"),
    # The sixth's other device, later, in the other variant: contaminated, and counted as bright.
    exposure("7", "plain", 5, visitor="v7", email="six@shop.example"),
    # The fourth once more: the first counts.
    exposure("8", "bright", 30, visitor="v4"),
    exposure("9", "bright", -2, visitor="v9"),  # before the start
    exposure("10", "plain", 1, session="s10"),  # nobody can be told apart by it
    exposure("11", "loud", 1, of="another", visitor="v1"),
)
ORDERS = (
    order("o1", 10, 2, visitor="v1"),
    order("o2", 20, 3, email="two@shop.example"),
    order("o3", 40, -24, visitor="v2"),  # in the pre-period
    order("o4", 30, 2, visitor="v4", attributed=30),
    order("o5", 50, 1, visitor="elsewhere", customer="c5", attributed=20),  # at the very time of the exposure
    order("o6", 70, 7, visitor="v7"),  # on the other device
    order("o7", 5, 1 + 7 * 24, visitor="v4"),  # at the window's very end
    order("o8", 900, 2 + 7 * 24, visitor="v4"),  # after it
    order("o9", 900, 2, visitor="v5", excluded=4),  # cancelled
    order("o10", 900, 2, visitor="nobody", email="nobody@shop.example"),
    order("o11", 90, 2, visitor="v5", currency="USD"),
)


async def test_a_hand_counted_experiment(servicer, ingest):
    await replace(servicer, experiment(), experiment("another"))
    await ingest.tell(*EXPOSURES)
    await ingest.tell_orders(*ORDERS)
    found = await report(servicer)
    plain, bright = found.variants
    assert (plain.variant, plain.people, plain.converters, plain.orders) == ("plain", 3, 2, 2)
    assert (bright.variant, bright.people, bright.converters, bright.orders) == ("bright", 3, 3, 4)
    assert (plain.revenue.micros, bright.revenue.micros) == (30 * EUR, 155 * EUR)
    assert (plain.pre_period_revenue.micros, bright.pre_period_revenue.micros) == (40 * EUR, 0)
    assert (plain.attributed_revenue.micros, bright.attributed_revenue.micros) == (0, 50 * EUR)
    assert (plain.conversion.value, bright.conversion.value) == (pytest.approx(2 / 3), 1)
    assert (plain.revenue_per_person.value, bright.revenue_per_person.value) == (10, pytest.approx(155 / 3))
    assert (found.control, found.people, found.contaminated_people) == ("plain", 6, 1)
    assert found.contaminated_share == pytest.approx(1 / 6)
    assert (found.people_outside, found.unidentified_visitors) == (1, 1)
    assert found.sample_ratio.passed
    assert found.sample_ratio.degrees_of_freedom == 1
    assert found.sample_ratio.p_value == 1
    assert not plain.HasField("comparison")
    beside = bright.comparison
    assert beside.incremental_revenue.micros == 125 * EUR
    assert beside.incremental_over_attributed == 2.5
    assert beside.revenue_difference.value == pytest.approx(125 / 3)
    assert beside.conversion_lift.value == pytest.approx(0.5)
    assert not beside.HasField("conversion_sequential")
    assert [(one.orders, one.amount.currency_code, one.amount.micros) for one in found.unconverted] == [
        (1, "USD", 90 * EUR)
    ]
    assert (found.metadata.time_zone, found.metadata.currency_code) == ("Europe/Madrid", "EUR")
    assert (found.metadata.model, found.metadata.model_version) == ("conversations", 1)
    assert [one.people for one in (await report(servicer, "another")).variants] == [0, 0, 1]


@pytest.fixture(scope="module")
def told_before() -> set[bytes]:
    """What was reported of the same events in another sequence."""
    return set()


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_comes_first_the_report_is_the_same(servicer, ingest, seed, told_before):
    chance = random.Random(seed)
    parts: list[Callable[[], object]] = [
        *(lambda told=told: ingest.tell(told) for told in EXPOSURES),
        *(lambda told=told: ingest.tell_orders(told) for told in ORDERS),
        lambda: replace(servicer, experiment()),
        *[ingest.tell_people] * 5,
        *[ingest.work] * 3,
    ]
    chance.shuffle(parts)
    # What identity says comes later than what it is made of, as it may.
    ingest.at_once = False
    for tell in parts:
        await tell()
    await ingest.tell_people()
    # Once more, as duplicates: nothing counts twice.
    await ingest.tell(*EXPOSURES[:4])
    found = without_positions(await report(servicer))
    assert [(one.variant, one.people, one.revenue.micros) for one in found.variants] == [
        ("plain", 3, 30 * EUR),
        ("bright", 3, 155 * EUR),
    ]
    # Before: 0, 40, 0; after: 10, 20, 0. Products of the distances from the means 400, squares of the former 1066.67.
    assert found.cuped_theta == 0.375
    await ingest.work()
    await ingest.check_sums()
    assert without_positions(await report(servicer)) == found
    told_before.add(found.SerializeToString(deterministic=True))
    assert len(told_before) == 1


async def test_a_report_is_computed_anew_only_after_something_was_followed(servicer, ingest, monkeypatch):
    await replace(servicer, experiment())
    await ingest.tell(exposure("1", "plain", 1, visitor="v1"))
    first = await report(servicer)

    async def refuse(*asked: object) -> None:
        raise AssertionError(asked)

    with monkeypatch.context() as patched:
        patched.setattr(asking, "report", refuse)
        assert without_positions(await report(servicer)) == without_positions(first)
        with pytest.raises(AssertionError):
            await report(servicer, model="contact")
        await ingest.tell_orders(order("o1", 10, 2, visitor="v1"))
        with pytest.raises(AssertionError):
            await report(servicer)
    assert (await report(servicer)).variants[0].orders == 1


async def test_only_people_first_exposed_in_the_period_count(servicer, ingest):
    await replace(servicer, experiment())
    # Half past midnight and half an hour before it, in Madrid.
    await ingest.tell(exposure("1", "plain", 23.5, visitor="v1"), exposure("2", "plain", 22.5, visitor="v2"))
    await ingest.tell(exposure("3", "plain", 50, visitor="v2"))
    found = await report(servicer, start_date="2026-11-02", end_date="2026-11-03")
    assert (found.people, found.metadata.start_date, found.metadata.end_date) == (1, "2026-11-02", "2026-11-03")
    assert (await report(servicer)).people == 2
    with pytest.raises(InvalidArgumentError, match="endDate"):
        await report(servicer, start_date="2026-11-02")


async def test_an_order_in_another_currency_counts_by_its_days_rate(servicer, ingest):
    await replace(servicer, experiment())
    await ingest.tell(exposure("1", "plain", 1, visitor="v1"), exposure("2", "bright", 1, visitor="v2"))
    rates = event_pb2.Event(event_id="rates")
    rates.exchange_rates.date, rates.exchange_rates.base_currency_code = "2026-11-01", "EUR"
    rates.exchange_rates.rates.add(currency_code="USD", rate="1.25")
    await ingest.tell(rates)
    await ingest.tell_orders(order("o1", 100, 2, visitor="v2", currency="USD", attributed=50))
    found = await report(servicer)
    assert (found.variants[1].revenue.micros, found.variants[1].attributed_revenue.micros) == (80 * EUR, 40 * EUR)
    assert not found.unconverted


async def test_an_order_that_names_another_visitor_now_is_that_ones(servicer, ingest):
    await replace(servicer, experiment())
    await ingest.tell(exposure("1", "plain", 1, visitor="v1"), exposure("2", "bright", 1, visitor="v2"))
    await ingest.tell_orders(order("o1", 10, 2, visitor="v1"))
    await ingest.tell_orders(order("o1", 10, 2, visitor="v2"))
    assert [one.orders for one in (await report(servicer)).variants] == [0, 1]


async def test_a_value_that_names_too_many_names_nobody(servicer, ingest):
    await replace(servicer, experiment())
    emails = [f"{number}@shop.example" for number in range(4)]
    await ingest.tell(*(exposure(email, "plain", 1, visitor="kiosk", email=email) for email in emails))
    await ingest.tell(exposure("other", "bright", 1, visitor="kiosk"), exposure("b", "bright", 1, visitor="v2"))
    await ingest.tell_orders(order("o1", 10, 2, visitor="kiosk"), order("o2", 10, 2, email=emails[0]))
    found = await report(servicer)
    plain, bright = found.variants
    # The e-mail addresses are four people, who share nothing but the kiosk; who names the kiosk alone names nobody.
    assert (plain.people, plain.orders, bright.people, found.unidentified_visitors) == (4, 1, 1, 1)


async def test_people_in_an_arm_without_weight_are_told_and_break_the_split(servicer, ingest):
    await replace(servicer, experiment(weights=(1, 1, 0)))
    await ingest.tell(
        exposure("1", "plain", 1, visitor="v1"),
        exposure("2", "bright", 1, visitor="v2"),
        exposure("3", "loud", 1, visitor="v3"),
        exposure("4", "unheard of", 1, visitor="v4"),
    )
    found = await report(servicer)
    assert [(one.variant, one.people, one.expected_share) for one in found.variants] == [
        ("plain", 1, 0.5),
        ("bright", 1, 0.5),
        ("loud", 1, 0),
        ("unheard of", 1, 0),
    ]
    assert not found.sample_ratio.passed
    assert found.sample_ratio.degrees_of_freedom == 1
    assert found.sample_ratio.people_without_weight == 2
    assert not any(one.HasField("comparison") for one in found.variants)


def visitors(count: int, variant: str, hours: float, name: str) -> Iterable[event_pb2.Event]:
    return (exposure(f"{name}{n}", variant, hours, visitor=f"{name}{n}") for n in range(count))


async def test_a_broken_split_proves_nothing_and_changed_weights_do_not_break_one(servicer, ingest):
    now = datetime.now(UTC)
    began = experiment(weights=(1, 1))
    began.start_time.FromDatetime(now - timedelta(days=400))
    await replace(servicer, began)
    hours = (now - START).total_seconds() / 3600
    await ingest.tell(*visitors(50, "plain", hours - 24, "a"), *visitors(50, "bright", hours - 24, "b"))
    assert (await report(servicer)).sample_ratio.chi_square == 0
    changed = experiment(weights=(1, 9))
    changed.start_time.CopyFrom(began.start_time)
    await replace(servicer, changed)
    later = hours + 24
    await ingest.tell(*visitors(10, "plain", later, "c"), *visitors(90, "bright", later, "d"))
    found = await report(servicer)
    assert (found.sample_ratio.passed, found.sample_ratio.chi_square) == (True, 0)
    await ingest.tell(*visitors(60, "plain", later, "e"))
    found = await report(servicer)
    assert not found.sample_ratio.passed
    assert found.variants[1].people == 140
    assert not found.variants[1].HasField("comparison")


async def test_assignment_answers_control_outside_of_the_experiments_time(servicer):
    soon, past, running = experiment("soon"), experiment("past"), experiment("running", holdout_basis_points=10_000)
    soon.start_time.FromDatetime(datetime.now(UTC) + timedelta(days=1))
    past.start_time.FromDatetime(datetime(2026, 1, 1, tzinfo=UTC))
    past.end_time.FromDatetime(datetime(2026, 2, 1, tzinfo=UTC))
    running.start_time.FromDatetime(datetime(2026, 1, 1, tzinfo=UTC))
    await replace(servicer, soon, past, running)
    states = {}
    for name in ("soon", "past", "running"):
        asked = pb.GetAssignmentRequest(experiment_id=name, visitor_id="v1")
        states[name] = (await servicer.GetAssignment(asked, None)).assignment
    assert [(one.variant, one.state, one.held_out) for one in states.values()] == [
        ("plain", reported.Assignment.NOT_STARTED, False),
        ("plain", reported.Assignment.ENDED, False),
        ("holdout", reported.Assignment.RUNNING, True),
    ]


async def test_what_is_not_there_is_not_found_and_what_is_wrong_is_named(servicer):
    for asked in (pb.GetAssignmentRequest(experiment_id="banner", visitor_id="v"),):
        with pytest.raises(NotFoundError):
            await servicer.GetAssignment(asked, None)
    with pytest.raises(NotFoundError):
        await report(servicer)
    await replace(servicer, experiment())
    with pytest.raises(InvalidArgumentError, match="visitorId"):
        await servicer.GetAssignment(pb.GetAssignmentRequest(experiment_id="banner"), None)
    with pytest.raises(InvalidArgumentError, match="model"):
        await report(servicer, model="no such")
    await replace(servicer)
    with pytest.raises(NotFoundError):
        await report(servicer)


async def test_a_set_that_can_not_hold_is_refused_field_by_field(servicer):
    wrong = experiment("a b", weights=(0, -1), control="none", holdout_basis_points=10_001)
    wrong.end_time.FromDatetime(START)
    wrong.metric_window.FromTimedelta(timedelta(0))
    wrong.arms.add(variant="plain", weight=1)
    wrong.arms.add(variant="holdout", weight=1)
    with pytest.raises(InvalidArgumentError) as refused:
        await replace(servicer, experiment(), experiment(), wrong)
    assert sorted(one.field for one in refused.value.violations) == [
        "experiments[1].id",
        "experiments[2].arms[1].weight",
        "experiments[2].arms[2].variant",
        "experiments[2].arms[3].variant",
        "experiments[2].control",
        "experiments[2].endTime",
        "experiments[2].holdoutBasisPoints",
        "experiments[2].id",
        "experiments[2].metricWindow",
    ]


async def test_experiments_are_listed_by_id_in_pages(servicer):
    await replace(servicer, *(experiment(name) for name in ("c", "a", "b")))
    first = await servicer.ListExperiments(pb.ListExperimentsRequest(page_size=2), None)
    rest = await servicer.ListExperiments(pb.ListExperimentsRequest(page_token=first.next_page_token), None)
    assert [one.id for one in (*first.experiments, *rest.experiments)] == ["a", "b", "c"]
    assert not rest.next_page_token
