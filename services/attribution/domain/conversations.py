"""Conversations: what their events make of each as a whole."""

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from enum import IntEnum
from typing import NamedTuple

from services.attribution.domain.touches import Action, Answer, Channel, Touch, is_helpful
from services.kernel.identifiers import Identifier, Kind


class Stage(IntEnum):
    """What happened; numbered as in `touchstone.ingest.v1.Conversation.Step`, without what only labels."""

    STARTED = 1
    MESSAGE = 2
    ASSIGNED = 3
    OPTION_CHOSEN = 4
    CLOSED = 7


class Step(NamedTuple):
    """A step in a conversation's life; `occur_time` in nanoseconds.

    `by_agent` where a human agent wrote or acted, `by_visitor` where the visitor did.
    """

    source: str
    event_id: str
    occur_time: int
    stage: Stage
    by_agent: bool
    conversation_id: str
    touchpoint: str
    bot_name: str
    agent_id: str
    campaign: str
    identifiers: tuple[Identifier, ...]
    by_visitor: bool = False


WRITTEN = frozenset({Stage.STARTED, Stage.MESSAGE, Stage.OPTION_CHOSEN})
"""What is written in a conversation, by the visitor or to them."""

WEBSITE = frozenset({"", "website"})
"""Touchpoints on the shop's own pages."""


def conversations(
    touches: Iterable[Touch],
    steps: Iterable[Step],
    nobody: AbstractSet[Identifier],
    among: AbstractSet[str] | None = None,
) -> list[Touch]:
    """Each conversation as one touch, by id; its events are the steps and the interactions that name it.

    A conversation whose id names nobody, or in which nothing was written, is none. Where `among` is told, those alone
    are wanted.
    """
    if among is not None and not among:
        return []
    events: dict[str, list[Touch | Step]] = {}
    for event in _events(touches, steps):
        # Whoever follows a link may be in a conversation, but says nothing in it.
        if not event.conversation_id or (among is not None and event.conversation_id not in among):
            continue
        if not (isinstance(event, Touch) and event.action is Action.LINK_CLICK):
            events.setdefault(event.conversation_id, []).append(event)
    found = (
        _whole(conversation_id, sorted(mine, key=lambda one: (one.occur_time, one.source, one.event_id)))
        for conversation_id, mine in sorted(events.items())
        if Identifier(Kind.CONVERSATION, conversation_id) not in nobody
    )
    return [touch for touch in found if touch is not None]


def handled(touches: Iterable[Touch], steps: Iterable[Step]) -> frozenset[str]:
    """The conversations in which a human agent took part: an event names the agent, or the agent wrote or acted."""
    found = {one.conversation_id for one in touches if one.agent_id}
    found.update([one.conversation_id for one in steps if one.agent_id or one.by_agent])
    return frozenset(found - {""})


def _events(touches: Iterable[Touch], steps: Iterable[Step]) -> Iterator[Touch | Step]:
    yield from touches
    yield from steps


def _whole(conversation_id: str, events: Sequence[Touch | Step]) -> Touch | None:
    """The conversation that these events, in their total order, are.

    It is its first message, and ends with its closing, or its last message where that is later: whoever writes again
    opens it again. Its channel is that of its first interaction; without one it is a chat on the website, or where no
    touchpoint is told, and else messaging. Touchpoint, bot and campaign are the first that are named, the agent is the
    last. It is helpful when any answer in it is, and a crawler's when any interaction is.
    """
    written = [one for one in events if _is_written(one)]
    if not written:
        return None
    first = written[0]
    interactions = [one for one in events if isinstance(one, Touch)]
    ends = [one.occur_time for one in events if isinstance(one, Step) and one.stage is Stage.CLOSED]
    touchpoint = next((one.touchpoint for one in events if one.touchpoint), "")
    guessed = Channel.CHAT if touchpoint in WEBSITE else Channel.MESSAGING
    return Touch(
        source=first.source,
        event_id=first.event_id,
        occur_time=first.occur_time,
        channel=next((one.channel for one in interactions), guessed),
        action=Action.MESSAGE,
        answer=Answer.HELPFUL if any(map(is_helpful, interactions)) else Answer.UNSPECIFIED,
        touchpoint=touchpoint,
        conversation_id=conversation_id,
        bot_name=next((one.bot_name for one in events if one.bot_name), ""),
        agent_id=next((one.agent_id for one in reversed(events) if one.agent_id), ""),
        campaign=next((one.campaign for one in events if one.campaign), ""),
        crawler=any(one.crawler for one in interactions),
        identifiers=tuple(sorted({identifier for one in events for identifier in one.identifiers})),
        end_time=max([written[-1].occur_time, *ends]),
        visitor_time=next((one.occur_time for one in written if _is_the_visitors(one)), None),
    )


def _is_written(event: Touch | Step) -> bool:
    return event.action is Action.MESSAGE if isinstance(event, Touch) else event.stage in WRITTEN


def _is_the_visitors(event: Touch | Step) -> bool:
    """True when the visitor wrote it. An answered message is the visitor's too; one that only names an agent is not."""
    if isinstance(event, Touch):
        return event.answer is not Answer.UNSPECIFIED or not event.agent_id
    return event.stage is Stage.OPTION_CHOSEN or (event.stage is Stage.MESSAGE and event.by_visitor)
