"""What every call passes on its way in: who may call, what the request lacks, and how failures are told."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Any, NamedTuple, NoReturn, TypeAlias, cast

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status
from opentelemetry.trace import SpanKind
from touchstone.mesh.v1 import access_pb2

from services.chassis import required, statuses, telemetry
from services.chassis.callers import TENANT_METADATA, Caller, set_caller, set_deadline
from services.chassis.tokens import Verifier
from services.kernel.failures import PermissionDeniedError, UnauthenticatedError

OPEN_SERVICES = frozenset(
    {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection", "grpc.reflection.v1.ServerReflection"}
)
"""Answered without a token: probes have none, and the contracts are public."""

Behaviour: TypeAlias = Callable[[Any, Any], Any]
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"

_durations = telemetry.histogram("rpc.server.call.duration", "How long calls took to answer.", "s")


class _Guarded(NamedTuple):
    """A handler as registered, and the same behind the guard."""

    registered: Handler
    guarded: Handler


def scopes_of(services: Iterable[str]) -> dict[str, frozenset[str]]:
    """The scopes that open each method, by its path (`/package.Service/Method`), read from the contracts.

    Raises ValueError naming the methods whose contract says none.
    """
    opened: dict[str, frozenset[str]] = {}
    for name in services:
        for method in descriptor_pool.Default().FindServiceByName(name).methods:
            scope = method.GetOptions().Extensions[access_pb2.scope]
            opened[f"/{name}/{method.name}"] = frozenset(filter(None, scope.split("|")))
    unsaid = sorted(path for path, scopes in opened.items() if not scopes)
    if unsaid:
        raise ValueError(f"methods without a scope: {', '.join(unsaid)}")
    return opened


class Guard(grpc.aio.ServerInterceptor):
    """Lets in those whose token opens the method, and turns every failure into a status that says what to do."""

    def __init__(self, services: Iterable[str], verifier: Verifier) -> None:
        self._scopes = scopes_of(services)
        self._verifier = verifier
        self._handlers: dict[str, _Guarded] = {}
        self._streams: set[asyncio.Task[Any]] = set()
        self._draining = False

    def end_streams(self) -> None:
        """Ends the streams under way with UNAVAILABLE: followers never end them, and go on elsewhere."""
        self._draining = True
        for task in self._streams:
            task.cancel()

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> "Handler | None":
        """The guarded handler, or one that refuses the call before its request is read."""
        path = handler_call_details.method
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        metadata = dict(handler_call_details.invocation_metadata)
        telemetry.continue_trace(str(metadata.get(telemetry.TRACE_METADATA, "")))
        scopes = self._scopes.get(path)
        if scopes is not None:
            try:
                set_caller(self._admit(path, scopes, metadata))
            except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets a status
                return _refusing(handler, statuses.status_of(error))
        elif path[1:].partition("/")[0] not in OPEN_SERVICES:
            return None
        known = self._handlers.get(path)
        if known is None or known.registered is not handler:
            known = _Guarded(handler, self._guard(path, handler))
            self._handlers[path] = known
        return known.guarded

    def _admit(self, path: str, scopes: frozenset[str], metadata: dict[str, str | bytes]) -> Caller:
        kind, _, token = str(metadata.get("authorization", "")).partition(" ")
        if kind.lower() != "bearer" or not token:
            raise UnauthenticatedError("TOKEN_MISSING", "The call carries no bearer token.")
        caller = self._verifier.verify(token.strip())
        if not caller.has_any(scopes):
            needed = " or ".join(sorted(scopes))
            raise PermissionDeniedError("SCOPE_MISSING", f"{path[1:]} needs a token with the scope {needed}.")
        tenant = metadata.get(TENANT_METADATA)
        return caller.about(None if tenant is None else str(tenant))

    def _guard(self, path: str, handler: Handler) -> Handler:
        behaviour = _behaviour(handler)
        if not handler.response_streaming:
            return _with_behaviour(handler, self._unary(path[1:], behaviour))
        return _with_behaviour(handler, self._stream(behaviour))

    def _unary(self, name: str, behaviour: Behaviour) -> Behaviour:
        async def answer(request: Any, context: Context) -> Any:
            set_deadline(context.time_remaining())
            began = time.perf_counter()
            code = "OK"
            try:
                with telemetry.span(name, kind=SpanKind.SERVER):
                    try:
                        return await behaviour(_checked(request), context)
                    except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets a status
                        await _refuse(context, error)
            except grpc.aio.AbortError:
                code = grpc.StatusCode(context.code()).name
                raise
            except asyncio.CancelledError:
                code = "CANCELLED"
                raise
            finally:
                outcome = {"rpc.method": name, "rpc.response.status_code": code}
                _durations.record(time.perf_counter() - began, outcome)

        return answer

    def _stream(self, behaviour: Behaviour) -> Behaviour:
        generates = inspect.isasyncgenfunction(behaviour)

        async def answer(request: Any, context: Context) -> None:
            task = cast("asyncio.Task[Any]", asyncio.current_task())
            self._streams.add(task)
            try:
                if generates:
                    async with aclosing(behaviour(_checked(request), context)) as responses:
                        async for response in responses:
                            await context.write(response)
                else:
                    await behaviour(_checked(request), context)
            except asyncio.CancelledError:
                if not self._draining:
                    raise
                task.uncancel()
                await _abort(context, statuses.draining())
            except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets a status
                await _refuse(context, error)
            finally:
                self._streams.discard(task)

        return answer


def _checked(request: Any) -> Any:
    """The request, or the stream of them, after the look for fields that it must have."""
    if isinstance(request, Message):
        required.check(request)
        return request
    return _each_checked(request) if isinstance(request, AsyncIterator) else request


async def _each_checked(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        yield _checked(request)


async def _refuse(context: Context, error: Exception) -> NoReturn:
    """Ends the call with the failure's status; a call that the servicer ended itself stays as it is."""
    if isinstance(error, grpc.aio.AbortError):
        raise error
    await _abort(context, statuses.status_of(error))


async def _abort(context: Context, status: Status) -> NoReturn:
    await context.abort_with_status(rpc_status.to_status(status))


def _refusing(handler: Handler, status: Status) -> Handler:
    """A handler of the same shape that only refuses, and leaves the request unread."""

    async def refuse(_: Any, context: Context) -> NoReturn:
        await _abort(context, status)

    return _BUILDERS[handler.request_streaming, handler.response_streaming](refuse)


def _behaviour(handler: Handler) -> Behaviour:
    shapes = (handler.unary_unary, handler.unary_stream, handler.stream_unary, handler.stream_stream)
    return next(behaviour for behaviour in shapes if behaviour is not None)


def _with_behaviour(handler: Handler, behaviour: Behaviour) -> Handler:
    build = _BUILDERS[handler.request_streaming, handler.response_streaming]
    return build(
        behaviour, request_deserializer=handler.request_deserializer, response_serializer=handler.response_serializer
    )


_BUILDERS: dict[tuple[bool, bool], Callable[..., Handler]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}
