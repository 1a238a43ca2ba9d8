"""Reporting's decisions: the catalogue's errors, days and periods, pages, quotients, and what an order adds."""

import itertools
from collections import Counter
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from services.kernel.failures import InvalidArgumentError
from services.reporting.domain.catalogue import METRICS
from services.reporting.domain.cells import MEASURES, CreditCell, Outcome, OutcomeCell, ProductCell, StoreCell
from services.reporting.domain.contributions import contributions, differences
from services.reporting.domain.definitions import DIMENSIONS, Quotient, Unit
from services.reporting.domain.facts import Attribution, Contact, Credit, Line, OrderFact
from services.reporting.domain.figures import computed
from services.reporting.domain.paging import page_size, read_token, write_token
from services.reporting.domain.periods import Comparison, Period, compared, day_of, read_period
from services.reporting.domain.reports import Filter, Order, Request, plan
from services.reporting.domain.tenants import Tenant


def request(**changes) -> Request:
    asked = {
        "metrics": ["attributed_revenue"],
        "dimensions": [],
        "start_date": "2026-11-01",
        "end_date": "2026-11-21",
        "comparison": Comparison.NONE,
        "filters": [],
        "order_by": [],
    }
    return Request(**(asked | changes))


def of(dimension: str, *values: str) -> Filter:
    return Filter(dimension=dimension, values=values)


def by(*, metric: str | None = None, dimension: str | None = None) -> Order:
    return Order(metric=metric, dimension=dimension, descending=False)


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"metrics": []}, "metrics", "attributed_orders, attributed_revenue"),
        ({"metrics": ["units", "profit"]}, "metrics[1]", "there is no 'profit'; there are: a"),
        ({"metrics": ["units", "units"]}, "metrics[1]", "second time"),
        ({"metrics": list(METRICS)[:21]}, "metrics", "at most 20"),
        ({"dimensions": ["day", "colour"]}, "dimensions[1]", "there are: day, week, month, channel"),
        ({"dimensions": ["day", "week", "month", "channel", "tier"]}, "dimensions", "at most 4"),
        (
            {"metrics": ["attributed_orders", "store_orders"], "dimensions": ["day", "channel"]},
            "dimensions[1]",
            "store_orders can't be cut by channel; store_orders goes with: day, week, month, currency; channel goes with: a",
        ),
        ({"dimensions": ["sku"]}, "dimensions[0]", "attributed_revenue can't be cut by sku"),
        ({"filters": [of("colour", "red")]}, "filters[0].dimension", "there is no 'colour'"),
        ({"filters": [of("sku", "a")]}, "filters[0].dimension", "attributed_revenue can't be cut by sku"),
        ({"filters": [of("channel", "CHAT", "TV")]}, "filters[0].values[1]", "there is no channel 'TV'"),
        ({"filters": [of("tier", "FRIEND")]}, "filters[0].values[0]", "there are: CUSTOMER, EMAIL"),
        ({"filters": [of("channel")]}, "filters[0].values", "0 values"),
        ({"filters": [of("channel", "CHAT"), of("channel", "FAQ")]}, "filters[1].dimension", "second time"),
        ({"filters": [of("week", "2026-11-03")]}, "filters[0].values[0]", "a Monday"),
        ({"filters": [of("month", "2026-13")]}, "filters[0].values[0]", "is not a month such as 2026-11"),
        ({"filters": [of("currency", "EUR", "JPY")]}, "filters[0].values", "never summed"),
        ({"order_by": [by(metric="units")]}, "orderBy[0].metric", "'units' is not asked for"),
        ({"order_by": [by(dimension="day")]}, "orderBy[0].dimension", "'day' is not asked for"),
        ({"order_by": [by()]}, "orderBy[0]", "neither"),
        ({"start_date": "2026-11-31"}, "startDate", "is not a date such as"),
        ({"start_date": "20261101"}, "startDate", "is not a date such as"),
        ({"end_date": ""}, "endDate", "is not a date such as"),
        ({"end_date": "2026-10-31"}, "endDate", "before startDate"),
        (
            {"start_date": "0001-01-01", "end_date": "0001-01-02", "comparison": Comparison.PREVIOUS_YEAR},
            "compareTo",
            "first year",
        ),
    ],
)
def test_a_wrong_request_is_told_its_field_and_what_there_is(changes, field, said):
    with pytest.raises(InvalidArgumentError) as refused:
        plan(request(**changes))

    [violation] = refused.value.violations
    assert violation.field == field
    assert said in violation.description


def test_an_unknown_model_is_told_which_there_are():
    tenant = Tenant(tenant_id="acme", partition=0, models={"contact": 2, "conversations": 7})

    assert tenant.model_version("conversations") == 7
    with pytest.raises(InvalidArgumentError, match="there are: contact, conversations"):
        tenant.model_version("guess")


