"""Finds whole conversations and the orders that they are tied to, out of columns: `domain.conversations`, at once."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.attribution.domain.conversations import WEBSITE, WRITTEN, Stage
from services.attribution.domain.touches import Action, Answer, Channel, Touch, is_helpful
from services.attribution.simulation import joining, splits
from services.attribution.simulation.cases import HANDLED, Cases, Flags, Numbers, Pairs, Touches
from services.attribution.simulation.joining import Keyed
from services.attribution.simulation.lookup import Lookup, in_parts, ranges
from services.attribution.simulation.people import Buyers, Named, People, kind_name
from services.attribution.simulation.stopping import Stop
from services.attribution.simulation.tables import Source, Table, columns_of, event_names, joined
from services.attribution.store import facts
from services.attribution.store.blocks import STEPS, TOUCHES
from services.kernel.identifiers import Kind

_LABELS: Final = ("touchpoint", "bot_name", "agent_id", "campaign")
_NOWHERE: Final = 2**62


def with_conversations(buyers: Buyers, cases: Cases, stop: Stop) -> Cases:
    """The cases with their conversations, the pairs of these, and which touches are of conversations that were handled.

    Of a conversation all events are looked at, whenever they were.
    """
    source, people, _ = buyers
    events = _read(source)
    conversation = events.column("conversation")
    # One of its events stands for a conversation.
    talk = Lookup(conversation).places(conversation).astype(np.int64)
    handled = np.zeros(len(talk), np.bool_)
    handled[talk[_by_agents(events)]] = True
    touches = _with_handled(source, cases, events.row[_is_touch(events) & handled[talk]])
    stop.look()
    # Whoever follows a link may be in a conversation, but says nothing in it.
    clicks = _is_touch(events) & (_action(events) == Action.LINK_CLICK)
    said = np.flatnonzero(~clicks & (people.nodes(conversation) != 0))
    said = said[_total_order(source, talk[said], events.column("occur_time")[said], events.row[said])]
    told, talk = events.where(said), talk[said]
    stop.look()
    grouped = splits.groups(talk)
    wholes = _whole(told, grouped)
    talks = Touches(
        row=told.row[wholes.first],
        time=told.column("occur_time")[wholes.first],
        marks=wholes.marks,
        node=np.zeros(len(wholes.first), np.int64),
        values={
            **wholes.labels,
            "experience_id": np.zeros(len(wholes.first), np.int64),
            HANDLED: handled[talk[wholes.first]].astype(np.int64),
        },
    )
    number = np.full(len(grouped.start), -1)
    number[wholes.group] = np.arange(len(wholes.group))
    stop.look()
    naming = _naming(people, told, number[grouped.of_row])
    stop.look()
    return replace(
        cases,
        touches=touches,
        conversations=talks,
        conversation_pairs=_pairs(buyers, cases.reach, talks, wholes.end, naming, stop=stop),
    )


def _read(source: Source) -> Table:
    """All events of conversations, whenever they were. A touch's row is where it is kept, that of a step what `~` makes."""
    columns = ("occur_time", "marks", *_LABELS, *map(kind_name, facts.TOUCH_KINDS))
    conversation = columns.index(kind_name(Kind.CONVERSATION))
    rows, pieces = [np.zeros(0, np.int64)], []
    for layout in (TOUCHES, STEPS):
        # Of each block no more is kept than is wanted: there may be very many touches.
        for part in source.parts(layout, columns):
            told = part.columns[conversation]
            if told is not None:
                chosen = np.flatnonzero(told)
                row = chosen + part.first_row
                rows.append(row if layout is TOUCHES else ~row)
                pieces.append([None if column is None else column[chosen] for column in part.columns])
    counted = list(zip(pieces, map(len, rows[1:]), strict=True))
    return Table(
        np.concatenate(rows),
        {name: joined([(piece[i], count) for piece, count in counted]) for i, name in enumerate(columns)},
    )


def _is_touch(events: Table) -> Flags:
    return events.row >= 0


def _action(events: Table) -> Numbers:
    found: Numbers = events.column("marks") >> facts.ACTION_SHIFT & facts.ACTION_BITS
    return found


def _by_agents(events: Table) -> Flags:
    """Events that name a human agent, or in which one wrote or acted."""
    acted = ~_is_touch(events) & ((events.column("marks") & facts.BY_AGENT_BIT) != 0)
    found: Flags = (events.column("agent_id") != 0) | acted
    return found


def _with_handled(source: Source, cases: Cases, handled: Numbers) -> Touches:
    """The cases' touches, and whether an agent took part in the conversation of each; the rows of those that events tell."""
    touches, times = cases.touches, (cases.from_time - cases.reach, cases.through_time)
    flags = columns_of(source, TOUCHES, ["agent_id"], touches.row, times)["agent_id"] != 0
    told = np.zeros(max(touches.row.max(initial=0), handled.max(initial=0)) + 1, np.bool_)
    told[handled] = True
    flags |= told[touches.row]
    return replace(touches, values={**touches.values, HANDLED: flags.astype(np.int64)})


def _total_order(source: Source, talk: Numbers, time: Numbers, row: Numbers) -> Numbers:
    """The sequence of events by conversation, and within one by time, source and event id."""
    line = joining.timeline(time)
    sequence = line.row[np.sort(talk << 32 | line.rank) & 0xFFFFFFFF]
    return joining.in_total_order(partial(event_names, source), talk[sequence], sequence, time, row)


