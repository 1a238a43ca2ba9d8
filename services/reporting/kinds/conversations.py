"""Conversations, folded from their steps and from the interactions in them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

import orjson
from touchstone.ingest.v1 import conversation_pb2, event_pb2, interaction_pb2, settings_pb2

from services.kernel.crawlers import is_crawler
from services.reporting.activities import Kind
from services.reporting.domain import activity_records, conversation_cells, messages
from services.reporting.domain.activity_records import ConversationRecord
from services.reporting.domain.cells import Cell, Measures
from services.reporting.domain.contributions import add
from services.reporting.domain.conversation_cells import Rules
from services.reporting.domain.conversations import Actors, Event, Step, kept
from services.reporting.domain.pending import Pending
from services.reporting.domain.tenants import Tenant

_SECOND = 1_000_000_000
_SILENCE = 24 * 3600 * _SECOND
_CHANNELS = {number: name for name, number in interaction_pb2.Interaction.Channel.items() if number}
_ORIGINS = {number: name if number else "" for name, number in conversation_pb2.Conversation.OriginType.items()}
_EVERY_STEP = tuple(Step)
_EVERY_ACTORS = tuple(map(Actors, range(8)))
_STEPS = {step.value: step for step in Step if step}
_ACTORS = {
    conversation_pb2.Conversation.VISITOR: Actors.VISITOR,
    conversation_pb2.Conversation.BOT: Actors.BOT,
    conversation_pb2.Conversation.AGENT: Actors.AGENT,
}


def _keys_of(logged: event_pb2.LoggedEvent) -> Iterable[str]:
    match logged.event.WhichOneof("payload"):
        case "conversation" if logged.event.conversation.step in _STEPS:
            return (logged.event.conversation.conversation_id,)
        # Whoever follows a link may be in a conversation, but says nothing in it.
        case "interaction" if (
            logged.event.interaction.conversation_id
            and logged.event.interaction.action != interaction_pb2.Interaction.LINK_CLICK
        ):
            return (logged.event.interaction.conversation_id,)
        case _:
            return ()


def _fold(state: bytes, told: Sequence[event_pb2.LoggedEvent]) -> bytes:
    (events, marks), more = _read(state), [*map(_event, told)]
    return _written((*events, *more), (*marks, *messages.marks(more)))


def _event(logged: event_pb2.LoggedEvent) -> Event:
    event = logged.event
    at = event.occur_time.seconds * _SECOND + event.occur_time.nanos
    if event.WhichOneof("payload") == "interaction":
        return _interaction(at, logged.source, event)
    said = event.conversation
    return Event(
        at,
        logged.source,
        event.event_id,
        step=_STEPS[said.step],
        # Options are chosen by visitors, whoever tells of it.
        actors=Actors.VISITOR
        if said.step == conversation_pb2.Conversation.OPTION_CHOSEN
        else _ACTORS.get(said.actor, Actors.NOBODY_KNOWN),
        touchpoint=said.touchpoint,
        bot=said.bot_name,
        agent=said.agent_id,
        campaign=said.campaign,
        origin_type=_ORIGINS.get(said.origin_type, ""),
        flow_step=said.flow_step,
        label=said.label,
    )


def _interaction(at: int, source: str, event: event_pb2.Event) -> Event:
    reached = event.interaction
    return Event(
        at,
        source,
        event.event_id,
        step=Step.MESSAGE if reached.action == interaction_pb2.Interaction.MESSAGE else Step.REACHED,
        actors=_writers(reached),
        channel=_CHANNELS.get(reached.channel, ""),
        touchpoint=reached.touchpoint,
        bot=reached.bot_name,
        agent=reached.agent_id,
        campaign=reached.campaign,
        crawler=is_crawler(reached.user_agent),
    )


def _writers(reached: interaction_pb2.Interaction) -> Actors:
    """An answered message is the visitor's and the answerer's; without an answer it is the agent's that it names."""
    answerer = Actors.AGENT if reached.agent_id else Actors.BOT
    if reached.answer:
        return Actors.VISITOR | answerer
    return Actors.AGENT if reached.agent_id else Actors.VISITOR


def _written(events: Iterable[Event], marks: Iterable[int]) -> bytes:
    """What is kept of events: each text once, and rows that name them by their places; and the marks of messages."""
    rows = kept(events)
    texts = sorted({value for row in rows for value in row if isinstance(value, str)})
    places = {value: place for place, value in enumerate(texts)}
    placed = [[places[v] if isinstance(v, str) else int(v) for v in row] for row in rows]
    return orjson.dumps([texts, placed, messages.kept(marks)])


def _read(state: bytes) -> tuple[tuple[Event, ...], Sequence[int]]:
    if not state:
        return (), ()
    texts: list[str]
    texts, rows, marks = orjson.loads(state)
    return tuple(_events(texts, rows)), marks


def _events(texts: Sequence[str], rows: Iterable[Sequence[int]]) -> Iterator[Event]:
    for at, source, event_id, step, actors, *named, crawler in rows:
        names = [texts[place] for place in named]
        place = (at, texts[source], texts[event_id])
        yield Event._make((*place, _EVERY_STEP[step], _EVERY_ACTORS[actors], *names, bool(crawler)))


@lru_cache(maxsize=256)
def _rules(settings: bytes, time_zone: str) -> Rules:
    told = settings_pb2.TenantSettings.FromString(settings)
    span = told.abandonment_silence
    return Rules(
        zone=Tenant(tenant_id="", partition=0, time_zone=time_zone).zone,
        silence=span.seconds * _SECOND + span.nanos if told.HasField("abandonment_silence") else _SILENCE,
        types={one.name: one.type for one in told.classifications},
        count_crawlers=told.count_crawlers,
    )


# What a conversation comes to is asked for as often as it has cells and awaits something, before and after a change.
@lru_cache(maxsize=2_048)
def _counted(
    tenant_id: str, settings: bytes, time_zone: str, state: bytes
) -> tuple[Mapping[Cell, Measures], Sequence[Pending]]:
    cells, pending = conversation_cells.contributions(tenant_id, _read(state)[0], _rules(settings, time_zone))
    sums: dict[Cell, Measures] = {}
    for cell in cells:
        add(sums, {cell: (1,)})
    return sums, tuple(pending)


def _contributions(tenant: Tenant, _key: str, state: bytes) -> Mapping[Cell, Measures]:
    return _counted(tenant.tenant_id, tenant.settings, tenant.time_zone, state)[0]


def _pending(tenant: Tenant, _key: str, state: bytes) -> Sequence[Pending]:
    return _counted(tenant.tenant_id, tenant.settings, tenant.time_zone, state)[1]


def _record(tenant: Tenant, _key: str, state: bytes) -> ConversationRecord | None:
    return activity_records.of_conversation(*_read(state), _rules(tenant.settings, tenant.time_zone))


CONVERSATIONS = Kind(
    name="conversation",
    keys_of=_keys_of,
    fold=_fold,
    contributions=_contributions,
    pending=_pending,
    record=_record,
)
"""Conversations, by their ids."""
