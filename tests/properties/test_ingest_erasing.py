"""Entries rewritten: every identifier of the person is gone, the same everywhere, and nothing else has changed."""

from datetime import UTC, datetime
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import example, given, settings
from hypothesis import strategies as st
from touchstone.ingest.v1 import event_pb2

from services.ingest.domain.addresses import hashed_email, hashed_phone
from services.ingest.domain.erasing import Erasing
from services.ingest.domain.privacy import Asked, DemandKind, Named
from services.ingest.wire.rewriting import IDENTIFIER_FIELDS, IN_CONVERSATION, TEXTS, named_by, rewritten
from services.kernel.identifiers import Identifier, Kind

HASH_KEY, KEY = b"h" * 32, b"k" * 32
NOW = datetime(2026, 11, 22, tzinfo=UTC)
HERS = {
    Kind.SESSION: "sess_01HZXA7",
    Kind.VISITOR: "vis-4711-ab",
    Kind.EMAIL: hashed_email(HASH_KEY, "jane.doe+shop@example.com"),
    Kind.PHONE: hashed_phone(HASH_KEY, "+34 600 000 000", ""),
    Kind.CUSTOMER: "7001234567890",
    Kind.CONVERSATION: "conv/9000-17",
    Kind.CLICK: "Clk-50-xyz",
}
HIS = {kind: value[::-1] for kind, value in HERS.items()}
NEVER_PERSONAL = {
    # Names of things, and words of platforms: they join what belongs together, or figures are counted by them.
    "Interaction": {"bot_name", "agent_id", "product_ids"},
    "Conversation": {"bot_name", "agent_id"},
    "Order": {"order_id", "status", "currency_code", "display_number", "content_hash"},
    "OrderLine": {"line_id", "product_id", "variant_id", "sku"},
    "Refund": {"refund_id"},
    "RefundLine": {"line_id"},
    "Storefront": {"product_ids"},
    "Product": {"product_id", "sku", "display_name", "parent_product_id"},
    "Experience": {"experience_id", "display_name"},
    "ProductionHours": {"agent_id"},
    "TenantSettings": {"time_zone", "currency_code", "link_hosts", "language_code"},
    "CountedStatuses": {"platform", "statuses"},
    "Classification": {"name", "type"},
    "Money": {"currency_code"},
    "Identifiers": {"phone_country"},
    "Model": {"name", "credited_actions", "display_name"},
    "Experiment": {"id", "display_name", "salt", "control"},
    "Arm": {"variant"},
    "ExchangeRates": {"date", "base_currency_code"},
    "ExchangeRate": {"date", "currency_code", "rate", "base_currency_code"},
    "TouchFilter": {"touchpoints", "bot_names", "agent_ids", "campaigns", "experience_ids"},
}


def erasing(*positions: int) -> Erasing:
    """An erasing of hers, asked for as often, each time through another position."""
    asked = [Asked(str(i), DemandKind.ERASURE, "api", at, NOW, Named()) for i, at in enumerate(positions)]
    plan = {Identifier(kind, value): range(len(asked)) for kind, value in HERS.items()}
    return Erasing(KEY, HASH_KEY, asked, plan)


def texts(around: str) -> st.SearchStrategy[str]:
    words = st.sampled_from(
        [
            "",
            "website",
            "jane.doe+shop@example.com",
            "https://s.example/?e=jane.doe%2Bshop%40example.com",
            *HERS.values(),
            *HIS.values(),
            "0034600000000",
            "Mozilla/5.0",
        ]
    )
    return st.lists(words, max_size=3).map(around.join)


def message(descriptor: Descriptor, depth: int = 0) -> st.SearchStrategy[dict[str, Any]]:
    fields = {
        field.name: value(field, depth)
        for field in descriptor.fields
        if field.containing_oneof is None and not (depth > 3 and field.message_type)
    }
    plain = st.fixed_dictionaries({}, optional=fields)
    choices = [field for oneof in descriptor.oneofs for field in oneof.fields if field.message_type]
    if not choices:
        return plain
    chosen = st.one_of([value(field, depth).map(lambda one, name=field.name: {name: one}) for field in choices])
    return st.tuples(plain, chosen).map(lambda both: both[0] | both[1])


