"""Starts and stops one program: its own session, its log, and an end when the one who started it ends."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.chassis.niceness import set_niceness

PR_SET_PDEATHSIG = 1
# Loaded before any fork: the child of a fork should do next to nothing before it becomes the program.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The user as whom a program runs."""

    user: int
    group: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run, and how it is asked to stop.

    `environment` is added to ours. `orphan_signal` is sent by the kernel when we die without a goodbye. `niceness`
    of 0 to 19 lets others go first. `account` is absent when the program runs as the present user.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGKILL
    niceness: int = 0
    account: Account | None = None


def _in_the_child(program: Program, parent: int) -> Callable[[], None]:
    def prepare() -> None:
        # Who is started in the background by a shell inherits that SIGINT is ignored.
        signal.signal(program.stop_signal, signal.SIG_DFL)
        if program.niceness:
            set_niceness(program.niceness, os.getpid())
        if _LIBC is not None:
            _LIBC.prctl(PR_SET_PDEATHSIG, int(program.orphan_signal))
            if os.getppid() != parent:  # it died before we asked to be told
                os._exit(1)

    return prepare


def start(program: Program, log: Path) -> "subprocess.Popen[bytes]":
    """Starts it in a session of its own, so that Ctrl-C at the terminal is not for it; its output is added to `log`.

    To be called from the main thread of a process: on Linux the kernel ties the child's life to the calling thread.
    """
    account = program.account
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603  the commands are our own
            program.command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=program.directory,
            env={**os.environ, **program.environment},
            start_new_session=True,
            preexec_fn=_in_the_child(program, os.getpid()),  # noqa: PLW1509  the supervisor has no threads
            user=account.user if account else None,
            group=account.group if account else None,
            extra_groups=[] if account else None,
        )


def stop(program: Program, process: "subprocess.Popen[bytes]", patience: float) -> None:
    """Asks it to stop, waits `patience` seconds, then stops it the hard way."""
    if process.poll() is None:
        process.send_signal(program.stop_signal)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
