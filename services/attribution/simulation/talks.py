"""Finds whole conversations and the orders that they are tied to, out of columns: `domain.conversations`, at once."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

import duckdb
import numpy as np
from numpy.typing import NDArray

from services.attribution.domain.conversations import WEBSITE, WRITTEN, Stage
from services.attribution.domain.touches import Action, Answer, Channel, Touch, is_helpful
from services.attribution.simulation import joining, splits
from services.attribution.simulation.cases import HANDLED, Cases, Flags, Numbers, Pairs, Touches
from services.attribution.simulation.joining import kind_name
from services.attribution.simulation.tables import Source, arrow, columns_of, event_names, read
from services.attribution.store import facts
from services.attribution.store.blocks import STEPS, TOUCHES

_LABELS: Final = ("touchpoint", "bot_name", "agent_id", "campaign")
_NOWHERE: Final = 2**62


class _Events(NamedTuple):
    """Events of conversations, one a row. `row` is where a touch is kept, or `~` that of a step."""

    row: Numbers
    time: Numbers
    marks: Numbers
    labels: Mapping[str, Numbers]
    named: Mapping[str, Numbers]

    @property
    def conversation(self) -> Numbers:
        return self.named["conversation"]

    @property
    def is_touch(self) -> Flags:
        return self.row >= 0

    def where(self, chosen: Flags | Numbers) -> "_Events":
        return _Events(
            self.row[chosen],
            self.time[chosen],
            self.marks[chosen],
            {name: column[chosen] for name, column in self.labels.items()},
            {name: column[chosen] for name, column in self.named.items()},
        )


def with_conversations(buyers: joining.Buyers, cases: Cases) -> Cases:
    """The cases with their conversations, the pairs of these, and which touches are of conversations that were handled.

    Of a conversation all events are looked at, whenever they were.
    """
    source = buyers.source
    events = _read(source)
    handled = np.unique(events.conversation[_by_agents(events)])
    touches = _with_handled(source, cases, events, handled)
    # Whoever follows a link may be in a conversation, but says nothing in it.
    clicks = events.is_touch & (_action(events) == Action.LINK_CLICK)
    told = _in_total_order(source, events.where(~clicks & ~np.isin(events.conversation, _nobody(buyers.engine))))
    grouped = splits.groups(told.conversation)
    wholes = _whole(told, grouped)
    talks = Touches(
        row=told.row[wholes.first],
        time=told.time[wholes.first],
        marks=wholes.marks,
        node=np.zeros(len(wholes.first), np.int64),
        values={
            **wholes.labels,
            "experience_id": np.zeros(len(wholes.first), np.int64),
            HANDLED: np.isin(told.conversation[wholes.first], handled).astype(np.int64),
        },
    )
    number = np.full(len(grouped.start), -1, np.int32)
    number[wholes.group] = np.arange(len(wholes.group), dtype=np.int32)
    _register(buyers.engine, told, number[grouped.of_row], talks, wholes.end)
    pairs = _pairs(buyers, cases.reach, talks)
    return replace(cases, touches=touches, conversations=talks, conversation_pairs=pairs)


def _read(source: Source) -> _Events:
    """All events of conversations, whenever they were."""
    parts = []
    for layout in (TOUCHES, STEPS):
        # One column after the other, and of each no more than is wanted: there may be very many touches.
        conversation = read(source, layout, ("conversation",))
        chosen = np.flatnonzero(conversation.column("conversation"))
        rows = conversation.row[chosen]
        named = [kind_name(kind) for kind in facts.TOUCH_KINDS]
        found = {
            name: read(source, layout, (name,)).column(name)[chosen]
            for name in ("occur_time", "marks", *_LABELS, *named)
        }
        row = rows if layout is TOUCHES else ~rows
        parts.append((row, found))
    (touch_rows, touches), (step_rows, steps) = parts
    columns = {name: np.concatenate([touches[name], steps[name]]) for name in touches}
    return _Events(
        row=np.concatenate([touch_rows, step_rows]),
        time=columns["occur_time"],
        marks=columns["marks"],
        labels={name: columns[name] for name in _LABELS},
        named={kind_name(kind): columns[kind_name(kind)] for kind in facts.TOUCH_KINDS},
    )


def _action(events: _Events) -> Numbers:
    found: Numbers = events.marks >> facts.ACTION_SHIFT & facts.ACTION_BITS
    return found


def _by_agents(events: _Events) -> Flags:
    """Events that name a human agent, or in which one wrote or acted."""
    found: Flags = (events.labels["agent_id"] != 0) | (~events.is_touch & ((events.marks & facts.BY_AGENT_BIT) != 0))
    return found


def _with_handled(source: Source, cases: Cases, events: _Events, handled: Numbers) -> Touches:
    """The cases' touches, and whether an agent took part in the conversation of each."""
    touches, times = cases.touches, (cases.from_time - cases.reach, cases.through_time)
    flags = columns_of(source, TOUCHES, ["agent_id"], touches.row, times)["agent_id"] != 0
    rows = events.row[events.is_touch & np.isin(events.conversation, handled)]
    flags |= np.isin(touches.row, rows)
    return replace(touches, values={**touches.values, HANDLED: flags.astype(np.int64)})


