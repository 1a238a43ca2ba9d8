"""Settings: a document's values for the rules, changes to it, and the event that tells of it."""

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from touchstone.ingest.v1 import event_pb2, settings_pb2
from touchstone.type.v1 import identifier_pb2

from services.ingest.domain.addresses import hashed_email, hashed_phone, is_hash
from services.ingest.domain.deduplication import Entry
from services.ingest.domain.events import NANOS, OWN_SOURCE, Limits
from services.ingest.domain.sources import SourceKind
from services.ingest.domain.tenants import SettingsValues, TenantTerms, check_blocked_value, check_settings
from services.ingest.wire.events import entry_of, sender_of
from services.ingest.wire.shape import nul_violation, violation
from services.ingest.wire.times import timestamp_of
from services.kernel.failures import InvalidArgumentError

_ADDRESSES = (identifier_pb2.Identifier.EMAIL, identifier_pb2.Identifier.PHONE)


def check(settings: settings_pb2.TenantSettings) -> None:
    """Refuses a document that breaks the contract or the rules. Raises InvalidArgumentError naming the field."""
    wrong = violation(settings) or nul_violation(settings)
    if wrong is not None:
        raise InvalidArgumentError.of(f"settings.{wrong.field}", wrong.description)
    cost = settings.assistant_monthly_cost
    check_settings(
        SettingsValues(
            time_zone=settings.time_zone,
            currency_code=settings.currency_code,
            counted_statuses=[(one.platform, list(one.statuses)) for one in settings.counted_statuses],
            max_event_age=_span(settings, "max_event_age"),
            max_event_lead=_span(settings, "max_event_lead"),
            hub_limits=[(limit.kind, limit.max_emails) for limit in settings.hub_limits],
            classifications=[one.name for one in settings.classifications],
            monthly_cost=(cost.currency_code, cost.micros) if settings.HasField("assistant_monthly_cost") else None,
            abandonment_silence=_span(settings, "abandonment_silence"),
            link_hosts=list(settings.link_hosts),
            language_code=settings.language_code,
        )
    )
    for i, blocked in enumerate(settings.blocked_identifiers):
        check_blocked_value(f"settings.blockedIdentifiers[{i}]", blocked.kind, blocked.value)


def hash_blocked(settings: settings_pb2.TenantSettings, key: bytes) -> None:
    """Replaces the blocked e-mails and phones by their keyed hashes, as followers meet them in events.

    A value that is such a hash stays as it is: the document may be sent back as it was read.
    """
    for i, blocked in enumerate(settings.blocked_identifiers):
        if blocked.kind not in _ADDRESSES or is_hash(blocked.value):
            continue
        is_email = blocked.kind == identifier_pb2.Identifier.EMAIL
        hashed = hashed_email(key, blocked.value) if is_email else hashed_phone(key, blocked.value, "")
        if not hashed:
            wanted = "an e-mail address" if is_email else "a telephone number in international form"
            raise InvalidArgumentError.of(f"settings.blockedIdentifiers[{i}].value", f"is not {wanted}")
        blocked.value = hashed


def changed(
    settings: settings_pb2.TenantSettings, values: settings_pb2.TenantSettings, mask: FieldMask | None
) -> settings_pb2.TenantSettings:
    """The document with the fields of the mask taken from `values`; without a mask, those that have a value there."""
    if mask is None:
        mask = FieldMask(paths=[field.name for field, _ in values.ListFields()])
    if list(mask.paths) == ["*"]:
        mask = FieldMask(paths=list(settings.DESCRIPTOR.fields_by_name))
    if not mask.IsValidForDescriptor(settings.DESCRIPTOR):
        raise InvalidArgumentError.of("updateMask", "names a field that settings don't have")
    result = settings_pb2.TenantSettings()
    result.CopyFrom(settings)
    mask.MergeMessage(values, result, replace_message_field=True, replace_repeated_field=True)
    return result


def limits_of(settings: settings_pb2.TenantSettings) -> Limits:
    """How far from now the tenant's events may have occurred."""
    limits = Limits()
    if settings.HasField("max_event_age"):
        limits = limits._replace(max_age=_nanos(settings.max_event_age))
    if settings.HasField("max_event_lead"):
        limits = limits._replace(max_lead=_nanos(settings.max_event_lead))
    return limits


def settings_entry(
    tenant: TenantTerms, settings: settings_pb2.TenantSettings, *, revision: int, trace_parent: str, now: int
) -> Entry:
    """The log entry that tells of a whole settings document; `now` in nanoseconds since 1970."""
    receive_time = timestamp_of(now)
    event = event_pb2.Event(event_id=f"settings/{revision}", occur_time=receive_time, settings=settings)
    own = sender_of(tenant, OWN_SOURCE, SourceKind.CUSTOM, now=now).at(receive_time, trace_parent)
    entry = entry_of(event, own)
    if not isinstance(entry, Entry):
        raise InvalidArgumentError("INVALID_FIELD", entry.reason)
    return entry


def _span(settings: settings_pb2.TenantSettings, field: str) -> timedelta | None:
    duration: Duration = getattr(settings, field)
    return duration.ToTimedelta() if settings.HasField(field) else None  # type: ignore[arg-type]


def _nanos(duration: Duration) -> int:
    return duration.seconds * NANOS + duration.nanos
