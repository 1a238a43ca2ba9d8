"""The catalogue of metrics: the one place where a figure is defined, and what it can be cut by."""

from dataclasses import dataclass
from enum import IntEnum

from services.reporting.domain.cells import Cell, CreditCell, Outcome, OutcomeCell, ProductCell, StoreCell

DAY, WEEK, MONTH = "day", "week", "month"
CHANNEL, TOUCHPOINT, TIER, BOT, AGENT, CAMPAIGN = "channel", "touchpoint", "tier", "bot", "agent", "campaign"
SKU, CURRENCY = "sku", "currency"

TIMES = (DAY, WEEK, MONTH)
DIMENSIONS = (DAY, WEEK, MONTH, CHANNEL, TOUCHPOINT, TIER, BOT, AGENT, CAMPAIGN, SKU, CURRENCY)
"""Every dimension there is."""

CHANNELS = ("CHAT", "FAQ", "JOURNEY", "MESSAGING", "NUDGE", "PERSONALIZATION", "RECOMMENDATION")
TIERS = ("CUSTOMER", "EMAIL", "PERSON", "PHONE", "SESSION", "VISITOR")


class Unit(IntEnum):
    """What a figure is measured in; numbered as in `touchstone.reporting.v1.Metric.Unit`."""

    COUNT = 1
    MONEY = 2
    RATIO = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The cells of one family that some metrics are summed from.

    `by_model` says that they are those of the request's model; else those without one. `where` gives further fields
    of the key and their values. `dimensions` are what the cells can be told apart by.
    """

    family: type[Cell]
    by_model: bool
    where: tuple[tuple[str, str | bool], ...]
    dimensions: tuple[str, ...]


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
    dimensions=(*TIMES, CHANNEL, TOUCHPOINT, TIER, BOT, AGENT, CAMPAIGN, CURRENCY),
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
PRODUCTS = Slice(family=ProductCell, by_model=False, where=(), dimensions=(*TIMES, SKU, CURRENCY))
ASSISTED_PRODUCTS = Slice(family=ProductCell, by_model=True, where=(), dimensions=(*TIMES, SKU, CURRENCY))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """A measure summed over a slice, less another one where there is one."""

    slice: Slice
    measure: str
    less: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotient:
    """One metric over another, both by name."""

    numerator: str
    denominator: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A figure: its name in requests and for people, its unit, what it counts, and how it is computed."""

    name: str
    label: str
    unit: Unit
    description: str
    formula: Sum | Quotient

    @property
    def slices(self) -> tuple[Slice, ...]:
        """The slices that it is computed from."""
        if isinstance(self.formula, Sum):
            return (self.formula.slice,)
        parts = (METRICS[self.formula.numerator], METRICS[self.formula.denominator])
        return tuple(slice_ for part in parts for slice_ in part.slices)

    @property
    def dimensions(self) -> tuple[str, ...]:
        """What it can be cut by: everything that all its slices can."""
        return tuple(name for name in DIMENSIONS if all(name in slice_.dimensions for slice_ in self.slices))

    @property
    def depends_on_model(self) -> bool:
        """True when another model gives another figure."""
        return any(slice_.by_model for slice_ in self.slices)


def _sum(name: str, label: str, unit: Unit, formula: Sum, description: str) -> Metric:
    return Metric(name=name, label=label, unit=unit, formula=formula, description=description)


def _quotient(name: str, label: str, unit: Unit, over: tuple[str, str], description: str) -> Metric:
    formula = Quotient(numerator=over[0], denominator=over[1])
    return Metric(name=name, label=label, unit=unit, formula=formula, description=description)


