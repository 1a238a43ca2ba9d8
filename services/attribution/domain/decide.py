"""What all of a tenant's models say of an order, and what could still change that."""

from collections.abc import Sequence

from services.attribution.domain.attribute import Attribution, People, Tier, attribute
from services.attribution.domain.rules import Rules
from services.attribution.domain.snapshot import Snapshot
from services.attribution.domain.touches import Touch


def decide(order: Snapshot, touches: Sequence[Touch], rules: Rules, people: People) -> tuple[Attribution, ...]:
    """What each applied model says of the order, by the models' names."""
    return tuple(attribute(order, touches, model, people) for model in rules.applied)


def open_to_people(order: Snapshot, attributions: Sequence[Attribution]) -> bool:
    """True when a merge or split of people may change the credits: a model found the person tier, or nothing.

    What a stronger tier decided stays so, whoever belongs together.
    """
    undecided = (None, Tier.PERSON)
    return order.excluded is None and any(attribution.matched_by in undecided for attribution in attributions)
