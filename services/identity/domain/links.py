"""Tracked links: what they are called, where they may lead, and for how long."""

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import NamedTuple
from urllib.parse import quote

from services.kernel.failures import InvalidArgumentError
from services.kernel.identifiers import LONGEST_VALUE, names_nobody

_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
"""No letter that looks like a figure, and one case only: people read links aloud and type them."""
_LENGTH = 13

LINK_IDS = len(_ALPHABET) ** _LENGTH
"""How many link ids there are: 64 random bits, so nobody guesses one."""

DEFAULT_LIFETIME = timedelta(days=90)
LONGEST_LIFETIME = timedelta(days=365)
SHORTEST_LIFETIME = timedelta(seconds=1)

LONGEST_DESTINATION = 2_048
"""Characters of an address, at most: more than that, browsers and apps differ in what they take."""

_LONGEST_TOUCHPOINT = 64
_ADDRESS = re.compile(r"(https?)://([^/?#]+)([/?#].*)?", re.IGNORECASE)
_AUTHORITY = re.compile(r"([^:]+)(?::([0-9]{1,5}))?")
_ORIGIN = re.compile(r"https?://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.IGNORECASE)
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_KEPT_IN_PATHS = "!#$%&'()*+,/:;=?@[]~-._"
_DEFAULT_PORTS = {"https": 443, "http": 80}


class TrackedLink(NamedTuple):
    """A link that is sent in a conversation; `expire_nanos` in nanoseconds since 1970, and it works until then."""

    link_id: str
    conversation_id: str
    destination: str
    expire_nanos: int


class _Host(NamedTuple):
    scheme: str
    name: str
    port: int

    @property
    def is_local(self) -> bool:
        return self.name in ("localhost", "127.0.0.1") or self.name.endswith(".localhost")

    @property
    def origin(self) -> str:
        port = "" if self.port == _DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.name}{port}"


def link_id(number: int) -> str:
    """The link id of a random number below `LINK_IDS`."""
    letters = []
    for _ in range(_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[digit])
    return "".join(letters)


def address(origin: str, name: str) -> str | None:
    """The address of a link below `origin`, the scheme and host of the installation; None where that is no origin."""
    plain = origin.rstrip("/")
    return f"{plain}/l/{name}" if _ORIGIN.fullmatch(plain) else None


def check_conversation(conversation_id: str) -> None:
    """Raises InvalidArgumentError for what can't be a conversation's id."""
    if not 1 <= len(conversation_id) <= LONGEST_VALUE:
        raise InvalidArgumentError.of("conversationId", f"is not 1 to {LONGEST_VALUE} characters")
    if "\0" in conversation_id or names_nobody(conversation_id):
        raise InvalidArgumentError.of("conversationId", "names nobody")


def check_touchpoint(touchpoint: str) -> None:
    """Raises InvalidArgumentError for what can't be a touchpoint's name."""
    if len(touchpoint) > _LONGEST_TOUCHPOINT or not touchpoint.isprintable():
        raise InvalidArgumentError.of("touchpoint", f"is not a name of at most {_LONGEST_TOUCHPOINT} characters")


def checked_lifetime(lifetime: timedelta | None) -> timedelta:
    """How long a link works; `DEFAULT_LIFETIME` for None. Raises InvalidArgumentError outside of the bounds."""
    if lifetime is None:
        return DEFAULT_LIFETIME
    if not SHORTEST_LIFETIME <= lifetime <= LONGEST_LIFETIME:
        longest = LONGEST_LIFETIME.total_seconds()
        raise InvalidArgumentError.of("lifetime", f"is not {SHORTEST_LIFETIME.total_seconds():g}s to {longest:.0f}s")
    return lifetime


def checked_destination(typed: str, hosts: Iterable[str]) -> str:
    """The destination as it is kept: in ASCII, and with the very host that was compared.

    It must be an https address on one of `hosts`, or below one; plain http only on this machine, where nobody is
    between. Raises InvalidArgumentError for everything that browsers might read otherwise than we do.
    """
    if len(typed) > LONGEST_DESTINATION:
        raise _refused(f"is longer than {LONGEST_DESTINATION} characters")
    if not typed.isprintable() or " " in typed:
        raise _refused("contains a space or a control character")
    if "\\" in typed:
        raise _refused("contains a backslash")
    parts = _ADDRESS.fullmatch(typed)
    if parts is None:
        raise _refused("is no absolute address such as https://shop.example/cart")
    host, rest = _host(parts[1].lower(), parts[2]), parts[3] or "/"
    if host.scheme == "http" and not host.is_local:
        raise _refused("is not https")
    if not any(_is_on(host, listed) for listed in hosts):
        raise _refused("is on none of the tenant's link hosts: add the host to the setting linkHosts")
    # A percent sign stays one: what is encoded already must not be encoded again.
    return host.origin + quote(rest if rest.startswith("/") else f"/{rest}", safe=_KEPT_IN_PATHS)


def is_allowed(destination: str, hosts: Iterable[str]) -> bool:
    """True while a kept destination is on one of the hosts; a host may have been taken from the list since."""
    try:
        return checked_destination(destination, hosts) == destination
    except InvalidArgumentError:
        return False


def _host(scheme: str, authority: str) -> _Host:
    if "@" in authority:
        raise _refused("names a user")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise _refused("names no host")
    try:
        name = parts[1].encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise _refused("names no host") from None
    if not _HOST.fullmatch(name):
        raise _refused("names no host")
    return _Host(scheme, name, int(parts[2]) if parts[2] else _DEFAULT_PORTS[scheme])


def _is_on(host: _Host, listed: str) -> bool:
    """True for a host that is listed, or is below one that is, at the port that is listed with it."""
    name, _, port = listed.partition(":")
    if host.port != (int(port) if port else _DEFAULT_PORTS[host.scheme]):
        return False
    if host.name == name:
        return True
    # Nothing is below an address of four numbers, and all the world is below "com".
    has_below = ("." in name or name == "localhost") and not _NUMBER.fullmatch(name.rpartition(".")[2])
    return has_below and host.name.endswith(f".{name}")


def _refused(description: str) -> InvalidArgumentError:
    return InvalidArgumentError.of("destination", description)
