"""What all of a tenant's models say of an order, and what could still change that."""

from collections.abc import Sequence
from functools import lru_cache

from services.attribution.domain.attribute import Around, Attribution, People, consider, judge, nothing
from services.attribution.domain.rules import Rules
from services.attribution.domain.snapshot import Exclusion, Snapshot


def decide(
    order: Snapshot, around: Around, rules: Rules, people: People, *, verdicts: bool = True
) -> tuple[Attribution, ...]:
    """What each applied model says of the order, by the models' names. Without `verdicts`, their credits alone."""
    if order.excluded is not None and not rules.own_statuses and not verdicts:
        return _nothing(rules.applied_names, order.excluded)
    considering = consider(order, around, people, rules.applied, count_crawlers=rules.count_crawlers, verdicts=verdicts)
    if considering.is_empty and not rules.own_statuses:
        return _nothing(rules.applied_names, order.excluded)
    return tuple([judge(considering, model, verdicts=verdicts) for model in rules.applied])


@lru_cache(maxsize=1024)
def _nothing(models: tuple[tuple[str, int], ...], excluded: Exclusion | None) -> tuple[Attribution, ...]:
    """What models, each as (name, version), say of an order to which nothing is tied: the same of very many."""
    return tuple(nothing(name, version, excluded) for name, version in models)


def open_to_people(attributions: Sequence[Attribution]) -> bool:
    """True when a merge or split of people may change the credits: a model found the person tier, or nothing.

    What a stronger tier decided stays so, whoever belongs together; only a line's product may have been seen by another
    device of the same person.
    """
    return any(attribution.open for attribution in attributions)
