"""Metrics of visits, recommendations, personalised content, journeys, and what is switched on."""

from dataclasses import replace

from services.reporting.domain import journeys, purchases, sessions
from services.reporting.domain.cells import TallyCell, UniqueCell
from services.reporting.domain.definitions import (
    JOURNEY,
    NOTIFICATION_CHANNEL,
    TIMES,
    Metric,
    Slice,
    Sum,
    Unit,
    activity,
    quotient,
    summed,
    total,
)


def _activity(name: str, label: str, description: str, *dimensions: str) -> Metric:
    slice_ = replace(activity(name), dimensions=(*TIMES, *dimensions))
    return summed(name, label, Unit.COUNT, Sum(slice=slice_, measure="amount"), description)


def _tally(name: str, label: str, description: str, *led_by: str) -> Metric:
    slice_ = Slice(family=TallyCell, by_model=False, led_by=led_by, where=(("figure", name),), dimensions=TIMES)
    return summed(name, label, Unit.COUNT, Sum(slice=slice_, measure="amount"), description)


def _standing(name: str, label: str, description: str) -> Metric:
    slice_ = replace(activity(name), dimensions=(), standing=True)
    return summed(name, label, Unit.COUNT, Sum(slice=slice_, measure="amount"), description)


def _unique(name: str, figure: str, label: str, description: str, *led_by: str) -> Metric:
    slice_ = Slice(family=UniqueCell, by_model=False, led_by=led_by, where=(("figure", figure),), dimensions=TIMES)
    return summed(name, label, Unit.COUNT, Sum(slice=slice_, measure="people"), description)


def _share(name: str, label: str, over: tuple[str, str], description: str) -> Metric:
    return quotient(name, label, Unit.RATIO, over, description)


_SESSIONS = (
    _activity(sessions.SESSIONS, "Sessions", "Visits to the shop, by the day they began; crawlers' are left out."),
    _activity(
        sessions.PERSONALIZED, "Personalised sessions", "Sessions in which personalised content was shown or used."
    ),
    _standing(
        "active_experiences",
        "Active experiences",
        "Personalised experiences that are switched on at this moment, whatever the period; compared with those at the "
        "end of the compared period.",
    ),
    _standing(
        "active_ab_tests",
        "Active A/B tests",
        "A/B tests that are switched on at this moment, whatever the period; compared with those at the end of the "
        "compared period.",
    ),
    _standing(
        "active_journeys",
        "Active journeys",
        "Journeys that are switched on at this moment, whatever the period; compared with those at the end of the "
        "compared period.",
    ),
)

_PERSONALIZATION = (
    _activity(
        sessions.PERSONALIZED_GOALS,
        "Personalised sessions with a journey's goal",
        "Personalised sessions in which the goal of a journey was met.",
    ),
    _tally(
        sessions.PERSONALIZED_BUYS,
        "Personalised sessions with an order only",
        "Personalised sessions with an order that the model personalization credits, and no journey's goal.",
        purchases.PERSONALIZATION,
    ),
    total(
        "personalization_conversions",
        "Conversions of personalisation",
        Unit.COUNT,
        (sessions.PERSONALIZED_GOALS, sessions.PERSONALIZED_BUYS),
        "Personalised sessions in which a goal was met: the goal of a journey, or an order that the model "
        "personalization credits. Each session counts once.",
    ),
    _share(
        "personalization_conversion_rate",
        "Conversion rate of personalisation",
        ("personalization_conversions", sessions.PERSONALIZED),
        "Personalised sessions in which a goal was met over personalised sessions.",
    ),
)

_RECOMMENDATIONS = (
    _activity(
        sessions.RECOMMENDED, "Sessions with recommendations", "Sessions in which a recommendation was seen or clicked."
    ),
    _activity(
        sessions.RECOMMENDED_VIEWS,
        "Sessions with a recommended product viewed",
        "Sessions in which the page of a product was seen after it was recommended there.",
    ),
    _share(
        "recommendation_click_through_rate",
        "Click-through rate of recommendations",
        (sessions.RECOMMENDED_VIEWS, sessions.RECOMMENDED),
        "Sessions with a view of a recommended product's page over sessions that saw a recommendation.",
    ),
    _tally(
        sessions.RECOMMENDED_BUYS,
        "Sessions with a recommended product bought",
        "Sessions with a recommendation through which its product was bought: in an order, within the window, that a "
        "model of recommendations credits to it.",
        *purchases.RECOMMENDATIONS,
    ),
    _share(
        "recommendation_conversion_rate",
        "Conversion rate of recommendations",
        (sessions.RECOMMENDED_BUYS, sessions.RECOMMENDED),
        "Sessions with a recommended product bought within 7 days over sessions that saw a recommendation.",
    ),
    _unique(
        "recommendation_unique_customers",
        purchases.CUSTOMERS,
        "Customers of recommendations",
        "Different customers with an order that a model of recommendations credits: each once, however long the period.",
        *purchases.RECOMMENDATIONS,
    ),
    _tally(
        purchases.PURCHASES,
        "Purchases after recommendations",
        "Counted orders that a model of recommendations credits, directly or as assisted.",
        *purchases.RECOMMENDATIONS,
    ),
    _tally(sessions.BUYS, "Purchasing sessions", "Sessions in which a counted order was placed."),
    _tally(
        sessions.BUYS_RECOMMENDED,
        "Purchasing sessions with recommendations",
        "Sessions in which a counted order was placed and a recommendation was seen.",
    ),
    _share(
        "recommendation_share_of_purchasing_sessions",
        "Share of purchasing sessions",
        (sessions.BUYS_RECOMMENDED, sessions.BUYS),
        "Of the sessions in which an order was placed, those in which a recommendation was seen.",
    ),
)

_JOURNEYS = (
    _activity(journeys.STARTED, "Journeys started", "Runs through journeys that began.", JOURNEY),
    _activity(journeys.COMPLETED, "Journeys completed", "Runs that reached an end.", JOURNEY),
    _activity(journeys.CANCELLED, "Journeys cancelled", "Runs that reached a cancel node.", JOURNEY),
    _activity(
        journeys.NOTIFICATIONS, "Notifications", "Notifications that journeys sent.", JOURNEY, NOTIFICATION_CHANNEL
    ),
    _activity(
        journeys.CONVERTED,
        "Journeys with their goal met",
        "Runs that met their goal, whenever that was, by the day they began.",
        JOURNEY,
    ),
    _share(
        "journey_conversion_rate",
        "Conversion rate of journeys",
        (journeys.CONVERTED, journeys.STARTED),
        "Runs that met their goal over runs that began.",
    ),
)

METRICS_OF_OVERVIEW: tuple[Metric, ...] = (*_SESSIONS, *_PERSONALIZATION, *_RECOMMENDATIONS, *_JOURNEYS)
"""What a dashboard of personalisation shows, money apart."""