def _nobody(engine: "duckdb.DuckDBPyConnection") -> Numbers:
    """The conversations' ids that name nobody."""
    found: Numbers = engine.execute("SELECT identifier FROM known_conversation WHERE node = 0").fetchnumpy()[
        "identifier"
    ]
    return found


def _in_total_order(source: Source, events: _Events) -> _Events:
    """The events by conversation, and within one by time, source and event id."""
    _, conversation = np.unique(events.conversation, return_inverse=True)
    rank = np.empty(len(events.time), np.int64)
    rank[np.argsort(events.time, kind="stable")] = np.arange(len(events.time))
    sequence = np.argsort(conversation.astype(np.int64) << 32 | rank)
    conversation, time = conversation[sequence], events.time[sequence]
    same = (conversation[1:] == conversation[:-1]) & (time[1:] == time[:-1])
    if same.any():
        places = np.flatnonzero(np.append(same, False) | np.append([False], same))
        ranks = joining.name_ranks(lambda rows: event_names(source, rows), events.row[sequence[places]])
        sequence[places] = sequence[places[np.lexsort((ranks, time[places], conversation[places]))]]
    return events.where(sequence)


class _Whole(NamedTuple):
    """What the events of conversations make of each in which something was written.

    `group` counts all conversations, `first` is the place of the first message.
    """

    group: Numbers
    first: Numbers
    end: Numbers
    marks: Numbers
    labels: Mapping[str, Numbers]


def _whole(events: _Events, grouped: splits.Groups) -> _Whole:
    places, is_touch = np.arange(len(events.row)), events.is_touch
    if not len(places):
        none = np.zeros(0, np.int64)
        return _Whole(none, none, none, none, dict.fromkeys(_LABELS, none))

    def first(chosen: Flags) -> Numbers:
        found: Numbers = np.minimum.reduceat(np.where(chosen, places, _NOWHERE), grouped.start)
        return found

    def last(chosen: Flags) -> Numbers:
        found: Numbers = np.maximum.reduceat(np.where(chosen, places, -1), grouped.start)
        return np.where(found < 0, _NOWHERE, found)

    def at(place: Numbers, column: Numbers) -> Numbers:
        return np.where(place == _NOWHERE, 0, column[np.minimum(place, len(column) - 1)])

    stage = events.marks & facts.STAGE_BITS
    is_written = np.where(is_touch, _action(events) == Action.MESSAGE, np.isin(stage, [int(one) for one in WRITTEN]))
    is_end = is_written | (~is_touch & (stage == Stage.CLOSED))
    end = np.maximum.reduceat(np.where(is_end, events.time, -_NOWHERE), grouped.start)
    labels = {
        name: at((last if name == "agent_id" else first)(column != 0), column) for name, column in events.labels.items()
    }
    interaction = first(is_touch)
    website = np.array([facts.number("touchpoint", one) for one in WEBSITE], np.int64)
    guessed = np.where(np.isin(labels["touchpoint"], website), Channel.CHAT, Channel.MESSAGING)
    channel = np.where(interaction == _NOWHERE, guessed, at(interaction, events.marks) & facts.CHANNEL_BITS)
    helped = np.logical_or.reduceat(is_touch & _HELPFUL[events.marks & ~facts.CRAWLER_BIT], grouped.start)
    crawled = np.logical_or.reduceat(is_touch & ((events.marks & facts.CRAWLER_BIT) != 0), grouped.start)
    marks = channel | Action.MESSAGE << facts.ACTION_SHIFT
    marks |= np.where(helped, Answer.HELPFUL << facts.ANSWER_SHIFT, 0) | np.where(crawled, facts.CRAWLER_BIT, 0)
    began = first(is_written)
    group = np.flatnonzero(began != _NOWHERE)
    return _Whole(
        group, began[group], end[group], marks[group], {name: column[group] for name, column in labels.items()}
    )


