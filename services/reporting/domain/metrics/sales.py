"""Metrics of the sales report: what was bought after a contact, whatever the request's model is."""

from dataclasses import replace

from services.reporting.domain.definitions import Metric, Sum, Unit, quotient, summed
from services.reporting.domain.metrics.orders import ATTRIBUTED, COUNTED

CONTACT_MODEL = "contact"
AFTER_CONTACT = replace(ATTRIBUTED, by_model=False, model=CONTACT_MODEL)

METRICS_OF_SALES: tuple[Metric, ...] = (
    summed(
        "turnover_after_contact",
        "Turnover after contact",
        Unit.MONEY,
        Sum(slice=AFTER_CONTACT, measure="gross_micros"),
        "The sum of counted orders that the model contact credits to a contact, refunds not taken off.",
    ),
    summed(
        "net_turnover_after_contact",
        "Net turnover after contact",
        Unit.MONEY,
        Sum(slice=AFTER_CONTACT, measure="net_micros"),
        "Turnover after contact less what was given back, booked on the order's day.",
    ),
    summed(
        "transactions_after_contact",
        "Transactions after contact",
        Unit.COUNT,
        Sum(slice=AFTER_CONTACT, measure="orders"),
        "Counted orders that the model contact credits to a contact.",
    ),
    quotient(
        "average_order_value_after_contact",
        "Average order value after contact",
        Unit.MONEY,
        ("turnover_after_contact", "transactions_after_contact"),
        "Turnover after contact per transaction after contact.",
    ),
    summed(
        "website_turnover",
        "Website turnover",
        Unit.MONEY,
        Sum(slice=COUNTED, measure="gross_micros"),
        "The sum of all counted orders, refunds not taken off.",
    ),
    summed(
        "website_transactions",
        "Website transactions",
        Unit.COUNT,
        Sum(slice=COUNTED, measure="orders"),
        "All counted orders.",
    ),
    quotient(
        "website_average_order_value",
        "Website average order value",
        Unit.MONEY,
        ("website_turnover", "website_transactions"),
        "Website turnover per website transaction.",
    ),
)
"""What there is of sales after contacts."""
