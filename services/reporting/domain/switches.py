"""Switches: experiences, tests and journeys switched on and off, and how many are on at a moment."""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple
from zoneinfo import ZoneInfo

import orjson

from services.reporting.domain.cells import ActivityCell, Cell, Cut, Measures
from services.reporting.domain.periods import day_of

_SECOND = 1_000_000_000


class Switch(NamedTuple):
    """One telling of whether something is on; `nanos` since 1970. Of several at a moment the last by name holds."""

    nanos: int
    source: str
    event_id: str
    active: bool


def contributions(tenant_id: str, zone: ZoneInfo, figure: str, switches: Iterable[Switch]) -> dict[Cell, Measures]:
    """One on each day on which the thing came to be on, less one where it ceased.

    All days up to one, together, tell whether it is on at that day's end.
    """
    changes: dict[Cell, int] = defaultdict(int)
    on = False
    for switch in sorted(switches):
        if switch.active is not on:
            on = switch.active
            day = day_of(switch.nanos // _SECOND, zone)
            changes[ActivityCell.of(tenant_id, figure, day, Cut())] += 1 if on else -1
    return {cell: (change,) for cell, change in changes.items() if change}


def read(state: bytes) -> frozenset[Switch]:
    """The switches as they are stored."""
    return frozenset(Switch(*told) for told in orjson.loads(state)) if state else frozenset()


def written(switches: Iterable[Switch]) -> bytes:
    """Switches to be stored: equal ones give equal bytes."""
    return orjson.dumps([[*switch] for switch in sorted(switches)])
