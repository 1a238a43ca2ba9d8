"""Processor time that the running programs have used, where the kernel tells it (Linux)."""

import os
from collections.abc import Mapping
from pathlib import Path

from tests.mesh.running import RunningSystem

_TICKS = os.sysconf("SC_CLK_TCK")


def used(running: RunningSystem) -> dict[str, float]:
    """Seconds by program, those of the processes that it started included; nothing where the kernel doesn't tell."""
    programs = running.state()["programs"]
    return seconds_of({name: program["pid"] for name, program in programs.items() if program["pid"]})


def seconds_of(programs: Mapping[str, int]) -> dict[str, float]:
    """The same of processes by name."""
    if not Path("/proc/self/stat").exists():
        return {}
    parents: dict[int, list[int]] = {}
    seconds: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (fields := _fields(entry)):
            pid = int(entry.name)
            parents.setdefault(int(fields[1]), []).append(pid)
            # Its own in user and kernel mode, then that of children who have ended.
            seconds[pid] = sum(map(int, fields[11:15])) / _TICKS

    def family(pid: int) -> float:
        return seconds.get(pid, 0.0) + sum(family(child) for child in parents.get(pid, ()))

    return {name: family(pid) for name, pid in programs.items()}


def each(before: dict[str, float], after: dict[str, float], count: int) -> dict[str, float]:
    """Milliseconds of each program for one of `count` things done between two looks, and their sum."""
    spent = {name: (after[name] - before[name]) * 1000 / count for name in after if name in before}
    return {f"{name} ms": round(cost, 3) for name, cost in spent.items()} | {"all ms": round(sum(spent.values()), 3)}


def _fields(entry: Path) -> list[str]:
    """What the kernel tells of a process, from its state on; its name may hold anything, and is left out."""
    try:
        return (entry / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
