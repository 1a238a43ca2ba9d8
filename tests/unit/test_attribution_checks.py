"""Which sets of models can hold, and which fields of those that can't are named."""

from datetime import timedelta
from typing import Any

import pytest
from touchstone.ingest.v1 import model_pb2

from services.attribution.domain.models import DEFAULT_MODELS
from services.attribution.wire.checks import MOST_MODELS, check_model, check_models
from services.attribution.wire.rules import model_message
from services.kernel.failures import InvalidArgumentError

DAY = timedelta(days=1)
DEFAULT = [model_message(model) for model in DEFAULT_MODELS]
NAN, ENDLESS = float("nan"), float("inf")


def tried(**told: Any) -> model_pb2.Model:
    return model_pb2.Model(**{"name": "tried", "active": True, "window": DAY, **told})


def fields(*models: model_pb2.Model) -> list[str]:
    with pytest.raises(InvalidArgumentError) as refused:
        check_models(models)
    return [violation.field for violation in refused.value.violations]


def weight(channel: str | int, value: float) -> dict[str, Any]:
    return {"channel": channel, "weight": value}


def test_the_default_models_hold() -> None:
    assert check_models(DEFAULT) == DEFAULT_MODELS


@pytest.mark.parametrize(
    "told",
    [
        {"name": "a" * 63},
        {"window": timedelta(days=400)},
        {"window": timedelta(microseconds=1)},
        {"anchor": "SESSION", "window": None},
        {"rule": "TIME_DECAY", "half_life": timedelta(seconds=1)},
        {"rule": "DATA_DRIVEN", "weights": [weight("CHAT", 0), weight("FAQ", 0.5)]},
        {"by_line": True, "anchor": "CLICK", "filter": {"through_cart": True}},
        {"counted_statuses": [{"platform": "shopify", "statuses": ["paid"]}, {"platform": "custom"}]},
        {"active": False, "display_name": "Kept, not applied"},
    ],
)
def test_models_that_hold(told: dict[str, Any]) -> None:
    assert len(check_models([*DEFAULT, tried(**told)])) == len(DEFAULT) + 1


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "Tried"}, "name"),
        ({"name": "1st"}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": "a" * 64}, "name"),
        ({"name": "contact\n"}, "name"),
        ({"display_name": "x" * 257}, "displayName"),
        ({"window": None}, "window"),
        ({"window": timedelta(0)}, "window"),
        ({"window": timedelta(seconds=-1)}, "window"),
        ({"window": timedelta(days=400, microseconds=1)}, "window"),
        ({"anchor": "CONVERSATION", "window": None}, "window"),
        ({"anchor": "CLICK", "window": None}, "window"),
        ({"anchor": 9}, "anchor"),
        ({"rule": 9}, "rule"),
        ({"basis": 9}, "basis"),
        ({"channels": ["CHAT", 0]}, "channels[1]"),
        ({"channels": [99]}, "channels[0]"),
        ({"rule": "TIME_DECAY"}, "halfLife"),
        ({"rule": "TIME_DECAY", "half_life": timedelta(0)}, "halfLife"),
        ({"rule": "TIME_DECAY", "half_life": timedelta(days=401)}, "halfLife"),
        ({"half_life": timedelta(seconds=-1)}, "halfLife"),
        ({"rule": "DATA_DRIVEN"}, "weights"),
        ({"rule": "DATA_DRIVEN", "weights": [weight("CHAT", 0)]}, "weights"),
        ({"rule": "DATA_DRIVEN", "weights": [weight("CHAT", 1), weight("FAQ", -1)]}, "weights[1].weight"),
        ({"rule": "DATA_DRIVEN", "weights": [weight("CHAT", NAN)]}, "weights[0].weight"),
        ({"weights": [weight("CHAT", ENDLESS)]}, "weights[0].weight"),
        ({"weights": [weight(0, 1)]}, "weights[0].channel"),
        ({"by_line": True, "anchor": "SESSION"}, "byLine"),
        ({"by_line": True, "anchor": "CONVERSATION"}, "byLine"),
        ({"filter": {"through_cart": True}}, "filter.throughCart"),
        ({"filter": {"actions": [7]}}, "filter.actions[0]"),
        ({"filter": {"bot_names": ["Bo", ""]}}, "filter.botNames[1]"),
        ({"filter": {"experience_ids": ["x" * 257]}}, "filter.experienceIds[0]"),
        ({"filter": {"campaigns": ["x"] * 101}}, "filter.campaigns"),
        ({"counted_statuses": [{"platform": "magento"}]}, "countedStatuses[0].platform"),
        ({"counted_statuses": [{"platform": "custom", "statuses": ["Paid"]}]}, "countedStatuses[0].statuses[0]"),
    ],
)
def test_a_field_at_fault_is_named(told: dict[str, Any], field: str) -> None:
    assert fields(*DEFAULT, tried(**told)) == [f"models[{len(DEFAULT)}].{field}"]


def test_what_is_told_twice() -> None:
    assert fields(*DEFAULT, DEFAULT[2]) == [f"models[{len(DEFAULT)}].name"]
    twice = {"platform": "custom"}
    assert fields(*DEFAULT, tried(counted_statuses=[twice, twice])) == [
        f"models[5].countedStatuses[{place}].platform" for place in (0, 1)
    ]
    chat = weight("CHAT", 1)
    assert fields(tried(weights=[chat, chat])) == [f"models[0].weights[{place}].channel" for place in (0, 1)]


def test_every_field_at_fault_is_named_at_once() -> None:
    worst = tried(name="X", window=None, rule="TIME_DECAY", by_line=True, anchor="CONVERSATION")
    assert fields(worst, tried(rule=9)) == [
        "models[0].name",
        "models[0].window",
        "models[0].halfLife",
        "models[0].byLine",
        "models[1].rule",
    ]


def test_how_many_there_may_be() -> None:
    many = [tried(name=f"m{number}") for number in range(MOST_MODELS)]
    conversations = tried(name="conversations")
    assert len(check_models([conversations, *many[1:]])) == MOST_MODELS
    assert fields(conversations, *many) == ["models"]
    assert fields() == ["models"]


def test_the_model_of_those_who_name_none_is_there_and_active() -> None:
    assert fields(tried()) == ["models"]
    assert fields(tried(name="conversations", active=False)) == ["models"]
    assert check_models([tried(name="conversations", rule="LINEAR", window=3 * DAY)])


def test_a_model_by_itself() -> None:
    unlearned = tried(rule="DATA_DRIVEN")
    assert check_model(unlearned, "model", learned=True).name == "tried"
    with pytest.raises(InvalidArgumentError) as refused:
        check_model(unlearned, "model")
    assert [violation.field for violation in refused.value.violations] == ["model.weights"]
