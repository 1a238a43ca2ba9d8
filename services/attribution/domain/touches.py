"""Touches: the moments in which somebody was reached, and which of them can earn anything at all."""

from enum import IntEnum
from typing import NamedTuple

from services.kernel.identifiers import Identifier


class Channel(IntEnum):
    """What kind of assistance; numbered as in `touchstone.ingest.v1.Interaction.Channel`."""

    CHAT = 1
    FAQ = 2
    NUDGE = 3
    MESSAGING = 4
    RECOMMENDATION = 5
    PERSONALIZATION = 6
    JOURNEY = 7


class Action(IntEnum):
    """What happened; numbered as in `touchstone.ingest.v1.Interaction.Action`."""

    MESSAGE = 1
    VIEW = 2
    CLICK = 3
    LINK_CLICK = 4
    NOTIFICATION = 5


class Answer(IntEnum):
    """What was answered; numbered as in `touchstone.ingest.v1.Interaction.Answer`."""

    UNSPECIFIED = 0
    HELPFUL = 1
    NOT_ANSWERED = 2
    ESCALATED = 3


class Touch(NamedTuple):
    """A moment in which somebody was reached; `occur_time` in nanoseconds since 1970.

    `identifiers` are those of its own event, its conversation's among them, and nothing known through links. A
    conversation that is one touch has an `end_time`, the identifiers of all its events, and a `visitor_time` if the
    visitor wrote in it: when that was first.
    """

    source: str
    event_id: str
    occur_time: int
    channel: Channel
    action: Action
    answer: Answer
    touchpoint: str
    conversation_id: str
    bot_name: str
    agent_id: str
    campaign: str
    crawler: bool
    identifiers: tuple[Identifier, ...]
    product_ids: tuple[str, ...] = ()
    experience_id: str = ""
    end_time: int | None = None
    visitor_time: int | None = None


_NEEDS_NO_ANSWER = frozenset({Channel.NUDGE, Channel.FAQ})


def is_helpful(touch: Touch) -> bool:
    """True when the assistant found a relevant answer. A click on a nudge or a FAQ needs none."""
    if touch.answer is Answer.UNSPECIFIED:
        return touch.action is Action.CLICK and touch.channel in _NEEDS_NO_ANSWER
    return touch.answer is Answer.HELPFUL


def touch_order(touch: Touch) -> tuple[int, str, str]:
    """The total order of touches, by which all ties are broken."""
    return touch.occur_time, touch.source, touch.event_id
