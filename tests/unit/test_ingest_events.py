"""Which events ingest takes, and how they stand in the log."""

import pytest
from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp
from touchstone.ingest.v1 import event_pb2, event_service_pb2

from services.ingest.domain.addresses import hashed_email, hashed_phone, is_hash
from services.ingest.domain.deduplication import Entry, Status
from services.ingest.domain.events import API_SOURCE, OWN_SOURCE, Limits
from services.ingest.domain.sources import SourceKind
from services.ingest.domain.tenants import TenantTerms
from services.ingest.wire.deliveries import EVENT_BYTES_HEADERS, EVENTS_HEADERS, Deliveries
from services.ingest.wire.events import Origin, Refused, entry_of, restore_addresses, sender_of, typed_addresses
from services.ingest.wire.times import timestamp_of

NOW = 1_795_000_000_000_000_000
DAY = 86_400
KEY = b"k" * 32
TENANT = TenantTerms("acme", 3, KEY, Limits(), {"shop": SourceKind.SHOPIFY})


def told_by(source: str = API_SOURCE, kind: SourceKind = SourceKind.CUSTOM) -> Origin:
    return sender_of(TENANT, source, kind, now=NOW).at(timestamp_of(NOW), "")


def event(**changes) -> event_pb2.Event:
    """A chat message of a moment ago; `changes` replace its fields, None takes one out."""
    fields = {
        "eventId": "i-17",
        "occurTime": json_time(-60),
        "identifiers": {"sessionId": "s-1"},
        "interaction": {"channel": "CHAT", "action": "MESSAGE", "conversationId": "c-9"},
    }
    fields |= changes
    return json_format.ParseDict(
        {name: value for name, value in fields.items() if value is not None}, event_pb2.Event()
    )


def order(**changes) -> event_pb2.Event:
    told = {"orderId": "1001", "currencyCode": "EUR", "totalMicros": "56090000", "status": "paid"} | changes
    return event(interaction=None, identifiers=None, order=told)


def json_time(seconds: float) -> str:
    return timestamp_of(NOW + int(seconds * 1e9)).ToJsonString()


def reason(read: Entry | Refused) -> str:
    assert isinstance(read, Refused), "taken"
    return read.reason


def logged(read: Entry | Refused) -> event_pb2.LoggedEvent:
    assert isinstance(read, Entry), read
    return event_pb2.LoggedEvent.FromString(read.payload)


