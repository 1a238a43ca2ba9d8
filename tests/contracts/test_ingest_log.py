"""The event log's writing end on a real Postgres: what is answered is committed, once, in gapless positions."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

import services.ingest
from services.chassis.database import open_database
from services.chassis.migrations import migrate
from services.ingest.domain.deduplication import Entry, Key, Status
from services.ingest.domain.deliveries import Batch, Health, Heard, UnusablePart
from services.ingest.domain.events import Limits
from services.ingest.domain.sources import SourceKind, SourceTerms
from services.ingest.domain.tenants import Tenant
from services.ingest.store import parked, sources, tenants
from services.ingest.store.at_once import AtOnce
from services.ingest.store.directory import TenantDirectory
from services.ingest.store.event_log import EventLog
from services.ingest.store.vault import Vault

MIGRATIONS = Path(services.ingest.__file__).parent / "migrations"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ACCEPTED, DUPLICATE, REJECTED = Status


class House(NamedTuple):
    """A log, and what it told of its commits."""

    url: str
    engine: AsyncEngine
    vault: Vault
    log: EventLog
    told: list[tuple[int, int, list[bytes]]]


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    await migrate(database_url, schema="ingest", scripts=MIGRATIONS)
    engine, vault, told = open_database(database_url, schema="ingest"), Vault(b"k" * 32), []
    event_log = EventLog(engine, vault, lambda *one: told.append(one))
    yield House(database_url, engine, vault, event_log, told)
    await event_log.close()
    await engine.dispose()


def entry(event_id: str, content: str = "1", tenant_id: str = "acme") -> Entry:
    payload = f"{tenant_id} {event_id} {content}".encode()
    return Entry(Key(tenant_id, "api", event_id), content.encode().ljust(16), payload)


def unusable(body: bytes, received: datetime = NOW, reason: str = "INVALID_JSON") -> UnusablePart:
    return UnusablePart("acme", "woo", "order.updated", reason, received, body, {"x-topic": "headers-in-the-clear"})


async def log_of(house: House, partition: int) -> list[bytes]:
    async with house.engine.connect() as connection:
        rows = await connection.execute(
            text("SELECT position, payload FROM log_entry WHERE partition_id = :partition ORDER BY position"),
            {"partition": partition},
        )
        entries = rows.all()
        head = await connection.execute(
            text("SELECT position FROM log_head WHERE partition_id = :partition"), {"partition": partition}
        )
        assert [row.position for row in entries] == list(range(1, head.scalar_one() + 1)), "a gap"
    return [bytes(row.payload) for row in entries]


async def positions_of_keys(house: House) -> dict[str, int]:
    async with house.engine.connect() as connection:
        rows = await connection.execute(text("SELECT event_id, position FROM event_key"))
        return {row.event_id: row.position for row in rows}


async def test_what_waits_together_is_committed_together(house):
    batches = [Batch(3, [entry(f"{i}-{j}") for j in range(5)]) for i in range(40)]
    answers = await asyncio.gather(*map(house.log.append, batches))
    assert answers == [[ACCEPTED] * 5] * 40
    stored = await log_of(house, 3)
    assert len(stored) == 200
    assert [payload for _, after, payloads in house.told for payload in payloads] == stored
    assert len(house.told) < 10, "as many commits as callers"


async def test_concurrent_repeats_are_taken_once(house):
    ids = [str(i) for i in range(60)]
    batches = [Batch(3, [entry(one) for one in random.Random(seed).sample(ids, 30)]) for seed in range(12)]
    second = EventLog(house.engine, house.vault, lambda *_: None)
    answers = await asyncio.gather(*((house.log, second)[i % 2].append(batch) for i, batch in enumerate(batches)))
    await second.close()
    stored = await log_of(house, 3)
    assert sorted(stored) == sorted(set(stored))
    assert sum(statuses.count(ACCEPTED) for statuses in answers) == len(stored)
    assert sum(statuses.count(REJECTED) for statuses in answers) == 0
    positions = await positions_of_keys(house)
    assert {one: stored[position - 1] for one, position in positions.items()} == {
        one: entry(one).payload for one in positions
    }


async def test_other_content_under_the_same_id_is_refused(house):
    assert await house.log.append(Batch(3, [entry("a"), entry("a", "2"), entry("b")])) == [ACCEPTED, REJECTED, ACCEPTED]
    again = [entry("b", "2"), entry("c"), entry("a"), entry("d")]
    assert await house.log.append(Batch(3, again)) == [REJECTED, ACCEPTED, DUPLICATE, ACCEPTED]
    assert await positions_of_keys(house) == {"a": 1, "b": 2, "c": 3, "d": 4}
    assert len(await log_of(house, 3)) == 4


async def test_what_is_new_is_one_statement_and_what_is_known_changes_nothing(house):
    at_once = AtOnce(house.engine)
    heard = [Health("acme", "woo", 2, 0, NOW)]
    assert await at_once.append_new(3, [entry("a"), entry("b")], heard) == 0
    assert await at_once.append_new(3, [entry("c")], heard) == 2
    assert await at_once.append_new(3, [entry("d"), entry("a")], heard) is None
    assert await at_once.append_new(3, [entry("e"), entry("e", "2")], heard) is None
    await terminate_connections(house)
    assert await at_once.append_new(3, [entry("d")], heard) is None
    assert await at_once.append_new(3, [entry("d")], []) == 3
    await at_once.close()
    assert await log_of(house, 3) == [entry(one).payload for one in "abcd"]
    await create_tenant(house, partition=4)
    await add_source(house)
    [source] = await sources.list_sources(house.engine, tenant_id="acme", after="", count=10, now=NOW)
    assert (source.delivered_count, source.last_delivery_time) == (4, NOW)


async def terminate_connections(house: House) -> None:
    async with house.engine.connect() as other:
        await other.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
        )


async def test_ids_are_the_tenants_and_partitions_their_own(house):
    twice = [Batch(3, [entry("a")]), Batch(3, [entry("a", "2", "globex")]), Batch(4, [entry("a", "3", "initech")])]
    assert await asyncio.gather(*map(house.log.append, twice)) == [[ACCEPTED]] * 3
    assert len(await log_of(house, 3)) == 2
    assert len(await log_of(house, 4)) == 1


async def test_who_hangs_up_hurts_nobody(house):
    calls = [asyncio.ensure_future(house.log.append(Batch(3, [entry(str(i))]))) for i in range(50)]
    await asyncio.sleep(0)
    for call in calls[::2]:
        call.cancel()
    assert await asyncio.gather(*calls[1::2]) == [[ACCEPTED]] * 25
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*calls[::2])
    assert await house.log.append(Batch(3, [entry("after")])) == [ACCEPTED]
    stored = await log_of(house, 3)
    assert {entry(str(i)).payload for i in range(1, 50, 2)} < set(stored)
    assert len(stored) == len(set(stored)) <= 51


async def test_what_was_given_up_before_its_turn_is_withdrawn(house):
    async with house.engine.begin() as other:
        await other.execute(text("SELECT FROM log_head WHERE partition_id = 3 FOR UPDATE"))
        first = asyncio.ensure_future(house.log.append(Batch(3, [entry("first")])))
        await asyncio.sleep(0.1)
        second = asyncio.ensure_future(house.log.append(Batch(3, [entry("second")])))
        third = asyncio.ensure_future(house.log.append(Batch(3, [entry("third")])))
        await asyncio.sleep(0)
        second.cancel()
    assert await asyncio.gather(first, third) == [[ACCEPTED]] * 2
    assert await log_of(house, 3) == [entry("first").payload, entry("third").payload]


async def test_what_cannot_be_committed_fails_alone(house):
    poison = Batch(3, [entry("no\0text")])
    batches = [Batch(3, [entry(str(i))]) for i in range(9)]
    answers = await asyncio.gather(*map(house.log.append, [*batches, poison]), return_exceptions=True)
    assert answers[:9] == [[ACCEPTED]] * 9
    assert isinstance(answers[9], (DBAPIError, ValueError))
    assert len(await log_of(house, 3)) == 9


async def test_after_the_database_was_away_work_goes_on(house):
    await house.log.append(Batch(3, [entry("before")]))
    await terminate_connections(house)
    answers = await asyncio.gather(
        *(house.log.append(Batch(3, [entry(str(i))])) for i in range(5)), return_exceptions=True
    )
    again = await asyncio.gather(*(house.log.append(Batch(3, [entry(str(i))])) for i in range(5)))
    assert all(answer == [ACCEPTED] or isinstance(answer, DBAPIError) for answer in answers)
    assert all(statuses in ([ACCEPTED], [DUPLICATE]) for statuses in again)
    assert sorted(await log_of(house, 3)) == sorted(entry(one).payload for one in ["before", *"01234"])


async def test_a_transaction_that_ends_in_the_middle_leaves_nothing(house):
    class Interrupted(Exception):  # noqa: N818
        pass

    async def change(connection):
        await tenants.change_settings(connection, tenant_id="acme", settings=b"2", revision=2, limits=Limits())
        raise Interrupted

    await create_tenant(house)
    with pytest.raises(Interrupted):
        await house.log.change(3, change)
    async with house.engine.connect() as connection:
        found = await tenants.find_tenant(connection, "acme")
    assert found.tenant.settings == b"settings"
    assert await log_of(house, 3) == [entry("settings/1").payload]


async def create_tenant(house: House, partition: int = 3) -> None:
    tenant = Tenant(tenant_id="acme", partition=partition, settings=b"settings", create_time=NOW)

    async def create(connection):
        await tenants.insert_tenant(
            connection, house.vault, tenant, hash_key=b"h" * 32, create_fingerprint=b"f", limits=Limits()
        )
        return None, [entry("settings/1")]

    await house.log.change(partition, create)


async def add_source(house: House, source: str = "woo", secret: str = "s3cret-in-the-clear") -> None:
    terms = SourceTerms(source=source, kind=SourceKind.WOOCOMMERCE, id_prefix="_touchstone_", require_signed_ids=False)
    await sources.create_source(house.engine, house.vault, tenant_id="acme", terms=terms, secret=secret, now=NOW)


async def whole_table(house: House, table: str) -> bytes:
    async with house.engine.connect() as connection:
        rows = (await connection.execute(text(f"SELECT * FROM {table}"))).all()
    assert rows
    return repr([[bytes(v) if isinstance(v, memoryview) else v for v in row] for row in rows]).encode()


async def test_secrets_and_keys_are_sealed(house):
    await create_tenant(house)
    await add_source(house)
    assert b"in-the-clear" not in await whole_table(house, "source")
    assert b"h" * 32 not in await whole_table(house, "tenant")
    _, secrets = await sources.find_source(house.engine, house.vault, tenant_id="acme", source="woo", now=NOW)
    assert secrets == ["s3cret-in-the-clear"]
    await add_source(house, secret="newer")
    await add_source(house, secret="newest")
    _, secrets = await sources.find_source(house.engine, house.vault, tenant_id="acme", source="woo", now=NOW)
    assert secrets == ["newest", "newer"]
    with pytest.raises(ValueError, match="another key"):
        await sources.find_source(house.engine, Vault(b"o" * 32), tenant_id="acme", source="woo", now=NOW)


async def test_what_is_parked_is_sealed_and_parked_once(house):
    body = b'{"email": "shopper-in-the-clear@example.com"}'
    for received in (NOW, NOW + timedelta(minutes=1)):
        batch = Batch(
            3,
            [],
            [unusable(body, received), unusable(body, received)],
            [Heard("acme", "woo", int(received.timestamp()) * 1_000_000_000, True)],
        )
        await house.log.append(batch)
    await house.log.append(Batch(3, [], [unusable(b"other", reason="TOO_DEEP")]))
    assert b"in-the-clear" not in await whole_table(house, "parked_delivery")
    listed = await parked.list_parked(house.engine, tenant_id="acme", source="woo", before="", count=10, now=NOW)
    assert sorted(one.reason for one in listed) == ["INVALID_JSON", "TOO_DEEP"]
    assert all(one.body is None for one in listed)
    read = await parked.read_parked(
        house.engine, house.vault, tenant_id="acme", source="woo", parked_ids=[], after="", count=10, now=NOW
    )
    assert sorted(one.body for one in read) == sorted([body, b"other"])
    assert read[0].headers == {"x-topic": "headers-in-the-clear"}
    await create_tenant(house)
    await add_source(house)
    [source] = await sources.list_sources(house.engine, tenant_id="acme", after="", count=10, now=NOW)
    assert (source.delivered_count, source.parked_count) == (2, 2)
    assert source.last_delivery_time == NOW + timedelta(minutes=1)
    assert {one.expire_time for one in listed} == {NOW + timedelta(days=30), NOW + timedelta(days=30, minutes=1)}


async def test_the_same_body_under_two_topics_is_parked_twice(house):
    parts = [unusable(b"same"), unusable(b"same")._replace(topic="order.created")]
    await house.log.append(Batch(3, [], parts))
    listed = await parked.list_parked(house.engine, tenant_id="acme", source="woo", before="", count=10, now=NOW)
    assert sorted(one.topic for one in listed) == ["order.created", "order.updated"]


async def test_parked_deliveries_page_resolve_and_expire(house):
    parts = [unusable(f"body {i}".encode(), NOW + timedelta(seconds=i)) for i in range(5)]
    await house.log.append(Batch(3, [], parts))

    async def listed(before: str = "", now: datetime = NOW) -> list[str]:
        found = await parked.list_parked(house.engine, tenant_id="acme", source="woo", before=before, count=3, now=now)
        return [one.parked_id for one in found]

    first = await listed()
    second = await listed(first[-1])
    assert len(first) == 3
    assert [*first, *second] == sorted([*first, *second], reverse=True)
    assert await parked.resolve_parked(house.engine, tenant_id="globex", parked_ids=first) == 0
    assert await parked.resolve_parked(house.engine, tenant_id="acme", parked_ids=[first[0], "none"]) == 1
    later = NOW + timedelta(days=30, seconds=1)
    assert await listed(now=later) == first[1:]
    assert await parked.forget_expired(house.engine, now=later) == 2
    assert await parked.forget_expired(house.engine, now=later) == 0
    assert await listed() == first[1:]


async def test_pages_of_large_bodies_are_short(house):
    parts = [unusable(bytes([i]) * (6 << 20), NOW + timedelta(seconds=i)) for i in range(4)]
    await house.log.append(Batch(3, [], parts))
    read, after = [], ""
    while page := await parked.read_parked(
        house.engine, house.vault, tenant_id="acme", source="woo", parked_ids=[], after=after, count=100, now=NOW
    ):
        read.append(len(page))
        after = page[-1].parked_id
    assert read == [3, 1]


async def test_an_id_in_conflict_is_parked_where_its_batch_says_so(house):
    await house.log.append(Batch(3, [entry("a")]))
    batch = Batch(3, [entry("b"), entry("a", "2")], part_of=lambda i: unusable(b"%d" % i, reason="EVENT_ID_CONFLICT"))
    assert await house.log.append(batch) == [ACCEPTED, REJECTED]
    [one] = await parked.read_parked(
        house.engine, house.vault, tenant_id="acme", source="woo", parked_ids=[], after="", count=10, now=NOW
    )
    assert (one.reason, one.body) == ("EVENT_ID_CONFLICT", b"1")


async def test_what_another_replica_changed_is_seen_within_a_second(house):
    clock = [0.0]
    directory = TenantDirectory(house.engine, house.vault, clock=lambda: clock[0])
    assert await directory.find([("acme", "")]) == {}
    await create_tenant(house)
    assert (await directory.find([("acme", "")]))["acme"].hash_key == b"h" * 32
    async with house.engine.begin() as connection:
        await tenants.change_settings(
            connection, tenant_id="acme", settings=b"2", revision=2, limits=Limits(max_age=5, max_lead=6)
        )
    assert (await directory.find([("acme", "")]))["acme"].limits == Limits()
    clock[0] = 1.1
    assert (await directory.find([("acme", "")]))["acme"].limits == Limits(max_age=5, max_lead=6)
    await add_source(house)
    assert (await directory.find([("acme", "woo")]))["acme"].sources == {"woo": SourceKind.WOOCOMMERCE}
