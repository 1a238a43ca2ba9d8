"""Identifiers: the values by which somebody is known, and those that name nobody."""

from enum import IntEnum
from hashlib import blake2b
from typing import NamedTuple

import phonenumbers

LONGEST_VALUE = 256
"""Characters in an identifier's value, at most."""


class Kind(IntEnum):
    """What an identifier's value names; numbered as in `touchstone.type.v1.Identifier.Kind`."""

    SESSION = 1
    VISITOR = 2
    EMAIL = 3
    PHONE = 4
    CUSTOMER = 5
    CONVERSATION = 6
    CLICK = 7


class Identifier(NamedTuple):
    """One value by which somebody is known. Values compare exactly, and only within their kind."""

    kind: Kind
    value: str


KIND_BITS = 4
"""Bits of an identifier's key that hold its kind."""


def identifier_key(identifier: Identifier) -> int:
    """An identifier as 64 bits with a sign, by which equal ones are found without keeping the value.

    The lowest bits are its kind. Two values of a kind share a key by chance once in 2^60 pairs.
    """
    kind, value = identifier
    digest = blake2b(value.encode(), digest_size=8, person=b"identifier").digest()
    return int.from_bytes(digest, "big", signed=True) >> KIND_BITS << KIND_BITS | kind


def kind_of_key(key: int) -> Kind:
    """The kind of the identifier that has a key."""
    return Kind(key & (1 << KIND_BITS) - 1)


_NOBODY = frozenset({"", "null", "undefined", "none", "nan", "anonymous", "guest", "-1", "test@test.com"})


def names_nobody(value: str) -> bool:
    """True for values that software writes where it knows nobody: empty, `null`, `guest`, all zeros.

    The comparison ignores case and surrounding space. It is made on what a source sent, before addresses are hashed.
    """
    plain = value.strip().lower()
    return plain in _NOBODY or not plain.strip("0-")


def normal_email(typed: str) -> str | None:
    """The address as it is compared: trimmed and in lower case, the plus-tag kept. None when it names nobody."""
    address = typed.strip().lower()
    return None if "@" not in address or names_nobody(address) else address


def normal_phone(typed: str, country: str) -> str | None:
    """The number in E.164 form, or None when it is no valid number.

    `country` is the ISO 3166 code of the numbering that a national number follows; empty when it isn't known.
    """
    if names_nobody(typed):
        return None
    try:
        number = phonenumbers.parse(typed, country.upper() or None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
