"""The golden journeys, each decided by the domain alone."""

import pytest
from touchstone.ingest.v1 import event_pb2, model_pb2

from services.attribution.domain.attribute import Tier, Verdict
from tests.attribution import journeys, model_journeys
from tests.attribution.journeys import Journey
from tests.attribution.oracle import decisions
from tests.attribution.telling import CENT, EUR, logged


def by_model(journey: Journey) -> list[event_pb2.LoggedEvent]:
    if journey.model is None:
        return []
    models = model_pb2.ModelSet(models=[model_pb2.Model(**journey.model)])
    return [logged(event_pb2.Event(event_id="m", models=models), source="touchstone")]


@pytest.mark.parametrize("journey", journeys.ALL, ids=lambda journey: journey.because)
def test_journeys_earn_what_a_marketer_expects(journey: Journey) -> None:
    events = [*by_model(journey), *(logged(event) for event in journey.events())]
    [(sale, attributions)] = decisions(events, [journey.people] if journey.people else []).values()
    attribution = next(one for one in attributions if one.model == journey.asks)

    assert (sale.excluded.name if sale.excluded else "") == journey.excluded
    assert {one.touch.event_id: one.verdict.name for one in attribution.considered} == journey.verdicts
    assert {one.touch.event_id: one.fraction_millionths for one in attribution.credits} == journey.shares
    assert (attribution.matched_by.name if attribution.matched_by else "") == journey.tier
    if journey.shares:
        assert sum(one.fraction_millionths for one in attribution.credits) == 1_000_000
        assert sum(one.gross_micros for one in attribution.credits) == 100 * EUR == sale.gross_micros
        assert sum(one.net_micros for one in attribution.credits) == sale.net_micros


def test_every_tier_and_verdict_has_a_journey() -> None:
    verdicts = {verdict for journey in (*journeys.ALL, *model_journeys.ALL) for verdict in journey.verdicts.values()}
    assert verdicts == {verdict.name for verdict in Verdict}
    assert {journey.tier for journey in journeys.ALL} == {"", *(tier.name for tier in Tier)}


@pytest.mark.parametrize("journey", model_journeys.ALL, ids=lambda journey: f"{journey.name}: {journey.because}")
def test_models_give_what_a_marketer_expects(journey: model_journeys.Journey) -> None:
    [(_, attributions)] = decisions(told_under(journey)).values()
    attribution = next(one for one in attributions if one.model == journey.name)

    earned = [
        (one.touch.event_id, one.line_id, one.gross_micros / CENT, one.net_micros / CENT) for one in attribution.credits
    ]
    assert earned == list(journey.earned)
    assert {one.touch.event_id: one.verdict.name for one in attribution.considered} == journey.verdicts
    assert (attribution.matched_by.name if attribution.matched_by else "") == journey.tier
    assert (attribution.excluded.name if attribution.excluded else "") == journey.excluded


def told_under(journey: model_journeys.Journey) -> list[event_pb2.LoggedEvent]:
    """The journey's events, and what it says of settings and models before them."""
    own = [] if journey.settings is None else [event_pb2.Event(event_id="s", settings=journey.settings)]
    if not isinstance(journey.model, str):
        models = model_pb2.ModelSet(models=[model_pb2.Model(**journey.model)])
        own.append(event_pb2.Event(event_id="m", models=models))
    told = [logged(event) for event in (*journey.events, journey.order)]
    return [*(logged(event, source="touchstone") for event in own), *told]


def test_no_two_journeys_are_the_same() -> None:
    names = [(journey.name, journey.because) for journey in model_journeys.ALL]
    assert len(set(names)) == len(names)