def test_an_entry_reads_as_a_logged_event() -> None:
    told = sender_of(TENANT, "shop", SourceKind.SHOPIFY, now=NOW).at(Timestamp(seconds=7), "00-a-b-01")
    entry = entry_of(order(), told)
    assert logged(entry) == event_pb2.LoggedEvent(
        tenant_id="acme",
        source="shop",
        receive_time=Timestamp(seconds=7),
        trace_parent="00-a-b-01",
        event=order(),
    )
    assert entry.key == ("acme", "shop", "i-17")


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (event(eventId=None), "INVALID_FIELD: eventId: is required"),
        (event(eventId="x" * 257), "INVALID_FIELD: eventId: is longer than 256 characters"),
        (event(eventId="a\0b"), "INVALID_FIELD: eventId: contains a NUL character"),
        (event(occurTime=None), "INVALID_FIELD: occurTime: is required"),
        (event(interaction=None), "INVALID_FIELD: payload: is required: interaction, order, …"),
        (event(interaction={"action": "CLICK"}), "INVALID_FIELD: interaction.channel: is required"),
        (event(interaction={"channel": "CHAT"}), "INVALID_FIELD: interaction.action: is required"),
        (
            event(identifiers={"visitorId": "v" * 257}),
            "INVALID_FIELD: identifiers.visitorId: is longer than 256 characters",
        ),
        (event(identifiers={"visitorId": "v\0"}), "INVALID_FIELD: identifiers.visitorId: contains a NUL character"),
        (
            event(identifiers=None, interaction={"channel": "CHAT", "action": "MESSAGE"}),
            "INVALID_FIELD: identifiers: at least one is required without a conversationId",
        ),
        (
            event(interaction=None, conversation={"conversationId": "null", "step": "STARTED"}),
            "INVALID_FIELD: conversation.conversationId: names nobody",
        ),
        (
            event(interaction=None, settings={"timeZone": "UTC"}),
            "INVALID_FIELD: settings: is appended by the installation only",
        ),
        (event(interaction=None, models={}), "INVALID_FIELD: models: is appended by the installation only"),
        (event(interaction=None, experiments={}), "INVALID_FIELD: experiments: is appended by the installation only"),
        (order(orderId=""), "INVALID_FIELD: order.orderId: is required"),
        (order(currencyCode=""), "INVALID_FIELD: order.currencyCode: is not an ISO 4217 code in upper case"),
        (order(currencyCode="eur"), "INVALID_FIELD: order.currencyCode: is not an ISO 4217 code in upper case"),
        (order(totalMicros=str(10**18 + 1)), "INVALID_FIELD: order.totalMicros: is larger than any order"),
        (
            order(lines=[{"lineId": "1"}, {"lineId": "2", "netMicros": str(-(10**18) - 1)}]),
            "INVALID_FIELD: order.lines[1].netMicros: is larger than any order",
        ),
        (order(lines=[{"sku": "a"}]), "INVALID_FIELD: order.lines[0].lineId: is required"),
        (
            order(refunds=[{"refundId": "1", "lines": [{}]}]),
            "INVALID_FIELD: order.refunds[0].lines[0].lineId: is required",
        ),
        (
            event(interaction={"channel": "CHAT", "action": "VIEW", "productIds": ["p"] * 5_001}),
            "INVALID_FIELD: interaction.productIds: has more than 5000 elements",
        ),
        (
            event(interaction={"channel": "CHAT", "action": "VIEW", "productIds": ["p", ""]}),
            "INVALID_FIELD: interaction.productIds[1]: is empty",
        ),
        (event(occurTime=json_time(601)), "OCCUR_TIME_TOO_FAR_AHEAD: occurTime is more than 10 minutes ahead"),
        (event(occurTime=json_time(-400 * DAY - 1)), "OCCUR_TIME_TOO_OLD: occurTime is more than 400 days ago"),
    ],
)
def test_what_is_wrong_is_named(sent: event_pb2.Event, expected: str) -> None:
    assert reason(entry_of(sent, told_by())) == expected


def test_unknown_enum_numbers_and_impossible_times_are_named() -> None:
    unknown = event()
    unknown.interaction.channel = 99
    assert reason(entry_of(unknown, told_by())) == "INVALID_FIELD: interaction.channel: is not a known value"
    impossible = order()
    impossible.order.order_time.nanos = -1
    told = reason(entry_of(impossible, told_by()))
    assert told == "INVALID_FIELD: order.orderTime: is not a time between the years 1 and 9999"


def test_both_bounds_of_time_are_taken() -> None:
    assert isinstance(entry_of(event(occurTime=json_time(600)), told_by()), Entry)
    assert isinstance(entry_of(event(occurTime=json_time(-400 * DAY)), told_by()), Entry)


def test_the_bounds_of_time_are_the_tenants() -> None:
    strict = TENANT._replace(limits=Limits(max_age=90 * 1_000_000_000, max_lead=0))
    told = sender_of(strict, API_SOURCE, SourceKind.CUSTOM, now=NOW).at(timestamp_of(NOW), "")
    assert (
        reason(entry_of(event(occurTime=json_time(-91)), told))
        == "OCCUR_TIME_TOO_OLD: occurTime is more than 90 seconds ago"
    )
    assert reason(entry_of(event(occurTime=json_time(1)), told)).startswith("OCCUR_TIME_TOO_FAR_AHEAD: ")


@pytest.mark.parametrize("kind", [SourceKind.SHOPIFY, SourceKind.WOOCOMMERCE])
def test_a_shops_own_order_is_never_too_old_but_may_be_too_far_ahead(kind: SourceKind) -> None:
    old, ahead = order(), order()
    old.occur_time.CopyFrom(timestamp_of(NOW - 2_000 * DAY * 1_000_000_000))
    ahead.occur_time.CopyFrom(timestamp_of(NOW + 3_600 * 1_000_000_000))
    assert isinstance(entry_of(old, told_by("shop", kind)), Entry)
    assert reason(entry_of(ahead, told_by("shop", kind))).startswith("OCCUR_TIME_TOO_FAR_AHEAD: ")


