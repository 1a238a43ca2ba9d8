"""Failures as HTTP answers: a google.rpc.Status in JSON, the same whoever failed."""

from typing import Any, Final, NamedTuple

import grpc
import orjson
from google.protobuf import json_format
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from services.chassis import statuses

_DETAILS: Final = "grpc-status-details-bin"
_HTTP: Final = {
    grpc.StatusCode.OK: 200,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
_BY_NUMBER: Final = {code.value[0]: code for code in grpc.StatusCode}


class Answer(NamedTuple):
    """An HTTP answer."""

    http_status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


class HttpError(Exception):
    """What only HTTP knows: a method that isn't there, a body that is too large."""

    def __init__(
        self, http_status: int, code: grpc.StatusCode, reason: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.status = status(code, reason, message)
        self.headers = tuple((name.encode(), value.encode()) for name, value in (headers or {}).items())


def status(code: grpc.StatusCode, reason: str, message: str) -> Status:
    """A status with its reason."""
    told = Status(code=code.value[0], message=message)
    detail = AnyMessage()
    detail.Pack(ErrorInfo(reason=reason, domain=statuses.DOMAIN))
    told.details.append(detail)
    return told


def unauthenticated(reason: str, message: str) -> HttpError:
    """Nobody is known to be asking."""
    return HttpError(401, grpc.StatusCode.UNAUTHENTICATED, reason, message, {"www-authenticate": "Bearer"})


def not_found(reason: str, message: str) -> HttpError:
    """There is nothing under this address."""
    return HttpError(404, grpc.StatusCode.NOT_FOUND, reason, message)


def method_not_allowed(allowed: str) -> HttpError:
    """There is something, but not for this method."""
    message = f"Only {allowed} is answered here."
    return HttpError(405, grpc.StatusCode.UNIMPLEMENTED, "METHOD_NOT_ALLOWED", message, {"allow": allowed})


def too_large(most_bytes: int) -> HttpError:
    """The body is larger than is taken."""
    message = f"The body is larger than {most_bytes} bytes."
    return HttpError(413, grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_TOO_LARGE", message)


def answer_to(error: Exception) -> Answer:
    """The answer for a failure of any kind; what callers can't mend is logged under an incident's id."""
    if isinstance(error, HttpError):
        return Answer(error.http_status, _json(error.status), error.headers)
    told = _of_call(error) if isinstance(error, grpc.aio.AioRpcError) else statuses.status_of(error)
    code = _BY_NUMBER.get(told.code, grpc.StatusCode.UNKNOWN)
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if code is grpc.StatusCode.UNAUTHENTICATED:
        headers = ((b"www-authenticate", b"Bearer"),)
    elif code is grpc.StatusCode.UNAVAILABLE:
        headers = ((b"retry-after", b"1"),)
    return Answer(_HTTP.get(code, 500), _json(told), headers)


def _of_call(error: grpc.aio.AioRpcError) -> Status:
    """What a service answered; a service that is silent tells no address of itself."""
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS and isinstance(value, bytes):
            try:
                return Status.FromString(value)
            except DecodeError:
                break
    return statuses.status_of(error)


def _json(told: Status) -> bytes:
    written: dict[str, Any] = json_format.MessageToDict(told)
    return orjson.dumps(written)
