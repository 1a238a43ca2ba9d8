"""Records of conversations and of runs through journeys: what is shown of each, one by one."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from services.reporting.domain import conversations, messages
from services.reporting.domain.conversation_cells import Rules, last_message, path
from services.reporting.domain.conversations import Event, Step
from services.reporting.domain.journeys import Run
from services.reporting.domain.records import Column, Is, RecordKind

_SECOND: Final = 1_000_000_000
OPEN: Final = "OPEN"
"""A conversation that has not ended."""
TAGS_APART: Final = "\x1f"
RUNNING, COMPLETED, CANCELLED = "RUNNING", "COMPLETED", "CANCELLED"


class ConversationRecord(NamedTuple):
    """What is shown of a conversation; moments in seconds of Unix time, None for what never was.

    `completion` is how it ends or will have ended if nothing else happens, and `completion_nanos` when. `tag_names` are
    all tags, each once, with `TAGS_APART` between them.
    """

    start_seconds: int
    channel: str
    touchpoint: str
    origin_type: str
    bot: str
    agent: str
    campaign: str
    handled_seconds: int | None
    options: str
    tags: str
    assigned_seconds: int | None
    classification: str
    classification_type: str
    last_message_seconds: int
    last_message: str
    completion: str
    completion_nanos: int
    messages: int
    tag_names: str


class RunRecord(NamedTuple):
    """What is shown of a run; moments in seconds of Unix time, None for what never was.

    `first_seconds` is the first moment that anything is known of. `channels` are those of its notifications.
    """

    first_seconds: int
    journey: str
    run_id: str
    start_seconds: int | None
    goal_seconds: int | None
    completed_seconds: int | None
    cancelled_seconds: int | None
    status: str
    notifications: int
    channels: str


ActivityRecord = ConversationRecord | RunRecord

CONVERSATIONS = RecordKind(
    name="conversations",
    by_model=False,
    columns=(
        Column("start_time", Is.MOMENT),
        Column("conversation_id", Is.TEXT),
        Column("channel", Is.WORD),
        Column("touchpoint", Is.TEXT),
        Column("origin_type", Is.WORD),
        Column("bot", Is.TEXT),
        Column("agent", Is.TEXT),
        Column("campaign", Is.TEXT),
        Column("handled_time", Is.MOMENT),
        Column("options", Is.TEXT),
        Column("tags", Is.TEXT),
        Column("assigned_time", Is.MOMENT),
        Column("classification", Is.TEXT),
        Column("classification_type", Is.TEXT),
        Column("last_message_time", Is.MOMENT),
        Column("last_message", Is.TEXT),
        Column("messages", Is.COUNT),
        Column("status", Is.WORD),
        Column("end_time", Is.MOMENT),
    ),
    keys=("start_time", "conversation_id"),
)

JOURNEYS = RecordKind(
    name="journeys",
    by_model=False,
    columns=(
        Column("first_time", Is.MOMENT),
        Column("journey", Is.TEXT),
        Column("run_id", Is.TEXT),
        Column("start_time", Is.MOMENT),
        Column("goal_time", Is.MOMENT),
        Column("completed_time", Is.MOMENT),
        Column("cancelled_time", Is.MOMENT),
        Column("status", Is.WORD),
        Column("notifications", Is.COUNT),
        Column("notification_channels", Is.TEXT),
    ),
    keys=("first_time", "journey", "run_id"),
)


def of_conversation(events: Sequence[Event], marks: Sequence[int], rules: Rules) -> ConversationRecord | None:
    """What is shown of a conversation, of which these events are kept, and these marks of its messages.

    None for one that no figure counts.
    """
    one = conversations.whole(events)
    if one is None or (one.crawler and not rules.count_crawlers):
        return None
    end = conversations.completion(one, rules.silence)
    classification = one.classified.label if one.classified else ""
    tagged = conversations.with_label(one, Step.TAGGED)
    return ConversationRecord(
        start_seconds=one.started_at // _SECOND,
        channel=one.channel,
        touchpoint=one.touchpoint,
        origin_type=one.origin_type,
        bot=one.bot,
        agent=one.agent,
        campaign=one.campaign,
        handled_seconds=None if one.handled_at is None else one.handled_at // _SECOND,
        options=path(conversations.with_label(one, Step.OPTION_CHOSEN)),
        tags=path(tagged),
        assigned_seconds=one.assigned.at // _SECOND if one.assigned else None,
        classification=classification,
        classification_type=rules.types.get(classification, ""),
        last_message_seconds=one.last_written.at // _SECOND,
        last_message=last_message(one.last_written),
        completion=end.name,
        completion_nanos=end.at,
        messages=messages.count(marks),
        tag_names=TAGS_APART.join(sorted({mark.label for mark in tagged})),
    )


def of_run(journey: str, run_id: str, run: Run) -> RunRecord | None:
    """What is shown of a run; None while nothing is known of it."""
    told = (run.started, run.goal, run.completed, run.cancelled, *(one.seconds for one in run.notifications))
    known = [seconds for seconds in told if seconds is not None]
    if not known:
        return None
    return RunRecord(
        first_seconds=min(known),
        journey=journey,
        run_id=run_id,
        start_seconds=run.started,
        goal_seconds=run.goal,
        completed_seconds=run.completed,
        cancelled_seconds=run.cancelled,
        status=_status(run),
        notifications=len(run.notifications),
        channels=",".join(sorted({one.channel for one in run.notifications if one.channel})),
    )


def _status(run: Run) -> str:
    """The end that it reached first; of both at once, that it was completed."""
    ends = ((run.completed, COMPLETED), (run.cancelled, CANCELLED))
    reached = [(seconds, status) for seconds, status in ends if seconds is not None]
    return min(reached, key=lambda end: end[0])[1] if reached else RUNNING
