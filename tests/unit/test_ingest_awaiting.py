"""When an erasure is done: every service says itself that it has left behind what was erased."""

from typing import Any

import pytest
from touchstone.mesh.v1.maintenance_service_pb2 import GetProgressResponse

from services.ingest.erasing.awaiting import all_at_rest, all_left_behind

SERVICES = frozenset({"identity", "attribution", "reporting"})
FOLLOWED = {"identity": ["events"], "attribution": ["events", "people"], "reporting": ["events", "credits"]}
OWN = {"people": "identity-2", "credits": "attribution-2", "events": "new"}


def state(service: str, *, serving: bool = True, through: int = 9, **replaced: str) -> dict[str, Any]:
    """A state that follows what is new, but for the logs whose ids are given."""
    followed = [
        {"log": log, "log_id": replaced.get(log, OWN[log]), "partition": 3, "through_position": through}
        for log in FOLLOWED[service]
    ]
    return {"serving": serving, "log_id": f"{service}-2", "followed": followed}


def told(**changed: Any) -> dict[str, GetProgressResponse]:
    """What all services say, some of them something else than that they are done."""
    every = {name: {"generations": [state(name)]} for name in SERVICES} | changed
    return {name: GetProgressResponse(**fields) for name, fields in every.items() if fields is not None}


def test_done_when_all_serve_what_was_made_of_the_new_log() -> None:
    assert all_left_behind(told(), SERVICES, "new", {3: 9})


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"reporting": None}, id="one does not answer"),
        pytest.param({"reporting": {"generations": []}}, id="one serves nothing yet"),
        pytest.param({"identity": {"generations": [state("identity", events="old")]}}, id="one follows the old log"),
        pytest.param({"attribution": {"generations": [state("attribution", people="identity-1")]}}, id="old people"),
        pytest.param({"reporting": {"generations": [state("reporting", credits="attribution-1")]}}, id="old credits"),
        pytest.param({"identity": {"generations": [state("identity", through=8)]}}, id="one is not there yet"),
        pytest.param({"identity": {"generations": [state("identity") | {"followed": []}]}}, id="one has not begun"),
        pytest.param(
            {"identity": {"generations": [state("identity"), state("identity", serving=False, events="old")]}},
            id="one builds from the old log",
        ),
        pytest.param(
            {"identity": {"generations": [state("identity")], "retired_generations": [1]}}, id="one keeps the old state"
        ),
        pytest.param(
            {"identity": {"generations": [state("identity", serving=False)]}}, id="one serves none of its states"
        ),
    ],
)
def test_not_done_while(changed: dict[str, Any]) -> None:
    assert not all_left_behind(told(**changed), SERVICES, "new", {3: 9})


def test_a_state_that_is_being_built_of_the_new_log_is_no_hindrance() -> None:
    building = state("identity", serving=False, through=1)
    changed = {"identity": {"generations": [state("identity"), building]}}
    assert all_left_behind(told(**changed), SERVICES, "new", {3: 9})


def test_nothing_begins_while_a_state_is_built_or_behind() -> None:
    assert all_at_rest(told(), SERVICES, "new", {3: 9})
    building = state("reporting", serving=False, through=1)
    assert not all_at_rest(told(reporting={"generations": [state("reporting"), building]}), SERVICES, "new", {3: 9})
    behind = {"generations": [state("attribution", through=8)]}
    assert not all_at_rest(told(attribution=behind), SERVICES, "new", {3: 9})
