"""Signatures of deliveries and of identifiers: HMAC-SHA-256 over exactly the bytes received."""

import base64
import binascii
import hmac
import html
from collections.abc import Iterable, Sequence
from datetime import timedelta

TOLERANCE = timedelta(minutes=5)
"""How far a custom shop's clock may be from ours, either way."""


def woocommerce_keys(secrets: Iterable[str]) -> list[bytes]:
    """The keys that a shop may sign with: WordPress entity-encodes secrets in one form and decodes them in another."""
    keys: dict[bytes, None] = {}
    for secret in secrets:
        escaped = html.escape(secret, quote=True)
        variants = (secret, escaped, escaped.replace("&#x27;", "&#039;"), html.escape(secret, quote=False))
        for variant in (*variants, html.unescape(secret)):
            keys[variant.encode()] = None
    return list(keys)


def keys(secrets: Iterable[str]) -> list[bytes]:
    """The keys of platforms that take a secret as it is."""
    return [secret.encode() for secret in secrets]


def signed_base64(body: bytes, signature: bytes, keys: Iterable[bytes]) -> bool:
    """True when one of the keys made this base64 signature of the body (WooCommerce, Shopify)."""
    return any(hmac.compare_digest(encoded(hmac.digest(key, body, "sha256")), signature) for key in keys)


def signed_with_time(body: bytes, header: str, keys: Sequence[bytes], now: float) -> bool:
    """True when `t=…,v1=…` signs the body with one of the keys, at a time within `TOLERANCE` of `now` (Unix seconds).

    Several `v1` may stand in one header, while a secret is rotated.
    """
    pairs = [part.strip().partition("=") for part in header.split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    signatures = [value.lower().encode() for name, _, value in pairs if name == "v1"]
    if len(times) != 1 or not (times[0].isascii() and times[0].isdigit() and len(times[0]) <= 12):
        return False
    if abs(now - int(times[0])) > TOLERANCE.total_seconds():
        return False
    expected = [hmac.new(key, times[0].encode() + b"." + body, "sha256").hexdigest().encode() for key in keys]
    return any(hmac.compare_digest(one, other) for one in expected for other in signatures)


def encoded(digest: bytes) -> bytes:
    """A digest as the platforms write it: in base64."""
    return binascii.b2a_base64(digest, newline=False)


def claimed_identifier(signed: str, secrets: Iterable[str]) -> str:
    """The identifier in `value.signature`, or nothing when none of the secrets signed it."""
    value, _, signature = signed.rpartition(".")
    sent = signature.encode()
    if value and any(hmac.compare_digest(_identifier_signature(value, secret).encode(), sent) for secret in secrets):
        return value
    return ""


def _identifier_signature(value: str, secret: str) -> str:
    return base64.urlsafe_b64encode(hmac.digest(secret.encode(), value.encode(), "sha256")).decode().rstrip("=")