def test_every_metric_says_what_it_is():
    for name, metric in METRICS.items():
        assert name == metric.name
        assert metric.label
        assert metric.description.endswith(".")
        assert set(metric.dimensions) <= set(DIMENSIONS)
        # What stands at a moment is of no day, and what is no money has no currency.
        assert {"day", "week", "month"} <= set(metric.dimensions) or any(one.standing for one in metric.slices)
        assert "currency" in metric.dimensions or metric.unit is not Unit.MONEY
        if isinstance(metric.formula, Quotient):
            assert {metric.formula.numerator, metric.formula.denominator} <= set(METRICS)
    assert list(METRICS) == sorted(METRICS)
    assert METRICS["share_of_store_revenue"].depends_on_model
    assert not METRICS["store_revenue"].depends_on_model


def test_keys_of_different_families_are_never_equal():
    kinds = [tuple(family.__annotations__.values()) for family in MEASURES]

    for one, other in itertools.combinations(kinds, 2):
        assert len(one) != len(other) or any(
            {left, right} == {str, date} for left, right in zip(one, other, strict=True)
        )


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("zone", "at", "day"),
    [
        # Spain's clocks go back in the night of 25 October: the day has 25 hours.
        ("Europe/Madrid", "2026-10-24T21:59:59", date(2026, 10, 24)),
        ("Europe/Madrid", "2026-10-24T22:00:00", date(2026, 10, 25)),
        ("Europe/Madrid", "2026-10-25T22:59:59", date(2026, 10, 25)),
        ("Europe/Madrid", "2026-10-25T23:00:00", date(2026, 10, 26)),
        # Samoa skipped 30 December 2011.
        ("Pacific/Apia", "2011-12-30T09:59:59", date(2011, 12, 29)),
        ("Pacific/Apia", "2011-12-30T10:00:00", date(2011, 12, 31)),
        # Newfoundland is two and a half hours behind in summer, three and a half in winter.
        ("America/St_Johns", "2026-07-01T02:29:59", date(2026, 6, 30)),
        ("America/St_Johns", "2026-07-01T02:30:00", date(2026, 7, 1)),
        ("America/St_Johns", "2026-12-01T03:29:59", date(2026, 11, 30)),
        ("America/St_Johns", "2026-12-01T03:30:00", date(2026, 12, 1)),
        ("UTC", "1969-12-31T23:59:59", date(1969, 12, 31)),
    ],
)
def test_an_order_belongs_to_the_day_of_its_zone(zone, at, day):
    assert day_of(moment(at), ZoneInfo(zone)) == day


def period(start: str, end: str) -> Period:
    return Period(start=date.fromisoformat(start), end=date.fromisoformat(end))


@pytest.mark.parametrize(
    ("comparison", "asked", "expected"),
    [
        (Comparison.PREVIOUS_PERIOD, ("2026-11-01", "2026-11-21"), ("2026-10-11", "2026-10-31")),
        (Comparison.PREVIOUS_PERIOD, ("2026-03-01", "2026-03-01"), ("2026-02-28", "2026-02-28")),
        (Comparison.PREVIOUS_YEAR, ("2026-11-01", "2026-11-21"), ("2025-11-01", "2025-11-21")),
        (Comparison.PREVIOUS_YEAR, ("2024-02-01", "2024-02-29"), ("2023-02-01", "2023-02-28")),
        (Comparison.PREVIOUS_YEAR, ("2024-02-29", "2024-03-01"), ("2023-02-28", "2023-03-01")),
        (Comparison.PREVIOUS_YEAR, ("2025-02-01", "2025-02-28"), ("2024-02-01", "2024-02-28")),
    ],
)
def test_the_compared_period_is_right_by_the_calendar(comparison, asked, expected):
    assert compared(period(*asked), comparison) == period(*expected)


def test_a_period_has_both_its_ends():
    assert read_period("2026-11-01", "2026-11-01").days == 1
    assert compared(read_period("2026-11-01", "2026-11-01"), Comparison.NONE) is None


def test_a_page_token_belongs_to_its_request():
    token = write_token(200, b"asked")

    assert read_token(token, b"asked") == 200
    assert read_token("", b"asked") == 0
    for wrong in (write_token(200, b"something else"), token[:-4], "?", "ü"):
        with pytest.raises(InvalidArgumentError, match="pageToken"):
            read_token(wrong, b"asked")


def test_page_sizes_have_bounds():
    assert [page_size(asked, default=100, largest=2_000) for asked in (0, 7, 9_999)] == [100, 7, 2_000]
    with pytest.raises(InvalidArgumentError, match="pageSize"):
        page_size(-1, default=100, largest=2_000)


def test_a_quotient_without_anything_below_is_absent():
    share, average = computed("share_of_store_revenue"), computed("average_order_value")

    assert share({"attributed_revenue": [0, 1], "store_revenue": [0, 4]}) == [None, 0.25]
    assert average({"store_revenue": [0, 5], "store_orders": [0, 2]}) == [None, 3]
    assert METRICS["average_order_value"].unit is Unit.MONEY


