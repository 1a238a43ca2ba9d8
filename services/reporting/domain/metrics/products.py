"""Metrics of products: units and revenue, of all and of attributed orders."""

from services.reporting.domain.cells import ProductCell
from services.reporting.domain.definitions import CURRENCY, SKU, TIMES, Slice, Sum, Unit, quotient, summed

PRODUCTS = Slice(family=ProductCell, by_model=False, where=(), dimensions=(*TIMES, SKU, CURRENCY))
ASSISTED_PRODUCTS = Slice(family=ProductCell, by_model=True, where=(), dimensions=(*TIMES, SKU, CURRENCY))

METRICS_OF_PRODUCTS = (
    summed(
        "units",
        "Units sold",
        Unit.COUNT,
        Sum(slice=PRODUCTS, measure="units"),
        "Units of products in counted orders, those taken back too.",
    ),
    summed(
        "refunded_units",
        "Units taken back",
        Unit.COUNT,
        Sum(slice=PRODUCTS, measure="refunded_units"),
        "Units of products in counted orders that were taken back.",
    ),
    summed(
        "product_revenue",
        "Product revenue",
        Unit.MONEY,
        Sum(slice=PRODUCTS, measure="gross_micros"),
        "Revenue of products in counted orders, after discount and without tax; shipping and fees are no product's.",
    ),
    summed(
        "product_net_revenue",
        "Product net revenue",
        Unit.MONEY,
        Sum(slice=PRODUCTS, measure="net_micros"),
        "Product revenue less what was given back.",
    ),
    summed(
        "assisted_units",
        "Assisted units",
        Unit.COUNT,
        Sum(slice=ASSISTED_PRODUCTS, measure="units"),
        "Units of products in attributed orders, those taken back too.",
    ),
    summed(
        "assisted_revenue",
        "Assisted revenue",
        Unit.MONEY,
        Sum(slice=ASSISTED_PRODUCTS, measure="gross_micros"),
        "Revenue of products in attributed orders, after discount and without tax.",
    ),
    summed(
        "assisted_net_revenue",
        "Assisted net revenue",
        Unit.MONEY,
        Sum(slice=ASSISTED_PRODUCTS, measure="net_micros"),
        "Assisted revenue less what was given back.",
    ),
    quotient(
        "assisted_share_of_units",
        "Assisted share of units",
        Unit.RATIO,
        ("assisted_units", "units"),
        "Assisted units over units sold.",
    ),
)
"""What there is of products."""
