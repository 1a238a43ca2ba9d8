"""A whole system of our own, started as a user starts it, on a free port with a directory that is thrown away."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from deploy.local import layout
from deploy.local.ports import free_ports
from gateway.cli.system import System

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 120
STOP_SECONDS = 60
LAST_LINES = 5
FOREIGN = (
    *("DATABASE_URL", "REDIS_URL", "TOUCHSTONE_TOKEN", "TOUCHSTONE_PUBLIC_URL", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    *layout.TLS_VARIABLES.values(),
)
"""What would lead away from the embedded engines and the keys made here."""

Found = TypeVar("Found")


def until(what: str, look: Callable[[], Found | None], seconds: float = 60, pause: float = 0.05) -> Found:
    """What `look` answers once it answers something; a failed test after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        if (found := look()) is not None and found is not False:
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds} s: {what}")
        time.sleep(pause)


class RunningSystem:
    """`python -m deploy.local`, and what is needed to look at it from outside."""

    def __init__(self, told: Mapping[str, str] | None = None) -> None:
        """`told` is added to the environment in which the system runs."""
        self._told = dict(told or {})
        [self.port] = free_ports(1)
        # Short, and open to the user that Postgres runs as.
        self.data_dir = Path(tempfile.mkdtemp(prefix="touchstone-mesh-"))
        self.data_dir.chmod(0o711)
        self.log = self.data_dir / "supervisor.log"
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30, trust_env=False)
        self.system = System(port=self.port, data_dir=self.data_dir)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which the system runs, and in which `touchstone` finds it."""
        own = {key: value for key, value in os.environ.items() if key not in FOREIGN}
        ours = {"TOUCHSTONE_PORT": str(self.port), "TOUCHSTONE_DATA_DIR": str(self.data_dir)}
        return {**own, **ours, **self._told}

    def start(self) -> None:
        """Starts everything and waits until all of it is ready."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deploy.local"],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.wait_ready(START_SECONDS)

    def healthy(self) -> bool:
        """Whether every service says that it is ready."""
        try:
            return self.client.get("/healthz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def wait_ready(self, seconds: float = 60) -> None:
        """Waits until every service is ready; fails with the end of the log when the supervisor ended."""

        def look() -> bool:
            if self.process is not None and self.process.poll() is not None:
                pytest.fail(f"the supervisor ended with {self.process.returncode}:\n{self.log.read_text()[-4000:]}")
            return self.healthy()

        until("/healthz is 200", look, seconds, pause=0.1)

    def stop(self) -> None:
        """Stops as Ctrl-C does, and takes the directory away. A system that has to be killed is a fault."""
        self.client.close()
        self.system.channel.close()
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
        shutil.rmtree(self.data_dir)

    def state(self) -> dict[str, Any]:
        """What the supervisor wrote about its children."""
        state: dict[str, Any] = json.loads((self.data_dir / "run" / "state.json").read_text())
        return state

    def told(self) -> str:
        """What the supervisor said, and the last that each process said beside the usual."""
        said = [self.log.read_text()]
        for log in sorted((self.data_dir / "logs").glob("*.log")):
            lines = [line for line in log.read_text(errors="replace").splitlines() if '"level":"INFO"' not in line]
            said += [f"--- {log.name}", *lines[-LAST_LINES:]]
        return "\n".join(said)

    def touchstone(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Runs the command line as a user does."""
        command = [str(Path(sys.executable).with_name("touchstone")), *arguments]
        done = subprocess.run(
            command, env=self.environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
        )
        if check and done.returncode != 0:
            pytest.fail(f"{' '.join(arguments)} failed: {done.stderr or done.stdout}")
        return done


@contextmanager
def running(told: Mapping[str, str] | None = None) -> Iterator[RunningSystem]:
    """A system that runs until the block ends, with `told` in its environment."""
    whole = RunningSystem(told)
    try:
        whole.start()
        yield whole
    finally:
        whole.stop()
