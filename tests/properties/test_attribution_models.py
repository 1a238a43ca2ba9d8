"""Laws that hold under any models: of amounts, of sequences, and against what was worked out step by step."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from touchstone.ingest.v1 import event_pb2, model_pb2, settings_pb2

from services.attribution.domain.amounts import line_amount, order_amount
from services.attribution.domain.models import DEFAULT_MODELS
from services.attribution.wire import rules as rules_wire
from tests.attribution import naive
from tests.attribution.model_world import ModelWorld
from tests.attribution.oracle import decisions, entries

SEEDS = st.integers(0, 2**32)


def models_of(world: ModelWorld) -> dict[str, model_pb2.Model]:
    sets = [one.event.models.models for one in world.events if one.event.HasField("models")]
    return {one.name: one for one in (sets[-1] if sets else map(rules_wire.model_message, DEFAULT_MODELS))}


def settings_of(world: ModelWorld) -> settings_pb2.TenantSettings:
    [document] = [one.event.settings for one in world.events if one.event.HasField("settings")]
    return document


@settings(max_examples=400)
@given(SEEDS)
def test_credits_are_those_worked_out_step_by_step(seed: int) -> None:
    world = ModelWorld(seed)
    told = naive.World(world.events, world.changes, settings_of(world))
    orders: dict[str, event_pb2.Event] = {
        one.event.order.order_id: one.event for one in world.events if one.event.HasField("order")
    }
    models = models_of(world)
    for (_, order_id), (sale, attributions) in decisions(world.events, world.changes).items():
        for attribution in attributions:
            earned = [
                (one.touch.event_id, one.line_id, one.gross_micros, one.net_micros) for one in attribution.credits
            ]
            assert earned == naive.credits_of(told, orders[order_id], sale, models[attribution.model])


@settings(max_examples=200)
@given(SEEDS)
def test_credits_add_up_to_the_basis_or_to_the_credited_lines(seed: int) -> None:
    world = ModelWorld(seed)
    models = {name: rules_wire.model(message) for name, message in models_of(world).items()}
    for sale, attributions in decisions(world.events, world.changes).values():
        lines = {line.line_id: line for line in sale.lines}
        for attribution in attributions:
            model, parts = models[attribution.model], attribution.credits
            if model.by_line:
                amounts = [line_amount(lines[name], model.basis) for name in {one.line_id for one in parts}]
                assert sum(one.fraction_millionths for one in parts) <= 1_000_000
                everything = {one.line_id for one in parts} == lines.keys() and lines
                assert not everything or sum(one.fraction_millionths for one in parts) == 1_000_000
            else:
                amounts = [order_amount(sale, model.basis)] if parts else []
                assert sum(one.fraction_millionths for one in parts) == (1_000_000 if parts else 0)
            assert sum(one.gross_micros for one in parts) == sum(amount.gross_micros for amount in amounts)
            assert sum(one.net_micros for one in parts) == sum(amount.net_micros for amount in amounts)
            assert bool(parts) == (attribution.matched_by is not None)
            assert not (parts and attribution.excluded)


@settings(max_examples=100)
@given(SEEDS)
def test_sequence_and_duplicates_do_not_matter(seed: int) -> None:
    world, random = ModelWorld(seed), Random(seed)
    own = [one for one in world.events if one.source == "touchstone"]
    told = [one for one in world.events if one.source != "touchstone"]
    again = [*told, *random.choices(told, k=3)]
    shuffled = [*random.sample(again, len(again)), *own]
    assert decisions(shuffled, world.changes) == {**decisions(world.events, world.changes)}
    assert entries(shuffled, world.changes, "acme") == entries(world.events, world.changes, "acme")


@given(SEEDS)
def test_every_touch_considered_has_its_verdict(seed: int) -> None:
    world = ModelWorld(seed)
    for _, attributions in decisions(world.events, world.changes).values():
        for attribution in attributions:
            credited = {(one.touch.source, one.touch.event_id) for one in attribution.credits}
            verdicts = {
                (one.touch.source, one.touch.event_id)
                for one in attribution.considered
                if one.verdict.name == "CREDITED"
            }
            assert credited == verdicts


@given(SEEDS)
def test_models_are_told_and_read_again(seed: int) -> None:
    for message in models_of(ModelWorld(seed)).values():
        model = rules_wire.model(message)
        assert rules_wire.model(rules_wire.model_message(model)) == model
