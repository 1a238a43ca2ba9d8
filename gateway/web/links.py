"""`GET /l/{token}`: leads whoever follows a tracked link to the shop, and remembers who it was."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

import grpc
from starlette.requests import Request
from starlette.responses import Response
from touchstone.identity.v1.link_service_pb2 import ResolveLinkResponse

from gateway.web import cookies
from gateway.web.clicks import Clicks, click
from gateway.web.origin import is_plain_local, origin_of
from services.kernel.crawlers import is_crawler

Resolve: TypeAlias = Callable[[str], Awaitable[ResolveLinkResponse]]

PATH: Final = "/l/{token}"

_KNOWN_FOR: Final = 10.0
_KNOWN_WHILE_AWAY: Final = 600.0
_MOST_KNOWN: Final = 20_000
_ASKING_AGAIN: Final = 0.4
_STORING: Final = 0.4
"""Seconds that somebody is kept waiting for identity, where the link is known, and for the log: together not one."""

_NANOS: Final = 1_000_000_000
_TOKEN: Final = re.compile(r"[a-z0-9]{1,64}")
_NO_LINK: Final = frozenset({grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT})
_AHEAD_OF_TIME: Final = ("sec-purpose", "purpose", "x-purpose", "x-moz")
"""Headers by which browsers say that nobody has clicked yet."""

_HEADERS: Final = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex, nofollow",
    "x-content-type-options": "nosniff",
}
_PAGE_HEADERS: Final = {
    **_HEADERS,
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
_PAGE: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
    '<meta name="viewport" content="width=device-width"></head><body><h1>{title}</h1><p>{text}</p></body></html>\n'
)


class KnownLink(NamedTuple):
    """A link as it was a moment ago; `expire_nanos` in nanoseconds since 1970."""

    link_id: str
    tenant_id: str
    conversation_id: str
    destination: str
    expire_nanos: int
    asked_at: float
    """On the monotonic clock, before identity was asked."""


class NoLinkError(Exception):
    """There is no such link."""


@dataclass(slots=True)
class Links:
    """Asks identity, and remembers for a few seconds what it said. That there is no such link is never remembered."""

    resolve: Resolve
    clock: Callable[[], float] = time.monotonic
    _known: dict[str, KnownLink] = field(default_factory=dict)

    async def get(self, link_id: str) -> KnownLink:
        """The link. Raises NoLinkError, or AioRpcError where identity is away and the link was not known of late."""
        known = self._known.get(link_id)
        asked_at = self.clock()
        if known is not None and asked_at - known.asked_at < _KNOWN_FOR:
            return known
        if known is not None and asked_at - known.asked_at >= _KNOWN_WHILE_AWAY:
            known = None
        try:
            async with asyncio.timeout(None if known is None else _ASKING_AGAIN):
                told = await self.resolve(link_id)
        except grpc.aio.AioRpcError as error:
            if error.code() in _NO_LINK:
                self._known.pop(link_id, None)
                raise NoLinkError from error
            if known is None:
                raise
            return known
        except TimeoutError:
            if known is None:
                raise
            return known
        expire_nanos = told.expire_time.seconds * _NANOS + told.expire_time.nanos
        found = KnownLink(link_id, told.tenant_id, told.conversation_id, told.destination, expire_nanos, asked_at)
        self._known.pop(link_id, None)
        if len(self._known) >= _MOST_KNOWN:
            # What was asked for longest ago stands first.
            del self._known[next(iter(self._known))]
        self._known[link_id] = found
        return found


class LinkEndpoint:
    """Leads people on: with their click remembered, programs and browsers that only look without."""

    def __init__(self, links: Links, clicks: Clicks) -> None:
        self._links = links
        self._clicks = clicks

    async def answer(self, request: Request) -> Response:
        """A redirect, or a page that says why there is none: unknown 404, expired 410, identity away 503."""
        try:
            link = await self._link(request.path_params["token"])
        except NoLinkError:
            return _page(404, "There is no such link", "Perhaps a letter is missing.")
        except grpc.aio.AioRpcError:
            return _page(503, "Just a moment", "This link can't be opened right now. Please try again.")
        now = time.time_ns()
        if now >= link.expire_nanos:
            return _page(410, "This link has expired", "Please ask for a new one.")
        response = Response(status_code=302, headers={**_HEADERS, "location": link.destination})
        if request.method == "HEAD" or _is_ahead_of_time(request):
            return response
        user_agent = request.headers.get("user-agent", "")
        visit = None if is_crawler(user_agent) else cookies.visit_of(request.cookies)
        if visit is not None:
            cookies.remember(response, visit, secure=not is_plain_local(origin_of(request)))
        told = click(
            tenant_id=link.tenant_id,
            link_id=link.link_id,
            conversation_id=link.conversation_id,
            visit=visit,
            user_agent=user_agent,
            now=now,
        )
        await self._clicks.store(told, wait=_STORING)
        return response

    async def _link(self, token: str) -> KnownLink:
        if not _TOKEN.fullmatch(token):
            raise NoLinkError
        return await self._links.get(token)


def _is_ahead_of_time(request: Request) -> bool:
    said = " ".join(request.headers.get(name, "") for name in _AHEAD_OF_TIME).lower()
    return any(word in said for word in ("prefetch", "prerender", "preview"))


def _page(status: int, title: str, text: str) -> Response:
    headers = {**_PAGE_HEADERS, "retry-after": "1"} if status == 503 else _PAGE_HEADERS
    return Response(_PAGE.format(title=title, text=text), status, headers, "text/html")
