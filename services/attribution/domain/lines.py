"""Credit by line: each line of an order is attributed by itself, to touches that named its product."""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from services.attribution.domain.amounts import line_amount
from services.attribution.domain.baskets import LastSeen, Seen, last_seen, names
from services.attribution.domain.models import Model, weights
from services.attribution.domain.shares import Credit, Winners, millionths, winners
from services.attribution.domain.snapshot import Snapshot
from services.attribution.domain.tiers import Tier
from services.attribution.domain.touches import Touch, touch_order
from services.attribution.domain.verdicts import PASSED_OVER, Tied, Verdict
from services.kernel.money import split


class ByLine(NamedTuple):
    """What the lines say together: the strongest tier that decided one, the credits, and what became of each touch."""

    matched_by: Tier | None
    credits: tuple[Credit, ...]
    verdicts: tuple[Verdict, ...]


class _Decided(NamedTuple):
    """A line: which touches named its product, which of these it was bought through, and who earns which share."""

    named: frozenset[int]
    through_cart: frozenset[int]
    won: Winners
    shares: Sequence[Fraction]


def attribute_lines(order: Snapshot, eligible: Sequence[Tied], seen: Sequence[Seen], model: Model) -> ByLine:
    """What each of the eligible touches, in their total order, earns of which lines.

    A line's cascade is its own: one may be decided by the session and another by the person. Verdicts stand as the
    touches do; a touch that earns anything is CREDITED, else it is told what came nearest to that.
    """
    decided = [_decide(order, index, eligible, seen, model) for index in range(len(order.lines))]
    return ByLine(
        min((line.won.matched_by for line in decided if line.won.matched_by is not None), default=None),
        _credits(order, model, [touched.touch for touched in eligible], decided),
        tuple(_verdict(index, decided, model) for index in range(len(eligible))),
    )


def _decide(order: Snapshot, index: int, eligible: Sequence[Tied], seen: Sequence[Seen], model: Model) -> _Decided:
    product = names(order.lines[index])
    named = [place for place, one in enumerate(eligible) if not product.isdisjoint(one.touch.product_ids)]
    through = named
    if named and model.through_cart:
        last: LastSeen = last_seen(seen, product, order.order_time)
        through = [place for place in named if last.after(eligible[place].touch.occur_time)]
    won = winners([(place, tier) for place in through if (tier := eligible[place].tier) is not None])
    touches = [eligible[place].touch for place in won.places]
    shares = weights(model, touches) if touches else []
    return _Decided(frozenset(named), frozenset(through), won, shares)


def _credits(
    order: Snapshot, model: Model, touches: Sequence[Touch], decided: Sequence[_Decided]
) -> tuple[Credit, ...]:
    """The credits; fractions are of all lines together, so that those of an order of which all is credited are whole."""
    if not any(line.shares for line in decided):
        return ()
    amounts = [line_amount(line, model.basis) for line in order.lines]
    worth = [max(amount.gross_micros, 0) for amount in amounts]
    if not any(worth):
        worth = [1] * len(worth)
    earned: list[tuple[int, int, int, int]] = []
    parts: list[Fraction] = []
    rest: list[Fraction] = []
    for number, line in enumerate(decided):
        paid = [(place, share) for place, share in zip(line.won.places, line.shares, strict=True) if share]
        if not paid:
            rest.append(Fraction(worth[number]))
            continue
        shares = [share for _, share in paid]
        gross = split(amounts[number].gross_micros, shares, order.currency_code)
        net = split(amounts[number].net_micros, shares, order.currency_code)
        whole = sum(shares)
        for (place, share), gross_part, net_part in zip(paid, gross, net, strict=True):
            earned.append((place, number, gross_part, net_part))
            parts.append(worth[number] * share / whole)
    found = [
        (place, number, Credit(touches[place], fraction, gross_part, net_part, order.lines[number].line_id))
        for (place, number, gross_part, net_part), fraction in zip(
            earned, millionths([*parts, *rest])[: len(earned)], strict=True
        )
    ]
    found.sort(key=lambda one: (touch_order(one[2].touch), one[1]))
    return tuple(credit for _, _, credit in found)


def _verdict(place: int, decided: Sequence[_Decided], model: Model) -> Verdict:
    found = Verdict.PRODUCT_NOT_BOUGHT
    if any(place in line.named for line in decided):
        found = Verdict.FILTERED
    if any(place in line.through_cart for line in decided):
        found = Verdict.LOWER_TIER
    for line in decided:
        if place in line.won.places:
            if line.shares[line.won.places.index(place)]:
                return Verdict.CREDITED
            found = PASSED_OVER.get(model.rule, Verdict.FILTERED)
    return found
