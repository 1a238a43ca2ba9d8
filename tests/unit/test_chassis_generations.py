"""When a state that was built anew may be served: not before all that it was made of is new."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from services.chassis.follow import Subscription
from services.chassis.generations import Checkpoints, is_early

PEOPLE: Subscription[Any] = Subscription(
    log="people",
    channel=None,
    method="",
    message_type=None,
    apply=None,
    made_from=("events",),
)


@dataclass
class Building:
    """A follower that has heard of logs by these ids."""

    heads: dict[tuple[str, int], tuple[str, int]] = field(default_factory=dict)


def heard(**ids: str) -> Any:
    return Building({(log, partition): (log_id, 5) for log, log_id in ids.items() for partition in range(3)})


def served(**ids: str) -> Checkpoints:
    return {(log, 1): (log_id, 5) for log, log_id in ids.items()}


@pytest.mark.parametrize(
    ("building", "before", "early"),
    [
        pytest.param({"events": "2", "people": "1"}, {"events": "1", "people": "1"}, True, id="people still as before"),
        pytest.param({"events": "2", "people": "2"}, {"events": "1", "people": "1"}, False, id="both are new"),
        pytest.param({"events": "1", "people": "1"}, {"events": "1", "people": "1"}, False, id="rebuilt from the same"),
        pytest.param({"events": "1", "people": "2"}, {"events": "1", "people": "1"}, False, id="people alone are new"),
        pytest.param({"events": "2", "people": "1"}, {"events": "1"}, False, id="nobody was known before"),
        pytest.param({"events": "1", "people": "1"}, {}, False, id="nothing was served before"),
    ],
)
def test_early(building: dict[str, str], before: dict[str, str], early: bool) -> None:
    assert is_early(PEOPLE, heard(**building), served(**before)) is early
