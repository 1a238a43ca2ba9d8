"""The life of a service's process: start, tell health, serve, drain."""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from services.chassis import options, telemetry, tls
from services.chassis.interceptors import Guard
from services.chassis.settings import MeshSettings
from services.chassis.tokens import Verifier

_STREAM_GRACE: Final = 1.0
"""Seconds after which streams are ended when the process drains; followers never end them by themselves."""
_CALL_GRACE: Final = 10.0
"""Seconds that other calls have to end in."""
_TASK_GRACE: Final = 5.0
"""Seconds that the tasks have to end in, once they are cancelled."""
_LOOK: Final = 0.25
"""Seconds between two looks whether the service is ready; four times that while it is."""
_ANSWER: Final = 5.0
"""Seconds that the service has to say whether it is ready."""

_YOUNG_OBJECTS: Final = 1_000_000
"""Objects made, and not freed since, before the garbage collector looks at the youngest: a look stops the service."""

Task: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
Closing: TypeAlias = Callable[[], Awaitable[None]]

_log = logging.getLogger(__name__)


def run(service: Coroutine[Any, Any, None]) -> None:
    """Runs the process until its service ends, on the fastest event loop there is; exits with 1 when it can't start.

    Logs are JSON from here on, under the name of the package that was started.
    """
    telemetry.log_as_json(Path(sys.argv[0]).parent.name, "INFO")
    collect_seldom()
    try:
        _run(service)
    except Exception as error:  # noqa: BLE001 - the traceback that Python prints would quote the exception's text
        _log.critical("ended", exc_info=error)
        raise SystemExit(1) from None


def collect_seldom() -> None:
    """What was imported stays; and requests leave no cycles worth looking for after every 700 objects."""
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 100)


def _run(service: Coroutine[Any, Any, None]) -> None:
    if sys.platform == "win32":
        asyncio.run(service)
    else:
        import uvloop

        uvloop.run(service)


async def serve(
    *,
    name: str,
    settings: MeshSettings,
    register: Callable[[grpc.aio.Server], None],
    services: Sequence[str],
    tasks: Sequence[Task] = (),
    ready: Callable[[], Awaitable[bool]] | None = None,
    details: Mapping[str, Callable[[], Awaitable[bool]]] = MappingProxyType({}),
    closing: Sequence[Closing] = (),
) -> None:
    """Serves until SIGTERM or SIGINT, then drains: health says so, calls end, tasks are cancelled, `closing` is done.

    `register` adds the servicers of `services` (full names) to the server; a method of any other service is refused.
    `tasks` run beside the server for as long as it does: when one ends early, the process drains and ends with 1.
    Health says SERVING while `ready` answers True; so it does, under their own names, of the `details`, which decide
    nothing else. Of one that can't be told it says UNKNOWN.
    """
    telemetry.configure(name, settings)
    guard = Guard(services, Verifier(settings.jwks_file))
    server = grpc.aio.server(interceptors=[guard], options=options.SERVER)
    health = HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    reflection.enable_server_reflection((*services, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name), server)
    register(server)
    port = _listen(server, settings)
    asyncio.get_running_loop().set_exception_handler(_log_unhandled)
    stopping = _stop_signal()
    await _tell(health, services, health_pb2.HealthCheckResponse.NOT_SERVING)
    await server.start()
    _log.info("listening", extra={"port": port})
    stopped = asyncio.create_task(stopping.wait())
    running = [asyncio.create_task(task(), name=_name(task)) for task in tasks]
    running.append(asyncio.create_task(_tell_health(health, services, ready), name="health"))
    running += [asyncio.create_task(_tell_detail(health, *detail), name=detail[0]) for detail in details.items()]
    ended, _ = await asyncio.wait((stopped, *running), return_when=asyncio.FIRST_COMPLETED)
    failed = [task for task in ended if task is not stopped]
    for task in failed:
        _log.error("task ended", exc_info=task.exception(), extra={"task": task.get_name()})
    await _drain(server, health, guard, (stopped, *running), closing)
    if failed:
        raise SystemExit(1)


def _listen(server: grpc.aio.Server, settings: MeshSettings) -> int:
    """The port that the server takes, in the clear or with TLS; never both."""
    if settings.tls_files is None:
        return server.add_insecure_port(settings.listen)
    return server.add_secure_port(settings.listen, tls.server_credentials(settings.tls_files))


def _stop_signal() -> asyncio.Event:
    """An event that is set by the first signal to stop; a second one ends the process as if nobody listened."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        stopping.set()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    return stopping


def _name(task: Task) -> str:
    return getattr(task, "__qualname__", "task")


def _log_unhandled(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Logs what nobody awaited. The loop's own handler would print the exception's text."""
    _log.error(str(context.get("message")).partition("\n")[0], exc_info=context.get("exception"))


async def _tell_health(
    health: HealthServicer, services: Sequence[str], ready: Callable[[], Awaitable[bool]] | None
) -> None:
    """Keeps the health of the server ("") and of each service up to date, for ever."""
    told = False
    while True:
        try:
            async with asyncio.timeout(_ANSWER):
                is_ready = ready is None or await ready()
        except Exception as error:  # noqa: BLE001 - who can't say that it is ready is not
            is_ready = False
            _log.log(logging.WARNING if told else logging.DEBUG, "not ready", exc_info=error)
        if is_ready is not told:
            _log.info("health", extra={"serving": is_ready})
            told = is_ready
            status = health_pb2.HealthCheckResponse.SERVING if is_ready else health_pb2.HealthCheckResponse.NOT_SERVING
            await _tell(health, services, status)
        await asyncio.sleep(4 * _LOOK if is_ready else _LOOK)


async def _tell_detail(health: HealthServicer, name: str, holds: Callable[[], Awaitable[bool]]) -> None:
    """Keeps one detail of the server's health up to date, for ever."""
    while True:
        status = health_pb2.HealthCheckResponse.UNKNOWN
        try:
            async with asyncio.timeout(_ANSWER):
                good = await holds()
            status = health_pb2.HealthCheckResponse.SERVING if good else health_pb2.HealthCheckResponse.NOT_SERVING
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing is known
            _log.debug("detail can't be told", exc_info=error, extra={"detail": name})
        await health.set(name, status)
        await asyncio.sleep(4 * _LOOK)


async def _tell(health: HealthServicer, services: Sequence[str], status: int) -> None:
    for name in ("", *services):
        await health.set(name, status)


async def _drain(
    server: grpc.aio.Server,
    health: HealthServicer,
    guard: Guard,
    tasks: Sequence[asyncio.Task[Any]],
    closing: Sequence[Closing],
) -> None:
    """Lets what is under way end, in the order in which nothing needs what was ended before."""
    _log.info("draining")
    await health.enter_graceful_shutdown()
    asyncio.get_running_loop().call_later(_STREAM_GRACE, guard.end_streams)
    await server.stop(_CALL_GRACE)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=_TASK_GRACE)
    for close in closing:
        await close()
    await asyncio.to_thread(telemetry.shutdown)
    _log.info("stopped")