@pytest.mark.parametrize(
    "payload",
    [
        {"order": {"orderId": "1", "notice": "TRASHED"}},
        {"product": {"productId": "1"}},
        {"experience": {"experienceId": "1", "kind": "AB_TEST"}},
        {"productionHours": {"agentId": "1", "startTime": "2026-11-01T00:00:00Z", "worked": "3600s"}},
        {"conversation": {"conversationId": "c", "step": "STARTED"}},
        {"linkClick": {"conversationId": "c"}},
        {"interaction": {"conversationId": "c", "channel": "CHAT", "action": "MESSAGE"}},
    ],
)
def test_these_need_nobody_named(payload: dict) -> None:
    sent = event(**{"interaction": None, "identifiers": None} | payload)
    assert isinstance(entry_of(sent, told_by()), Entry)


@pytest.mark.parametrize(
    "payload",
    [
        {"storefront": {"action": "CHECKOUT_STARTED"}},
        {"journey": {"journeyId": "j", "runId": "r", "step": "STARTED"}},
        {"exposure": {"experimentId": "e", "variant": "a"}},
    ],
)
def test_these_need_somebody_named(payload: dict) -> None:
    nobody = event(**{"interaction": None, "identifiers": None} | payload)
    assert reason(entry_of(nobody, told_by())).startswith("INVALID_FIELD: identifiers: ")
    assert isinstance(entry_of(event(**{"interaction": None} | payload), told_by()), Entry)


def test_addresses_are_logged_as_keyed_hashes() -> None:
    sent = event(identifiers={"email": " Shopper+a@Example.COM ", "phone": "612 345 678", "phoneCountry": "ES"})
    ids = logged(entry_of(sent, told_by())).event.identifiers
    assert ids.email == hashed_email(KEY, "shopper+a@example.com")
    assert ids.phone == hashed_phone(KEY, "+34612345678", "")
    assert ids.phone_country == ""
    assert is_hash(ids.email)
    assert is_hash(ids.phone)
    assert ids.email != hashed_email(b"o" * 32, "shopper+a@example.com")


def test_values_that_name_nobody_are_dropped() -> None:
    nobody = {
        "sessionId": "undefined",
        "visitorId": "NULL",
        "email": "test@test.com",
        "phone": "12",
        "customerId": "0",
        "clickId": "-1",
    }
    read = logged(entry_of(event(identifiers=nobody), told_by()))
    assert not read.event.identifiers.ByteSize()
    named = event(
        identifiers={"sessionId": "s"}, interaction={"channel": "CHAT", "action": "VIEW", "conversationId": "0"}
    )
    assert logged(entry_of(named, told_by())).event.interaction.conversation_id == ""


def test_the_same_event_has_the_same_content_and_another_has_another() -> None:
    first = entry_of(event(identifiers={"email": "a@example.com"}), told_by())
    same = entry_of(event(identifiers={"email": "A@example.com "}), told_by())
    other = entry_of(event(identifiers={"email": "b@example.com"}), told_by())
    assert first.content_hash == same.content_hash != other.content_hash


def test_addresses_can_be_put_back() -> None:
    sent = event(identifiers={"email": "A@example.com", "phone": "+34612345678"})
    typed = typed_addresses(sent)
    entry_of(sent, told_by())
    restore_addresses(sent, typed)
    assert sent == event(identifiers={"email": "A@example.com", "phone": "+34612345678"})


def test_an_event_that_followers_could_not_carry_is_refused() -> None:
    lines = [{"lineId": str(i), "displayName": "n" * 8_000} for i in range(130)]
    assert reason(entry_of(order(lines=lines), told_by())) == "INVALID_FIELD: event: is larger than 1000000 bytes"


def test_models_come_from_the_installation() -> None:
    sent = event(interaction=None, identifiers=None, models={"models": [{"name": "conversations"}]})
    assert isinstance(entry_of(sent, told_by(OWN_SOURCE)), Entry)


def test_an_event_that_json_cannot_express_is_parked_as_it_is() -> None:
    sent = order()
    sent.order.cancel_time.seconds = 10**13
    delivery = event_service_pb2.Delivery(
        tenant_id="acme", source="shop", events=[order(), sent, order(currencyCode="")]
    )
    [batch] = Deliveries([delivery], {"acme": TENANT}, now=NOW).batches()
    assert len(batch.entries) == 1
    assert [part.headers for part in batch.unusable] == [EVENT_BYTES_HEADERS, EVENTS_HEADERS]
    assert event_pb2.Event.FromString(batch.unusable[0].body) == sent
    assert batch.unusable[0].reason == "INVALID_FIELD: order.cancelTime: is not a time between the years 1 and 9999"