class _Whole(NamedTuple):
    """What the events of conversations make of each in which something was written.

    `group` counts all conversations, `first` is the place of the first message.
    """

    group: Numbers
    first: Numbers
    end: Numbers
    marks: Numbers
    labels: Mapping[str, Numbers]


def _whole(events: Table, grouped: splits.Groups) -> _Whole:
    places, is_touch, time = np.arange(len(events.row)), _is_touch(events), events.column("occur_time")
    told = events.column("marks")
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

    stage = told & facts.STAGE_BITS
    is_written = np.where(is_touch, _action(events) == Action.MESSAGE, np.isin(stage, [int(one) for one in WRITTEN]))
    is_end = is_written | (~is_touch & (stage == Stage.CLOSED))
    end = np.maximum.reduceat(np.where(is_end, time, -_NOWHERE), grouped.start)
    none = np.zeros(len(grouped.start), np.int64)
    labels = {
        name: none if column is None else at((last if name == "agent_id" else first)(column != 0), column)
        for name, column in ((name, events.columns[name]) for name in _LABELS)
    }
    interaction = first(is_touch)
    website = np.array([facts.number("touchpoint", one) for one in WEBSITE], np.int64)
    guessed = np.where(np.isin(labels["touchpoint"], website), Channel.CHAT, Channel.MESSAGING)
    channel = np.where(interaction == _NOWHERE, guessed, at(interaction, told) & facts.CHANNEL_BITS)
    helped = np.logical_or.reduceat(is_touch & _HELPFUL[told & ~facts.CRAWLER_BIT], grouped.start)
    crawled = np.logical_or.reduceat(is_touch & ((told & facts.CRAWLER_BIT) != 0), grouped.start)
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


class _Naming(NamedTuple):
    """The values of a kind that conversations name somebody by, and whom; those of one stand together, in ascending sequence."""

    talk: Numbers
    value: Numbers
    node: Numbers


def _naming(people: People, events: Table, talk: Numbers) -> dict[Kind, _Naming]:
    """What events name somebody by, kind by kind; `talk` is each event's conversation, ascending, -1 for none."""
    found = {}
    for kind in facts.TOUCH_KINDS:
        value = events.columns[kind_name(kind)]
        if value is None:
            continue
        chosen = np.flatnonzero((value != 0) & (talk >= 0))
        mine, value = talk[chosen], value[chosen]
        # Most events of a conversation name the same as the one before.
        new = np.append(True, (mine[1:] != mine[:-1]) | (value[1:] != value[:-1]))[: len(mine)]
        mine, value = mine[new], value[new]
        node = people.nodes(value)
        named = node != 0
        found[kind] = _Naming(mine[named], value[named], node[named])
    return found


def _pairs(
    buyers: Buyers, reach: int, talks: Touches, end: Numbers, naming: Mapping[Kind, _Naming], *, stop: Stop
) -> Pairs:
    """Every order with every conversation that shares a node with it: begun before, and ended at most `reach` before."""
    by, line = buyers.named, joining.timeline(talks.time)
    none = np.zeros(0, np.int64)
    talk = np.concatenate([none, *(one.talk for one in naming.values())])
    node = np.concatenate([none, *(one.node for one in naming.values())])
    _, last = line.before(by.time, reach)
    order, rank = joining.tied(Keyed(*by.every_node()), Keyed(line.rank[talk], node), (np.zeros_like(last), last), stop)
    talk = line.row[rank]
    since = by.time[order] - end[talk]
    order, talk, since = (column[since <= reach] for column in (order, talk, since))
    talk = joining.in_total_order(partial(event_names, buyers.source), order, talk, talks.time, talks.row)
    since = by.time[order] - end[talk]
    tier, conflict = _tiers(by, naming, order, talk)
    return Pairs(
        order=order.astype(np.int32),
        touch=talk.astype(np.int32),
        age=by.time[order] - talks.time[talk],
        since=since,
        tier=tier,
        conflict=conflict,
    )


def _tiers(by: Named, naming: Mapping[Kind, _Naming], order: Numbers, talk: Numbers) -> tuple[NDArray[np.int8], Flags]:
    """As `joining.tiers_between`, of conversations, which may name several of a kind."""
    tier, conflict = np.full(len(order), joining.PERSON_TIER, np.int8), np.zeros(len(order), np.bool_)
    kinds = [kind for kind in reversed(joining.TIERS) if kind in by.values and kind in naming]
    numbers = np.arange(int(talk.max(initial=-1)) + 2)
    starts = {kind: np.searchsorted(naming[kind].talk, numbers) for kind in kinds}

    def find(part: slice) -> None:
        for kind in kinds:
            start = starts[kind][talk[part]]
            size = starts[kind][talk[part] + 1] - start
            pair = part.start + np.repeat(np.arange(len(size)), size)
            mine, value = by.values[kind][order[pair]], naming[kind].value[ranges(start, size)]
            tier[pair[mine == value]] = joining.TIERS[kind]
            if kind in joining.CONTACTS:
                conflict[pair[(mine != 0) & (mine != value)]] = True

    in_parts(len(order), find)
    return tier, conflict
