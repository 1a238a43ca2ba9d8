"""Kills programs of a running system without a warning."""

import os
import signal
from typing import Any

from tests.mesh.running import RunningSystem, until


def kill(system: RunningSystem, *names: str) -> None:
    """Kills programs, one right after the other, each once it runs; answers when all are started again."""
    killed = {name: until(f"{name} runs", lambda name=name: _running(system, name)) for name in names}
    for program in killed.values():
        os.kill(program["pid"], signal.SIGKILL)
    for name, before in killed.items():
        until(f"{name} is started again", lambda name=name, before=before: _restarts(system, name) > before["restarts"])


def _running(system: RunningSystem, name: str) -> dict[str, Any] | None:
    """The program, unless it died of another's death and waits for its next start."""
    program: dict[str, Any] = system.state()["programs"][name]
    return program if program["pid"] else None


def _restarts(system: RunningSystem, name: str) -> int:
    return int(system.state()["programs"][name]["restarts"])
