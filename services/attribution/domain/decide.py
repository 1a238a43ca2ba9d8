"""What all of a tenant's models say of an order, and what could still change that."""

from collections.abc import Sequence

from services.attribution.domain.attribute import Around, Attribution, People, consider, judge
from services.attribution.domain.rules import Rules
from services.attribution.domain.snapshot import Snapshot


def decide(
    order: Snapshot, around: Around, rules: Rules, people: People, *, verdicts: bool = True
) -> tuple[Attribution, ...]:
    """What each applied model says of the order, by the models' names. Without `verdicts`, their credits alone."""
    considering = consider(order, around, people, rules.applied, count_crawlers=rules.count_crawlers)
    return tuple([judge(considering, model, verdicts=verdicts) for model in rules.applied])


def open_to_people(attributions: Sequence[Attribution]) -> bool:
    """True when a merge or split of people may change the credits: a model found the person tier, or nothing.

    What a stronger tier decided stays so, whoever belongs together; only a line's product may have been seen by another
    device of the same person.
    """
    return any(attribution.open for attribution in attributions)
