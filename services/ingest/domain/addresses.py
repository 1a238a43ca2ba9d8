"""Addresses as they stand in the log: keyed hashes, made here and nowhere else."""

import base64
import hmac

from services.kernel.identifiers import normal_email, normal_phone

HASH_LENGTH = 43
"""Characters of a hash: 32 bytes in base64 without padding."""

_HASH_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def hashed_email(key: bytes, typed: str) -> str:
    """The keyed hash of an e-mail address as typed; empty when it names nobody."""
    address = normal_email(typed)
    return "" if address is None else _hashed(key, address)


def hashed_phone(key: bytes, typed: str, country: str) -> str:
    """The keyed hash of a number's E.164 form; empty when it is no valid number.

    `country` is the ISO 3166 code whose numbering a national number follows; empty when it isn't known.
    """
    number = normal_phone(typed, country)
    return "" if number is None else _hashed(key, number)


def is_hash(value: str) -> bool:
    """True for a value that has the form of these hashes, which no address and no number has."""
    return len(value) == HASH_LENGTH and _HASH_ALPHABET.issuperset(value)


def _hashed(key: bytes, normal: str) -> str:
    digest = hmac.digest(key, normal.encode(), "sha256")
    return base64.urlsafe_b64encode(digest)[:HASH_LENGTH].decode()
