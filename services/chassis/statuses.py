"""Failures as gRPC statuses: callers get a reason and the fields concerned, never the text of an exception."""

import logging
import secrets

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from services.chassis import telemetry
from services.chassis.database import is_transient
from services.kernel.failures import (
    AlreadyExistsError,
    FailedPreconditionError,
    FailureError,
    FieldViolation,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    TooLateError,
    UnauthenticatedError,
)

DOMAIN = "touchstone"
"""The domain of every ErrorInfo."""

_CODES: dict[type[FailureError], grpc.StatusCode] = {
    InvalidArgumentError: grpc.StatusCode.INVALID_ARGUMENT,
    NotFoundError: grpc.StatusCode.NOT_FOUND,
    AlreadyExistsError: grpc.StatusCode.ALREADY_EXISTS,
    FailedPreconditionError: grpc.StatusCode.FAILED_PRECONDITION,
    TooLateError: grpc.StatusCode.DEADLINE_EXCEEDED,
    UnauthenticatedError: grpc.StatusCode.UNAUTHENTICATED,
    PermissionDeniedError: grpc.StatusCode.PERMISSION_DENIED,
}

_log = logging.getLogger(__name__)


def status_of(error: Exception) -> Status:
    """The status that a caller gets for a failure; what callers can't mend is logged under an incident's id."""
    if isinstance(error, FailureError):
        return _status(_CODES[_kind(error)], error.reason, error.message, violations=error.violations)
    if isinstance(error, grpc.aio.AioRpcError) and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return _status(grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", "The answer would come too late.")
    if _is_away(error):
        _log.warning("unavailable", exc_info=error)
        telemetry.mark_failed("UNAVAILABLE")
        return _status(grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", "Not available at the moment: try again.")
    incident = secrets.token_hex(8)
    telemetry.mark_failed("INTERNAL")
    _log.error("incident", exc_info=error, extra={"incident": incident})
    message = f"Something went wrong here; it is logged as incident {incident}."
    return _status(grpc.StatusCode.INTERNAL, "INTERNAL", message, incident=incident)


def draining() -> Status:
    """What a stream ends with when its server stops."""
    return _status(grpc.StatusCode.UNAVAILABLE, "DRAINING", "This server is stopping: go on with another.")


def _kind(error: FailureError) -> type[FailureError]:
    return next(kind for kind in type(error).__mro__ if kind in _CODES)


def _is_away(error: Exception) -> bool:
    if isinstance(error, grpc.aio.AioRpcError):
        return error.code() is grpc.StatusCode.UNAVAILABLE
    # Every connection of the pool is busy for long: the database is overloaded.
    return isinstance(error, PoolTimeoutError) or is_transient(error)


def _status(
    code: grpc.StatusCode,
    reason: str,
    message: str,
    *,
    violations: tuple[FieldViolation, ...] = (),
    incident: str | None = None,
) -> Status:
    status = Status(code=code.value[0], message=message)
    metadata = {} if incident is None else {"incident": incident}
    _attach(status, ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata))
    if violations:
        fields = [BadRequest.FieldViolation(field=wrong.field, description=wrong.description) for wrong in violations]
        _attach(status, BadRequest(field_violations=fields))
    return status


def _attach(status: Status, detail: ErrorInfo | BadRequest) -> None:
    packed = AnyMessage()
    packed.Pack(detail)
    status.details.append(packed)
