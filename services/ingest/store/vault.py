"""What is kept secret at rest: sealed with AES-256-GCM under the installation's key, bound to whose it is."""

import base64
import binascii
import hmac
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_KEY_BYTES = 32
_NONCE_BYTES = 12
_FORM = b"\x01"
"""Stands before whatever is sealed, so that another cipher or key can follow one day."""


class Vault:
    """Seals and opens with one key. `owner` names whose value it is; opened under another name, it doesn't open."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._fingerprint_key = hmac.digest(key, b"touchstone fingerprint", "sha256")

    def seal(self, plain: bytes, *owner: str) -> bytes:
        """The value as it may stand in a table."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _FORM + nonce + self._cipher.encrypt(nonce, plain, _name(owner))

    def open(self, sealed: bytes, *owner: str) -> bytes:
        """The value that was sealed. Raises ValueError when it was sealed under another key, or for another owner."""
        head = len(_FORM) + _NONCE_BYTES
        if sealed[: len(_FORM)] != _FORM:
            raise ValueError("sealed in a form that is not known here")
        try:
            return self._cipher.decrypt(sealed[len(_FORM) : head], sealed[head:], _name(owner))
        except InvalidTag:
            raise ValueError("sealed with another key, or for another owner") from None

    def fingerprint(self, plain: bytes, *owner: str) -> bytes:
        """16 bytes that are the same for the same value of the same owner, and tell nothing about it."""
        return hmac.digest(self._fingerprint_key, _name(owner) + b"\0" + plain, "sha256")[:16]


def read_key(path: Path) -> bytes:
    """The key in a file: 32 bytes in base64. Raises ValueError when the file holds something else."""
    try:
        key = base64.b64decode(path.read_bytes().strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != _KEY_BYTES:
        raise ValueError(f"{path.name} does not hold {_KEY_BYTES} bytes in base64")
    return key


def _name(owner: tuple[str, ...]) -> bytes:
    # None of the parts holds a NUL character, so no two owners have the same name.
    return "\0".join(owner).encode()
