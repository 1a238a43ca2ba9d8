"""Metrics of orders: what the store sold, and what of it a model attributes."""

from services.reporting.domain.cells import CreditCell, Outcome, OutcomeCell, StoreCell
from services.reporting.domain.definitions import (
    AGENT,
    BOT,
    CAMPAIGN,
    CHANNEL,
    CURRENCY,
    EXPERIENCE,
    TIER,
    TIMES,
    TOUCHPOINT,
    Slice,
    Sum,
    Unit,
    quotient,
    summed,
)

COUNTED = Slice(
    family=StoreCell,
    by_model=False,
    where=(("counted", True),),
    dimensions=(*TIMES, CURRENCY),
)
ATTRIBUTED = Slice(
    family=CreditCell,
    by_model=True,
    where=(),
    dimensions=(*TIMES, CHANNEL, TOUCHPOINT, TIER, BOT, AGENT, CAMPAIGN, EXPERIENCE, CURRENCY),
)
UNATTRIBUTED = Slice(
    family=OutcomeCell,
    by_model=True,
    where=(("outcome", Outcome.UNATTRIBUTED.value),),
    dimensions=(*TIMES, CURRENCY),
)
EXCLUDED = Slice(
    family=OutcomeCell,
    by_model=False,
    where=(("outcome", Outcome.EXCLUDED.value),),
    dimensions=(*TIMES, CURRENCY),
)

METRICS_OF_ORDERS = (
    summed(
        "store_orders",
        "Store orders",
        Unit.COUNT,
        Sum(slice=COUNTED, measure="orders"),
        "Orders that count as sold, by the day they were placed.",
    ),
    summed(
        "store_revenue",
        "Store revenue",
        Unit.MONEY,
        Sum(slice=COUNTED, measure="gross_micros"),
        "What the customers of counted orders were to pay, tax and shipping in, refunds not taken off.",
    ),
    summed(
        "store_net_revenue",
        "Store net revenue",
        Unit.MONEY,
        Sum(slice=COUNTED, measure="net_micros"),
        "Store revenue less what was given back, booked on the order's day.",
    ),
    summed(
        "refunded_amount",
        "Refunded",
        Unit.MONEY,
        Sum(slice=COUNTED, measure="gross_micros", less="net_micros"),
        "What was given back on counted orders, booked on the order's day.",
    ),
    quotient(
        "average_order_value",
        "Average order value",
        Unit.MONEY,
        ("store_revenue", "store_orders"),
        "Store revenue per counted order.",
    ),
    summed(
        "attributed_orders",
        "Attributed orders",
        Unit.COUNT,
        Sum(slice=ATTRIBUTED, measure="orders"),
        "Counted orders that the model credits to at least one touch. One with credit in two channels counts in both, "
        "and once in the total.",
    ),
    summed(
        "attributed_revenue",
        "Attributed revenue",
        Unit.MONEY,
        Sum(slice=ATTRIBUTED, measure="gross_micros"),
        "The parts of counted orders' amounts that the model credits to touches, refunds not taken off.",
    ),
    summed(
        "attributed_net_revenue",
        "Attributed net revenue",
        Unit.MONEY,
        Sum(slice=ATTRIBUTED, measure="net_micros"),
        "Attributed revenue less its part of what was given back.",
    ),
    quotient(
        "attributed_average_order_value",
        "Average attributed order value",
        Unit.MONEY,
        ("attributed_revenue", "attributed_orders"),
        "Attributed revenue per attributed order.",
    ),
    quotient(
        "share_of_store_revenue",
        "Share of store revenue",
        Unit.RATIO,
        ("attributed_revenue", "store_revenue"),
        "Attributed revenue over store revenue.",
    ),
    quotient(
        "share_of_store_orders",
        "Share of store orders",
        Unit.RATIO,
        ("attributed_orders", "store_orders"),
        "Attributed orders over store orders.",
    ),
    summed(
        "unattributed_orders",
        "Unattributed orders",
        Unit.COUNT,
        Sum(slice=UNATTRIBUTED, measure="orders"),
        "Counted orders that the model credits to no touch.",
    ),
    summed(
        "unattributed_revenue",
        "Unattributed revenue",
        Unit.MONEY,
        Sum(slice=UNATTRIBUTED, measure="gross_micros"),
        "What of counted orders' amounts the model credits to no touch, refunds not taken off.",
    ),
    summed(
        "excluded_orders",
        "Excluded orders",
        Unit.COUNT,
        Sum(slice=EXCLUDED, measure="orders"),
        "Orders that don't count as sold: tests, deleted, binned, cancelled, failed or unpaid ones. They and store orders "
        "are all there are: both go by the tenant's counted statuses, also where a model has statuses of its own.",
    ),
    summed(
        "excluded_amount",
        "Excluded amount",
        Unit.MONEY,
        Sum(slice=EXCLUDED, measure="gross_micros"),
        "What the customers of excluded orders were to pay.",
    ),
)
"""What there is of orders."""
