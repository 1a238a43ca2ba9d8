"""What can go wrong, in the words of callers: each failure becomes a gRPC status with a reason."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldViolation:
    """A field of the request and what is wrong with it; `field` as JSON names it: `interaction.channel`."""

    field: str
    description: str


class FailureError(Exception):
    """Something a caller is told of. `reason` is a stable name in capitals; `message` says what to do."""

    def __init__(self, reason: str, message: str, violations: Sequence[FieldViolation] = ()) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.violations = tuple(violations)


class InvalidArgumentError(FailureError):
    """The request can't be understood, whatever the state of the system."""

    @classmethod
    def of(cls, field: str, description: str) -> "InvalidArgumentError":
        """One field is wrong."""
        violation = FieldViolation(field=field, description=description)
        return cls("INVALID_FIELD", f"{field}: {description}", [violation])


class NotFoundError(FailureError):
    """There is no such thing, or it is another tenant's."""


class AlreadyExistsError(FailureError):
    """There is one by that name, and it differs."""


class FailedPreconditionError(FailureError):
    """Not in the present state; `message` says what must come first."""


class TooLateError(FailureError):
    """The answer would come too late; what was asked for may still come to be."""


class UnauthenticatedError(FailureError):
    """Nobody is known to be calling."""


class PermissionDeniedError(FailureError):
    """The caller is known and may not."""
