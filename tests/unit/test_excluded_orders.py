"""Which orders are told as excluded: those that the tenant's own statuses don't count, whatever a model counts."""

from collections.abc import Sequence

import pytest
from touchstone.ingest.v1 import event_pb2, model_pb2, settings_pb2

from services.reporting.domain.catalogue import METRICS
from services.reporting.domain.cells import Cell, Measures, Outcome, OutcomeCell
from services.reporting.domain.definitions import Sum
from tests.attribution.model_journeys import tried
from tests.attribution.telling import EUR, NOON, at, interaction, logged, order
from tests.attribution.whole import whole

ORDERS = (
    order("1", {"session_id": "s"}, status="completed", total_micros=100 * EUR),
    order("2", status="on-hold", total_micros=30 * EUR),
    order("3", status="failed", total_micros=20 * EUR),
    order("4", status="cancelled", total_micros=10 * EUR),
    order("5", status="completed", total_micros=5 * EUR, test=True),
    order("6", status="authorized", total_micros=50 * EUR, platform="SHOPIFY"),
    order("7", status="shipped", total_micros=70 * EUR, platform="CUSTOM"),
)
TOUCH = interaction("t", NOON, {"session_id": "s"})
STATUSES: dict[str, list[str]] = {"woocommerce": ["completed", "on-hold", "failed"], "custom": ["shipped"]}


def _settings(statuses: dict[str, list[str]], **told: bool) -> event_pb2.Event:
    counted = [{"platform": platform, "statuses": words} for platform, words in statuses.items()]
    said = settings_pb2.TenantSettings(counted_statuses=counted, **told)
    return event_pb2.Event(event_id=f"settings {statuses}", occur_time=at(NOON), settings=said)


def _model(statuses: dict[str, list[str]]) -> event_pb2.Event:
    """One model, with statuses of its own."""
    counted = [{"platform": platform, "statuses": words} for platform, words in statuses.items()]
    models = model_pb2.ModelSet(models=[model_pb2.Model(**tried(counted_statuses=counted))])
    return event_pb2.Event(event_id="models", occur_time=at(NOON), models=models)


def _cells(*events: event_pb2.Event) -> dict[Cell, Measures]:
    return whole([logged(event) for event in (*events, TOUCH, *ORDERS)]).cells


def _figure(cells: dict[Cell, Measures], name: str) -> int:
    """A metric that knows no model, as it is summed from the cells."""
    formula = METRICS[name].formula
    assert isinstance(formula, Sum)
    assert not formula.slice.by_model
    family = formula.slice.family
    wanted = {**dict(formula.slice.where), **({"model": formula.slice.model} if "model" in family._fields else {})}
    place = {"orders": 0, "gross_micros": 1}[formula.measure]
    return sum(
        measures[place]
        for cell, measures in cells.items()
        if isinstance(cell, family) and all(getattr(cell, field) == value for field, value in wanted.items())
    )


def _figures(cells: dict[Cell, Measures]) -> tuple[int, int, int, int]:
    names = ("store_orders", "store_revenue", "excluded_orders", "excluded_amount")
    orders, revenue, excluded, amount = (_figure(cells, name) for name in names)
    return orders, revenue // EUR, excluded, amount // EUR


@pytest.mark.parametrize(
    ("because", "events", "expected"),
    [
        ("nothing is said: what each platform calls paid counts", [], (1, 100, 6, 185)),
        ("the tenant counts more", [_settings(STATUSES)], (4, 220, 3, 65)),
        ("a platform that isn't named keeps its own", [_settings({"shopify": ["authorized"]})], (2, 150, 5, 135)),
        ("the last settings hold", [_settings(STATUSES), _settings({"custom": []})], (1, 100, 6, 185)),
        ("the tenant counts its trials", [_settings({}, count_test_orders=True)], (2, 105, 5, 180)),
        ("a model counts more: figures of the shop don't follow it", [_model(STATUSES)], (1, 100, 6, 185)),
        ("a model counts less", [_settings(STATUSES), _model({"woocommerce": ["failed"]})], (4, 220, 3, 65)),
    ],
)
def test_orders_are_excluded_by_the_tenants_own_statuses(
    because: str, events: Sequence[event_pb2.Event], expected: tuple[int, int, int, int]
) -> None:
    cells = _cells(*events)
    assert _figures(cells) == expected, because
    assert expected[0] + expected[2] == len(ORDERS), "what is told counts, or is excluded"


def test_the_statement_of_a_model_with_statuses_of_its_own_follows_these() -> None:
    cells = _cells(_settings(STATUSES), _model({"woocommerce": ["completed"], "shopify": ["authorized"]}))
    parts = dict.fromkeys(Outcome, 0)
    for cell, (orders, *_) in cells.items():
        if isinstance(cell, OutcomeCell):
            parts[cell.outcome] += orders
    # Of what the tenant counts, the model doesn't count on-hold and failed ones; what was authorised it does.
    assert parts == {Outcome.ATTRIBUTED: 1, Outcome.UNATTRIBUTED: 2, Outcome.EXCLUDED: 4}
    assert _figure(cells, "excluded_orders") == 3
