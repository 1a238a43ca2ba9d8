"""The fast check of a message's shape agrees with the one that names what is wrong."""

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from touchstone.ingest.v1 import event_pb2

from services.ingest.wire.shape import fit, violations

INTEGERS = st.sampled_from([0, 1, -1, 10**9, 10**9 + 1, 10**18, 10**18 + 1, -(10**18) - 1, 253_402_300_800])
TEXTS = st.sampled_from(["", "a", "é" * 256, "x" * 257, "x" * 8_192, "x" * 8_193])


def value_of(field, draw):
    if field.type == FieldDescriptor.TYPE_STRING:
        return draw(TEXTS)
    if field.type == FieldDescriptor.TYPE_ENUM:
        return draw(st.integers(0, 12))
    if field.type == FieldDescriptor.TYPE_INT64:
        return draw(INTEGERS)
    if field.type == FieldDescriptor.TYPE_INT32:
        return draw(st.sampled_from([0, 1, -1, 999_999_999, 1_000_000_000]))
    if field.type == FieldDescriptor.TYPE_BOOL:
        return draw(st.booleans())
    return draw(st.floats(allow_nan=False))


def fill(message: Message, draw, depth: int = 0) -> None:
    for field in message.DESCRIPTOR.fields:
        # Mostly sound: what is wrong should stand alone often enough to be found alone.
        if draw(st.integers(0, 9)) < 4:
            continue
        if field.is_repeated:
            for _ in range(draw(st.integers(0, 2))):
                if field.message_type is not None:
                    fill(getattr(message, field.name).add(), draw, depth + 1)
                else:
                    getattr(message, field.name).append(value_of(field, draw))
        elif field.message_type is not None:
            getattr(message, field.name).SetInParent()
            fill(getattr(message, field.name), draw, depth + 1)
        else:
            setattr(message, field.name, value_of(field, draw))


@st.composite
def events(draw) -> event_pb2.Event:
    event = event_pb2.Event()
    fill(event.identifiers, draw)
    payload = draw(st.sampled_from([field.name for field in event.DESCRIPTOR.oneofs_by_name["payload"].fields]))
    getattr(event, payload).SetInParent()
    fill(getattr(event, payload), draw)
    if draw(st.booleans()):
        event.event_id = draw(TEXTS)
    if draw(st.booleans()):
        event.occur_time.seconds = draw(INTEGERS)
    return event


@settings(max_examples=300, deadline=None)
@given(st.lists(events(), max_size=3))
def test_fast_and_slow_agree(told: list[event_pb2.Event]) -> None:
    assert fit(told) == (not any(list(violations(event)) for event in told))
