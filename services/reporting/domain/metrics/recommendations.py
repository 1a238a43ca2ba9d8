"""Metrics of orders that recommendations and personalisation led to, each under the model made for it."""

from dataclasses import replace

from services.reporting.domain.definitions import Metric, Sum, Unit, quotient, summed
from services.reporting.domain.metrics.orders import ATTRIBUTED

DIRECT = replace(ATTRIBUTED, by_model=False, model="recommendation_direct")
ASSISTED = replace(ATTRIBUTED, by_model=False, model="recommendation_assisted")
PERSONALIZED = replace(ATTRIBUTED, by_model=False, model="personalization")

METRICS_OF_RECOMMENDATIONS: tuple[Metric, ...] = (
    summed(
        "direct_revenue",
        "Direct revenue of recommendations",
        Unit.MONEY,
        Sum(slice=DIRECT, measure="gross_micros"),
        "What the model recommendation_direct credits to recommendations, refunds not taken off.",
    ),
    summed(
        "recommendation_assisted_revenue",
        "Assisted revenue of recommendations",
        Unit.MONEY,
        Sum(slice=ASSISTED, measure="gross_micros"),
        "What the model recommendation_assisted credits to recommendations, refunds not taken off.",
    ),
    summed(
        "personalization_revenue",
        "Revenue of personalisation",
        Unit.MONEY,
        Sum(slice=PERSONALIZED, measure="gross_micros"),
        "What the model personalization credits to personalised content, refunds not taken off.",
    ),
    summed(
        "personalization_orders",
        "Orders of personalisation",
        Unit.COUNT,
        Sum(slice=PERSONALIZED, measure="orders"),
        "Counted orders that the model personalization credits to personalised content.",
    ),
    quotient(
        "personalization_average_order_value",
        "Average order value of personalisation",
        Unit.MONEY,
        ("personalization_revenue", "personalization_orders"),
        "Revenue of personalisation per order of personalisation.",
    ),
)
"""What there is of orders after recommendations and personalisation."""
