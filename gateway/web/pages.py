"""The pages that people open: the dashboard and the API's reference; nothing in them comes from elsewhere."""

import hashlib
from importlib.resources import files
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from gateway.web import errors

_TYPES: Final = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cache-control": "no-cache",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
}


class _Page(NamedTuple):
    content: bytes
    media_type: str
    tag: str


def _load() -> dict[str, _Page]:
    pages: dict[str, _Page] = {}
    for file in (files("gateway") / "dashboard").iterdir():
        media_type = _TYPES.get(file.name.rpartition(".")[2])
        if media_type is not None:
            content = file.read_bytes()
            pages[file.name] = _Page(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
    return pages


class Pages:
    """The files of the dashboard, read once."""

    def __init__(self) -> None:
        self._pages = _load()

    async def dashboard(self, request: Request) -> Response:
        """The page at `/`."""
        return self._answer(request, "index.html")

    async def docs(self, request: Request) -> Response:
        """The page at `/docs`."""
        return self._answer(request, "docs.html")

    async def asset(self, request: Request) -> Response:
        """A script or a style sheet, by its name."""
        return self._answer(request, request.path_params["name"])

    def _answer(self, request: Request, name: str) -> Response:
        page = self._pages.get(name)
        if page is None:
            raise errors.not_found("ROUTE_NOT_FOUND", "There is nothing at this address.")
        headers = {**_HEADERS, "etag": page.tag}
        if request.headers.get("if-none-match") == page.tag:
            return Response(status_code=304, headers=headers)
        return Response(page.content, headers=headers, media_type=page.media_type)
