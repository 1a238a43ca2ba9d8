"""A messaging conversation earns the orders of whoever followed its link, and of nobody else."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from touchstone.identity.v1 import people_pb2
from touchstone.ingest.v1 import event_pb2, model_pb2

from services.chassis.follow import Entry
from services.identity.domain.nodes import kind_of
from services.identity.domain.people import hubs, people
from services.identity.domain.rules import Rules
from services.identity.wire import facts as wire
from tests.attribution import journeys, offsite
from tests.attribution.offsite import Journey
from tests.attribution.oracle import decisions
from tests.attribution.telling import EUR, logged

MODEL = event_pb2.Event(
    event_id="models", models=model_pb2.ModelSet(models=[model_pb2.Model(**journeys.model("FIRST_TOUCH"))])
)


def who_is_who(events: Sequence[event_pb2.LoggedEvent]) -> people_pb2.PeopleChange:
    """What identity says of the events, all of them at once."""
    facts = wire.facts_by_tenant([Entry(position, event) for position, event in enumerate(events, start=1)])["acme"]
    nobody = hubs(facts.observations, Rules(), frozenset())
    persons = people(facts.observations, nobody, frozenset())

    def named(node):
        return {"kind": int(kind_of(node)), "value": facts.values[node]}

    return people_pb2.PeopleChange(
        tenant_id="acme",
        memberships=[{"identifier": named(node), "person_id": person} for node, person in sorted(persons.items())],
        hubs=[{"identifier": named(node), "hub": True} for node in sorted(nobody)],
    )


def told(events: Sequence[event_pb2.Event]) -> tuple:
    log = [logged(event, source="touchstone" if event.HasField("tracked_link") else "shop") for event in events]
    [(_, [attribution])] = decisions([logged(MODEL, source="touchstone"), *log], [who_is_who(log)]).values()
    return (
        attribution.matched_by.name if attribution.matched_by else "",
        {one.touch.event_id: one.verdict.name for one in attribution.considered},
        [(one.touch.event_id, one.touch.touchpoint, one.gross_micros) for one in attribution.credits],
    )


def expected(journey: Journey) -> tuple:
    earned = [(journey.credited, journey.touchpoint, 100 * EUR)] if journey.credited else []
    return journey.tier, journey.verdicts, earned


@pytest.mark.parametrize("journey", offsite.ALL, ids=lambda journey: journey.because)
def test_journeys_through_messaging_apps(journey: Journey) -> None:
    assert told([*journey.events, journey.order]) == expected(journey)


@given(st.data(), st.sampled_from(offsite.ALL))
@settings(max_examples=60)
def test_in_any_sequence_and_however_often_they_are_told(data: st.DataObject, journey: Journey) -> None:
    events = [*journey.events, journey.order]
    again = data.draw(st.permutations(events + data.draw(st.lists(st.sampled_from(events), max_size=3))))
    assert told(again) == expected(journey)


def test_no_two_journeys_are_the_same() -> None:
    assert len({journey.because for journey in offsite.ALL}) == len(offsite.ALL)
