"""What went wrong, in one line that says what to do."""

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from gateway.cli.system import System

_UNKNOWN_TENANT = ": create it with `touchstone tenant create TENANT --currency EUR --time-zone Europe/Madrid`"


def nothing_answers(system: System) -> str:
    """Nobody listens where the system should be."""
    return f"nothing answers at {system.address}: run `make up`, or set TOUCHSTONE_PORT to where it runs"


def explain(error: grpc.RpcError, system: System) -> str:
    """A failed call, for people."""
    if not isinstance(error, grpc.Call):
        return str(error)
    code, details = error.code(), error.details() or ""
    if code is grpc.StatusCode.UNAVAILABLE:
        if "connect" in details and system.address in details:
            return nothing_answers(system)
        return f"the system at {system.address} is not ready ({details}): see {system.url}/healthz"
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"no answer from {system.address} in time: see {system.url}/healthz"
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return (
            f"{system.address} does not accept the token ({details}): is TOUCHSTONE_TOKEN, or else "
            f"{system.token_file}, that of the system which runs there?"
        )
    reason = _reason(error)
    hint = _UNKNOWN_TENANT if reason == "TENANT_NOT_FOUND" else ""
    return f"{details or code.name}{f' ({reason})' if reason else ''}{hint}"


def _reason(error: grpc.Call) -> str:
    """The stable name of the failure; empty when it carries none."""
    status = rpc_status.from_call(error)
    info = error_details_pb2.ErrorInfo()
    for detail in status.details if status else ():
        if detail.Unpack(info):
            return str(info.reason)
    return ""
