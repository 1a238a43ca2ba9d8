"""What ingest decides about duplicates, sources, settings and tokens."""

from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from touchstone.ingest.v1 import settings_pb2

from services.ingest.domain.addresses import hashed_email, is_hash
from services.ingest.domain.deduplication import Entry, Key, Status, decide, first_of_each_key
from services.ingest.domain.deliveries import Health, Heard, health
from services.ingest.domain.events import Limits
from services.ingest.domain.sources import check_same_terms, check_secret, check_terms, with_secret
from services.ingest.domain.tenants import check_scopes
from services.ingest.wire import settings as settings_wire
from services.kernel.failures import AlreadyExistsError, InvalidArgumentError

KEY = b"k" * 32


def entry(event_id: str, content: bytes = b"1") -> Entry:
    return Entry(Key("acme", "api", event_id), content, b"payload")


def test_each_event_is_taken_once() -> None:
    entries = [entry("a"), entry("b"), entry("a"), entry("a", b"2"), entry("c"), entry("d", b"2"), entry("d", b"2")]
    known = {entries[4].key: b"1", entries[5].key: b"1"}
    assert decide(entries, first_of_each_key(entries), known) == [
        Status.ACCEPTED,
        Status.ACCEPTED,
        Status.DUPLICATE,
        Status.REJECTED,
        Status.DUPLICATE,
        Status.REJECTED,
        Status.REJECTED,
    ]


def test_health_is_one_sum_a_source() -> None:
    early, late = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)
    first, last = (int(time.timestamp()) * 1_000_000_000 for time in (early, late))
    heard = [Heard("b", "woo", first, True), Heard("a", "woo", last, False), Heard("a", "woo", first, True)]
    assert health(heard) == [Health("a", "woo", 2, 1, late), Health("b", "woo", 1, 0, early)]
    [odd] = health([Heard("a", "woo", first + 123_456_789, True)])
    assert odd.last_delivery_time == early.replace(microsecond=123_456)


def test_two_secrets_hold_and_the_newest_stands_first() -> None:
    assert with_secret([], "one") == ["one"]
    assert with_secret(["one"], "two") == ["two", "one"]
    assert with_secret(["two", "one"], "three") == ["three", "two"]
    assert with_secret(["two", "one"], "one") == ["two", "one"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"source": "api"}, "source"),
        ({"source": "touchstone"}, "source"),
        ({"source": "Woo"}, "source"),
        ({"source": "w" * 64}, "source"),
        ({"kind": 0}, "kind"),
        ({"kind": 9}, "kind"),
        ({"id_prefix": "a b"}, "idPrefix"),
    ],
)
def test_a_source_that_could_not_work_is_refused(wrong: dict, field: str) -> None:
    asked = {"source": "woo", "kind": 1, "id_prefix": "", "require_signed_ids": False}
    assert check_terms(**asked).id_prefix == "_touchstone_"
    with pytest.raises(InvalidArgumentError) as refused:
        check_terms(**asked | wrong)
    assert [violation.field for violation in refused.value.violations] == [field]


def test_a_source_is_not_silently_another_one() -> None:
    held = check_terms(source="woo", kind=1, id_prefix="", require_signed_ids=True)
    check_same_terms(held, held)
    with pytest.raises(AlreadyExistsError, match="requireSignedIds"):
        check_same_terms(held, check_terms(source="woo", kind=1, id_prefix="", require_signed_ids=False))


@pytest.mark.parametrize("secret", ["", "x" * 1_025, "a\0b"])
def test_a_secret_that_signs_nothing_is_refused(secret: str) -> None:
    with pytest.raises(InvalidArgumentError):
        check_secret(secret)


def test_scopes_are_those_of_tenants() -> None:
    assert check_scopes(["admin", "events:write", "admin"]) == ("events:write", "admin")
    for wrong in ([], ["mesh"], ["events:write", "installation"]):
        with pytest.raises(InvalidArgumentError):
            check_scopes(wrong)


