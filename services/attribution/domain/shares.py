"""How credit is told: who wins the cascade, and parts of a whole that add up."""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from services.attribution.domain.tiers import STEP, Tier
from services.attribution.domain.touches import Touch

WHOLE = 1_000_000
"""Millionths in a whole order."""


class Credit(NamedTuple):
    """A part of an order, given to a touch; `line_id` is empty where a model credits whole orders."""

    touch: Touch
    fraction_millionths: int
    gross_micros: int
    net_micros: int
    line_id: str = ""


class Winners(NamedTuple):
    """The places of the deciding step's touches, and the strongest tier among them; None where there are none."""

    places: Sequence[int]
    matched_by: Tier | None


def winners(eligible: Sequence[tuple[int, Tier]]) -> Winners:
    """The touches, as (place, tier), of the first step of the cascade that has any."""
    if not eligible:
        return Winners((), None)
    deciding = min(STEP[tier] for _, tier in eligible)
    won = [(place, tier) for place, tier in eligible if STEP[tier] == deciding]
    return Winners([place for place, _ in won], min(tier for _, tier in won))


def millionths(shares: Sequence[Fraction]) -> list[int]:
    """The shares in whole millionths that add up to a million: largest remainder, ties to the earlier."""
    if len(shares) == 1:
        return [WHOLE]
    whole = sum(shares)
    exact = [WHOLE * share / whole for share in shares]
    parts = [int(part) for part in exact]
    by_remainder = sorted(range(len(parts)), key=lambda index: (parts[index] - exact[index], index))
    for index in by_remainder[: WHOLE - sum(parts)]:
        parts[index] += 1
    return parts
