"""Identity as a process beside ingest: it follows events, tells of people, and answers who somebody is."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from touchstone.identity.v1 import people_pb2, people_service_pb2
from touchstone.identity.v1.people_service_pb2_grpc import PeopleServiceStub
from touchstone.ingest.v1 import event_pb2, event_service_pb2, tenant_service_pb2
from touchstone.ingest.v1.event_service_pb2_grpc import EventServiceStub
from touchstone.ingest.v1.tenant_service_pb2_grpc import TenantServiceStub
from touchstone.mesh.v1 import log_pb2
from touchstone.type.v1.identifier_pb2 import Identifier

from deploy.local.ports import free_ports
from services.chassis import keys, tokens
from services.chassis.channels import about, open_channel
from services.kernel.partitions import proposed_partition

ROOT = Path(__file__).resolve().parents[2]
ACME = about("acme")


@asynccontextmanager
async def process(module: str, environment: dict[str, str]) -> AsyncIterator[None]:
    running = await asyncio.create_subprocess_exec(sys.executable, "-m", module, env=environment, cwd=ROOT)
    try:
        yield
    finally:
        running.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(running.wait(), 20) == 0


@pytest.fixture(scope="module")
async def channels(new_database, tmp_path_factory) -> AsyncIterator[tuple[grpc.aio.Channel, grpc.aio.Channel]]:
    """Channels to ingest and to identity, with the operator's token."""
    directory = tmp_path_factory.mktemp("installation")
    keys.create_installation(directory)
    ingest, identity = (f"127.0.0.1:{port}" for port in free_ports(2))
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": new_database(),
        "TOUCHSTONE_INGEST_ADDRESS": ingest,
        "TOUCHSTONE_JWKS_FILE": str(directory / keys.JWKS),
        "TOUCHSTONE_SERVICE_TOKEN_FILE": str(directory / keys.SERVICE_TOKEN),
        "TOUCHSTONE_SECRETS_KEY_FILE": str(directory / keys.SECRETS_KEY),
    }
    token = tokens.read_token(directory / keys.ADMIN_TOKEN)
    async with (
        process("services.ingest", {**environment, "TOUCHSTONE_LISTEN": ingest}),
        process("services.identity", {**environment, "TOUCHSTONE_LISTEN": identity}),
        open_channel(ingest, token=token) as to_ingest,
        open_channel(identity, token=token) as to_identity,
    ):
        await asyncio.wait_for(to_ingest.channel_ready(), 20)
        await asyncio.wait_for(to_identity.channel_ready(), 20)
        settings = {"time_zone": "Europe/Madrid", "currency_code": "EUR"}
        asked = tenant_service_pb2.CreateTenantRequest(tenant_id="acme", settings=settings)
        await TenantServiceStub(to_ingest).CreateTenant(asked)
        yield to_ingest, to_identity


async def tell(ingest: grpc.aio.Channel, *events: event_pb2.Event) -> None:
    for event in events:
        event.occur_time.GetCurrentTime()
    answer = await EventServiceStub(ingest).AppendEvents(
        event_service_pb2.AppendEventsRequest(events=events), metadata=ACME
    )
    assert [result.status for result in answer.results] == [event_service_pb2.EventResult.ACCEPTED] * len(events)


async def look_up(identity: grpc.aio.Channel, **named: str) -> people_pb2.Person:
    request = people_service_pb2.LookupPersonRequest(**named)
    return (await PeopleServiceStub(identity).LookupPerson(request, metadata=ACME)).person


