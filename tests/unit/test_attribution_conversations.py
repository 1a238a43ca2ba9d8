"""When a visitor first wrote in a conversation that is credited as a whole."""

from itertools import count

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from touchstone.ingest.v1 import conversation_pb2, event_pb2, interaction_pb2

from services.attribution.domain.conversations import Step, conversations
from services.attribution.domain.touches import Touch
from services.attribution.wire.events import happened

Told = conversation_pb2.Conversation | interaction_pb2.Interaction


def said(step: str, actor: str = "ACTOR_UNSPECIFIED") -> conversation_pb2.Conversation:
    return conversation_pb2.Conversation(conversation_id="c", step=step, actor=actor)


def message(**told) -> interaction_pb2.Interaction:
    return interaction_pb2.Interaction(conversation_id="c", channel="CHAT", action="MESSAGE", **told)


@pytest.mark.parametrize(
    ("told", "second"),
    [
        ((said("STARTED", "VISITOR"), said("MESSAGE", "BOT"), said("MESSAGE", "VISITOR")), 3),
        ((said("MESSAGE", "BOT"), said("OPTION_CHOSEN"), said("MESSAGE", "VISITOR")), 2),
        ((said("MESSAGE", "BOT"), said("MESSAGE", "AGENT"), said("MESSAGE")), None),
        ((said("MESSAGE", "BOT"), message(answer="HELPFUL", agent_id="a-1")), 2),
        ((message(agent_id="a-1"), message()), 2),
        ((said("TAGGED", "VISITOR"), said("MESSAGE", "AGENT")), None),
    ],
)
def test_the_visitors_first_message_is_told(told: tuple[Told, ...], second: int | None):
    events = []
    for at, payload in zip(count(1), told, strict=False):
        event = event_pb2.Event(event_id=str(at), occur_time=Timestamp(seconds=at))
        name = "conversation" if isinstance(payload, conversation_pb2.Conversation) else "interaction"
        getattr(event, name).CopyFrom(payload)
        events.append(happened("api", event))

    touches = [event for event in events if isinstance(event, Touch)]
    [one] = conversations(touches, [event for event in events if isinstance(event, Step)], frozenset())

    assert one.visitor_time == (None if second is None else second * 1_000_000_000)