def _helpful() -> Flags:
    found = np.zeros(facts.MARKS, np.bool_)
    for channel in Channel:
        for action in Action:
            for answer in Answer:
                touch = Touch("", "", 0, channel, action, answer, "", "", "", "", "", False, ())
                found[facts.touch_marks(touch)] = is_helpful(touch)
    return found


_HELPFUL: Final = _helpful()
"""By a touch's marks, a crawler's bit apart, whether it was helpful."""


def _register(
    engine: "duckdb.DuckDBPyConnection", events: _Events, talk: NDArray[np.int32], talks: Touches, end: Numbers
) -> None:
    """Relations of conversations and of whom each names; `talk` is each event's conversation, -1 for none."""
    chosen = talk >= 0
    kinds = [kind_name(kind) for kind in facts.TOUCH_KINDS]
    engine.register("said", arrow({"talk": talk[chosen], **{kind: events.named[kind][chosen] for kind in kinds}}))
    numbers = np.arange(len(talks), dtype=np.int32)
    engine.register("talk", arrow({"number": numbers, "time": talks.time, "end_time": end}))
    naming = [
        f"""SELECT told.talk, {int(kind)} AS kind, told.value, coalesce(known.node, told.value) AS node
            FROM (SELECT DISTINCT talk, {kind_name(kind)} AS value FROM said WHERE {kind_name(kind)} <> 0) AS told
            LEFT JOIN known_{kind_name(kind)} AS known ON known.identifier = told.value"""
        for kind in facts.TOUCH_KINDS
    ]
    engine.execute(f"CREATE TABLE named_talk AS SELECT * FROM ({' UNION ALL '.join(naming)}) WHERE node <> 0")


def _pairs(buyers: joining.Buyers, reach: int, talks: Touches) -> Pairs:
    """Every order with every conversation that shares a node with it: begun before, and ended at most `reach` before."""
    found: Mapping[str, NDArray[Any]] = buyers.engine.execute(
        f"""SELECT buyer.number AS "order", talk.number AS touch, any_value(buyer.time - talk.time) AS age,
                   any_value(buyer.time - talk.end_time) AS since,
                   CAST(min({joining.tier_of("kind", "buyer", "value", buyers.kinds)}) AS tinyint) AS tier,
                   bool_or({joining.conflict_of("kind", "buyer", "value", buyers.kinds)}) AS conflict
            FROM (SELECT DISTINCT mine.number, theirs.talk
                  FROM ({joining.every_node("buyer")}) AS mine
                  JOIN (SELECT DISTINCT talk, node FROM named_talk) AS theirs USING (node)) AS tied
            JOIN buyer ON buyer.number = tied.number
            JOIN talk ON talk.number = tied.talk AND talk.time <= buyer.time AND talk.end_time >= buyer.time - $reach
            JOIN named_talk ON named_talk.talk = tied.talk
            GROUP BY buyer.number, talk.number""",
        {"reach": reach},
    ).fetchnumpy()
    return joining.in_total_order(lambda rows: event_names(buyers.source, rows), found, talks.row, talks.time)
