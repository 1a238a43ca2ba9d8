"""What a conversation adds to the rollups."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from zoneinfo import ZoneInfo

from services.reporting.domain import conversations
from services.reporting.domain.cells import ActivityCell, Cut
from services.reporting.domain.conversations import Actors, Event, Step, Whole
from services.reporting.domain.pending import Pending
from services.reporting.domain.periods import day_of

SALE = "sale"
"""The type of classification that says that something was sold, in small letters: tenants write it as they like."""

LONGEST_PATH = 20
_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a tenant's settings say of conversations: `silence` in nanoseconds, types by classification."""

    zone: ZoneInfo
    silence: int
    types: Mapping[str, str] = field(default_factory=dict)
    count_crawlers: bool = False


def contributions(tenant_id: str, events: Sequence[Event], rules: Rules) -> tuple[list[ActivityCell], list[Pending]]:
    """The cells that count a conversation, each once for every time that it stands there; and those not before a moment.

    `events` are those kept of it. Each figure is dated by the moment in which it came true, so that what happens later
    doesn't change the figures of days gone by: the first message, the first answer, the assignment, the classification
    that stands, the end.
    """
    one = conversations.whole(events)
    if one is None or (one.crawler and not rules.count_crawlers):
        return [], []
    counting = _Counting(tenant_id, rules.zone, one)
    counting.add("conversations_started", one.started_at)
    if one.handled_at is not None:
        counting.add("contacts_handled", one.handled_at)
    if one.assigned:
        counting.add("assigned_to_agent", one.assigned.at)
    _add_classifications(counting, one, rules.types)
    _add_tags(counting, one)
    _add_options(counting, one)
    pending = _add_completion(counting, one, rules.silence)
    return counting.cells, pending


class _Counting:
    """Collects the cells of one conversation, all cut by what it is."""

    def __init__(self, tenant_id: str, zone: ZoneInfo, one: Whole) -> None:
        self.cells: list[ActivityCell] = []
        self._tenant_id = tenant_id
        self._zone = zone
        self._cut = Cut(
            channel=one.channel,
            touchpoint=one.touchpoint,
            bot=one.bot,
            agent=one.agent,
            campaign=one.campaign,
            origin_type=one.origin_type,
        )

    def add(self, figure: str, at: int, **cut: str) -> ActivityCell:
        day: date = day_of(at // _SECOND, self._zone)
        cell = ActivityCell.of(self._tenant_id, figure, day, self._cut._replace(**cut) if cut else self._cut)
        self.cells.append(cell)
        return cell


def _add_classifications(counting: _Counting, one: Whole, types: Mapping[str, str]) -> None:
    if one.classified:
        at, name = one.classified.at, one.classified.label
        type_ = types.get(name, "")
        counting.add("classified_conversations", at, classification=name, classification_type=type_)
        if type_.strip().casefold() == SALE:
            counting.add("classified_sales", at, classification=name, classification_type=type_)
    if set_ := conversations.classifications(one):
        counting.add("classification_journeys", set_[-1].at, label=path(set_))


def _add_tags(counting: _Counting, one: Whole) -> None:
    tagged = conversations.with_label(one, Step.TAGGED)
    if not tagged:
        return
    counting.add("tagged_conversations", tagged[0].at)
    # The first of each tag: read backwards, the earlier takes the later's place.
    for tag, mark in {mark.label: mark for mark in reversed(tagged)}.items():
        counting.add("tags_set", mark.at, tag=tag)
    counting.add("tag_journeys", tagged[-1].at, label=path(tagged))


def _add_options(counting: _Counting, one: Whole) -> None:
    chosen = conversations.with_label(one, Step.OPTION_CHOSEN)
    if chosen:
        counting.add("first_options", chosen[0].at, step=chosen[0].flow_step, label=chosen[0].label)
    for mark in chosen:
        counting.add("options_chosen", mark.at, step=mark.flow_step, label=mark.label)


def _add_completion(counting: _Counting, one: Whole, silence: int) -> list[Pending]:
    end = conversations.completion(one, silence)
    ended = counting.add("conversation_completions", end.at, label=end.name)
    if end.name != conversations.ABANDONED:
        return []
    last = one.last_written
    abandoned = counting.add("abandoned_conversations", end.at, step=last.flow_step, label=last_message(last))
    return [Pending(abandoned, 1, end.at), Pending(ended, 1, end.at)]


def last_message(event: Event) -> str:
    """What a last message was, as far as events tell: the option chosen, else the flow's step, else who wrote."""
    return event.label or event.flow_step or _writer(event.actors)


def _writer(actors: Actors) -> str:
    # Who answers a message writes last.
    return next((who.name or "" for who in (Actors.AGENT, Actors.BOT, Actors.VISITOR) if who in actors), "")


def path(marks: Iterable[Event]) -> str:
    """The labels in sequence, each once where it is repeated at once; a long path ends in an ellipsis."""
    labels: list[str] = []
    for mark in marks:
        if not labels or labels[-1] != mark.label:
            labels.append(mark.label)
    shown = labels[:LONGEST_PATH]
    return " > ".join((*shown, "…") if len(labels) > LONGEST_PATH else shown)