def value(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    kinds = {**IDENTIFIER_FIELDS, "conversation_id": Kind.CONVERSATION}
    if field.type == FieldDescriptor.TYPE_STRING:
        one: st.SearchStrategy[Any] = texts(" ")
        if field.name in kinds:
            one = st.sampled_from(["", HERS[kinds[field.name]], HIS[kinds[field.name]]])
    elif field.type == FieldDescriptor.TYPE_MESSAGE:
        if field.message_type.name == "Identifier":
            one = st.sampled_from([*HERS.items(), *HIS.items()]).map(lambda pair: {"kind": pair[0], "value": pair[1]})
        else:
            one = message(field.message_type, depth + 1)
    elif field.type == FieldDescriptor.TYPE_ENUM:
        one = st.sampled_from([known.number for known in field.enum_type.values])
    elif field.type == FieldDescriptor.TYPE_BOOL:
        one = st.booleans()
    elif field.type in {FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT}:
        one = st.integers(0, 9).map(float)
    else:
        one = st.integers(0, 999)
    return st.lists(one, max_size=2) if field.is_repeated else one


EVENTS = message(event_pb2.Event.DESCRIPTOR)


def entry(fields: dict[str, Any]) -> bytes:
    return event_pb2.LoggedEvent(tenant_id="acme", source="api", event=event_pb2.Event(**fields)).SerializeToString()


def strings(told: Message, path: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for field, content in told.ListFields():
        for i, element in enumerate(content if field.is_repeated else [content]):
            name = f"{path}.{told.DESCRIPTOR.name}.{field.name}.{i}"
            if isinstance(element, Message):
                found |= strings(element, name)
            elif isinstance(element, str):
                found[name] = element
    return found


def without_strings(told: Message) -> Message:
    copy = type(told)()
    copy.CopyFrom(told)
    for field, content in copy.ListFields():
        if field.type == FieldDescriptor.TYPE_STRING:
            if field.is_repeated:
                content[:] = ["x"] * len(content)
            else:
                setattr(copy, field.name, "x")
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            for i, element in enumerate(content if field.is_repeated else [content]):
                (content[i] if field.is_repeated else content).CopyFrom(without_strings(element))
    return copy


@given(EVENTS)
@example(fields={"conversation": {"conversation_id": "conv/9000-17", "campaign": "0034600000000 0034600000000"}})
@example(fields={"conversation": {"conversation_id": "conv/9000-17", "campaign": "0012345678 0034600000000"}})
@settings(max_examples=150)
def test_nothing_of_hers_is_left_and_nothing_else_has_changed(fields: dict[str, Any]) -> None:
    before = entry(fields)
    told = event_pb2.LoggedEvent.FromString(before)
    done = rewritten(before, 5, erasing(5))
    hers = {Identifier(kind, one) for kind, one in HERS.items()}
    if done is None:
        assert hers.isdisjoint(named_by(told.event))
        return
    after = event_pb2.LoggedEvent.FromString(done.payload)
    assert hers.isdisjoint(named_by(after.event))
    assert without_strings(after) == without_strings(told)
    for name, text in strings(after).items():
        *_, owner, field, _ = name.split(".")
        if field in NEVER_PERSONAL.get(owner, set()):
            assert text == strings(told)[name]
        elif any(True for _ in named_by(told.event)) and not hers.isdisjoint(named_by(told.event)):
            assert not [one for one in (*HERS.values(), "jane.doe", "0034600000000") if one in text]


@given(EVENTS)
@settings(max_examples=50)
def test_what_names_somebody_else_alone_stays_byte_for_byte(fields: dict[str, Any]) -> None:
    plan = {Identifier(kind, "nobody-" + one): [0] for kind, one in HERS.items()}
    asked = [Asked("0", DemandKind.ERASURE, "api", 5, NOW, Named())]
    assert rewritten(entry(fields), 5, Erasing(KEY, HASH_KEY, asked, plan)) is None


@given(st.lists(EVENTS, min_size=2, max_size=4))
@settings(max_examples=50)
def test_the_same_value_is_the_same_token_everywhere(told: list[dict[str, Any]]) -> None:
    tokens: dict[Identifier, Identifier] = {}
    for position, fields in enumerate(told, start=1):
        payload = entry(fields)
        done = rewritten(payload, position, erasing(9))
        before = [*named_by(event_pb2.LoggedEvent.FromString(payload).event)]
        after = [*named_by(event_pb2.LoggedEvent.FromString(done.payload if done else payload).event)]
        for one, other in zip(before, after, strict=True):
            assert one.kind == other.kind
            assert tokens.setdefault(one, other) == other
    assert len(set(tokens.values())) == len(tokens)


@given(EVENTS, st.integers(1, 12))
@settings(max_examples=50)
def test_rewritten_again_it_stays_as_it_is(fields: dict[str, Any], position: int) -> None:
    done = rewritten(entry(fields), position, erasing(5, 9))
    if done is not None:
        assert rewritten(done.payload, position, erasing(5, 9)) is None


def test_an_erasure_reaches_its_place_and_who_comes_after_it_is_somebody_new() -> None:
    both = erasing(5, 9)
    old, new = both.token(Kind.VISITOR, HERS[Kind.VISITOR], 5), both.token(Kind.VISITOR, HERS[Kind.VISITOR], 6)
    assert old is not None
    assert new is not None
    assert old.token != new.token
    assert (old.requests, new.requests) == ((0,), (1,))
    assert both.token(Kind.VISITOR, HERS[Kind.VISITOR], 10) is None


def test_every_text_of_an_event_was_thought_of() -> None:
    """A field that is added to the contract needs a decision: is it searched, or never personal?"""
    undecided = []
    seen: set[str] = set()

    def look(descriptor: Descriptor) -> None:
        if descriptor.full_name in seen:
            return
        seen.add(descriptor.full_name)
        for field in descriptor.fields:
            if field.type == FieldDescriptor.TYPE_MESSAGE:
                look(field.message_type)
            elif field.type == FieldDescriptor.TYPE_STRING:
                decided = (
                    field.name in TEXTS.get(descriptor.name, ())
                    or field.name in NEVER_PERSONAL.get(descriptor.name, ())
                    or (descriptor.name == "Identifiers" and field.name in IDENTIFIER_FIELDS)
                    or descriptor.name == "Identifier"
                    or (field.name == "conversation_id")
                )
                if not decided:
                    undecided.append(f"{descriptor.name}.{field.name}")

    look(event_pb2.Event.DESCRIPTOR)
    assert undecided == []
    payloads = event_pb2.Event.DESCRIPTOR.oneofs_by_name["payload"].fields
    in_conversation = {one.name for one in payloads if "conversation_id" in one.message_type.fields_by_name}
    assert in_conversation == set(IN_CONVERSATION)
