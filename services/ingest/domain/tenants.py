"""Tenants, their settings' bounds, and what their tokens may open."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import NamedTuple, TypeVar
from zoneinfo import available_timezones

from iso4217 import Currency

from services.ingest.domain.events import Limits
from services.ingest.domain.sources import SourceKind
from services.kernel.failures import InvalidArgumentError, NotFoundError
from services.kernel.identifiers import LONGEST_VALUE, Kind
from services.kernel.money import LARGEST_AMOUNT

FoundT = TypeVar("FoundT")

TOKEN_LIFETIME = timedelta(days=365)
"""How long an issued token holds."""

TOKEN_SCOPES = ("events:write", "reports:read", "admin")
"""What a tenant's token may open."""

_PLATFORMS = ("shopify", "woocommerce", "custom")
_HUB_KINDS = (Kind.VISITOR, Kind.PHONE, Kind.CUSTOMER)
_LONGEST_AGE = timedelta(days=3_660)
_LONGEST_LEAD = timedelta(days=1)
_LONGEST_SILENCE = timedelta(days=400)
_MOST_EMAILS = 1_000
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*(?::\d{1,5})?")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A shop, or a group of shops counted together. `settings` is the whole document, serialized."""

    tenant_id: str
    partition: int
    settings: bytes
    create_time: datetime


class TenantTerms(NamedTuple):
    """What must be known of a tenant to take its events."""

    tenant_id: str
    partition: int
    hash_key: bytes
    limits: Limits
    sources: Mapping[str, SourceKind]
    has_renamed_events: bool = False
    """True when ids of events named somebody who was erased."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsValues:
    """The values of a settings document that have bounds; spans are None where absent."""

    time_zone: str
    currency_code: str
    counted_statuses: Sequence[tuple[str, Sequence[str]]]
    max_event_age: timedelta | None
    max_event_lead: timedelta | None
    hub_limits: Sequence[tuple[int, int]]
    classifications: Sequence[str]
    monthly_cost: tuple[str, int] | None
    abandonment_silence: timedelta | None
    link_hosts: Sequence[str]
    language_code: str


def existing(found: FoundT | None) -> FoundT:
    """What was found of a tenant. Raises NotFoundError where there is no such tenant."""
    if found is None:
        raise NotFoundError("TENANT_NOT_FOUND", "there is no such tenant")
    return found


def check_settings(settings: SettingsValues) -> None:
    """Refuses settings by which no figure could be computed; the first field that is wrong is named."""
    if settings.time_zone not in _time_zones():
        raise InvalidArgumentError.of("settings.timeZone", "is not an IANA time zone such as Europe/Madrid")
    if not is_currency(settings.currency_code):
        raise InvalidArgumentError.of("settings.currencyCode", "is not an ISO 4217 code such as EUR")
    _check_counted_statuses(settings.counted_statuses)
    second = timedelta(seconds=1)
    _check_span("settings.maxEventAge", settings.max_event_age, second, _LONGEST_AGE)
    _check_span("settings.maxEventLead", settings.max_event_lead, timedelta(0), _LONGEST_LEAD)
    _check_span("settings.abandonmentSilence", settings.abandonment_silence, second, _LONGEST_SILENCE)
    _check_hub_limits(settings.hub_limits)
    if "" in settings.classifications or len(set(settings.classifications)) < len(settings.classifications):
        raise InvalidArgumentError.of("settings.classifications", "names are needed, and each only once")
    if settings.monthly_cost is not None:
        currency_code, micros = settings.monthly_cost
        if not is_currency(currency_code):
            raise InvalidArgumentError.of("settings.assistantMonthlyCost.currencyCode", "is not an ISO 4217 code")
        if not 0 <= micros <= LARGEST_AMOUNT:
            raise InvalidArgumentError.of("settings.assistantMonthlyCost.micros", "is negative or absurd")
    for i, host in enumerate(settings.link_hosts):
        if not _HOST.fullmatch(host):
            raise InvalidArgumentError.of(f"settings.linkHosts[{i}]", "is not a host name in lower case")
    if settings.language_code and not _LANGUAGE.fullmatch(settings.language_code):
        raise InvalidArgumentError.of("settings.languageCode", "is not a language tag such as es or pt-BR")


def check_blocked_value(field: str, kind: int, value: str) -> None:
    """Refuses a blocked value without a kind, or of a length that no identifier has."""
    if kind not in set(Kind):
        raise InvalidArgumentError.of(f"{field}.kind", "is required")
    if not 1 <= len(value) <= LONGEST_VALUE:
        raise InvalidArgumentError.of(f"{field}.value", f"is not 1 to {LONGEST_VALUE} characters")


def check_scopes(scopes: Sequence[str]) -> tuple[str, ...]:
    """The scopes of a token to issue, each once, in the order of `TOKEN_SCOPES`."""
    if not scopes:
        raise InvalidArgumentError.of("scopes", f"at least one is required of {', '.join(TOKEN_SCOPES)}")
    for i, scope in enumerate(scopes):
        if scope not in TOKEN_SCOPES:
            raise InvalidArgumentError.of(f"scopes[{i}]", f"is none of {', '.join(TOKEN_SCOPES)}")
    return tuple(scope for scope in TOKEN_SCOPES if scope in scopes)


def is_currency(code: str) -> bool:
    """True for a code that ISO 4217 lists."""
    try:
        Currency(code)
    except ValueError:
        return False
    return True


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _check_counted_statuses(counted: Sequence[tuple[str, Sequence[str]]]) -> None:
    seen: set[str] = set()
    for i, (platform, statuses) in enumerate(counted):
        field = f"settings.countedStatuses[{i}]"
        if platform not in _PLATFORMS:
            raise InvalidArgumentError.of(f"{field}.platform", f"is none of {', '.join(_PLATFORMS)}")
        if platform in seen:
            raise InvalidArgumentError.of(f"{field}.platform", "is there twice")
        seen.add(platform)
        for j, status in enumerate(statuses):
            if not status or status != status.lower().strip():
                raise InvalidArgumentError.of(f"{field}.statuses[{j}]", "is not the platform's word in lower case")


def _check_hub_limits(limits: Sequence[tuple[int, int]]) -> None:
    seen: set[int] = set()
    for i, (kind, max_emails) in enumerate(limits):
        field = f"settings.hubLimits[{i}]"
        if kind not in _HUB_KINDS or kind in seen:
            raise InvalidArgumentError.of(f"{field}.kind", "is not VISITOR, PHONE or CUSTOMER, each at most once")
        seen.add(kind)
        if not 1 <= max_emails <= _MOST_EMAILS:
            raise InvalidArgumentError.of(f"{field}.maxEmails", f"is not 1 to {_MOST_EMAILS}")


def _check_span(field: str, span: timedelta | None, shortest: timedelta, longest: timedelta) -> None:
    if span is not None and not shortest <= span <= longest:
        raise InvalidArgumentError.of(field, f"is not {shortest.total_seconds():g}s to {longest.total_seconds():.0f}s")