async def look_up_known(identity: grpc.aio.Channel, **named: str) -> people_pb2.Person:
    """The same, once what was told has been followed."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return await look_up(identity, **named)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND or time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)


def chat(event_id: str, conversation_id: str, **identifiers: str) -> event_pb2.Event:
    return event_pb2.Event(
        event_id=event_id,
        identifiers=identifiers,
        interaction={"channel": "CHAT", "action": "MESSAGE", "conversation_id": conversation_id},
    )


async def test_a_person_is_found_by_what_was_typed(channels):
    ingest, identity = channels
    await tell(
        ingest,
        chat("i-1", "c-1", session_id="s-1", visitor_id="v-1"),
        chat("i-2", "c-2", visitor_id="v-1", email="Ana@Example.com"),
        chat("i-3", "c-3", phone="+34600123456", email="ana@example.com"),
    )

    by_phone = await look_up_known(identity, phone="+34 600 12 34 56")

    assert by_phone == await look_up(identity, email=" ana@example.com")
    assert by_phone == await look_up(identity, session_id="s-1")
    kinds = [
        (one.kind, one.value) for one in by_phone.identifiers if one.kind not in (Identifier.EMAIL, Identifier.PHONE)
    ]
    assert kinds == [
        (Identifier.SESSION, "s-1"),
        (Identifier.VISITOR, "v-1"),
        (Identifier.CONVERSATION, "c-1"),
        (Identifier.CONVERSATION, "c-2"),
        (Identifier.CONVERSATION, "c-3"),
    ]
    pairs = [(link.left.kind, link.right.kind) for link in by_phone.links if link.basis == people_pb2.Link.OBSERVED]
    assert len(pairs) == 9
    assert (Identifier.EMAIL, Identifier.PHONE) in pairs


async def test_a_hub_stands_beside_the_person_it_was_seen_with(channels):
    ingest, identity = channels
    await tell(
        ingest,
        *(chat(f"k-{number}", "", visitor_id="kiosk", email=f"k{number}@example.com") for number in range(4)),
        chat("k-4", "", visitor_id="kiosk", email="k4@example.com", customer_id="77"),
    )

    person = await look_up_known(identity, customer_id="77")

    assert [one.kind for one in person.identifiers] == [Identifier.EMAIL, Identifier.CUSTOMER]
    assert [(one.kind, one.value) for one in person.hubs] == [(Identifier.VISITOR, "kiosk")]


@pytest.mark.parametrize(
    ("named", "status"),
    [
        ({}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"session_id": "s-1", "email": "ana@example.com"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"email": "not an address"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"session_id": "s" * 257}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"visitor_id": "guest"}, grpc.StatusCode.NOT_FOUND),
        ({"session_id": "nobody's"}, grpc.StatusCode.NOT_FOUND),
        ({"email": "nobody@example.com"}, grpc.StatusCode.NOT_FOUND),
    ],
)
async def test_who_can_not_be_found_is_said(channels, named, status):
    _, identity = channels

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await look_up(identity, **named)

    assert refused.value.code() is status


async def test_another_tenants_person_is_nobody(channels):
    ingest, identity = channels
    await tell(ingest, chat("o-1", "", session_id="only-acme"))
    await look_up_known(identity, session_id="only-acme")

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await PeopleServiceStub(identity).LookupPerson(
            people_service_pb2.LookupPersonRequest(session_id="only-acme"), metadata=about("basalt")
        )

    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_the_people_log_is_followed(channels):
    ingest, identity = channels
    await tell(
        ingest, chat("f-1", "", session_id="f", visitor_id="fv"), chat("f-2", "", visitor_id="fv", customer_id="f")
    )
    person = await look_up_known(identity, customer_id="f")
    follow = PeopleServiceStub(identity).FollowPeople(
        people_service_pb2.FollowPeopleRequest(
            cursors=[log_pb2.PartitionCursor(partition=proposed_partition("acme"), after_position=0)]
        )
    )

    told: dict[str, int] = {}
    async with asyncio.timeout(20):
        while len(told) < 3:
            batch = await follow.read()
            for change in batch.changes:
                assert change.tenant_id == "acme"
                told |= {
                    f"{one.identifier.kind} {one.identifier.value}": one.person_id
                    for one in change.memberships
                    if one.identifier.value in ("f", "fv")
                }
    follow.cancel()

    assert set(told.values()) == {person.person_id}


async def decide(identity: grpc.aio.Channel, verb: str, left: dict[str, str], right: dict[str, str]) -> people_pb2.Link:
    request = getattr(people_service_pb2, f"{verb}IdentifiersRequest")(left=left, right=right)
    return (await getattr(PeopleServiceStub(identity), f"{verb}Identifiers")(request, metadata=ACME)).link


async def values(identity: grpc.aio.Channel, **named: str) -> list[str]:
    return [one.value for one in (await look_up(identity, **named)).identifiers]


async def test_a_pair_is_parted_and_joined_again_and_the_answer_is_true_at_once(channels):
    ingest, identity = channels
    await tell(
        ingest,
        chat("u-1", "", session_id="u-s", visitor_id="u-v"),
        chat("u-2", "", visitor_id="u-v", email="u@example.com"),
    )
    together = await look_up_known(identity, email="u@example.com")
    hashed = together.identifiers[-1].value
    assert [one.value for one in together.identifiers] == ["u-s", "u-v", hashed]

    parted = await decide(identity, "Unlink", {"email": " U@Example.com"}, {"visitor_id": "u-v"})

    assert (parted.left.kind, parted.left.value) == (Identifier.EMAIL, hashed)
    assert (parted.right.kind, parted.right.value) == (Identifier.VISITOR, "u-v")
    assert parted.basis == people_pb2.Link.DECIDED
    assert abs(parted.decide_time.ToNanoseconds() - time.time_ns()) < 60e9
    assert await values(identity, session_id="u-s") == ["u-s", "u-v"]
    assert await values(identity, email="u@example.com") == [hashed]

    # The hash is understood as a look-up has answered it.
    joined = await decide(identity, "Relink", {"visitor_id": "u-v"}, {"email": hashed})

    person = await look_up(identity, session_id="u-s")
    assert (person.person_id, list(person.identifiers)) == (together.person_id, list(together.identifiers))
    assert person.identifier_count == 3
    [decided] = [link for link in person.links if link.basis == people_pb2.Link.DECIDED]
    assert decided == joined


async def test_who_was_never_seen_together_is_joined_by_decision(channels):
    ingest, identity = channels
    await tell(ingest, chat("n-1", "", session_id="n-s"))
    await look_up_known(identity, session_id="n-s")

    await decide(identity, "Relink", {"session_id": "n-s"}, {"phone": "+34 600 12 34 99"})
    await decide(identity, "Relink", {"customer_id": "n-c"}, {"phone": "+34600123499"})

    person = await look_up(identity, customer_id="n-c")
    assert [one.kind for one in person.identifiers] == [Identifier.SESSION, Identifier.PHONE, Identifier.CUSTOMER]
    assert {link.basis for link in person.links} == {people_pb2.Link.DECIDED}

    await decide(identity, "Unlink", {"session_id": "n-s"}, {"phone": "+34 600 12 34 99"})
    assert await values(identity, session_id="n-s") == ["n-s"]


@pytest.mark.parametrize(
    ("left", "right", "field"),
    [
        ({}, {"session_id": "s"}, "left"),
        ({"session_id": "s"}, {"session_id": "s", "visitor_id": "v"}, "right.visitorId"),
        ({"session_id": "s"}, {"session_id": "s"}, "right.sessionId"),
        ({"email": "a@example.com"}, {"email": "A@example.com "}, "right.email"),
        ({"email": "a@example.com"}, {"phone": "12"}, "right.phone"),
        ({"visitor_id": "undefined"}, {"email": "a@example.com"}, "left.visitorId"),
        ({"visitor_id": "v"}, {"session_id": "s" * 257}, "right.sessionId"),
    ],
)
async def test_what_is_no_pair_is_refused_by_name(channels, left, right, field):
    _, identity = channels

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await decide(identity, "Unlink", left, right)

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details().startswith(f"{field}: ")


async def test_a_decision_is_the_tenants_own(channels):
    ingest, identity = channels
    await tell(ingest, chat("t-1", "", session_id="t-s", visitor_id="t-v"))
    await look_up_known(identity, session_id="t-s")
    settings = {"time_zone": "Europe/Madrid", "currency_code": "EUR"}
    asked = tenant_service_pb2.CreateTenantRequest(tenant_id="basalt", settings=settings)
    await TenantServiceStub(ingest).CreateTenant(asked)
    request = people_service_pb2.UnlinkIdentifiersRequest(left={"session_id": "t-s"}, right={"visitor_id": "t-v"})

    await PeopleServiceStub(identity).UnlinkIdentifiers(request, metadata=about("basalt"))

    assert await values(identity, session_id="t-s") == ["t-s", "t-v"]


async def test_a_hub_says_so_and_a_blocked_address_is_one(channels):
    ingest, identity = channels
    await tell(
        ingest,
        *(chat(f"h-{number}", "", visitor_id="hall", email=f"h{number}@example.com") for number in range(4)),
        chat("h-4", "", session_id="h-s", email="till@example.com"),
    )
    await look_up_known(identity, session_id="h-s")

    hall = await look_up(identity, visitor_id="hall")
    assert [one.value for one in hall.identifiers] == [one.value for one in hall.hubs] == ["hall"]
    assert (hall.identifier_count, list(hall.links)) == (1, [])

    settings = {"blocked_identifiers": [{"kind": Identifier.EMAIL, "value": "Till@example.com"}]}
    asked = tenant_service_pb2.UpdateSettingsRequest(settings=settings, update_mask={"paths": ["blocked_identifiers"]})
    await TenantServiceStub(ingest).UpdateSettings(asked, metadata=ACME)
    await tell(ingest, chat("h-5", "", session_id="h-end"))
    await look_up_known(identity, session_id="h-end")

    person = await look_up(identity, session_id="h-s")
    assert [one.value for one in person.identifiers] == ["h-s"]
    assert [one.kind for one in person.hubs] == [Identifier.EMAIL]
