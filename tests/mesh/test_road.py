"""The road: a shop's recorded webhooks and the conversations around them, in any sequence, to the same figures."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.mesh.golden import (
    BY_ORDER,
    JOURNEYS,
    Journey,
    all_orders,
    expected_figures,
    sequence,
    shuffled,
)
from tests.mesh.recordings import content_hash, newness, state_told
from tests.mesh.shop import Delivery, Event, Shop, figures, recorded, without_positions
from tests.mesh.telling import Told, tell

SEQUENCES: dict[str, Callable[[], list[Delivery | Event]]] = {
    "received": lambda: sequence() * 3,
    "reversed": lambda: sequence()[::-1] * 3,
    "shuffled-1": lambda: shuffled(1),
    "shuffled-2": lambda: shuffled(2),
    "shuffled-3": lambda: shuffled(3),
}


TIERS = {"SESSION", "EMAIL", "PHONE", "CUSTOMER", "VISITOR", "PERSON"}


@pytest.fixture(scope="module")
def baseline(open_shop: Callable[[], Shop]) -> Told:
    """Everything once, in the order received."""
    return tell(open_shop(), sequence())


@pytest.fixture(scope="module")
def told(open_shop: Callable[[], Shop]) -> dict[str, Told]:
    """All other sequences, into tenants of their own at the same time."""
    shops = {name: open_shop() for name in SEQUENCES}
    with ThreadPoolExecutor(len(shops)) as pool:
        ends = {name: pool.submit(tell, shops[name], SEQUENCES[name]()) for name in SEQUENCES}
    return {name: end.result() for name, end in ends.items()}


@pytest.mark.parametrize("name", SEQUENCES)
def test_any_sequence_told_three_times_ends_in_the_same_statement(
    name: str, baseline: Told, told: dict[str, Told]
) -> None:
    assert without_positions(told[name].statement) == without_positions(baseline.statement)


def test_the_statement_is_what_the_recordings_add_up_to(baseline: Told) -> None:
    assert figures(baseline.statement) == expected_figures()


def test_every_currency_is_exact(baseline: Told) -> None:
    by_currency = figures(baseline.statement)
    # Recorded: 40 orders, 3 745.96 and net 3 641.89. Signed: 48.40 (net 36.30), 30.00 and 12.00.
    assert by_currency["EUR"]["store"] == (43, 3_836_360_000, 3_720_190_000)
    assert by_currency["EUR"]["byTier"]["CUSTOMER"] == (1, 48_400_000, 36_300_000)
    assert by_currency["JPY"]["store"] == (1, 228_000_000, 180_000_000)
    assert by_currency["KWD"]["store"] == (1, 60_280_000, 60_280_000)
    assert by_currency["USD"]["store"] == (1, 27_000_000, 27_000_000)
    assert all(told["difference"] == (0, 0, 0) for told in by_currency.values())


def test_every_tier_earned_something(baseline: Told) -> None:
    assert set(figures(baseline.statement)["EUR"]["byTier"]) == TIERS
    credited = {journey.tier: journey.order for journey in JOURNEYS if journey.tier}
    told = {tier: baseline.shop.evidence(str(order)).get("matchedBy") for tier, order in credited.items()}
    assert told == {tier: tier for tier in TIERS}


def test_of_two_equally_new_states_the_greater_hash_holds(baseline: Told) -> None:
    [paid, repriced] = [one for one in recorded() if one.number in {36, 38}]
    states = [state_told(paid), state_told(repriced)]
    assert [(state["id"], state["total"]) for state in states] == [(25, "60.00"), (25, "60.36")]
    assert newness(states[0]) == newness(states[1])
    assert content_hash(paid.body) == "f1c94b56279471eda2e3c6661c2454ec"
    assert content_hash(repriced.body) == "dce78c711611159a4abe1edac62a4471"
    assert content_hash(paid.body) > content_hash(repriced.body)
    assert baseline.shop.evidence("25")["amount"]["micros"] == "60000000"


@pytest.mark.parametrize("journey", JOURNEYS, ids=lambda journey: f"{journey.order}: {journey.because}")
def test_the_evidence_of_a_journey(journey: Journey, baseline: Told) -> None:
    evidence = baseline.shop.evidence(str(journey.order))
    verdicts = {touch["eventId"]: touch["verdict"] for touch in evidence.get("touches", [])}
    told = {moment.name: moment.verdict for moment in journey.moments if moment.verdict}
    assert {name: verdicts.get(name) for name in told} == told
    assert evidence.get("matchedBy", "") == journey.tier
    credited = [name for name, verdict in told.items() if verdict == "CREDITED"]
    assert [credit["touch"]["eventId"] for credit in evidence.get("credits", [])] == credited
    assert [credit["touch"]["channel"] for credit in evidence.get("credits", [])] == [journey.channel] * len(credited)
    assert evidence["agreesWithStored"]


def test_orders_without_a_journey_are_attributed_to_nothing(baseline: Told) -> None:
    for number in set(all_orders()) - set(BY_ORDER):
        evidence = baseline.shop.evidence(str(number))
        assert evidence["counted"] == ("excludedReason" not in evidence)
        assert not evidence.get("credits"), number
        assert evidence["agreesWithStored"], number


@pytest.mark.parametrize("name", ["received", "shuffled-1"])
def test_every_credit_and_every_figure_verifies(name: str, told: dict[str, Told]) -> None:
    shop = told[name].shop
    done = shop.running.touchstone("verify", shop.tenant)
    assert "credits: 47 orders computed again, 0 differ" in done.stdout  # 43 recorded, 3 signed, the one that settled
    assert "0 cells differ" in done.stdout


def test_nothing_is_parked(baseline: Told) -> None:
    for name in ("woo", "shopify"):
        assert baseline.shop.client.get(f"/v1/sources/{name}/parked").json().get("parkedDeliveries", []) == []
    sources = {one["source"]: one for one in baseline.shop.client.get("/v1/sources").json()["sources"]}
    assert int(sources["woo"]["deliveredCount"]) == 142
    # Two coupons, a customer, five announcements of refunds.
    assert int(sources["woo"]["uncountedTopicCount"]) == 8
    assert int(sources["shopify"]["deliveredCount"]) == 5
