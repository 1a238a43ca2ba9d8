"""The named reports, each as data: what its page shows, and by what it can be narrowed."""

from dataclasses import dataclass

from services.kernel.failures import NotFoundError
from services.reporting.domain.definitions import (
    AGENT,
    BOT,
    CAMPAIGN,
    CHANNEL,
    CLASSIFICATION,
    CLASSIFICATION_TYPE,
    COMPLETION,
    JOURNEY,
    JOURNEY_PATH,
    LAST_MESSAGE,
    NOTIFICATION_CHANNEL,
    OPTION,
    ORIGIN_TYPE,
    SKU,
    STEP,
    TAG,
    TIER,
    TOUCHPOINT,
)
from services.reporting.domain.metrics.sales import CONTACT_MODEL
from services.reporting.domain.tenants import DEFAULT_MODEL


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of a report: metrics, by name, cut by dimensions; the rows with most of the first metric come first."""

    name: str
    label: str
    metrics: tuple[str, ...]
    dimensions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedReport:
    """A report: the figures told in total and by days, its tables, and what it can be narrowed by.

    What a filter can't narrow is left out; but `whole` figures are told as they are, beside those that were narrowed.
    `model` is the one it is under; another may be asked for where `any_model`. `year_trend` says that its page also
    compares with a year ago.
    """

    name: str
    totals: tuple[str, ...]
    tables: tuple[Table, ...]
    filters: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    model: str = DEFAULT_MODEL
    any_model: bool = False
    year_trend: bool = False


_AFTER_CONTACT = (
    "turnover_after_contact",
    "net_turnover_after_contact",
    "transactions_after_contact",
    "average_order_value_after_contact",
    "contacts_handled",
    "conversion_rate_after_contact",
    "turnover_per_contact",
    "time_before_purchase",
)
_WEBSITE = ("website_turnover", "website_transactions", "website_average_order_value")
_ATTRIBUTED = (
    "attributed_revenue",
    "attributed_net_revenue",
    "attributed_orders",
    "attributed_average_order_value",
)
_STORE = (
    "store_revenue",
    "store_net_revenue",
    "store_orders",
    "average_order_value",
    "share_of_store_revenue",
    "share_of_store_orders",
)
_PRODUCTS = (
    "assisted_revenue",
    "assisted_units",
    "assisted_net_revenue",
    "units",
    "refunded_units",
    "product_revenue",
    "product_net_revenue",
    "assisted_share_of_units",
)
_COSTS = ("assistant_cost", "attributed_revenue_after_cost", "roi")
_ENDS = ("assigned_to_agent", "completed_automatically", "closed_by_agent", "abandoned_conversations")
_BOTS = ("conversations_started", "classified_sales", *_ENDS)
_JOURNEYS = (
    "journeys_started",
    "journeys_completed",
    "journeys_cancelled",
    "journeys_with_goal",
    "journey_conversion_rate",
)
_TOUCHED_BY = (CHANNEL, TOUCHPOINT, BOT, AGENT, CAMPAIGN)
_CONVERSED_BY = (CHANNEL, ORIGIN_TYPE, BOT, AGENT, TOUCHPOINT, CAMPAIGN)


def _table(name: str, label: str, by: tuple[str, ...], *metrics: str) -> Table:
    return Table(name=name, label=label, dimensions=by, metrics=metrics)


_ALL = (
    NamedReport(
        name="sales",
        totals=(*_AFTER_CONTACT, "turnover_per_hour", *_WEBSITE),
        tables=(
            _table("by_touchpoint", "By touchpoint", (TOUCHPOINT,), *_AFTER_CONTACT),
            _table("by_agent", "By agent", (AGENT,), *_AFTER_CONTACT, "production_seconds", "turnover_per_hour"),
        ),
        filters=_TOUCHED_BY,
        whole=_WEBSITE,
        model=CONTACT_MODEL,
    ),
    NamedReport(
        name="revenue-impact",
        totals=(*_ATTRIBUTED, *_STORE),
        tables=(_table("by_channel", "By channel", (CHANNEL,), *_ATTRIBUTED),),
        filters=(*_TOUCHED_BY, TIER),
        whole=_STORE,
        any_model=True,
        year_trend=True,
    ),
    NamedReport(
        name="roi",
        totals=(*_ATTRIBUTED, *_STORE, *_COSTS),
        tables=(_table("by_tier", "By how the order was matched", (TIER,), *_ATTRIBUTED),),
        filters=(*_TOUCHED_BY, TIER),
        whole=_STORE,
        any_model=True,
    ),
    NamedReport(
        name="products",
        totals=(*_PRODUCTS, "attributed_revenue", *_COSTS),
        tables=(_table("by_product", "By product", (SKU,), *_PRODUCTS),),
        filters=(SKU,),
        any_model=True,
    ),
    NamedReport(
        name="bots",
        totals=(*_BOTS, "classified_conversations", "attributed_orders"),
        tables=(
            _table("by_bot", "By bot", (BOT,), *_BOTS),
            _table("by_channel", "By channel", (CHANNEL,), *_BOTS),
            _table("by_origin_type", "By origin", (ORIGIN_TYPE,), *_BOTS),
            _table(
                "classifications",
                "Classifications",
                (CLASSIFICATION, CLASSIFICATION_TYPE),
                "classified_conversations",
            ),
        ),
        filters=_CONVERSED_BY,
    ),
    NamedReport(
        name="bot-flow",
        totals=("conversations_started", "conversation_completions", *_ENDS, "options_chosen", "tagged_conversations"),
        tables=(
            _table("first_options", "First option chosen", (OPTION,), "first_options"),
            _table("completion", "How conversations ended", (COMPLETION,), "conversation_completions"),
            _table("classification_journeys", "Classification journey", (JOURNEY_PATH,), "classification_journeys"),
            _table("tag_journeys", "Tag journey", (JOURNEY_PATH,), "tag_journeys"),
            _table("tags", "Tags", (TAG,), "tags_set"),
            _table("last_messages", "Last message before abandonment", (LAST_MESSAGE,), "abandoned_conversations"),
            _table("abandoned_at", "Step of abandonment", (STEP,), "abandoned_conversations"),
        ),
        filters=_CONVERSED_BY,
    ),
    NamedReport(
        name="overview",
        totals=(
            "sessions",
            "personalized_sessions",
            "active_experiences",
            "active_ab_tests",
            "active_journeys",
            "personalization_revenue",
            "personalization_conversions",
            "personalization_conversion_rate",
            "personalization_average_order_value",
            "direct_revenue",
            "recommendation_assisted_revenue",
            "recommendation_sessions",
            "recommendation_click_through_rate",
            "recommendation_conversion_rate",
            "recommendation_unique_customers",
            "recommendation_purchases",
            "recommendation_share_of_purchasing_sessions",
            *_JOURNEYS,
            "journey_notifications",
        ),
        tables=(
            _table("journeys", "Journeys", (JOURNEY,), *_JOURNEYS),
            _table("notifications", "Notifications", (NOTIFICATION_CHANNEL,), "journey_notifications"),
        ),
    ),
)

REPORTS: dict[str, NamedReport] = {report.name: report for report in _ALL}
"""Every named report, by name."""


def named_report(name: str) -> NamedReport:
    """The report of a name; raises `NotFoundError`, which lists those there are."""
    if name not in REPORTS:
        raise NotFoundError("REPORT_NOT_FOUND", f"there is no report {name!r}; there are: {', '.join(REPORTS)}")
    return REPORTS[name]
