"""Page tokens: where a page ended, bound to the request that it belongs to."""

import base64
import binascii
import hashlib

from services.kernel.failures import InvalidArgumentError

_FINGERPRINT_BYTES = 12
_OFFSET_BYTES = 6


def page_size(asked: int, *, default: int, largest: int) -> int:
    """How many to answer: `default` for 0, never more than `largest`; raises `InvalidArgumentError` below 0."""
    if asked < 0:
        raise InvalidArgumentError.of("pageSize", "is below 0")
    return min(asked or default, largest)


def write_token(offset: int, request: bytes) -> str:
    """A token for the page that begins at `offset`. `request` is all of the request that decides what is listed."""
    token = offset.to_bytes(_OFFSET_BYTES) + _fingerprint(request)
    return base64.urlsafe_b64encode(token).decode()


def read_token(token: str, request: bytes) -> int:
    """The offset that a token stands for, 0 for an empty one; raises `InvalidArgumentError` for another request's."""
    if not token:
        return 0
    try:
        plain = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        plain = b""
    if len(plain) != _OFFSET_BYTES + _FINGERPRINT_BYTES or plain[_OFFSET_BYTES:] != _fingerprint(request):
        raise InvalidArgumentError.of("pageToken", "was not answered to this request; begin without one")
    return int.from_bytes(plain[:_OFFSET_BYTES])


def _fingerprint(request: bytes) -> bytes:
    return hashlib.sha256(request).digest()[:_FINGERPRINT_BYTES]


def write_text(position: str, request: bytes) -> str:
    """A token for the page that begins behind a position. `request` is all that decides what is listed."""
    return base64.urlsafe_b64encode(_fingerprint(request) + position.encode()).decode()


def read_text(token: str, request: bytes, *, field: str = "pageToken") -> str:
    """The position that a token stands for; raises `InvalidArgumentError` for another request's."""
    try:
        plain = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        plain = b""
    if len(plain) <= _FINGERPRINT_BYTES or plain[:_FINGERPRINT_BYTES] != _fingerprint(request):
        raise InvalidArgumentError.of(field, "was not answered to this request; begin without one")
    return plain[_FINGERPRINT_BYTES:].decode()
