"""What an experiment is, and which variant a visitor is assigned to."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from hashlib import sha256
from typing import Final, TypeAlias

HOLDOUT: Final = "holdout"
"""The variant of visitors who are held out."""

WHOLE_BASIS_POINTS: Final = 10_000
"""Hundredths of a percent in the whole."""

Shares: TypeAlias = tuple[tuple[str, Fraction], ...]
"""Variants and their parts of all visitors."""

_PLACES: Final = 2**64


class State(IntEnum):
    """Where an experiment is at a moment; numbered as in `touchstone.reporting.v1.Assignment.State`."""

    RUNNING = 1
    NOT_STARTED = 2
    ENDED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A variant, and its weight among the arms."""

    variant: str
    weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A comparison of variants; times in nanoseconds since 1970, spans in nanoseconds.

    `control` is one of the arms, or the holdout. `end` is None while none is set; `pre_period` is 0 for none.
    """

    experiment_id: str
    display_name: str
    arms: tuple[Arm, ...]
    holdout_basis_points: int
    salt: str
    control: str
    start: int
    end: int | None
    window: int
    pre_period: int

    def state(self, now: int) -> State:
        """Where it is; the start belongs to it, the end doesn't."""
        if now < self.start:
            return State.NOT_STARTED
        return State.RUNNING if self.end is None or now < self.end else State.ENDED

    def shares(self) -> dict[str, Fraction]:
        """Each variant's part of all visitors: the holdout's where there is one, and the arms' in their sequence."""
        held_out = Fraction(self.holdout_basis_points, WHOLE_BASIS_POINTS)
        total = sum(arm.weight for arm in self.arms)
        shares = {HOLDOUT: held_out} if held_out else {}
        for arm in self.arms:
            shares[arm.variant] = (1 - held_out) * Fraction(arm.weight, total) if total else Fraction(0)
        return shares


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The shares of an experiment's variants, as they were told one after the other, each with the time since when.

    `since` ascends, in nanoseconds since 1970, and is not empty.
    """

    since: tuple[int, ...]
    shares: tuple[Shares, ...]

    def place(self, time: int) -> int:
        """Which of the shares hold at a time; before the first were told, those."""
        return max(bisect_right(self.since, time) - 1, 0)


def history(told: Iterable[tuple[int, Experiment]]) -> History:
    """What one experiment was at the times it was told, in the sequence of the log: of one time the last holds."""
    since: list[int] = []
    shares: list[Shares] = []
    for time, experiment in sorted(told, key=lambda one: one[0]):
        since.append(time)
        shares.append(tuple(experiment.shares().items()))
    return History(since=tuple(since), shares=tuple(shares))


def assigned(experiment: Experiment, visitor_id: str) -> str:
    """The variant of a visitor while the experiment runs: a pure function of the salt, the weights and the visitor.

    Both places are drawn by themselves, so that another holdout's share moves nobody from arm to arm.
    """
    if _place("holdout", experiment.salt, visitor_id, WHOLE_BASIS_POINTS) < experiment.holdout_basis_points:
        return HOLDOUT
    arms: Sequence[Arm] = experiment.arms
    total = sum(arm.weight for arm in arms)
    if not total:
        return experiment.control
    place = _place("arm", experiment.salt, visitor_id, total)
    for arm in arms:
        place -= arm.weight
        if place < 0:
            return arm.variant
    raise AssertionError("a place is below the sum of the weights")


def _place(use: str, salt: str, visitor_id: str, parts: int) -> int:
    """Which of so many equal parts of the 2^64 places a visitor's is in."""
    drawn = int.from_bytes(sha256(f"{use}:{salt}:{visitor_id}".encode()).digest()[:8], "big")
    return drawn * parts // _PLACES
