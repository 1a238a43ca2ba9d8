"""The platforms: how each signs a delivery, names its topic and is read."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from touchstone.ingest.v1.source_service_pb2 import Source

from gateway.web.webhooks import compliance, custom, shopify, signatures, woocommerce
from gateway.web.webhooks.fields import UnusableError
from gateway.web.webhooks.translation import EventFields, Reader, Translation, Unusable

Translate: TypeAlias = Callable[[str, bytes, Reader], Translation]
IsSigned: TypeAlias = Callable[[bytes, bytes, Sequence[bytes], float], bool]

_LONGEST_TOPIC = 128
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """How one kind of shop delivers. Header names are lower case."""

    signature_header: bytes

    topic_header: bytes
    """Empty where all deliveries are of one topic."""

    keys: Callable[[Iterable[str]], list[bytes]]
    """The keys that its deliveries may be signed with, from the source's secrets."""

    is_signed: IsSigned
    """Whether body and signature belong together under one of the keys at a Unix time."""

    translate: Translate
    """What a topic's body says. Raises `UnusableError`."""

    sends_once: bool = False
    """True for a shop that never repeats a delivery, and switches its webhook off after some that failed: a body too
    large to keep is answered with 200 too, and while ingest is away the answer waits as long as the shop does."""

    def topic(self, headers: Mapping[bytes, bytes]) -> str:
        """The topic of a delivery; empty where the header that names it is missing."""
        if not self.topic_header:
            return custom.TOPIC
        return headers.get(self.topic_header, b"").decode("latin-1").strip().lower()[:_LONGEST_TOPIC]

    def read(self, topic: str, body: bytes, reader: Reader) -> Translation:
        """What a delivery says; what can't be used is part of the answer. Never raises: a shop can't mend a body."""
        if not topic:
            return Translation(unusable=[Unusable(f"MISSING_FIELD: {self.topic_header.decode()}", body)])
        try:
            return self.translate(topic, body, reader)
        except UnusableError as error:
            return Translation(unusable=[Unusable(str(error), body)])
        except Exception:  # noqa: BLE001 - a fault of ours, not the shop's: kept, to be read again after the mend
            _log.exception("a body tripped its reader", extra={"topic": topic})
            return Translation(unusable=[Unusable("UNREADABLE", body)])


def _events_alone(translate: Callable[[str, bytes, Reader], list[EventFields]]) -> Translate:
    return lambda topic, body, reader: Translation(translate(topic, body, reader))


def _shopify(topic: str, body: bytes, reader: Reader) -> Translation:
    demands = compliance.demands(topic, body)
    return Translation(privacy_demands=demands) if demands else Translation(shopify.translate(topic, body, reader))


def _signed_base64(body: bytes, signature: bytes, keys: Sequence[bytes], _now: float) -> bool:
    return signatures.signed_base64(body, signature, keys)


def _signed_with_time(body: bytes, signature: bytes, keys: Sequence[bytes], now: float) -> bool:
    return signatures.signed_with_time(body, signature.decode("latin-1"), keys, now)


PLATFORMS: Mapping[int, Platform] = {
    Source.SHOPIFY: Platform(
        signature_header=b"x-shopify-hmac-sha256",
        topic_header=b"x-shopify-topic",
        keys=signatures.keys,
        is_signed=_signed_base64,
        translate=_shopify,
    ),
    Source.WOOCOMMERCE: Platform(
        signature_header=b"x-wc-webhook-signature",
        topic_header=b"x-wc-webhook-topic",
        keys=signatures.woocommerce_keys,
        is_signed=_signed_base64,
        translate=_events_alone(woocommerce.translate),
        sends_once=True,
    ),
    Source.CUSTOM: Platform(
        signature_header=b"x-touchstone-signature",
        topic_header=b"",
        keys=signatures.keys,
        is_signed=_signed_with_time,
        translate=lambda _topic, body, _reader: custom.translate(body),
    ),
}
"""By `Source.Kind`."""
