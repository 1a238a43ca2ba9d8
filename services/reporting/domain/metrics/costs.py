"""Metrics of what the assistant costs, and what comes of it."""

from services.reporting.domain.definitions import (
    COST_SHARES,
    CURRENCY,
    TIMES,
    CostDay,
    Metric,
    Slice,
    Sum,
    Unit,
    difference,
    quotient,
    summed,
)

COSTS = Slice(family=CostDay, by_model=False, where=(), dimensions=(*TIMES, CURRENCY))

METRICS_OF_COSTS: tuple[Metric, ...] = (
    summed(
        "assistant_cost",
        "Assistant's cost",
        Unit.MONEY,
        Sum(slice=COSTS, measure="shares", divisor=COST_SHARES, may_be_absent=True),
        "What the assistant costs: each day its month's part of the monthly cost in the settings, rounded once, in the "
        "sum. Absent without such a setting, and where that is in another currency.",
    ),
    difference(
        "attributed_revenue_after_cost",
        "Attributed revenue after cost",
        Unit.MONEY,
        ("attributed_revenue", "assistant_cost"),
        "Attributed revenue less what the assistant costs.",
    ),
    quotient(
        "roi",
        "Return on investment",
        Unit.RATIO,
        ("attributed_revenue_after_cost", "assistant_cost"),
        "Attributed revenue after cost over what the assistant costs: 1 where twice the cost came in.",
    ),
)
"""What there is of costs."""
