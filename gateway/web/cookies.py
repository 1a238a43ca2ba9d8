"""The first-party cookies by which a browser, and a visit, are known again."""

import re
import secrets
from collections.abc import Mapping
from typing import Final, NamedTuple

from starlette.responses import Response

VISITOR: Final = "touchstone_visitor_id"
SESSION: Final = "touchstone_session_id"

VISITOR_SECONDS: Final = 31_536_000
"""A year, and another from each answer on: what a server sets, browsers keep; what a script sets, some drop in days."""

SESSION_SECONDS: Final = 1_800
"""After so long a silence, a new visit begins."""

_ID: Final = re.compile(r"[A-Za-z0-9_-]{16,64}")
_RANDOM_BYTES: Final = 16


class Visit(NamedTuple):
    """Who is there: the browser, and the visit."""

    visitor_id: str
    session_id: str


def visit_of(cookies: Mapping[str, str]) -> Visit:
    """The visit that the cookies tell of; what they lack, or can't be ours, is made anew."""
    return Visit(_known(cookies, VISITOR), _known(cookies, SESSION))


def remember(response: Response, visit: Visit, *, secure: bool) -> None:
    """Sets both cookies, for their whole life from now on. Only on this machine may they be anything but secure."""
    for name, value, seconds in (
        (VISITOR, visit.visitor_id, VISITOR_SECONDS),
        (SESSION, visit.session_id, SESSION_SECONDS),
    ):
        response.set_cookie(name, value, max_age=seconds, path="/", secure=secure, httponly=True, samesite="lax")


def _known(cookies: Mapping[str, str], name: str) -> str:
    sent = cookies.get(name, "")
    return sent if _ID.fullmatch(sent) else secrets.token_urlsafe(_RANDOM_BYTES)
