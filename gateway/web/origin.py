"""The address at which the installation was called, as whoever calls has found it."""

import re
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request

from services.chassis.callers import ORIGIN_METADATA

_ORIGIN: Final = re.compile(r"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def origin_of(request: Request) -> str:
    """Scheme and host, as the edge says or else the request itself: `https://touchstone.shop.example`; else empty."""
    told = request.headers.get(ORIGIN_METADATA)
    if told is None:
        told = f"{request.scope['scheme']}://{request.headers.get('host', '')}"
    return told if _ORIGIN.fullmatch(told) else ""


def is_plain_local(origin: str) -> bool:
    """True for a host that is this machine, called without TLS: there browsers may drop what must be secure."""
    split = urlsplit(origin)
    host = split.hostname or ""
    return split.scheme == "http" and (host in _LOCAL or host.endswith(".localhost"))