def test_a_zero_byte_that_is_no_text_is_no_nul_character() -> None:
    sent = event(interaction=None, identifiers=None, product={"productId": "1", "totalSales": "0"})
    assert isinstance(entry_of(sent, told_by()), Entry)


TRACKED_LINK = {
    "linkId": "l",
    "conversationId": "c",
    "destination": "https://shop.example/",
    "expireTime": "2027-02-18T12:00:00Z",
}


def test_tracked_links_come_from_the_installation_only() -> None:
    sent = event(interaction=None, identifiers=None, trackedLink=TRACKED_LINK)
    assert isinstance(entry_of(sent, told_by(OWN_SOURCE)), Entry)
    assert reason(entry_of(sent, told_by())) == "INVALID_FIELD: trackedLink: is appended by the installation only"


@pytest.mark.parametrize("seconds", [-500 * DAY, 700])
def test_what_the_installation_tells_is_never_too_old_nor_too_far_ahead(seconds: int) -> None:
    click = {"interaction": None, "linkClick": {"conversationId": "c"}, "occurTime": json_time(seconds)}
    assert isinstance(entry_of(event(**click), told_by(OWN_SOURCE)), Entry)
    assert reason(entry_of(event(**click), told_by())).startswith("OCCUR_TIME_TOO_")


@pytest.mark.parametrize("characters", ["x", "é"])
def test_a_text_is_measured_in_characters_however_small_its_message(characters: str) -> None:
    name = characters * 256
    fits = order(lines=[{"lineId": name, "displayName": characters * 8_192}])
    fits.identifiers.visitor_id = name
    assert isinstance(entry_of(fits, told_by()), Entry)
    fits.identifiers.visitor_id += characters
    assert reason(entry_of(fits, told_by())) == "INVALID_FIELD: identifiers.visitorId: is longer than 256 characters"
    long = order(lines=[{"lineId": "1", "displayName": characters * 8_193}])
    expected = "INVALID_FIELD: order.lines[0].displayName: is longer than 8192 characters"
    assert reason(entry_of(long, told_by())) == expected


def test_each_delivery_of_a_request_keeps_its_own_source_time_and_trace() -> None:
    other = TenantTerms("other", 5, KEY, Limits(), {"shop": SourceKind.SHOPIFY, "till": SourceKind.CUSTOM})
    sent = [
        ("acme", "shop", 1, "00-a-b-01"),
        ("other", "till", 2, ""),
        ("other", "shop", 3, "00-c-d-00"),
        ("acme", "shop", 4, ""),
    ]
    deliveries = [
        event_service_pb2.Delivery(
            tenant_id=tenant,
            source=source,
            receive_time=Timestamp(seconds=seconds),
            trace_parent=trace,
            events=[order(orderId=str(seconds))],
        )
        for tenant, source, seconds, trace in sent
    ]
    batches = Deliveries(deliveries, {"acme": TENANT, "other": other}, now=NOW).batches()
    told = [logged(entry) for batch in batches for entry in batch.entries]
    assert {batch.partition: len(batch.entries) for batch in batches} == {3: 2, 5: 2}
    assert {(one.tenant_id, one.source, one.receive_time.seconds, one.trace_parent) for one in told} == set(sent)
    assert all(one.event.order.order_id == str(one.receive_time.seconds) for one in told)


def test_what_became_of_an_event_is_told_beside_it() -> None:
    known, unknown = (
        event_service_pb2.Delivery(tenant_id="acme", source=source, events=[order(), order(currencyCode=""), event()])
        for source in ("shop", "nowhere")
    )
    read = Deliveries([unknown, known, known], {"acme": TENANT}, now=NOW)
    statuses = [Status.ACCEPTED, Status.REJECTED, Status.DUPLICATE, Status.ACCEPTED]
    told = [
        ([(one.status, one.reason.partition(":")[0]) for one in result.events], result.parked)
        for result in read.response({3: statuses}).results
    ]
    invalid = (Status.REJECTED, "INVALID_FIELD")
    assert told == [
        ([(Status.REJECTED, "UNKNOWN_SOURCE")] * 3, 0),
        ([(Status.ACCEPTED, ""), invalid, (Status.REJECTED, "EVENT_ID_CONFLICT")], 2),
        ([(Status.DUPLICATE, ""), invalid, (Status.ACCEPTED, "")], 1),
    ]
