"""Conversations as figures see them, hand-counted."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.reporting.domain import conversation_cells
from services.reporting.domain.conversation_cells import Rules
from services.reporting.domain.conversations import MOST_MARKS, Actors, Event, Step, kept
from services.reporting.domain.production_hours import by_day

SECOND = 1_000_000_000
DAY = 24 * 3600
START = datetime(2026, 11, 2, 10, tzinfo=UTC)
VISITOR, BOT, AGENT = Actors.VISITOR, Actors.BOT, Actors.AGENT
TYPES = {"bought": "Sale", "sold by phone": " sale", "complaint": "Support"}


def nanos(moment: datetime) -> int:
    return int(moment.timestamp()) * SECOND


def event(seconds: int, step: Step, actors: Actors = Actors.NOBODY_KNOWN, *, start: datetime = START, **told) -> Event:
    return Event(nanos(start) + seconds * SECOND, "api", f"{seconds:06}-{step.name}", step, actors, **told)


def counted(*events: Event, zone: str = "UTC", silence: int = DAY, count_crawlers: bool = False):
    """How often each figure counts the conversation, by day; and what is pending."""
    rules = Rules(zone=ZoneInfo(zone), silence=silence * SECOND, types=TYPES, count_crawlers=count_crawlers)
    return conversation_cells.contributions("acme", kept(events), rules)


def figures(*events: Event, **rules) -> dict[str, list[str]]:
    """The days of each figure, as "11-02"."""
    found: dict[str, list[str]] = {}
    for cell in counted(*events, **rules)[0]:
        found.setdefault(cell.figure, []).append(f"{cell.day:%m-%d}")
    return found


def labels(figure: str, *events: Event, **rules) -> list[tuple[str, str]]:
    return [(cell.step, cell.label) for cell in counted(*events, **rules)[0] if cell.figure == figure]


def test_a_contact_is_handled_when_both_have_written():
    asked, greeted = event(5, Step.MESSAGE, VISITOR), event(1, Step.MESSAGE, BOT)
    for others in (
        (asked,),
        (greeted,),
        (event(2, Step.STARTED, VISITOR), greeted),
        (event(9, Step.CLOSED, AGENT), asked),
    ):
        assert "contacts_handled" not in figures(*others)
    assert figures(asked, greeted)["contacts_handled"] == ["11-02"]
    assert figures(asked, event(20 * 3600, Step.MESSAGE, AGENT))["contacts_handled"] == ["11-03"]
    assert figures(event(5, Step.MESSAGE, VISITOR | BOT))["contacts_handled"] == ["11-02"]
    assert figures(greeted, event(6, Step.OPTION_CHOSEN, VISITOR, label="Sizes"))["contacts_handled"] == ["11-02"]


def test_nothing_written_is_no_conversation():
    assert counted(event(1, Step.REACHED), event(2, Step.TAGGED, label="vip"), event(3, Step.CLOSED)) == ([], [])


def test_crawlers_converse_only_where_they_are_counted():
    crawler = event(1, Step.MESSAGE, VISITOR | BOT, crawler=True)
    assert counted(crawler, event(2, Step.MESSAGE, VISITOR)) == ([], [])
    assert figures(crawler, count_crawlers=True)["contacts_handled"] == ["11-02"]


def test_a_conversation_is_cut_by_the_first_that_is_named_and_the_last_agent():
    cells, _ = counted(
        event(1, Step.STARTED, touchpoint="whatsapp", origin_type="AD"),
        event(2, Step.MESSAGE, BOT, bot="Ada", campaign="autumn"),
        event(3, Step.MESSAGE, AGENT, agent="a-1", touchpoint="sms", origin_type="LINK"),
        event(4, Step.MESSAGE, AGENT, agent="a-2", bot="Eve"),
    )
    started = next(cell for cell in cells if cell.figure == "conversations_started")
    assert (started.channel, started.touchpoint, started.bot) == ("MESSAGING", "whatsapp", "Ada")
    assert (started.agent, started.campaign, started.origin_type) == ("a-2", "autumn", "AD")
    assert counted(event(1, Step.STARTED, touchpoint="website"))[0][0].channel == "CHAT"
    shown = event(2, Step.REACHED, channel="NUDGE")
    assert counted(event(1, Step.STARTED, touchpoint="sms"), shown)[0][0].channel == "NUDGE"


@pytest.mark.parametrize(
    ("at", "step", "actor", "end", "day"),
    [
        (DAY - 1, Step.CLOSED, BOT, "COMPLETED_AUTOMATICALLY", "11-03"),
        (DAY, Step.CLOSED, BOT, "COMPLETED_AUTOMATICALLY", "11-03"),
        (DAY + 1, Step.CLOSED, BOT, "ABANDONED", "11-03"),
        (DAY - 1, Step.CLOSED, AGENT, "CLOSED_BY_AGENT", "11-03"),
        (60, Step.CLOSED, Actors.NOBODY_KNOWN, "COMPLETED_AUTOMATICALLY", "11-02"),
        (DAY, Step.ASSIGNED, BOT, "ASSIGNED", "11-03"),
        (DAY + 1, Step.ASSIGNED, BOT, "ABANDONED", "11-03"),
        (DAY, Step.MESSAGE, VISITOR, "ABANDONED", "11-04"),
        (DAY + 1, Step.MESSAGE, VISITOR, "ABANDONED", "11-04"),
    ],
)
def test_what_comes_before_the_silence_is_over_decides_the_end(at, step, actor, end, day):
    told = (event(0, Step.MESSAGE, VISITOR), event(at, step, actor))
    assert labels("conversation_completions", *told) == [("", end)]
    assert figures(*told)["conversation_completions"] == [day]
    assert ("abandoned_conversations" in figures(*told)) == (end == "ABANDONED")
    assert bool(counted(*told)[1]) == (end == "ABANDONED")


def test_who_writes_after_the_closing_opens_again():
    told = [event(0, Step.MESSAGE, VISITOR), event(10, Step.CLOSED, BOT), event(20, Step.MESSAGE, VISITOR)]
    assert labels("conversation_completions", *told) == [("", "ABANDONED")]
    told += [event(30, Step.CLOSED, AGENT), event(DAY + 40, Step.CLOSED, BOT)]
    assert labels("conversation_completions", *told) == [("", "CLOSED_BY_AGENT")]
    assert labels("conversation_completions", *told, event(5, Step.ASSIGNED)) == [("", "ASSIGNED")]


def test_abandonment_is_due_when_the_silence_is_over():
    _, pending = counted(event(0, Step.MESSAGE, VISITOR), silence=3600)
    assert sorted(one.cell.figure for one in pending) == ["abandoned_conversations", "conversation_completions"]
    assert {one.due_nanos for one in pending} == {nanos(START + timedelta(hours=1))}


@pytest.mark.parametrize(
    ("zone", "start", "day"),
    [
        # Clocks go back at 03:00 on 25 October: 24 hours of silence from 23:30 end at 22:30 of a day of 25 hours.
        ("Europe/Madrid", datetime(2026, 10, 24, 21, 30, tzinfo=UTC), "10-25"),
        ("Europe/Madrid", datetime(2026, 10, 24, 22, 30, tzinfo=UTC), "10-25"),
        ("Europe/Madrid", datetime(2026, 10, 24, 23, 0, tzinfo=UTC), "10-26"),
        # And forward on 29 March, a day of 23 hours.
        ("Europe/Madrid", datetime(2026, 3, 28, 22, 30, tzinfo=UTC), "03-30"),
        ("Europe/Madrid", datetime(2026, 3, 28, 21, 59, 59, tzinfo=UTC), "03-29"),
        ("Pacific/Apia", datetime(2026, 10, 24, 11, 0, tzinfo=UTC), "10-26"),
    ],
)
def test_the_silence_is_exact_time_and_its_day_the_tenants(zone, start, day):
    assert figures(event(0, Step.MESSAGE, VISITOR, start=start), zone=zone)["abandoned_conversations"] == [day]


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (event(9, Step.MESSAGE, BOT, flow_step="menu"), ("menu", "menu")),
        (event(9, Step.OPTION_CHOSEN, VISITOR, flow_step="menu", label="Returns"), ("menu", "Returns")),
        (event(9, Step.MESSAGE, VISITOR | BOT), ("", "BOT")),
        (event(9, Step.MESSAGE, VISITOR | AGENT), ("", "AGENT")),
        (event(9, Step.MESSAGE), ("", "")),
        (event(0, Step.TAGGED, label="vip"), ("", "VISITOR")),
    ],
)
def test_the_last_message_before_abandonment(last, expected):
    assert labels("abandoned_conversations", event(1, Step.MESSAGE, VISITOR), last) == [expected]


def test_the_last_classification_stands_and_its_type_is_the_tenants():
    begun = event(0, Step.STARTED)
    complaint = event(1, Step.CLASSIFIED, BOT, label="complaint")
    sold = event(2, Step.CLASSIFIED, AGENT, label="bought")
    assert "classified_sales" not in figures(begun, complaint)
    assert "classified_sales" not in figures(begun, sold, event(3, Step.CLASSIFIED, AGENT, label="complaint"))
    cells = [cell for cell in counted(begun, complaint, sold)[0] if cell.figure.startswith("classified")]
    assert [(cell.figure, cell.classification, cell.classification_type) for cell in cells] == [
        ("classified_conversations", "bought", "Sale"),
        ("classified_sales", "bought", "Sale"),
    ]
    closing = event(4, Step.CLOSED, AGENT, label="sold by phone")
    assert figures(begun, complaint, closing)["classified_sales"] == ["11-02"]
    assert labels("classification_journeys", begun, complaint, sold, closing) == [
        ("", "complaint > bought > sold by phone")
    ]


def test_a_tag_counts_once_where_it_was_first_set():
    told = [event(0, Step.STARTED)]
    told += [
        event(at * 3600, Step.TAGGED, label=tag) for at, tag in ((1, "vip"), (2, "vip"), (20, "gift"), (40, "vip"))
    ]
    cells = [cell for cell in counted(*told)[0] if cell.figure == "tags_set"]
    assert sorted((cell.tag, cell.day.day) for cell in cells) == [("gift", 3), ("vip", 2)]
    assert figures(*told)["tagged_conversations"] == ["11-02"]
    assert labels("tag_journeys", *told) == [("", "vip > gift > vip")]


def test_options_count_each_time_and_the_first_apart():
    chosen = [(1, "menu", "Orders"), (2, "orders", "Where is it"), (3, "menu", "Orders")]
    told = [event(at, Step.OPTION_CHOSEN, VISITOR, flow_step=step, label=label) for at, step, label in chosen]
    assert labels("first_options", *told) == [("menu", "Orders")]
    assert Counter(labels("options_chosen", *told)) == {("menu", "Orders"): 2, ("orders", "Where is it"): 1}


def test_marks_without_end_are_cut_off_and_still_end():
    told = [event(at, Step.OPTION_CHOSEN, VISITOR, label=str(at)) for at in range(MOST_MARKS + 50)]
    told += [event(900, Step.CLASSIFIED, AGENT, label="bought"), event(901, Step.CLOSED, AGENT)]
    found = figures(*told)
    assert len(found["options_chosen"]) == MOST_MARKS + 1
    assert found["classified_sales"] == ["11-02"]
    assert labels("conversation_completions", *told) == [("", "CLOSED_BY_AGENT")]


def seconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp())


@pytest.mark.parametrize(
    ("start", "end", "worked", "expected"),
    [
        ("2026-11-02T09:00+01:00", "2026-11-02T17:00+01:00", 7 * 3600, {2: 7 * 3600}),
        ("2026-11-02T22:00+01:00", "2026-11-03T02:00+01:00", 3 * 3600, {2: 5400, 3: 5400}),
        ("2026-11-02T23:00+01:00", "2026-11-03T02:00+01:00", 100, {2: 33, 3: 67}),
        ("2026-11-02T00:00+01:00", "2026-11-03T00:00+01:00", 100, {2: 100}),
        ("2026-11-03T09:00+01:00", "2026-11-03T09:00+01:00", 100, {3: 100}),
        ("2026-11-03T09:00+01:00", "2026-11-03T17:00+01:00", 0, {}),
        # A day of 25 hours, and the hour before it.
        ("2026-10-24T23:00+02:00", "2026-10-26T00:00+01:00", 26, {24: 1, 25: 25}),
        ("2026-03-28T23:00+01:00", "2026-03-30T00:00+02:00", 24, {28: 1, 29: 23}),
    ],
)
def test_hours_over_midnight_belong_to_both_days(start, end, worked, expected):
    found = by_day(seconds(start), seconds(end), worked, ZoneInfo("Europe/Madrid"))
    assert {day.day: amount for day, amount in found.items()} == expected


def test_hours_over_a_day_that_never_was():
    # Samoa had no 30 December 2011.
    start, end = seconds("2011-12-29T10:00:00+00:00"), seconds("2011-12-31T10:00:00+00:00")
    found = by_day(start, end, 48, ZoneInfo("Pacific/Apia"))
    assert sum(found.values()) == 48
    assert date(2011, 12, 30) not in found
