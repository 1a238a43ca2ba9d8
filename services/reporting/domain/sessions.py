"""Sessions: what is known of a visit from its events, and which figures it is counted in."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from zoneinfo import ZoneInfo

import orjson

from services.reporting.domain.cells import ActivityCell, Cell, Cut, Measures, TallyCell, VisitCell
from services.reporting.domain.periods import day_of

KIND = "session"
"""The kind of these facts."""

SESSIONS = "sessions"
PERSONALIZED = "personalized_sessions"
PERSONALIZED_GOALS = "personalized_sessions_with_goal"
RECOMMENDED = "recommendation_sessions"
RECOMMENDED_VIEWS = "recommendation_sessions_with_view"
PERSONALIZED_BUYS = "personalized_sessions_with_order"
RECOMMENDED_BUYS = "recommendation_sessions_with_purchase"
BUYS = "purchasing_sessions"
BUYS_RECOMMENDED = "purchasing_sessions_with_recommendation"

_SECOND = 1_000_000_000


class Moment(NamedTuple):
    """What one event tells of a session; `nanos` is when, None where it doesn't show that somebody was there.

    `offered` are the products that were recommended, `viewed` those whose pages were seen.
    """

    nanos: int | None
    personalized: bool = False
    recommended: bool = False
    goal: bool = False
    offered: tuple[str, ...] = ()
    viewed: tuple[str, ...] = ()


class Session(NamedTuple):
    """What is known of a session; moments in nanoseconds since 1970, `first` None before anybody was seen in it.

    `offered` says when each product was first recommended, `viewed` when its page was last seen.
    """

    first: int | None
    personalized: bool
    recommended: bool
    goal: bool
    offered: Mapping[str, int]
    viewed: Mapping[str, int]


UNKNOWN = Session(None, False, False, False, {}, {})


def folded(session: Session, moments: Iterable[Moment]) -> Session:
    """The session with what more events tell: the same, whatever their sequence and however often each is told."""
    first, personalized, recommended, goal, offered, viewed = session
    offered, viewed = dict(offered), dict(viewed)
    for moment in moments:
        personalized |= moment.personalized
        recommended |= moment.recommended
        goal |= moment.goal
        if moment.nanos is None:
            continue
        first = moment.nanos if first is None else min(first, moment.nanos)
        for product in moment.offered:
            offered[product] = min(moment.nanos, offered.get(product, moment.nanos))
        for product in moment.viewed:
            viewed[product] = max(moment.nanos, viewed.get(product, moment.nanos))
    return Session(first, personalized, recommended, goal, offered, viewed)


def contributions(tenant_id: str, zone: ZoneInfo, session: Session) -> dict[Cell, Measures]:
    """What a session adds to the figures of its first day, whatever was bought in it."""
    if session.first is None:
        return {}
    figures = {
        SESSIONS: True,
        PERSONALIZED: session.personalized,
        PERSONALIZED_GOALS: session.personalized and session.goal,
        RECOMMENDED: session.recommended,
        RECOMMENDED_VIEWS: session.recommended and _followed(session),
    }
    day = day_of(session.first // _SECOND, zone)
    return {ActivityCell.of(tenant_id, figure, day, Cut()): (1,) for figure, counts in figures.items() if counts}


def _followed(session: Session) -> bool:
    """True when the page of a product was seen at the moment in which it was recommended, or later."""
    return any(session.viewed.get(product, since - 1) >= since for product, since in session.offered.items())


def bought(session: Session, zone: ZoneInfo, visit: VisitCell, orders: Measures) -> dict[Cell, Measures]:
    """What a session adds to the figures of its first day by what was bought in it, or through it.

    `orders` are the measures of its `visit`: whichever of events and orders is told first, the figures are the same.
    A personalised session whose goal is met without an order is counted by `contributions` already.
    """
    if session.first is None:
        return {}
    placed, personalized, recommended = orders
    figures = {
        PERSONALIZED_BUYS: session.personalized and not session.goal and personalized > 0,
        RECOMMENDED_BUYS: session.recommended and recommended > 0,
        BUYS: placed > 0,
        BUYS_RECOMMENDED: session.recommended and placed > 0,
    }
    day = day_of(session.first // _SECOND, zone)
    return {
        TallyCell(visit.tenant_id, visit.edition, figure, day): (1,) for figure, counts in figures.items() if counts
    }


def read(state: bytes) -> Session:
    """A session as it is stored; of no bytes, one of which nothing is known."""
    return Session(*orjson.loads(state)) if state else UNKNOWN


def written(session: Session) -> bytes:
    """A session to be stored: equal ones give equal bytes."""
    return orjson.dumps([*session], option=orjson.OPT_SORT_KEYS)
