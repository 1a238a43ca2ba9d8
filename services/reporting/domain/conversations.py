"""Conversations: what is kept of their events, and what each was at last."""

from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum, IntFlag
from typing import NamedTuple


class Step(IntEnum):
    """What happened; numbered as in `touchstone.ingest.v1.Conversation.Step`, but for the first.

    `REACHED` is an interaction in which nothing was written: something was shown or clicked.
    """

    REACHED = 0
    STARTED = 1
    MESSAGE = 2
    ASSIGNED = 3
    OPTION_CHOSEN = 4
    TAGGED = 5
    CLASSIFIED = 6
    CLOSED = 7


class Actors(IntFlag):
    """Who wrote or acted: an answered message is the visitor's and the bot's."""

    NOBODY_KNOWN = 0
    VISITOR = 1
    BOT = 2
    AGENT = 4


class Event(NamedTuple):
    """An event of a conversation; `at` in nanoseconds since 1970, `channel` only of an interaction.

    Its first three fields are its place in the total order of events.
    """

    at: int
    source: str
    event_id: str
    step: Step = Step.MESSAGE
    actors: Actors = Actors.NOBODY_KNOWN
    channel: str = ""
    touchpoint: str = ""
    bot: str = ""
    agent: str = ""
    campaign: str = ""
    origin_type: str = ""
    flow_step: str = ""
    label: str = ""
    crawler: bool = False


MOST_MARKS = 200
"""Marks of a conversation that are kept, the first ones: options, tags, classifications, assignments and closings."""

_MARKS = frozenset({Step.ASSIGNED, Step.OPTION_CHOSEN, Step.TAGGED, Step.CLASSIFIED, Step.CLOSED})
_WRITTEN = frozenset({Step.STARTED, Step.MESSAGE, Step.OPTION_CHOSEN})
_SAID = frozenset({Step.MESSAGE, Step.OPTION_CHOSEN})
_WEBSITE = frozenset({"", "website"})


def is_written(event: Event) -> bool:
    """True when something was written: the conversation lives on."""
    return event.step in _WRITTEN


def _by_visitor(event: Event) -> bool:
    return event.step in _SAID and bool(event.actors & Actors.VISITOR)


def _by_team(event: Event) -> bool:
    return event.step in _SAID and bool(event.actors & (Actors.BOT | Actors.AGENT))


def _classifies(event: Event) -> bool:
    # Whoever closes a conversation may say in the same step what it was.
    return bool(event.label) and event.step in (Step.CLASSIFIED, Step.CLOSED)


_FIRST: tuple[Callable[[Event], object], ...] = (
    is_written,
    _by_visitor,
    _by_team,
    lambda event: event.channel,
    lambda event: event.touchpoint,
    lambda event: event.bot,
    lambda event: event.campaign,
    lambda event: event.origin_type,
    lambda event: event.crawler,
    lambda event: event.step is Step.ASSIGNED,
)
_LAST: tuple[Callable[[Event], object], ...] = (
    is_written,
    _classifies,
    lambda event: event.agent,
    lambda event: event.step is Step.CLOSED,
)


def kept(events: Iterable[Event]) -> tuple[Event, ...]:
    """The events that decide every figure of their conversation, in their total order.

    Only firsts and lasts are chosen, so that what is kept of some events and others is what is kept of all of them:
    it follows from the set of events alone.
    """
    ordered = sorted(set(events))
    chosen = [event for event in ordered if event.step in _MARKS][:MOST_MARKS]
    chosen += [event for has in _FIRST if (event := _first(ordered, has)) is not None]
    chosen += [event for has in _LAST if (event := _first(reversed(ordered), has)) is not None]
    return tuple(sorted(set(chosen)))


def _first(events: Iterable[Event], has: Callable[[Event], object]) -> Event | None:
    return next((event for event in events if has(event)), None)


class Completion(NamedTuple):
    """How a conversation came to its end, and when, in nanoseconds; `mark` is the event, None for abandonment."""

    name: str
    at: int
    mark: Event | None


ASSIGNED, ABANDONED = "ASSIGNED", "ABANDONED"
COMPLETED_AUTOMATICALLY, CLOSED_BY_AGENT = "COMPLETED_AUTOMATICALLY", "CLOSED_BY_AGENT"


class Whole(NamedTuple):
    """A conversation as what is kept of its events tells it; something was written in it.

    `handled_at` is the first moment at which both the visitor and an agent or bot had written, None when one of them
    never did. `marks` are its options, tags, classifications, assignments and closings, in sequence.
    """

    channel: str
    touchpoint: str
    bot: str
    agent: str
    campaign: str
    origin_type: str
    crawler: bool
    started_at: int
    handled_at: int | None
    assigned: Event | None
    classified: Event | None
    last_written: Event
    marks: Sequence[Event]


def whole(events: Sequence[Event]) -> Whole | None:
    """The conversation that kept events are; None when nothing was written in it.

    Its channel is that of its first interaction; without one it is a chat on the website, or where no touchpoint is
    told, and else messaging. Touchpoint, bot, campaign and origin are the first that are named, the agent is the last.
    """
    first, last = _first(events, is_written), _first(reversed(events), is_written)
    if first is None or last is None:
        return None
    asked, answered = _first(events, _by_visitor), _first(events, _by_team)
    touchpoint = _named(event.touchpoint for event in events)
    guessed = "CHAT" if touchpoint in _WEBSITE else "MESSAGING"
    return Whole(
        channel=_named(event.channel for event in events) or guessed,
        touchpoint=touchpoint,
        bot=_named(event.bot for event in events),
        agent=_named(event.agent for event in reversed(events)),
        campaign=_named(event.campaign for event in events),
        origin_type=_named(event.origin_type for event in events),
        crawler=any(event.crawler for event in events),
        started_at=first.at,
        handled_at=max(asked.at, answered.at) if asked and answered else None,
        assigned=_first(events, lambda event: event.step is Step.ASSIGNED),
        classified=_first(reversed(events), _classifies),
        last_written=last,
        marks=[event for event in events if event.step in _MARKS],
    )


def _named(values: Iterable[str]) -> str:
    return next(filter(None, values), "")


def completion(one: Whole, silence: int) -> Completion:
    """How the conversation ends, or will have ended if nothing else happens; `silence` in nanoseconds.

    Given to an agent before it fell silent, it ends there. Else it ends by the first closing behind its last message:
    by an agent, or by anything else. Silent for the whole span before either, it is abandoned, and what is done to it
    afterwards without a message doesn't change that.
    """
    abandoned_at = one.last_written.at + silence
    if one.assigned and one.assigned.at <= abandoned_at:
        return Completion(ASSIGNED, one.assigned.at, one.assigned)
    closing = next((mark for mark in one.marks if mark.step is Step.CLOSED and mark > one.last_written), None)
    if closing and closing.at <= abandoned_at:
        by_agent = bool(closing.actors & Actors.AGENT)
        return Completion(CLOSED_BY_AGENT if by_agent else COMPLETED_AUTOMATICALLY, closing.at, closing)
    return Completion(ABANDONED, abandoned_at, None)


def classifications(one: Whole) -> list[Event]:
    """The events that set a classification, in sequence."""
    return [mark for mark in one.marks if _classifies(mark)]


def with_label(one: Whole, step: Step) -> list[Event]:
    """The options chosen or the tags set, in sequence."""
    return [mark for mark in one.marks if mark.step is step and mark.label]
