"""Which events are taken: the rules that go beyond an event's shape."""

from typing import NamedTuple

OWN_SOURCE = "touchstone"
"""The source of what the installation itself appends."""

API_SOURCE = "api"
"""The source of what tenants append by token."""

_OWN_PAYLOADS = frozenset({"settings", "models", "trackedLink", "linkDecision", "exchangeRates", "experiments"})

OF_SOMEBODY = frozenset({"interaction", "conversation", "storefront", "journey", "exposure", "linkClick"})
"""The payloads that say nothing where an event names nobody: neither by an identifier nor by a conversation's id."""

NANOS = 1_000_000_000
"""Nanoseconds in a second."""

_DAY = 86_400 * NANOS
_MINUTE = 60 * NANOS
_EVER = 1 << 80


class Limits(NamedTuple):
    """How far from now an event may have occurred, in nanoseconds."""

    max_age: int = 400 * _DAY
    max_lead: int = 10 * _MINUTE


class Terms(NamedTuple):
    """On which terms the events of one source are taken at one moment."""

    is_own: bool
    """True for what the installation itself tells."""
    limits: Limits
    earliest: int
    latest: int
    """When they may have occurred, in nanoseconds since 1970."""


def terms(source: str, limits: Limits, *, ever_old: bool, now: int) -> Terms:
    """The terms of a source, under the limits of its tenant; `now` in nanoseconds since 1970.

    `ever_old` is true for sources whose events may be of any age: an order of long ago is still a shop's truth. Both
    bounds of time belong to what is taken; what the installation itself tells has none, since nobody would send it
    again.
    """
    is_own = source == OWN_SOURCE
    earliest = -_EVER if is_own or ever_old else now - limits.max_age
    return Terms(is_own, limits, earliest, _EVER if is_own else now + limits.max_lead)


def invalid_field(field: str, description: str) -> str:
    """The reason for refusing an event because of one field, named as in JSON: `interaction.channel`."""
    return f"INVALID_FIELD: {field}: {description}"


def refusal(payload: str, occur_time: int, terms: Terms) -> str | None:
    """Why an event is not taken on these terms, or None when it is, as far as its payload and its time can tell.

    The payload is named as in JSON: `linkClick`; empty for none. The time is in nanoseconds since 1970.
    """
    if not payload:
        return invalid_field("payload", "is required: interaction, order, …")
    if payload in _OWN_PAYLOADS and not terms.is_own:
        return invalid_field(payload, "is appended by the installation only")
    if occur_time > terms.latest:
        return f"OCCUR_TIME_TOO_FAR_AHEAD: occurTime is more than {_span(terms.limits.max_lead)} ahead"
    if occur_time < terms.earliest:
        return f"OCCUR_TIME_TOO_OLD: occurTime is more than {_span(terms.limits.max_age)} ago"
    return None


def currency_refusal(code: str, *, needed: bool) -> str | None:
    """Why an order's currency can't be used: amounts without one can't be counted."""
    if not code and not needed:
        return None
    if len(code) == 3 and code.isascii() and code.isalpha() and code.isupper():
        return None
    return invalid_field("order.currencyCode", "is not an ISO 4217 code in upper case")


def nobody_refusal() -> str:
    """Why an event is not taken that names nobody, though its payload is of somebody."""
    return invalid_field("identifiers", "at least one is required without a conversationId")


def _span(nanos: int) -> str:
    for unit, name in ((_DAY, "days"), (_MINUTE, "minutes")):
        if nanos >= unit and nanos % unit == 0:
            return f"{nanos // unit} {name}"
    return f"{nanos // NANOS} seconds"
