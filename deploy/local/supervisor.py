"""Keeps programs running until it is told to stop, and tells others about them in a file."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local import programs
from deploy.local.programs import Program

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0
# A program that ran this long was well: its next death is a new story.
WELL = 10.0
# What dies again and again for this long before the system was ever up won't come up.
START_PATIENCE = 15.0
LOOK_EVERY = 0.1
LOOK_AT_LEAVING_EVERY = 0.02
LONGEST_LOG = 32 << 20


class StartError(Exception):
    """The system can't start; the message says which program and what it said last."""


@dataclass(slots=True, kw_only=True)
class Child:
    """A program and its present process; times are of the monotonic clock, in seconds."""

    program: Program
    log: Path
    process: "subprocess.Popen[bytes]"
    first_started: float
    started: float
    restarts: int = 0
    pause: float = FIRST_PAUSE
    due: float | None = None
    """When it is started again; absent while it runs."""


@dataclass(slots=True, kw_only=True)
class Supervisor:
    """Starts programs, restarts those that die, and stops all of them; `facts` stand in the state file as they are."""

    state_file: Path
    log_of: Callable[[str], Path]
    facts: Mapping[str, object]
    stopping: Callable[[], bool]
    up: bool = False
    children: dict[str, Child] = field(default_factory=dict)

    def start(self, program: Program) -> None:
        """Starts a program and keeps it running from now on."""
        now = time.monotonic()
        log = self.log_of(program.name)
        _keep_short(log)
        self.children[program.name] = Child(
            program=program, log=log, process=programs.start(program, log), first_started=now, started=now
        )
        self._write_state()

    def wait(self, ready: Callable[[], bool], patience: float) -> None:
        """Watches until `ready`, or until it is told to stop. Raises StartError after `patience` seconds."""
        deadline = time.monotonic() + patience
        while not ready() and not self.stopping():
            if time.monotonic() > deadline:
                raise StartError(f"Not everything is up after {patience:.0f} s; the logs are in {self._logs()}.")
            self.look()
            time.sleep(LOOK_EVERY)

    def watch(self) -> None:
        """Watches until it is told to stop; from now on, what dies is started again for ever."""
        self.up = True
        self._write_state()
        while not self.stopping():
            self.look()
            time.sleep(LOOK_EVERY)

    def look(self) -> None:
        """Notices what died, and starts again what is due."""
        now = time.monotonic()
        for child in self.children.values():
            if child.due is None and child.process.poll() is not None:
                self._died(child, now)
            if child.due is not None and now >= child.due:
                child.process = programs.start(child.program, child.log)
                child.started, child.due = now, None
                child.restarts += 1
                self._write_state()

    def stop(self, names: Sequence[str], patience: float, hurried: Callable[[], bool] = lambda: False) -> None:
        """Asks these to stop, all at once, and ends those that still run after `patience` seconds or once `hurried`."""
        leaving = [self.children.pop(name) for name in names if name in self.children]
        for child in leaving:
            if child.process.poll() is None:
                child.process.send_signal(child.program.stop_signal)
        deadline = time.monotonic() + patience
        while any(child.process.poll() is None for child in leaving):
            if time.monotonic() > deadline or hurried():
                break
            time.sleep(LOOK_AT_LEAVING_EVERY)
        for child in leaving:
            programs.stop(child.program, child.process, patience=0)
        self._write_state()

    def _died(self, child: Child, now: float) -> None:
        name, code = child.program.name, child.process.returncode
        if not self.up and now - child.first_started > START_PATIENCE:
            raise StartError(f"{name} does not start (it ends with {code}). Its log says:\n{_end_of(child.log)}")
        child.pause = FIRST_PAUSE if now - child.started > WELL else min(child.pause * 2, LONGEST_PAUSE)
        child.due = now + child.pause
        with child.log.open("a", encoding="utf-8") as log:
            log.write(f"-- {name} ended with {code}; it starts again in {child.pause:.1f} s\n")
        if self.up:
            print(f"{name} ended with {code} and is started again; its log is {child.log}", flush=True)  # noqa: T201
        self._write_state()

    def _logs(self) -> Path:
        return self.log_of("any").parent

    def _write_state(self) -> None:
        """Replaces the file at once, so that no reader sees half of it."""
        state = {
            **self.facts,
            "pid": os.getpid(),
            "up": self.up,
            "programs": {
                name: {
                    "pid": None if child.due is not None else child.process.pid,
                    "restarts": child.restarts,
                    "log": str(child.log),
                }
                for name, child in self.children.items()
            },
        }
        draft = self.state_file.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(state, indent=2), encoding="utf-8")
        draft.replace(self.state_file)


def _keep_short(log: Path) -> None:
    """Puts a log that grew large aside; the one before it is forgotten."""
    if log.exists() and log.stat().st_size > LONGEST_LOG:
        log.replace(log.with_suffix(".log.1"))


def _end_of(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
