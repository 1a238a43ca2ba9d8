"""The named reports, each as data: what its page shows, and by what it can be narrowed."""

from dataclasses import dataclass

from services.kernel.failures import NotFoundError
from services.reporting.domain.definitions import AGENT, BOT, CAMPAIGN, CHANNEL, SKU, TIER, TOUCHPOINT
from services.reporting.domain.metrics.sales import CONTACT_MODEL
from services.reporting.domain.tenants import DEFAULT_MODEL


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of a report: metrics, by name, cut by dimensions; its rows by `first`, the greatest first, if named."""

    name: str
    label: str
    metrics: tuple[str, ...]
    dimensions: tuple[str, ...]
    first: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedReport:
    """A report: the figures told in total and by days, its tables, and what it can be narrowed by.

    `model` is the one it is under; another may be asked for where `any_model`. `year_trend` says that its page also
    compares with a year ago.
    """

    name: str
    totals: tuple[str, ...]
    tables: tuple[Table, ...]
    filters: tuple[str, ...] = ()
    model: str = DEFAULT_MODEL
    any_model: bool = False
    year_trend: bool = False


_AFTER_CONTACT = (
    "turnover_after_contact",
    "net_turnover_after_contact",
    "transactions_after_contact",
    "average_order_value_after_contact",
)
_ATTRIBUTED = (
    "attributed_revenue",
    "attributed_net_revenue",
    "attributed_orders",
    "attributed_average_order_value",
)
_STORE = ("store_revenue", "store_net_revenue", "store_orders", "average_order_value")
_PRODUCTS = (
    "assisted_units",
    "assisted_revenue",
    "assisted_net_revenue",
    "units",
    "refunded_units",
    "product_revenue",
    "product_net_revenue",
    "assisted_share_of_units",
)
_COSTS = ("assistant_cost", "attributed_revenue_after_cost", "roi")

_ALL = (
    NamedReport(
        name="sales",
        totals=(*_AFTER_CONTACT, "website_turnover", "website_transactions", "website_average_order_value"),
        tables=(
            Table(
                name="by_touchpoint",
                label="By touchpoint",
                metrics=_AFTER_CONTACT,
                dimensions=(TOUCHPOINT,),
                first="turnover_after_contact",
            ),
            Table(
                name="by_agent",
                label="By agent",
                metrics=_AFTER_CONTACT,
                dimensions=(AGENT,),
                first="turnover_after_contact",
            ),
        ),
        filters=(TOUCHPOINT, AGENT, BOT, CHANNEL, CAMPAIGN),
        model=CONTACT_MODEL,
    ),
    NamedReport(
        name="revenue-impact",
        totals=(*_ATTRIBUTED, *_STORE, "share_of_store_revenue", "share_of_store_orders"),
        tables=(
            Table(
                name="by_channel",
                label="By channel",
                metrics=_ATTRIBUTED,
                dimensions=(CHANNEL,),
                first="attributed_revenue",
            ),
        ),
        filters=(CHANNEL, TOUCHPOINT, BOT, AGENT, CAMPAIGN, TIER),
        any_model=True,
        year_trend=True,
    ),
    NamedReport(
        name="roi",
        totals=(*_ATTRIBUTED, *_STORE, "share_of_store_revenue", *_COSTS),
        tables=(
            Table(
                name="by_tier",
                label="By how the order was matched",
                metrics=_ATTRIBUTED,
                dimensions=(TIER,),
                first="attributed_revenue",
            ),
        ),
        filters=(CHANNEL, TOUCHPOINT, BOT, AGENT, CAMPAIGN, TIER),
        any_model=True,
    ),
    NamedReport(
        name="products",
        totals=(*_PRODUCTS, "attributed_revenue", *_COSTS),
        tables=(
            Table(
                name="by_product",
                label="By product",
                metrics=_PRODUCTS,
                dimensions=(SKU,),
                first="assisted_revenue",
            ),
        ),
        filters=(SKU,),
        any_model=True,
    ),
)

REPORTS: dict[str, NamedReport] = {report.name: report for report in _ALL}
"""Every named report, by name."""


def named_report(name: str) -> NamedReport:
    """The report of a name; raises `NotFoundError`, which lists those there are."""
    if name not in REPORTS:
        raise NotFoundError("REPORT_NOT_FOUND", f"there is no report {name!r}; there are: {', '.join(REPORTS)}")
    return REPORTS[name]
