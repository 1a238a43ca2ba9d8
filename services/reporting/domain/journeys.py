"""Journeys: what is known of one person's run through one, and which figures it is counted in."""

from collections.abc import Iterable
from typing import NamedTuple
from zoneinfo import ZoneInfo

import orjson

from services.reporting.domain.cells import ActivityCell, Cell, Cut, Measures
from services.reporting.domain.periods import day_of

STARTED = "journeys_started"
COMPLETED = "journeys_completed"
CANCELLED = "journeys_cancelled"
CONVERTED = "journeys_with_goal"
NOTIFICATIONS = "journey_notifications"


class Notification(NamedTuple):
    """A notification that was sent, by the event that told of it; `seconds` of Unix time."""

    source: str
    event_id: str
    seconds: int
    channel: str


class Run(NamedTuple):
    """What is known of a run: when it first did what, in seconds of Unix time; None for what it never did."""

    started: int | None = None
    goal: int | None = None
    completed: int | None = None
    cancelled: int | None = None
    notifications: tuple[Notification, ...] = ()


UNKNOWN = Run()


def joined(run: Run, others: Iterable[Run]) -> Run:
    """What several tellings of one run say together: the same, whatever their sequence and however often each is told."""
    parts = (run, *others)
    return Run(
        _first(part.started for part in parts),
        _first(part.goal for part in parts),
        _first(part.completed for part in parts),
        _first(part.cancelled for part in parts),
        tuple(sorted({told for part in parts for told in part.notifications})),
    )


def _first(moments: Iterable[int | None]) -> int | None:
    return min((moment for moment in moments if moment is not None), default=None)


def contributions(tenant_id: str, zone: ZoneInfo, journey: str, run: Run) -> dict[Cell, Measures]:
    """What a run adds to the figures: to each on the day on which it happened.

    That its goal was met counts on the day on which it started, whenever it was: so of the runs that a day started, as
    many as met it did.
    """
    cells: dict[Cell, Measures] = {}
    moments = {STARTED: run.started, COMPLETED: run.completed, CANCELLED: run.cancelled}
    if run.goal is not None:
        moments[CONVERTED] = run.started
    for figure, seconds in moments.items():
        if seconds is not None:
            cells[ActivityCell.of(tenant_id, figure, day_of(seconds, zone), Cut(journey=journey))] = (1,)
    for told in run.notifications:
        cut = Cut(journey=journey, notification_channel=told.channel)
        cell = ActivityCell.of(tenant_id, NOTIFICATIONS, day_of(told.seconds, zone), cut)
        cells[cell] = (cells.get(cell, (0,))[0] + 1,)
    return cells


def read(state: bytes) -> Run:
    """A run as it is stored; of no bytes, one of which nothing is known."""
    if not state:
        return UNKNOWN
    started, goal, completed, cancelled, notifications = orjson.loads(state)
    return Run(started, goal, completed, cancelled, tuple([Notification(*told) for told in notifications]))


def written(run: Run) -> bytes:
    """A run to be stored: equal ones give equal bytes."""
    return orjson.dumps([*run[:4], [[*told] for told in run.notifications]])
