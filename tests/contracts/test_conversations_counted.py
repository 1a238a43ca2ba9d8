"""Conversations through the follower on a real Postgres: figures at any moment, rebuilt and verified."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.attribution.v1 import credit_pb2
from touchstone.ingest.v1 import conversation_pb2, event_pb2, interaction_pb2, settings_pb2

from services.chassis.database import open_database
from services.chassis.follow import Entry
from services.chassis.migrations import migrate
from services.reporting import answers, background, follower
from services.reporting.domain.figures import computed
from services.reporting.domain.periods import Comparison
from services.reporting.domain.reports import Filter, Order, Plan, Request, plan
from services.reporting.recount import verify
from services.reporting.store import reports, tenants
from tests.reporting import settling
from tests.reporting.settling import settle

MIGRATIONS = Path(follower.__file__).parent / "migrations"
PARTITION = 3
START = datetime(2026, 11, 2, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
TABLES = (
    *settling.TABLES,
    "tenant",
    "order_fact",
    "activity_fact",
    "activity_cell",
    "activity_summary",
    "activity_pending",
    "conversation_record",
    "journey_record",
    "span_cell",
    "credit_cell",
    "credit_summary",
)
Conversation, Interaction = conversation_pb2.Conversation, interaction_pb2.Interaction


@pytest.fixture(scope="module")
async def engine(new_database: Callable[[], str]) -> AsyncEngine:
    url = new_database()
    await migrate(url, schema="reporting_1", scripts=MIGRATIONS)
    engine = open_database(url, schema="reporting_1")
    yield engine
    await engine.dispose()


@pytest.fixture(autouse=True)
async def nothing_told(engine):
    async with engine.begin() as connection:
        for table in TABLES:
            await connection.execute(text(f"DELETE FROM {table}"))


def logged(at: datetime, **payload) -> event_pb2.LoggedEvent:
    moment = Timestamp()
    moment.FromDatetime(at)
    event = event_pb2.Event(event_id=f"{at}{payload}"[:200], occur_time=moment, **payload)
    return event_pb2.LoggedEvent(tenant_id="acme", source="api", event=event)


def step(
    conversation_id: str, at: datetime, name: str, actor: str = "ACTOR_UNSPECIFIED", **told
) -> event_pb2.LoggedEvent:
    return logged(at, conversation=Conversation(conversation_id=conversation_id, step=name, actor=actor, **told))


def settings(**told) -> event_pb2.LoggedEvent:
    told.setdefault("time_zone", "Europe/Madrid")
    return event_pb2.LoggedEvent(tenant_id="acme", event=event_pb2.Event(settings=settings_pb2.TenantSettings(**told)))


CLASSIFICATIONS = [settings_pb2.Classification(name="bought", type="Sale")]
SILENCE = {"seconds": 2 * 3600}
TOLD = [
    settings(currency_code="EUR", classifications=CLASSIFICATIONS, abandonment_silence=SILENCE),
    # Abandoned at 12:00:05, at the menu.
    step("a", START, "STARTED", "VISITOR", bot_name="Ada", origin_type="AD", touchpoint="whatsapp"),
    step("a", START + SECOND, "MESSAGE", "BOT", flow_step="welcome"),
    step("a", START + 5 * SECOND, "OPTION_CHOSEN", flow_step="menu", label="Returns"),
    # Given to an agent, who sells something.
    step("b", START, "STARTED", bot_name="Ada"),
    step("b", START + SECOND, "MESSAGE", "VISITOR"),
    step("b", START + HOUR, "ASSIGNED", "BOT", agent_id="a-1"),
    step("b", START + 2 * HOUR, "MESSAGE", "AGENT", agent_id="a-1"),
    step("b", START + 2 * HOUR, "TAGGED", "AGENT", label="vip"),
    step("b", START + 3 * HOUR, "CLASSIFIED", "AGENT", label="bought"),
    # Answered at once, and closed by the flow.
    logged(
        START,
        interaction=Interaction(
            channel="CHAT", action="MESSAGE", conversation_id="c", answer="HELPFUL", touchpoint="website"
        ),
    ),
    step("c", START + HOUR, "CLOSED", "BOT"),
    # In none.
    logged(START, interaction=Interaction(channel="CHAT", action="MESSAGE", answer="HELPFUL")),
    logged(START, interaction=Interaction(channel="CHAT", action="LINK_CLICK", conversation_id="d")),
    logged(
        START + 8 * HOUR,
        production_hours=conversation_pb2.ProductionHours(
            agent_id="a-1",
            start_time=Timestamp(seconds=int(START.timestamp())),
            worked={"seconds": 7 * 3600},
        ),
    ),
]


async def tell(engine: AsyncEngine, log: Sequence[event_pb2.LoggedEvent], size: int = 100, first: int = 1) -> None:
    entries = [Entry(position, one) for position, one in enumerate(log, start=first)]
    for start in range(0, len(entries), size):
        async with engine.begin() as connection:
            await follower.apply_events(connection, PARTITION, entries[start : start + size])


def asked(metrics: Sequence[str], dimensions: Sequence[str] = (), filters: Sequence[Filter] = ()) -> Plan:
    return plan(
        Request(
            metrics=metrics,
            dimensions=dimensions,
            start_date="2026-11-01",
            end_date="2026-11-30",
            comparison=Comparison.NONE,
            filters=filters,
            order_by=[Order(metric=None, dimension=name, descending=False) for name in dimensions],
        )
    )


async def rows(
    engine: AsyncEngine, planned: Plan, at: datetime | None = None
) -> list[tuple[str | int | float | None, ...]]:
    """The rows as they are, or were or will be at a moment."""
    nanos = None if at is None else int(at.timestamp()) * 1_000_000_000
    scope = reports.Scope(tenant_id="acme", edition=0, model="conversations", currencies=("EUR",), as_of_nanos=nanos)
    async with answers.moment(engine) as connection:
        found, total = await reports.read_rows(connection, planned, scope, offset=0, limit=100)
    assert total == len(found.dimensions)
    figures = [computed(metric.name)(found.sums) for metric in planned.metrics]
    return [(*cut, *of_row) for cut, *of_row in zip(found.dimensions, *figures, strict=True)]


async def differing(engine: AsyncEngine) -> int:
    async with answers.moment(engine) as connection:
        tenant = await answers.read_tenant(connection, "acme")
        *_, last = [one async for one in verify(connection, tenant)]
    return last.different_cells


async def stored(engine: AsyncEngine) -> list[list[tuple]]:
    queries = (
        "SELECT * FROM activity_fact ORDER BY tenant_id, kind, key",
        "SELECT * FROM activity_cell WHERE amount <> 0 ORDER BY figure, day, cut_name",
        "SELECT * FROM activity_pending ORDER BY key, figure",
    )
    async with engine.connect() as connection:
        return [[tuple(row) for row in await connection.execute(text(query))] for query in queries]


RESULTS = ("conversations_started", "contacts_handled", "assigned_to_agent", "classified_sales")


async def test_a_day_of_conversations(engine):
    await tell(engine, TOLD, size=3)

    later = START + 24 * HOUR
    assert await rows(engine, asked(RESULTS)) == [(3, 3, 1, 1)]
    assert await rows(engine, asked(RESULTS, ["bot"])) == [("", 1, 1, 0, 0), ("Ada", 2, 2, 1, 1)]
    by_origin = asked(["conversations_started"], ["origin_type", "channel"], [Filter(dimension="bot", values=("Ada",))])
    assert await rows(engine, by_origin) == [("", "CHAT", 1), ("AD", "MESSAGING", 1)]
    ends = asked(["conversation_completions"], ["completion"])
    assert await rows(engine, ends, later) == [("ABANDONED", 1), ("ASSIGNED", 1), ("COMPLETED_AUTOMATICALLY", 1)]
    both = asked(["completed_automatically", "closed_by_agent", "abandoned_conversations", "conversation_completions"])
    assert await rows(engine, both, later) == [(1, 0, 1, 3)]
    last = asked(["abandoned_conversations"], ["step", "last_message"])
    assert await rows(engine, last, later) == [("menu", "Returns", 1)]
    by_type = asked(["classified_conversations"], ["classification", "classification_type"])
    assert await rows(engine, by_type) == [("bought", "Sale", 1)]
    assert await rows(engine, asked(["options_chosen", "first_options"], ["step", "option"])) == [
        ("menu", "Returns", 1, 1)
    ]
    assert await rows(engine, asked(["tags_set"], ["tag"])) == [("vip", 1)]
    assert await rows(engine, asked(["tag_journeys"], ["journey_path"])) == [("vip", 1)]
    assert await rows(engine, asked(["production_seconds"], ["day", "agent"])) == [("2026-11-02", "a-1", 7 * 3600)]
    assert await differing(engine) == 0


async def test_abandonment_counts_from_its_very_second_on(engine):
    await tell(engine, TOLD)
    due = START + 5 * SECOND + 2 * HOUR
    abandoned, by_day = asked(["abandoned_conversations"]), asked(["abandoned_conversations"], ["day"])

    assert await rows(engine, abandoned, due - SECOND) == [(0,)]
    assert await rows(engine, by_day, due - SECOND) == []
    for at in (due, due + SECOND, due + 1000 * HOUR):
        assert await rows(engine, abandoned, at) == [(1,)]
        assert await rows(engine, by_day, at) == [("2026-11-02", 1)]
    # Another message moves it, wherever the clock stands.
    await tell(engine, [step("a", START + 13 * HOUR, "MESSAGE", "VISITOR")], first=50)
    assert await rows(engine, abandoned, due) == [(0,)]
    assert await rows(engine, by_day, START + 15 * HOUR) == [("2026-11-03", 1)]
    await tell(engine, [step("a", START + 14 * HOUR, "CLOSED", "BOT")], first=51)
    assert await rows(engine, abandoned, START + 1000 * HOUR) == [(0,)]
    assert await differing(engine) == 0


async def test_what_is_not_over_now_is_not_counted(engine):
    now = datetime.now(UTC).replace(microsecond=0)
    period = {"start_date": f"{now - 2 * HOUR:%Y-%m-%d}", "end_date": f"{now + 48 * HOUR:%Y-%m-%d}"}
    abandoned = plan(
        Request(
            metrics=["abandoned_conversations"],
            dimensions=(),
            comparison=Comparison.NONE,
            filters=(),
            order_by=(),
            **period,
        )
    )
    talk = [step("old", now - 24 * HOUR, "STARTED"), step("new", now - 23 * HOUR, "STARTED")]
    await tell(engine, [settings(time_zone="UTC", currency_code="EUR"), *talk])

    assert await rows(engine, abandoned) == [(1,)]


async def test_sequence_batches_and_a_rebuild_leave_the_same(engine):
    await tell(engine, TOLD, size=2)
    first = await stored(engine)

    await nothing_left(engine)
    await tell(engine, [TOLD[0], *reversed(TOLD)], size=5)
    assert await stored(engine) == first
    await tell(engine, TOLD[4:9], first=60)
    assert await stored(engine) == first


async def test_other_settings_count_everything_anew_beside_what_is_served(engine, monkeypatch):
    monkeypatch.setattr(background, "COUNTED_AT_ONCE", 1)
    await tell(engine, TOLD[:-3])
    before = await stored(engine)
    await tell(engine, [settings(time_zone="Pacific/Apia", abandonment_silence={"seconds": 60})], first=100)
    # A page is a fact. What is told in between is in a counted one, in one that is not, or in none yet.
    for number, told in enumerate([None, *TOLD[-3:]], start=101):
        async with engine.begin() as connection:
            assert await tenants.coming(connection) == [PARTITION]
            await background.count_some(connection, PARTITION)
        if told is None:
            assert await stored(engine) == before
        else:
            await tell(engine, [told], first=number)
            before = await stored(engine)
        assert await differing(engine) == 0
    # Those settings never came into force: it all begins anew.
    await tell(engine, [settings(abandonment_silence={"seconds": 30})], first=150)
    await tell(engine, [settings(time_zone="Pacific/Apia", abandonment_silence={"seconds": 60})], first=151)
    async with engine.begin() as connection:
        await background.count_some(connection, PARTITION)
    await settle(engine)
    by_day = asked(["abandoned_conversations", "classified_sales"], ["day"])
    assert await rows(engine, by_day, START + 24 * HOUR) == [("2026-11-02", 2, 0)]
    assert await differing(engine) == 0
    shown = await stored(engine)

    # A rebuild is told everything before anything is counted.
    await nothing_left(engine)
    await tell(engine, [settings(time_zone="Pacific/Apia", abandonment_silence={"seconds": 60}), *TOLD[1:]])
    assert await stored(engine) == shown
    await tell(engine, [TOLD[0]], first=300)
    await settle(engine)
    back = await stored(engine)
    await nothing_left(engine)
    await tell(engine, TOLD)
    assert await stored(engine) == back


async def nothing_left(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        for table in TABLES:
            await connection.execute(text(f"DELETE FROM {table}"))


async def test_what_is_awaited_wrongly_is_found(engine):
    await tell(engine, TOLD)
    async with engine.begin() as connection:
        await connection.execute(
            text("UPDATE activity_pending SET due_nanos = due_nanos + 1 WHERE figure LIKE 'aband%'")
        )

    assert await differing(engine) == 2


def bought(order_id: str, at: datetime, asked_at: datetime | None, *, agent_id: str = "a-1") -> credit_pb2.OrderCredits:
    """An order of 30 euros that the model contact credits to a conversation, or with no agent to none."""
    told = credit_pb2.OrderCredits(tenant_id="acme")
    told.order.source, told.order.order_id, told.order.currency_code = "shop", order_id, "EUR"
    told.order.order_time.FromDatetime(at)
    told.order.gross_micros = told.order.net_micros = 30_000_000
    said = told.attributions.add(model="contact", model_version=1)
    if agent_id:
        said.matched_by = credit_pb2.MatchBasis.SESSION
        touch = credit_pb2.Touch(event_id="t", channel="CHAT", touchpoint="website", agent_id=agent_id)
        if asked_at is not None:
            touch.visitor_time.FromDatetime(asked_at)
        said.credits.add(touch=touch, gross_micros=30_000_000, net_micros=30_000_000)
    return told


async def test_what_was_bought_after_a_contact(engine):
    await tell(engine, TOLD)
    told = [
        bought("1", START + HOUR, START),
        bought("2", START + 2 * HOUR, START + HOUR + 30 * SECOND),
        bought("3", START + HOUR, START + 5 * HOUR),
        bought("4", START + HOUR, None, agent_id="a-2"),
        bought("5", START + HOUR, None, agent_id=""),
    ]
    async with engine.begin() as connection:
        entries = [Entry(position, one) for position, one in enumerate(told, start=1)]
        await follower.apply_credits(connection, PARTITION, entries)

    times = asked(["time_before_purchase", "timed_purchases", "transactions_after_contact"])
    # An hour, and half a minute less; the others have nothing to count from.
    assert await rows(engine, times) == [((7200 - 30) // 2, 2, 4)]
    by_agent = asked(["seconds_before_purchase", "turnover_per_hour", "transactions_after_contact"], ["agent"])
    assert await rows(engine, by_agent) == [("a-1", 7170, round(90_000_000 / 7), 3), ("a-2", 0, None, 1)]
    per_contact = asked(["turnover_per_contact", "conversion_rate_after_contact"])
    assert await rows(engine, per_contact) == [(40_000_000, 4 / 3)]
    # Taken back: the order is no longer credited.
    async with engine.begin() as connection:
        gone = [Entry(9, bought("1", START + HOUR, None, agent_id=""))]
        await follower.apply_credits(connection, PARTITION, gone)
    assert await rows(engine, times) == [(3570, 1, 3)]
    assert await differing(engine) == 0