def document(**values) -> settings_pb2.TenantSettings:
    return settings_pb2.TenantSettings(**{"time_zone": "Europe/Madrid", "currency_code": "EUR"} | values)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"time_zone": ""}, "timeZone"),
        ({"time_zone": "Europe/Nowhere"}, "timeZone"),
        ({"time_zone": "../etc/passwd"}, "timeZone"),
        ({"currency_code": "EURO"}, "currencyCode"),
        ({"currency_code": "eur"}, "currencyCode"),
        ({"counted_statuses": [{"platform": "magento"}]}, "countedStatuses[0].platform"),
        ({"counted_statuses": [{"platform": "custom"}, {"platform": "custom"}]}, "countedStatuses[1].platform"),
        ({"counted_statuses": [{"platform": "custom", "statuses": ["Paid"]}]}, "countedStatuses[0].statuses[0]"),
        ({"max_event_age": timedelta(0)}, "maxEventAge"),
        ({"max_event_lead": timedelta(days=2)}, "maxEventLead"),
        ({"hub_limits": [{"kind": "EMAIL", "max_emails": 3}]}, "hubLimits[0].kind"),
        ({"hub_limits": [{"kind": "PHONE", "max_emails": 0}]}, "hubLimits[0].maxEmails"),
        ({"blocked_identifiers": [{"value": "x"}]}, "blockedIdentifiers[0].kind"),
        ({"blocked_identifiers": [{"kind": "VISITOR"}]}, "blockedIdentifiers[0].value"),
        ({"classifications": [{"name": "won"}, {"name": "won"}]}, "classifications"),
        ({"assistant_monthly_cost": {"currency_code": "EUR", "micros": -1}}, "assistantMonthlyCost.micros"),
        ({"abandonment_silence": timedelta(days=401)}, "abandonmentSilence"),
        ({"link_hosts": ["shop.example", "https://shop.example"]}, "linkHosts[1]"),
        ({"language_code": "Spanish"}, "languageCode"),
        ({"language_code": "e\0"}, "languageCode"),
    ],
)
def test_settings_that_give_no_figures_are_refused(wrong: dict, field: str) -> None:
    settings_wire.check(document())
    with pytest.raises(InvalidArgumentError) as refused:
        settings_wire.check(document(**wrong))
    assert [violation.field for violation in refused.value.violations] == [f"settings.{field}"]


def test_whole_settings_are_taken() -> None:
    settings_wire.check(
        document(
            counted_statuses=[{"platform": "woocommerce", "statuses": ["completed"]}],
            max_event_age=timedelta(days=800),
            max_event_lead=timedelta(0),
            hub_limits=[{"kind": "VISITOR", "max_emails": 5}],
            classifications=[{"name": "won", "type": "Sale"}],
            assistant_monthly_cost={"currency_code": "USD", "micros": 1},
            abandonment_silence=timedelta(hours=2),
            link_hosts=["shop.example", "localhost:8000"],
            language_code="pt-BR",
        )
    )


def test_limits_are_the_documents_or_the_defaults() -> None:
    assert settings_wire.limits_of(document()) == Limits()
    told = settings_wire.limits_of(document(max_event_age=timedelta(seconds=1.5), max_event_lead=timedelta(0)))
    assert told == Limits(max_age=1_500_000_000, max_lead=0)


def test_a_change_concerns_what_it_names() -> None:
    before = document(language_code="es", link_hosts=["a.example"], max_event_age=timedelta(days=1))
    values = settings_pb2.TenantSettings(currency_code="USD", link_hosts=["b.example"])
    assert settings_wire.changed(before, values, None) == document(
        language_code="es", currency_code="USD", link_hosts=["b.example"], max_event_age=timedelta(days=1)
    )
    masked = settings_wire.changed(before, values, FieldMask(paths=["language_code", "max_event_age"]))
    assert masked == document(link_hosts=["a.example"])
    assert settings_wire.changed(before, document(), FieldMask(paths=["*"])) == document()
    with pytest.raises(InvalidArgumentError, match="updateMask"):
        settings_wire.changed(before, values, FieldMask(paths=["colour"]))


def test_blocked_addresses_are_kept_as_hashes() -> None:
    blocked = [{"kind": "EMAIL", "value": "Noreply@shop.example"}, {"kind": "VISITOR", "value": "kiosk"}]
    settings = document(blocked_identifiers=blocked)
    settings_wire.hash_blocked(settings, KEY)
    assert settings.blocked_identifiers[0].value == hashed_email(KEY, "noreply@shop.example")
    assert settings.blocked_identifiers[1].value == "kiosk"
    again = settings_pb2.TenantSettings.FromString(settings.SerializeToString())
    settings_wire.hash_blocked(again, KEY)
    assert again == settings


def test_a_blocked_address_that_is_none_is_named() -> None:
    settings = document(blocked_identifiers=[{"kind": "PHONE", "value": "612 345 678"}])
    with pytest.raises(InvalidArgumentError, match=r"blockedIdentifiers\[0\]\.value"):
        settings_wire.hash_blocked(settings, KEY)


def test_no_address_looks_like_a_hash() -> None:
    assert is_hash(hashed_email(KEY, "a@example.com"))
    assert not is_hash("a@example.com" + "x" * 30)
    assert not is_hash("+34612345678")
