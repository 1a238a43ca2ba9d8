"""Parts of the system are killed in the middle of the golden replay: nothing is lost, and nothing counts twice."""

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Lock

import pytest
import redis

from tests.mesh.golden import FIRST_DAY, LAST_DAY, sequence
from tests.mesh.running import RunningSystem, until
from tests.mesh.shop import Shop, without_positions
from tests.mesh.telling import add_sources, tell, tell_one

SENDERS = 4
PATIENCE_SECONDS = 60
PROGRAMS = ("ingest", "identity", "attribution", "reporting", "web", "edge", "valkey", "postgres")


@pytest.fixture(scope="module")
def undisturbed(victim: RunningSystem) -> bytes:
    """The statement of a shop in whose time nothing died."""
    with closing(Shop(victim)) as shop:
        return without_positions(tell(shop, sequence()).statement)


def restarts(system: RunningSystem) -> dict[str, int]:
    """How often each program was started again."""
    return {name: program["restarts"] for name, program in system.state()["programs"].items()}


def kill(system: RunningSystem, *names: str) -> None:
    """Kills these programs at once, without a warning."""
    programs = system.state()["programs"]
    for name in names:
        os.kill(programs[name]["pid"], signal.SIGKILL)


def kill_with_children(system: RunningSystem, name: str) -> None:
    """Kills a program and the processes that it started."""
    parent = system.state()["programs"][name]["pid"]
    children = [pid for pid in _processes() if _parent(pid) == parent]
    for pid in (parent, *children):
        os.kill(pid, signal.SIGKILL)


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def _parent(pid: int) -> int | None:
    try:
        # The name stands in parentheses and may hold anything; the parent is the second field after it.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def flush(system: RunningSystem) -> None:
    """Empties Valkey."""
    with redis.Redis.from_url(system.state()["redis_url"]) as client:
        client.flushall()


FAULTS: dict[str, tuple[Callable[[RunningSystem], None], tuple[str, ...]]] = {
    **{name: (lambda system, name=name: kill(system, name), (name,)) for name in PROGRAMS},
    "postgres with every session": (lambda system: kill_with_children(system, "postgres"), ("postgres",)),
    "valkey emptied": (flush, ()),
    "everything": (lambda system: kill(system, *PROGRAMS), PROGRAMS),
}


def tell_while_it_breaks(shop: Shop, break_it: Callable[[], None]) -> None:
    """Several senders tell everything; half-way, with requests under way, it breaks."""
    add_sources(shop)
    everything = sequence()
    half = len(everything) // 2
    told, lock = 0, Lock()

    def tell_and_count(one: object) -> None:
        nonlocal told
        tell_one(shop, one)  # type: ignore[arg-type]
        with lock:
            told += 1

    with ThreadPoolExecutor(SENDERS) as pool:
        sent = [pool.submit(tell_and_count, one) for one in everything]
        until("half is told", lambda: told >= half, pause=0.001)
        break_it()
        for one in sent:
            one.result()


@pytest.mark.parametrize("name", FAULTS)
def test_killed_in_the_middle_of_the_replay(name: str, victim: RunningSystem, undisturbed: bytes) -> None:
    fault, killed = FAULTS[name]
    with closing(Shop(victim)) as shop:
        shop.patience = PATIENCE_SECONDS
        before = restarts(victim)
        tell_while_it_breaks(shop, lambda: fault(victim))
        until(f"{killed} runs again", lambda: all(restarts(victim)[one] > before[one] for one in killed))
        victim.wait_ready()
        shop.settle()
        assert without_positions(shop.statement(FIRST_DAY, LAST_DAY)) == undisturbed
        assert all(status == 0 or status >= 500 for status in shop.refusals), shop.refusals
        assert "0 differ" in victim.touchstone("verify", shop.tenant).stdout
