"""Sources: the connections through which a tenant's shops deliver."""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from services.ingest.domain.events import API_SOURCE, OWN_SOURCE
from services.kernel.failures import AlreadyExistsError, InvalidArgumentError

DEFAULT_ID_PREFIX = "_touchstone_"
"""What the names of identifiers on orders begin with, unless the source says otherwise."""

_HELD_SECRETS = 2
_LONGEST_SECRET = 1_024
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_ID_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,64}")


class SourceKind(IntEnum):
    """Which platform's webhooks a source takes; numbered as in `touchstone.ingest.v1.Source.Kind`."""

    WOOCOMMERCE = 1
    SHOPIFY = 2
    CUSTOM = 3

    @property
    def ever_old(self) -> bool:
        """True when events of any age are taken: what such a platform tells is the state of the shop."""
        return self is not SourceKind.CUSTOM


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTerms:
    """What a source is, apart from its secrets."""

    source: str
    kind: SourceKind
    id_prefix: str
    require_signed_ids: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source with its health. `last_delivery_time` is None when it never delivered."""

    terms: SourceTerms
    create_time: datetime
    last_delivery_time: datetime | None
    delivered_count: int
    uncounted_topic_count: int
    parked_count: int


def is_slug(name: str) -> bool:
    """True for a name that a tenant or source can have."""
    return _SLUG.fullmatch(name) is not None


def check_slug(field: str, name: str) -> str:
    """Answers `name` if it may stand in addresses: 1 to 63 lower-case letters, digits and inner hyphens."""
    if not is_slug(name):
        raise InvalidArgumentError.of(field, "is not 1 to 63 lower-case letters, digits and inner hyphens")
    return name


def check_terms(*, source: str, kind: int, id_prefix: str, require_signed_ids: bool) -> SourceTerms:
    """The terms of a source to create; an empty prefix means the default."""
    check_slug("source", source)
    if source in {API_SOURCE, OWN_SOURCE}:
        raise InvalidArgumentError.of("source", "is taken by the installation itself")
    if kind not in set(SourceKind):
        raise InvalidArgumentError.of("kind", "is not WOOCOMMERCE, SHOPIFY or CUSTOM")
    prefix = id_prefix or DEFAULT_ID_PREFIX
    if not _ID_PREFIX.fullmatch(prefix):
        raise InvalidArgumentError.of("idPrefix", "is not 1 to 64 letters, digits, hyphens and underscores")
    return SourceTerms(source=source, kind=SourceKind(kind), id_prefix=prefix, require_signed_ids=require_signed_ids)


def check_secret(secret: str) -> str:
    """Answers a secret that deliveries can be signed with."""
    if not 1 <= len(secret) <= _LONGEST_SECRET or "\0" in secret:
        raise InvalidArgumentError.of("secret", f"is not 1 to {_LONGEST_SECRET} characters")
    return secret


def check_same_terms(held: SourceTerms, asked: SourceTerms) -> None:
    """Refuses a second source by the same name that is not the same."""
    if held != asked:
        raise AlreadyExistsError(
            "SOURCE_EXISTS", f"source {held.source} exists with another kind, idPrefix or requireSignedIds"
        )


def with_secret(held: Sequence[str], secret: str) -> list[str]:
    """The secrets that hold once `secret` was told, newest first. One that holds already changes nothing."""
    if any(hmac.compare_digest(one.encode(), secret.encode()) for one in held):
        return list(held)
    return [secret, *held][:_HELD_SECRETS]
