"""Records and files of conversations and of runs through journeys, on a real Postgres."""

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import openpyxl
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.ingest.v1 import conversation_pb2, event_pb2, interaction_pb2, settings_pb2
from touchstone.reporting.v1 import record_pb2
from touchstone.reporting.v1 import record_service_pb2 as pb

from gateway.web.protojson.writing import writer
from services.chassis.follow import Entry
from services.kernel.failures import InvalidArgumentError
from services.reporting import answers, background, follower
from services.reporting.recount import verify
from tests.contracts.test_records import NOVEMBER, PARTITION, engine, file, no_orders, servicer
from tests.reporting.settling import settle

__all__ = ["engine", "no_orders", "servicer"]

START = datetime(2026, 11, 2, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
Conversation, Interaction, Journey = (
    conversation_pb2.Conversation,
    interaction_pb2.Interaction,
    conversation_pb2.Journey,
)


@pytest.fixture(autouse=True)
async def nothing_told(engine):
    tables = (
        "activity_fact",
        "activity_cell",
        "activity_summary",
        "activity_pending",
        "conversation_record",
        "journey_record",
    )
    async with engine.begin() as connection:
        for table in (*tables, "tenant", "coming_counting"):
            await connection.execute(text(f"DELETE FROM {table}"))


def logged(at: datetime, **payload) -> event_pb2.LoggedEvent:
    moment = Timestamp()
    moment.FromDatetime(at)
    event = event_pb2.Event(event_id=f"{at}{payload}"[:200], occur_time=moment, **payload)
    return event_pb2.LoggedEvent(tenant_id="acme", source="api", event=event)


def step(conversation_id: str, at: datetime, name: str, actor: str = "ACTOR_UNSPECIFIED", **told):
    return logged(at, conversation=Conversation(conversation_id=conversation_id, step=name, actor=actor, **told))


def run(journey: str, run_id: str, at: datetime, name: str, **told):
    return logged(at, journey=Journey(journey_id=journey, run_id=run_id, step=name, **told))


def settings(**told) -> event_pb2.LoggedEvent:
    told = {"time_zone": "Europe/Madrid", "currency_code": "EUR"} | told
    return event_pb2.LoggedEvent(tenant_id="acme", event=event_pb2.Event(settings=settings_pb2.TenantSettings(**told)))


SETTINGS = settings(
    classifications=[settings_pb2.Classification(name="bought", type="Sale")], abandonment_silence={"seconds": 7200}
)
CRAWLER = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
TOLD = [
    # Abandoned at the menu.
    step("a", START, "STARTED", "VISITOR", bot_name="Ada", origin_type="AD", touchpoint="whatsapp", campaign="=sum"),
    step("a", START + SECOND, "MESSAGE", "BOT", flow_step="welcome"),
    step("a", START + 5 * SECOND, "OPTION_CHOSEN", flow_step="menu", label="Returns"),
    # Given to an agent, who sells something.
    step("b", START, "STARTED", bot_name="Ada"),
    step("b", START + SECOND, "MESSAGE", "VISITOR"),
    step("b", START + HOUR, "ASSIGNED", "BOT", agent_id="a-1"),
    step("b", START + 2 * HOUR, "MESSAGE", "AGENT", agent_id="a-1"),
    step("b", START + 2 * HOUR, "TAGGED", "AGENT", label="vip"),
    step("b", START + 3 * HOUR, "TAGGED", "AGENT", label="late"),
    step("b", START + 3 * HOUR, "CLASSIFIED", "AGENT", label="bought"),
    # Answered at once, and closed by the flow, on the tenant's next day.
    logged(
        START + 14 * HOUR,
        interaction=Interaction(channel="FAQ", action="MESSAGE", conversation_id="c", answer="HELPFUL"),
    ),
    step("c", START + 15 * HOUR, "CLOSED", "BOT"),
    # Shown to nobody.
    logged(
        START,
        interaction=Interaction(
            channel="CHAT", action="MESSAGE", conversation_id="d", answer="HELPFUL", user_agent=CRAWLER
        ),
    ),
    run("welcome", "1", START, "STARTED"),
    run("welcome", "1", START + HOUR, "NOTIFIED", notification_channel="sms"),
    run("welcome", "1", START + 2 * HOUR, "NOTIFIED", notification_channel="email"),
    run("welcome", "1", START + 3 * HOUR, "GOAL_MET"),
    run("welcome", "1", START + 4 * HOUR, "COMPLETED"),
    run("welcome", "1", START + 5 * HOUR, "CANCELLED"),
    run("winback", "1", START, "STARTED"),
    run("winback", "2", START + HOUR, "CANCELLED"),
]


async def tell(engine: AsyncEngine, log: Sequence[event_pb2.LoggedEvent], size: int = 100, first: int = 1) -> None:
    entries = [Entry(position, one) for position, one in enumerate(log, start=first)]
    for start in range(0, len(entries), size):
        async with engine.begin() as connection:
            await follower.apply_events(connection, PARTITION, entries[start : start + size])


async def conversations(servicer, **asked) -> pb.ListConversationRecordsResponse:
    return await servicer.ListConversationRecords(pb.ListConversationRecordsRequest(**(NOVEMBER | asked)), None)


async def journeys(servicer, **asked) -> pb.ListJourneyRecordsResponse:
    return await servicer.ListJourneyRecords(pb.ListJourneyRecordsRequest(**(NOVEMBER | asked)), None)


def moment(at: datetime) -> Timestamp:
    return Timestamp(seconds=int(at.timestamp()))


async def test_what_is_shown_of_conversations(engine, servicer):
    await tell(engine, [SETTINGS, *TOLD])
    page = await conversations(servicer)

    a, b, c = page.records
    assert (page.total_size, page.next_page_token, page.metadata.model) == (3, "", "")
    assert a == record_pb2.ConversationRecord(
        start_time=moment(START),
        conversation_id="a",
        channel="MESSAGING",
        touchpoint="whatsapp",
        origin_type="AD",
        bot="Ada",
        campaign="=sum",
        handled_time=moment(START + 5 * SECOND),
        options="Returns",
        last_message_time=moment(START + 5 * SECOND),
        last_message="Returns",
        messages=2,
        status="ABANDONED",
        end_time=moment(START + 5 * SECOND + 2 * HOUR),
    )
    assert b == record_pb2.ConversationRecord(
        start_time=moment(START),
        conversation_id="b",
        channel="CHAT",
        bot="Ada",
        agent="a-1",
        handled_time=moment(START + 2 * HOUR),
        tags="vip > late",
        assigned_time=moment(START + HOUR),
        classification="bought",
        classification_type="Sale",
        last_message_time=moment(START + 2 * HOUR),
        last_message="AGENT",
        messages=2,
        status="ASSIGNED",
        end_time=moment(START + HOUR),
    )
    assert (c.conversation_id, c.channel, c.status) == ("c", Interaction.FAQ, c.COMPLETED_AUTOMATICALLY)
    # Asked and answered.
    assert c.messages == 2


async def test_filters_and_days_of_conversations(engine, servicer):
    await tell(engine, [SETTINGS, *TOLD])

    async def kept(**asked) -> list[str]:
        page = await conversations(servicer, **asked)
        assert page.total_size == len(page.records)
        return [one.conversation_id for one in page.records]

    assert await kept(channel=["FAQ", "CHAT"]) == ["b", "c"]
    assert await kept(bot=["Ada"]) == ["a", "b"]
    assert await kept(status=["ABANDONED"]) == ["a"]
    assert await kept(origin_type=["AD", "LINK"], touchpoint=["whatsapp"], campaign=["=sum"]) == ["a"]
    assert await kept(agent=["a-1"], classification=["bought"]) == ["b"]
    assert await kept(tag=["vip"]) == ["b"]
    assert await kept(tag=["late", "gone"]) == ["b"]
    assert await kept(tag=["vip > late"]) == []
    assert await kept(tag=["late"], agent=["a-2"]) == []
    assert await kept(end_date="2026-11-02") == ["a", "b"]
    assert await kept(start_date="2026-11-03") == ["c"]
    with pytest.raises(InvalidArgumentError, match="status"):
        await kept(status=[77])


async def test_a_conversation_is_open_until_its_silence_has_passed(engine, servicer):
    now = datetime.now(UTC)
    await tell(engine, [SETTINGS, step("new", now, "STARTED", "VISITOR"), step("old", now - 3 * HOUR, "STARTED")])
    days = {"start_date": (now - 48 * HOUR).date().isoformat(), "end_date": (now + 48 * HOUR).date().isoformat()}
    old, new = (await conversations(servicer, **days)).records

    assert (old.conversation_id, old.status) == ("old", old.ABANDONED)
    assert (new.conversation_id, new.status, new.HasField("end_time")) == ("new", new.OPEN, False)
    assert [one.conversation_id for one in (await conversations(servicer, status=["OPEN"], **days)).records] == ["new"]


async def test_what_is_shown_of_runs(engine, servicer):
    await tell(engine, [SETTINGS, *TOLD])
    page = await journeys(servicer)

    first, second, third = page.records
    assert first == record_pb2.JourneyRecord(
        first_time=moment(START),
        journey="welcome",
        run_id="1",
        start_time=moment(START),
        goal_time=moment(START + 3 * HOUR),
        completed_time=moment(START + 4 * HOUR),
        cancelled_time=moment(START + 5 * HOUR),
        status="COMPLETED",
        notifications=2,
        notification_channels="email,sms",
    )
    assert (second.journey, second.status, second.notifications) == ("winback", second.RUNNING, 0)
    assert (third.run_id, third.status, third.HasField("start_time")) == ("2", third.CANCELLED, False)
    assert third.first_time == moment(START + HOUR)

    async def kept(**asked) -> list[tuple[str, str]]:
        return [(one.journey, one.run_id) for one in (await journeys(servicer, **asked)).records]

    assert await kept(journey=["winback"], status=["RUNNING", "COMPLETED"]) == [("winback", "1")]
    assert await kept(notification_channel=["push", "sms"]) == [("welcome", "1")]
    following = await journeys(servicer, page_size=1)
    assert await kept(page_size=1, page_token=following.next_page_token) == [("winback", "1")]


async def test_records_do_not_depend_on_sequence_or_batches_and_follow_the_settings(engine, servicer):
    await tell(engine, [SETTINGS, *TOLD])
    expected = (await conversations(servicer)).records, (await journeys(servicer)).records

    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM activity_fact"))
        await connection.execute(text("DELETE FROM conversation_record"))
        await connection.execute(text("DELETE FROM journey_record"))
    await tell(engine, [*reversed(TOLD), *TOLD[:4]], size=3, first=50)
    assert ((await conversations(servicer)).records, (await journeys(servicer)).records) == expected

    await tell(engine, [settings(count_crawlers=True, abandonment_silence={"seconds": 10**9})], first=200)
    async with engine.begin() as connection:
        await background.count_some(connection, PARTITION)
    assert ((await conversations(servicer)).records, (await journeys(servicer)).records) == expected
    await settle(engine)
    shown = {
        one.conversation_id: (one.status, one.classification_type) for one in (await conversations(servicer)).records
    }
    assert shown["a"][0] == record_pb2.ConversationRecord.OPEN
    assert shown["b"][1] == ""
    assert "d" in shown
    await tell(engine, [SETTINGS], first=300)
    await settle(engine)
    assert ((await conversations(servicer)).records, (await journeys(servicer)).records) == expected


async def test_it_is_told_how_far_facts_are_counted_anew(engine, servicer, monkeypatch):
    monkeypatch.setattr(background, "COUNTED_AT_ONCE", 2)
    await tell(engine, [SETTINGS, *TOLD])
    before = await conversations(servicer)
    assert not before.metadata.HasField("recount")
    async with engine.connect() as connection:
        facts = (await connection.execute(text("SELECT count(*) FROM activity_fact"))).scalar_one()

    async def until_done() -> list[tuple[int, int]]:
        told = []
        while (answer := await conversations(servicer)).metadata.HasField("recount"):
            recount = answer.metadata.recount
            told.append((recount.done, recount.total))
            assert (recount.time_zone, answer.metadata.time_zone) == ("Pacific/Apia", before.metadata.time_zone)
            assert answer.records == before.records
            await count_a_page()
        return told

    async def count_a_page() -> None:
        async with engine.begin() as connection:
            await background.count_some(connection, PARTITION)

    await tell(engine, [settings(time_zone="Pacific/Apia")], first=200)
    await count_a_page()
    # Settings told meanwhile begin anew.
    await tell(engine, [settings(time_zone="Pacific/Apia", abandonment_silence={"seconds": 10})], first=201)
    pages = [(min(done, facts), facts) for done in range(2, facts + 2, 2)]
    assert await until_done() == [(0, 0), *pages]
    assert (await conversations(servicer)).metadata.time_zone == "Pacific/Apia"


async def test_a_conversation_that_turns_out_to_be_a_crawlers_is_no_longer_shown(engine, servicer):
    crawled = next(one for one in TOLD if one.event.interaction.user_agent)
    await tell(engine, [SETTINGS, step("d", START, "STARTED", "VISITOR")])
    assert (await conversations(servicer)).total_size == 1
    await tell(engine, [crawled], first=10)
    assert (await conversations(servicer)).total_size == 0


@pytest.mark.parametrize(
    ("of", "listed", "message"),
    [("Conversation", conversations, "ConversationRecord"), ("Journey", journeys, "JourneyRecord")],
)
async def test_files_say_what_the_records_say(engine, servicer, of, listed, message):
    await tell(engine, [SETTINGS, *TOLD])
    write = writer(getattr(record_pb2, message).DESCRIPTOR)
    expected = [write(one) for one in (await listed(servicer)).records]

    assert json.loads((await file(servicer, "json", of=of))[1]) == expected
    _, written = await file(servicer, "csv", of=of)
    rows = list(csv.DictReader(io.StringIO(written.decode(), newline="")))
    assert len(rows) == 3
    if of == "Conversation":
        assert (rows[0]["campaign"], rows[0]["status"]) == ("'=sum", "ABANDONED")
        assert rows[0]["end_time"] == "2026-11-02 13:00:05+01"
    sheet = openpyxl.load_workbook(io.BytesIO((await file(servicer, "xlsx", of=of))[1])).active
    assert [cell.data_type for cell in sheet[2]][:3] == (["d", "s", "s"])
    assert sheet.max_row == 4


async def differing(engine: AsyncEngine) -> int:
    async with answers.moment(engine) as connection:
        tenant = await answers.read_tenant(connection, "acme")
        *_, last = [one async for one in verify(connection, tenant)]
    return last.different_cells


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE conversation_record SET bot = 'Eve' WHERE key = 'a'",
        "DELETE FROM journey_record WHERE run_id = '2'",
        'INSERT INTO journey_record SELECT (jsonb_populate_record(one, \'{"key": "k"}\')).* FROM journey_record AS one LIMIT 1',
    ],
)
async def test_a_record_that_facts_do_not_tell_of_is_found(engine, change):
    await tell(engine, [SETTINGS, *TOLD])
    assert await differing(engine) == 0
    async with engine.begin() as connection:
        await connection.exec_driver_sql(change)
    assert await differing(engine) == 1