_ALL = (
    _sum(
        "store_orders",
        "Store orders",
        Unit.COUNT,
        Sum(slice=COUNTED, measure="orders"),
        "Orders that count as sold, by the day they were placed.",
    ),
    _sum(
        "store_revenue",
        "Store revenue",
        Unit.MONEY,
        Sum(slice=COUNTED, measure="gross_micros"),
        "What the customers of counted orders were to pay, tax and shipping in, refunds not taken off.",
    ),
    _sum(
        "store_net_revenue",
        "Store net revenue",
        Unit.MONEY,
        Sum(slice=COUNTED, measure="net_micros"),
        "Store revenue less what was given back, booked on the order's day.",
    ),
    _sum(
        "refunded_amount",
        "Refunded",
        Unit.MONEY,
        Sum(slice=COUNTED, measure="gross_micros", less="net_micros"),
        "What was given back on counted orders, booked on the order's day.",
    ),
    _quotient(
        "average_order_value",
        "Average order value",
        Unit.MONEY,
        ("store_revenue", "store_orders"),
        "Store revenue per counted order.",
    ),
    _sum(
        "attributed_orders",
        "Attributed orders",
        Unit.COUNT,
        Sum(slice=ATTRIBUTED, measure="orders"),
        "Counted orders that the model credits to at least one touch. One with credit in two channels counts in both, "
        "and once in the total.",
    ),
    _sum(
        "attributed_revenue",
        "Attributed revenue",
        Unit.MONEY,
        Sum(slice=ATTRIBUTED, measure="gross_micros"),
        "The parts of counted orders' amounts that the model credits to touches, refunds not taken off.",
    ),
    _sum(
        "attributed_net_revenue",
        "Attributed net revenue",
        Unit.MONEY,
        Sum(slice=ATTRIBUTED, measure="net_micros"),
        "Attributed revenue less its part of what was given back.",
    ),
    _quotient(
        "attributed_average_order_value",
        "Average attributed order value",
        Unit.MONEY,
        ("attributed_revenue", "attributed_orders"),
        "Attributed revenue per attributed order.",
    ),
    _quotient(
        "share_of_store_revenue",
        "Share of store revenue",
        Unit.RATIO,
        ("attributed_revenue", "store_revenue"),
        "Attributed revenue over store revenue.",
    ),
    _quotient(
        "share_of_store_orders",
        "Share of store orders",
        Unit.RATIO,
        ("attributed_orders", "store_orders"),
        "Attributed orders over store orders.",
    ),
    _sum(
        "unattributed_orders",
        "Unattributed orders",
        Unit.COUNT,
        Sum(slice=UNATTRIBUTED, measure="orders"),
        "Counted orders that the model credits to no touch.",
    ),
    _sum(
        "unattributed_revenue",
        "Unattributed revenue",
        Unit.MONEY,
        Sum(slice=UNATTRIBUTED, measure="gross_micros"),
        "What of counted orders' amounts the model credits to no touch, refunds not taken off.",
    ),
    _sum(
        "excluded_orders",
        "Excluded orders",
        Unit.COUNT,
        Sum(slice=EXCLUDED, measure="orders"),
        "Orders that don't count as sold: tests, deleted, binned, cancelled, failed or unpaid ones.",
    ),
    _sum(
        "excluded_amount",
        "Excluded amount",
        Unit.MONEY,
        Sum(slice=EXCLUDED, measure="gross_micros"),
        "What the customers of excluded orders were to pay.",
    ),
    _sum(
        "units",
        "Units sold",
        Unit.COUNT,
        Sum(slice=PRODUCTS, measure="units"),
        "Units of products in counted orders, those taken back too.",
    ),
    _sum(
        "refunded_units",
        "Units taken back",
        Unit.COUNT,
        Sum(slice=PRODUCTS, measure="refunded_units"),
        "Units of products in counted orders that were taken back.",
    ),
    _sum(
        "product_revenue",
        "Product revenue",
        Unit.MONEY,
        Sum(slice=PRODUCTS, measure="gross_micros"),
        "Revenue of products in counted orders, after discount and without tax; shipping and fees are no product's.",
    ),
    _sum(
        "product_net_revenue",
        "Product net revenue",
        Unit.MONEY,
        Sum(slice=PRODUCTS, measure="net_micros"),
        "Product revenue less what was given back.",
    ),
    _sum(
        "assisted_units",
        "Assisted units",
        Unit.COUNT,
        Sum(slice=ASSISTED_PRODUCTS, measure="units"),
        "Units of products in attributed orders, those taken back too.",
    ),
    _sum(
        "assisted_revenue",
        "Assisted revenue",
        Unit.MONEY,
        Sum(slice=ASSISTED_PRODUCTS, measure="gross_micros"),
        "Revenue of products in attributed orders, after discount and without tax.",
    ),
    _sum(
        "assisted_net_revenue",
        "Assisted net revenue",
        Unit.MONEY,
        Sum(slice=ASSISTED_PRODUCTS, measure="net_micros"),
        "Assisted revenue less what was given back.",
    ),
    _quotient(
        "assisted_share_of_units",
        "Assisted share of units",
        Unit.RATIO,
        ("assisted_units", "units"),
        "Assisted units over units sold.",
    ),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in sorted(_ALL, key=lambda metric: metric.name)}
"""Every metric, by name."""
