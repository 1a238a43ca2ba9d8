"""Which events are taken: the rules that go beyond an event's shape."""

from typing import NamedTuple

OWN_SOURCE = "touchstone"
"""The source of what the installation itself appends."""

API_SOURCE = "api"
"""The source of what tenants append by token."""

_OWN_PAYLOADS = frozenset({"settings", "models", "trackedLink", "linkDecision", "exchangeRates", "experiments"})

_OF_SOMEBODY = frozenset({"interaction", "conversation", "storefront", "journey", "exposure", "linkClick"})

NANOS = 1_000_000_000
"""Nanoseconds in a second."""

_DAY = 86_400 * NANOS
_MINUTE = 60 * NANOS


class Limits(NamedTuple):
    """How far from now an event may have occurred, in nanoseconds."""

    max_age: int = 400 * _DAY
    max_lead: int = 10 * _MINUTE


class Facts(NamedTuple):
    """What the rules look at."""

    payload: str
    """Name of the payload as JSON has it: `linkClick`; empty for none."""
    occur_time: int
    """In nanoseconds since 1970."""
    names_somebody: bool
    """True when it carries any identifier, or the id of a conversation."""


def invalid_field(field: str, description: str) -> str:
    """The reason for refusing an event because of one field, named as in JSON: `interaction.channel`."""
    return f"INVALID_FIELD: {field}: {description}"


def refusal(event: Facts, *, source: str, limits: Limits, ever_old: bool, now: int) -> str | None:
    """Why an event is not taken, or None when it is.

    `ever_old` is true for sources whose events may be of any age: an order of long ago is still a shop's truth.
    `now` is in nanoseconds since 1970. Both bounds of time belong to what is taken; what the installation itself tells
    has none, since nobody would send it again.
    """
    if not event.payload:
        return invalid_field("payload", "is required: interaction, order, …")
    if event.payload in _OWN_PAYLOADS and source != OWN_SOURCE:
        return invalid_field(event.payload, "is appended by the installation only")
    is_own = source == OWN_SOURCE
    if not is_own and event.occur_time > now + limits.max_lead:
        return f"OCCUR_TIME_TOO_FAR_AHEAD: occurTime is more than {_span(limits.max_lead)} ahead"
    if not is_own and not ever_old and event.occur_time < now - limits.max_age:
        return f"OCCUR_TIME_TOO_OLD: occurTime is more than {_span(limits.max_age)} ago"
    if not event.names_somebody and event.payload in _OF_SOMEBODY:
        return invalid_field("identifiers", "at least one is required without a conversationId")
    return None


def currency_refusal(code: str, *, needed: bool) -> str | None:
    """Why an order's currency can't be used: amounts without one can't be counted."""
    if not code and not needed:
        return None
    if len(code) == 3 and code.isascii() and code.isalpha() and code.isupper():
        return None
    return invalid_field("order.currencyCode", "is not an ISO 4217 code in upper case")


def _span(nanos: int) -> str:
    for unit, name in ((_DAY, "days"), (_MINUTE, "minutes")):
        if nanos >= unit and nanos % unit == 0:
            return f"{nanos // unit} {name}"
    return f"{nanos // NANOS} seconds"
