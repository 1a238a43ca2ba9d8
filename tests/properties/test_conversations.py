"""What is kept of a conversation follows from the set of its events, however they are told."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st
from touchstone.ingest.v1 import conversation_pb2, event_pb2, interaction_pb2

from services.reporting.domain import conversation_cells, conversations, messages
from services.reporting.domain.conversation_cells import Rules
from services.reporting.domain.conversations import Actors, Event, Step, kept
from services.reporting.domain.production_hours import by_day
from services.reporting.domain.tenants import Tenant
from services.reporting.kinds.conversations import CONVERSATIONS

FIRST = 1_793_000_000
SECOND = 1_000_000_000
RULES = Rules(zone=ZoneInfo("Europe/Madrid"), silence=24 * 3600 * SECOND, types={"bought": "Sale"}, count_crawlers=True)
Conversation, Interaction = conversation_pb2.Conversation, interaction_pb2.Interaction

names = st.sampled_from(["", "", "a", "b"])
events = st.builds(
    Event,
    st.integers(0, 6).map(lambda hours: (FIRST + hours * 8 * 3600) * SECOND),
    st.sampled_from(["api", "bot"]),
    st.sampled_from("abcd"),
    st.sampled_from(list(Step)),
    st.sampled_from([Actors.NOBODY_KNOWN, Actors.VISITOR, Actors.BOT, Actors.AGENT, Actors.VISITOR | Actors.BOT]),
    st.sampled_from(["", "CHAT", "FAQ"]),
    names,
    names,
    names,
    names,
    names,
    names,
    st.sampled_from(["", "bought", "complaint"]),
    st.booleans(),
)
lives = st.lists(events, max_size=15, unique_by=lambda event: event[:3])


@st.composite
def logged(draw: st.DrawFn) -> event_pb2.LoggedEvent:
    at = FIRST + draw(st.integers(0, 200)) * 3600
    event = event_pb2.Event(
        event_id=f"{at}-{draw(st.integers(0, 10**6))}", occur_time=Timestamp(seconds=at, nanos=draw(st.integers(0, 9)))
    )
    if draw(st.booleans()):
        event.conversation.CopyFrom(
            Conversation(
                conversation_id="c",
                step=draw(st.sampled_from(Conversation.Step.values()[1:])),
                actor=draw(st.sampled_from(Conversation.Actor.values())),
                origin_type=draw(st.sampled_from(Conversation.OriginType.values())),
                touchpoint=draw(names),
                bot_name=draw(names),
                label=draw(st.sampled_from(["", "bought", "é > 漢"])),
                flow_step=draw(names),
            )
        )
    else:
        event.interaction.CopyFrom(
            Interaction(
                conversation_id="c",
                channel=draw(st.sampled_from(Interaction.Channel.values()[1:])),
                action=draw(st.sampled_from([Interaction.MESSAGE, Interaction.CLICK])),
                answer=draw(st.sampled_from(Interaction.Answer.values())),
                agent_id=draw(names),
                user_agent=draw(st.sampled_from(["", "Googlebot/2.1"])),
            )
        )
    return event_pb2.LoggedEvent(tenant_id="acme", source=draw(st.sampled_from(["api", "bot"])), event=event)


logs = st.lists(logged(), min_size=1, max_size=15, unique_by=lambda one: (one.source, one.event.event_id))


def fold(groups: Sequence[Sequence[event_pb2.LoggedEvent]]) -> bytes:
    state = b""
    for group in groups:
        state = CONVERSATIONS.fold(state, group)
    return state


@given(log=logs, shuffle=st.randoms(use_true_random=False), size=st.integers(1, 6))
@settings(max_examples=60)
def test_sequence_grouping_and_repetition_leave_no_trace(log, shuffle, size):
    told = log + log[::2]
    shuffle.shuffle(told)
    groups = [told[start : start + size] for start in range(0, len(told), size)]

    assert fold(groups) == fold([log])
    assert all(tuple(CONVERSATIONS.keys_of(one)) == ("c",) for one in log)


@given(life=lives)
@settings(max_examples=100)
def test_what_is_dropped_decides_nothing(life):
    some = kept(life)

    assert set(some) <= set(life)
    assert kept(some) == some
    assert conversation_cells.contributions("acme", some, RULES) == conversation_cells.contributions(
        "acme", sorted(life), RULES
    )


@given(life=lives, again=st.lists(st.integers(0, 14)), most=st.integers(1, 6))
@settings(max_examples=100)
def test_messages_count_once_each_however_they_are_told(life, again, most):
    said = [event for event in life if event.step in (Step.MESSAGE, Step.OPTION_CHOSEN)]
    told = life + [life[place] for place in again if place < len(life)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(messages, "MOST", most)
        some = messages.kept(messages.marks(told[most:]))
        found = messages.kept([*messages.marks(told[:most]), *some])

        assert found == messages.kept(messages.marks(life))
        both = sum(event.actors == Actors.VISITOR | Actors.BOT for event in said)
        assert messages.count(found) == min(len(said) + both, most)


@given(life=lives)
@settings(max_examples=100)
def test_every_conversation_starts_once_and_ends_once(life):
    cells, pending = conversation_cells.contributions("acme", kept(life), RULES)
    figures = [cell.figure for cell in cells]

    written = sorted(event for event in life if conversations.is_written(event))
    once = ["conversations_started", "conversation_completions"]
    assert [figures.count(name) for name in once] == ([1, 1] if written else [0, 0])
    abandoned = [cell.figure for cell in cells].count("abandoned_conversations")
    ended = [cell for cell in cells if cell.figure == "conversation_completions" and cell.label == "ABANDONED"]
    assert abandoned == len(ended)
    assert {one.due_nanos for one in pending} == ({written[-1].at + RULES.silence} if abandoned else set())
    assert {one.cell for one in pending} <= set(cells)


@given(log=logs)
@settings(max_examples=30)
def test_a_tenants_zone_moves_days_and_counts_nothing_else(log):
    state = fold([log])
    there, here = (
        CONVERSATIONS.contributions(Tenant(tenant_id="acme", partition=0, time_zone=zone), "c", state)
        for zone in ("Pacific/Apia", "America/St_Johns")
    )
    assert sum(amount for (amount,) in there.values()) == sum(amount for (amount,) in here.values())
    assert {cell._replace(day=None) for cell in there} == {cell._replace(day=None) for cell in here}


@given(
    start=st.integers(FIRST, FIRST + 10**6),
    length=st.integers(-100, 10**6),
    worked=st.integers(0, 10**6),
    zone=st.sampled_from(["UTC", "Europe/Madrid", "Pacific/Apia", "America/St_Johns", "America/Havana"]),
)
@settings(max_examples=60)
def test_parts_of_hours_are_the_whole(start, length, worked, zone):
    parts = by_day(start, start + length, worked, ZoneInfo(zone))

    assert sum(parts.values()) == worked
    assert all(part > 0 for part in parts.values()) or worked == 0
