"""`make up`: the whole of Touchstone on this machine, until Ctrl-C."""

import fcntl
import http.client
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from deploy.local import engines, layout
from deploy.local.engines import Engine, EngineError
from deploy.local.layout import Installation
from deploy.local.ports import free_ports
from deploy.local.supervisor import StartError, Supervisor
from gateway.edge.template import UPSTREAMS
from services.chassis import keys
from services.chassis.tls import TlsFiles

# After a crash Postgres reads its log again before it answers, and a migration takes the time that it takes.
ENGINES_PATIENCE = 300.0
SERVICES_PATIENCE = 300.0
STOP_PATIENCE = 29.0
SECOND_SIGNAL = 1.0


class Stop(NamedTuple):
    """Programs that are stopped together, and the seconds that they have: at least, and when nobody before took long.

    The most is a little longer than what the programs give themselves for what they began: they end it, not we.
    """

    names: tuple[str, ...]
    least: float
    most: float


# The edge goes after those behind it: while they finish what they began, it answers 503.
STOPS = (
    Stop(("web",), 16.0, 16.0),
    Stop(tuple(layout.SERVICES), 6.0, 17.0),
    Stop(("edge",), 1.0, 3.0),
    Stop(("postgres", "valkey"), 6.0, 9.0),
)


@contextmanager
def _held(run: Path) -> Iterator[None]:
    """Holds the data directory: a second start on it ends here."""
    with (run / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartError(f"Touchstone runs already on {run.parent}. TOUCHSTONE_DATA_DIR names another.") from None
        yield


def _prepare(installation: Installation) -> None:
    """The keys, and a look whether the port is free."""
    installation.log("any").parent.mkdir(mode=0o700, exist_ok=True)
    family = socket.AF_INET6 if ":" in installation.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((installation.host, installation.port))
        except OSError as error:
            raise StartError(
                f"Port {installation.port} is taken ({error.strerror}): TOUCHSTONE_PORT names another."
            ) from None
    keys.create_installation(installation.keys)


def _engines(installation: Installation, postgres_port: int, valkey_port: int) -> dict[str, Engine]:
    """The engines that the environment doesn't name others for, by the variable that would."""
    ours = {}
    if not os.environ.get("DATABASE_URL"):
        ours["DATABASE_URL"] = engines.postgres(installation.data, postgres_port)
    if not os.environ.get("REDIS_URL"):
        ours["REDIS_URL"] = engines.valkey(installation.data, valkey_port)
    return ours


def _healthy(installation: Installation) -> bool:
    """Whether the web server, asked through the edge, finds every service ready."""
    connection = http.client.HTTPConnection(installation.host, installation.port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def patience(stops: Sequence[Stop], left: float) -> float:
    """The seconds that the first of these has when all of them together have `left`."""
    return min(stops[0].most, left - sum(later.least for later in stops[1:]))


def _stop(supervisor: Supervisor, hurried: Callable[[], bool]) -> None:
    """Stops everything, in the order of STOPS."""
    _say("Stopping: the services finish what they began. Ctrl-C again cuts them short.")
    deadline = time.monotonic() + STOP_PATIENCE
    for index, stop in enumerate(STOPS):
        # The engines write down what they hold, however great the hurry: they are quicker so at the next start.
        hurry = hurried if stop is not STOPS[-1] else lambda: False
        supervisor.stop(stop.names, patience(STOPS[index:], deadline - time.monotonic()), hurry)


def _run(
    installation: Installation,
    tls_files: TlsFiles | None,
    stopping: Callable[[], bool],
    hurried: Callable[[], bool],
) -> None:
    """Starts engines, then everything else; watches until it is told to stop, and stops."""
    began = time.monotonic()
    _say(f"Starting; what each process says is in {installation.log('any').parent}.")
    # Chosen once: every process finds the others where they were, whoever is restarted.
    postgres_port, valkey_port, *ports = free_ports(2 + len(UPSTREAMS))
    addresses = {name: f"{engines.HOST}:{port}" for name, port in zip(UPSTREAMS, ports, strict=True)}
    ours = _engines(installation, postgres_port, valkey_port)
    urls = {**os.environ, **{name: engine.url for name, engine in ours.items()}}
    told = {"database_url": urls["DATABASE_URL"], "redis_url": urls["REDIS_URL"]}
    supervisor = Supervisor(
        state_file=installation.run / "state.json",
        log_of=installation.log,
        facts={"url": installation.url, "addresses": addresses, "keys": str(installation.keys), **told},
        stopping=stopping,
    )
    try:
        for engine in ours.values():
            supervisor.start(engine.program)
        supervisor.wait(lambda: all(engine.ready() for engine in ours.values()), ENGINES_PATIENCE)
        if stopping():
            return
        if "DATABASE_URL" in ours:
            engines.create_database(told["database_url"])
        for program in layout.processes(installation, addresses, tls_files=tls_files, **told):
            supervisor.start(program)
        supervisor.wait(lambda: _healthy(installation), SERVICES_PATIENCE)
        if not stopping():
            _say(f"Touchstone is up at {installation.url} after {time.monotonic() - began:.1f} s. Ctrl-C stops it.")
        supervisor.watch()
    finally:
        _stop(supervisor, hurried)
        supervisor.state_file.unlink(missing_ok=True)


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  a supervisor talks to the one who started it


def main() -> int:
    """Runs until SIGINT or SIGTERM; answers 1 when the system can't start."""
    signals: list[float] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup means it
            signal.signal(number, lambda _number, _frame: signals.append(time.monotonic()))
    try:
        installation = layout.named_by_environment(os.environ)
        tls_files = layout.tls_named_by_environment(os.environ)
    except ValueError as error:
        _say(str(error))
        return 1
    try:
        # Postgres may run as another user: it passes through here, and sees nothing else.
        installation.data.mkdir(mode=0o711, parents=True, exist_ok=True)
        installation.run.mkdir(mode=0o700, exist_ok=True)
        with _held(installation.run):
            _prepare(installation)
            # Two in the same moment are one wish: who stops a whole group of processes tells `make` too.
            _run(
                installation,
                tls_files,
                lambda: bool(signals),
                lambda: len(signals) > 1 and signals[-1] > signals[0] + SECOND_SIGNAL,
            )
    except (StartError, EngineError) as error:
        _say(str(error))
        return 1
    except PermissionError as error:
        _say(f"{error.filename} belongs to another user: start as that one, or name another TOUCHSTONE_DATA_DIR.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
