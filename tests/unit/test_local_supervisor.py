"""The supervisor, with programs that die, hang or never start."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local import layout
from deploy.local.__main__ import STOP_PATIENCE, STOPS, patience
from deploy.local.programs import Program
from deploy.local.supervisor import StartError, Supervisor
from gateway.web.__main__ import _GRACE_SECONDS
from services.chassis import server

ROOT = Path(__file__).resolve().parents[2]


class Watched:
    """A supervisor in a directory of its own, watched until something holds."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.told_to_stop = False
        self.supervisor = Supervisor(
            state_file=directory / "state.json",
            log_of=lambda name: directory / "logs" / f"{name}.log",
            facts={"url": "http://example"},
            stopping=lambda: self.told_to_stop,
        )

    def state(self) -> dict[str, Any]:
        return json.loads((self.directory / "state.json").read_text())

    def pid(self, name: str) -> int | None:
        return self.state()["programs"][name]["pid"]

    def until(self, holds: Callable[[], bool], patience: float = 10) -> None:
        self.supervisor.wait(holds, patience)

    def log(self, name: str) -> str:
        return (self.directory / "logs" / f"{name}.log").read_text()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    found = Watched(tmp_path)
    yield found
    found.supervisor.stop(list(found.supervisor.children), patience=0)


def shell(name: str, script: str, **more: Any) -> Program:
    return Program(name=name, command=("sh", "-c", script), **more)


def test_state_tells_who_runs_where(watched: Watched) -> None:
    watched.supervisor.start(shell("sleeper", "exec sleep 60"))
    state = watched.state()
    assert state["url"] == "http://example"
    assert state["pid"] == os.getpid()
    os.kill(state["programs"]["sleeper"]["pid"], 0)
    assert (watched.directory / "state.json").stat().st_mode & 0o077 == 0


def test_a_killed_program_is_started_again(watched: Watched) -> None:
    watched.supervisor.start(shell("sleeper", "exec sleep 60"))
    before = watched.pid("sleeper")
    assert before is not None
    os.kill(before, signal.SIGKILL)
    watched.until(lambda: watched.state()["programs"]["sleeper"]["restarts"] == 1)
    after = watched.pid("sleeper")
    assert after is not None
    assert after != before
    os.kill(after, 0)


def test_a_program_in_its_own_session_does_not_hear_ctrl_c(watched: Watched) -> None:
    watched.supervisor.start(shell("sleeper", "exec sleep 60"))
    pid = watched.pid("sleeper")
    assert pid is not None
    assert os.getsid(pid) == pid


def test_pauses_grow_while_it_dies_at_once(watched: Watched) -> None:
    watched.supervisor.start(shell("dying", "exit 3"))
    watched.until(lambda: watched.state()["programs"]["dying"]["restarts"] == 2)
    assert "dying ended with 3; it starts again in 0.4 s" in watched.log("dying")
    assert "dying ended with 3; it starts again in 0.8 s" in watched.log("dying")


def test_what_never_starts_ends_the_start_with_its_last_words(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.local.supervisor.START_PATIENCE", 0.5)
    watched.supervisor.start(shell("broken", "echo the settings are wrong; exit 2"))
    with pytest.raises(StartError, match=r"(?s)broken does not start .*the settings are wrong"):
        watched.until(lambda: False)


def test_what_does_not_listen_is_ended(watched: Watched) -> None:
    watched.supervisor.start(shell("deaf", "trap '' TERM; echo ready; while :; do sleep 0.1; done"))
    watched.until(lambda: "ready" in watched.log("deaf"))
    process = watched.supervisor.children["deaf"].process
    watched.supervisor.stop(["deaf"], patience=0.3)
    assert process.returncode == -signal.SIGKILL
    assert watched.state()["programs"] == {}


@pytest.mark.timeout(30)
def test_a_second_wish_to_stop_ends_what_is_not_done(watched: Watched) -> None:
    watched.supervisor.start(shell("deaf", "trap '' TERM; echo ready; while :; do sleep 0.1; done"))
    watched.until(lambda: "ready" in watched.log("deaf"))
    process = watched.supervisor.children["deaf"].process
    asked: list[bool] = []

    def hurried() -> bool:
        asked.append(process.poll() is None)
        return len(asked) > 2

    watched.supervisor.stop(["deaf"], patience=3600, hurried=hurried)
    assert asked == [True] * 3
    assert process.returncode == -signal.SIGKILL


def test_programs_have_longer_to_stop_than_they_give_themselves() -> None:
    most = {name: stop.most for stop in STOPS for name in stop.names}
    assert most["web"] > _GRACE_SECONDS
    assert all(most[name] > server._CALL_GRACE + server._TASK_GRACE for name in layout.SERVICES)


def test_all_of_them_stop_in_time_however_long_each_takes() -> None:
    # An idle system leaves each its most, and one that uses up every second leaves each its least.
    assert [patience(STOPS[index:], STOP_PATIENCE) for index in range(4)] == [16, 17, 3, 9]
    left, had = STOP_PATIENCE, []
    for index in range(4):
        had.append(patience(STOPS[index:], left))
        left -= had[-1]
    assert had == [16, 6, 1, 6]
    assert left == 0


def test_each_is_asked_with_its_own_signal(watched: Watched) -> None:
    script = "trap 'echo heard; exit 0' INT; echo ready; while :; do sleep 0.05; done"
    watched.supervisor.start(shell("engine", script, stop_signal=signal.SIGINT))
    watched.until(lambda: "ready" in watched.log("engine"))
    watched.supervisor.stop(["engine"], patience=5)
    assert "heard" in watched.log("engine")


def test_a_large_log_is_put_aside(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.local.supervisor.LONGEST_LOG", 10)
    log = watched.directory / "logs" / "sleeper.log"
    log.parent.mkdir()
    log.write_text("more than ten bytes")
    watched.supervisor.start(shell("sleeper", "exec sleep 60"))
    assert log.read_text() == ""
    assert log.with_suffix(".log.1").read_text() == "more than ten bytes"


def test_niceness_is_the_programs_own(watched: Watched) -> None:
    watched.supervisor.start(shell("humble", "exec sleep 60", niceness=5))
    pid = watched.pid("humble")
    assert pid is not None
    assert os.getpriority(os.PRIO_PROCESS, pid) == os.getpriority(os.PRIO_PROCESS, 0) + 5


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the children of the dead")
def test_nothing_outlives_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    starter = (
        "import sys, time; from pathlib import Path; from deploy.local import programs\n"
        "program = programs.Program(name='orphan', command=('sleep', '60'))\n"
        "print(programs.start(program, Path(sys.argv[1])).pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", starter, str(tmp_path / "orphan.log")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        orphan = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 5
    while _runs(orphan):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