@pytest.mark.parametrize(
    ("dimensions", "filters", "currencies", "total"),
    [
        ((), (), ("EUR",), "EUR"),
        (("currency",), (), None, "EUR"),
        ((), (of("currency", "JPY"),), ("JPY",), "JPY"),
        (("currency",), (of("currency", "JPY", "EUR"),), ("JPY", "EUR"), "EUR"),
        (("currency",), (of("currency", "JPY", "KWD"),), ("JPY", "KWD"), None),
    ],
)
def test_amounts_of_two_currencies_never_meet_in_a_row(dimensions, filters, currencies, total):
    planned = plan(request(dimensions=dimensions, filters=filters))

    assert planned.currencies("EUR") == currencies
    assert planned.total_currency("EUR") == total


CHAT = Contact("CHAT", "website", "", "", "")
FAQ = Contact("FAQ", "website", "", "", "")
DAY = date(2026, 11, 2)


def order(**changes) -> OrderFact:
    fact = OrderFact(
        "acme", 7, "shop", "1", moment("2026-11-01T23:30:00"), "EUR", 100, 80, "", (Line("a", 2, 1, 40, 20),), ()
    )
    return fact._replace(**changes)


def test_an_excluded_order_adds_to_the_store_and_to_its_reason_only():
    assert contributions(order(excluded_reason="TEST"), ZoneInfo("Europe/Madrid")) == {
        StoreCell("acme", 7, DAY, "EUR", False): (1, 100, 80),
        OutcomeCell("acme", 7, "", DAY, "EUR", Outcome.EXCLUDED, "TEST", ""): (1, 100, 80),
    }


def test_an_order_without_a_time_belongs_to_no_period():
    assert contributions(order(order_seconds=None), ZoneInfo("UTC")) == {}


def test_credits_of_two_channels_are_parts_of_one_order():
    credits_ = (Credit(CHAT, 30, 30), Credit(FAQ, 50, 30), Credit(CHAT, 20, 20))
    cells = contributions(
        order(attributions=(Attribution("linear", "EMAIL", credits_), Attribution("first", "", ()))),
        ZoneInfo("Europe/Madrid"),
    )

    earned = {cell.channel: (cell, amounts) for cell, amounts in cells.items() if isinstance(cell, CreditCell)}
    assert {channel: amounts for channel, (_, amounts) in earned.items()} == {"CHAT": (1, 50, 50), "FAQ": (1, 50, 30)}
    assert len({(cell.contact_set, cell.contacts) for cell, _ in earned.values()}) == 1
    assert {cell: amounts for cell, amounts in cells.items() if not isinstance(cell, CreditCell)} == {
        StoreCell("acme", 7, DAY, "EUR", True): (1, 100, 80),
        OutcomeCell("acme", 7, "linear", DAY, "EUR", Outcome.ATTRIBUTED, "", "EMAIL"): (1, 100, 80),
        OutcomeCell("acme", 7, "first", DAY, "EUR", Outcome.UNATTRIBUTED, "", ""): (1, 100, 80),
        ProductCell("acme", 7, "", DAY, "EUR", "a"): (2, 1, 40, 20),
        ProductCell("acme", 7, "linear", DAY, "EUR", "a"): (2, 1, 40, 20),
    }


def test_what_a_model_leaves_of_an_order_is_unattributed_but_no_order_more():
    attributed = (Attribution("by line", "SESSION", (Credit(CHAT, 60, 50),)),)
    cells = contributions(order(attributions=attributed), ZoneInfo("UTC"))

    outcomes = {cell.outcome: amounts for cell, amounts in cells.items() if isinstance(cell, OutcomeCell)}
    assert outcomes == {Outcome.ATTRIBUTED: (1, 60, 50), Outcome.UNATTRIBUTED: (0, 40, 30)}


def test_a_model_may_count_what_the_tenant_excludes_and_the_other_way_round():
    def outcomes(model, excluded_reason, own_reason, credits_=()):
        said = (Attribution(model, "SESSION" if credits_ else "", credits_, own_reason),)
        cells = contributions(order(excluded_reason=excluded_reason, attributions=said), ZoneInfo("UTC"))
        found = Counter()
        for cell, measures in cells.items():
            if isinstance(cell, OutcomeCell):
                found[cell.outcome, cell.excluded_reason] += measures[1]
        return {key: gross for key, gross in found.items() if gross}

    whole = (Credit(CHAT, 100, 80),)
    assert outcomes("own", "UNPAID", "", whole) == {(Outcome.ATTRIBUTED, ""): 100}
    assert outcomes("own", "UNPAID", "") == {(Outcome.UNATTRIBUTED, ""): 100}
    assert outcomes("own", "", "UNPAID") == {(Outcome.EXCLUDED, "UNPAID"): 100}
    assert outcomes("own", "UNPAID", "FAILED") == {(Outcome.EXCLUDED, "FAILED"): 100}
    assert outcomes("own", "UNPAID", "UNPAID") == {(Outcome.EXCLUDED, "UNPAID"): 100}


def test_a_change_adds_the_difference_only():
    zones = {"acme": ZoneInfo("UTC")}
    refunded = order(net_micros=70)

    assert differences([(order(), order())], zones) == {}
    assert differences([(order(), refunded)], zones) == {
        StoreCell("acme", 7, date(2026, 11, 1), "EUR", True): (0, 0, -10)
    }
