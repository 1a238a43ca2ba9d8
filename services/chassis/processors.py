"""How busy the machine's processors are."""

import asyncio
from pathlib import Path

_TOLD = Path("/proc/stat")
_IDLE, _WAITING_FOR_DISK = 3, 4
_GUESTS = 8
"""From here on the kernel counts again what it has counted before."""


async def idle_share(seconds: float, told: Path = _TOLD) -> float:
    """The part of all processors that has nothing to do in the next seconds, 0 to 1; 1 where that isn't told."""
    before = _ticks(told)
    await asyncio.sleep(seconds)
    spent = [late - early for late, early in zip(_ticks(told), before, strict=True)]
    return (spent[_IDLE] + spent[_WAITING_FOR_DISK]) / sum(spent) if sum(spent) else 1.0


def _ticks(told: Path) -> list[int]:
    try:
        with told.open() as lines:
            return [int(ticks) for ticks in lines.readline().split()[1 : _GUESTS + 1]]
    except (OSError, ValueError):
        return []
