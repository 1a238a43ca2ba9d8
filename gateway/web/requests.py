"""What every HTTP handler asks of a request: its token and its body."""

from typing import Final

import grpc
from starlette.requests import Request

from gateway.web import errors
from services.chassis.callers import Caller
from services.chassis.tokens import Verifier

LARGEST_REQUEST: Final = 5 * 1024 * 1024
"""Bytes of a request's body, at most."""


def authorization(request: Request) -> str:
    """The Authorization header as sent, which the services verify. Raises `HttpError` 401 when there is none."""
    sent = request.headers.get("authorization", "")
    scheme, _, token = sent.partition(" ")
    if scheme.lower() != "bearer" or not token.strip() or not token.isascii():
        raise errors.unauthenticated("TOKEN_MISSING", "A token is needed, as `Authorization: Bearer …`.")
    return f"Bearer {token.strip()}"


def caller_with(request: Request, verifier: Verifier, scope: str) -> Caller:
    """Who asks, where the gateway itself must know. Raises for a token that is unusable or lacks the scope."""
    caller = verifier.verify(authorization(request).removeprefix("Bearer "))
    if not caller.has_any(frozenset(scope.split("|"))):
        message = f"The token needs the scope {scope.replace('|', ' or ')}."
        raise errors.HttpError(403, grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING", message)
    return caller


async def read_body(request: Request) -> bytes:
    """The body. Raises `HttpError` 413 as soon as it is too large."""
    parts: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > LARGEST_REQUEST:
            raise errors.too_large(LARGEST_REQUEST)
        parts.append(chunk)
    return b"".join(parts)
