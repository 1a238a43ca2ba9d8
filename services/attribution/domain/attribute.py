"""From order to credit: the cascade of tiers, and the verdict on every touch considered."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from services.attribution.domain.amounts import order_amount
from services.attribution.domain.baskets import Seen
from services.attribution.domain.conversations import Step, conversations, handled
from services.attribution.domain.lines import attribute_lines
from services.attribution.domain.models import Anchor, Model, weights
from services.attribution.domain.shares import WHOLE, Credit, millionths, winners
from services.attribution.domain.snapshot import Exclusion, Snapshot, exclusion
from services.attribution.domain.tiers import Buyer, People, Tier, buyer, contradicts, tie
from services.attribution.domain.touches import Touch, touch_order
from services.attribution.domain.verdicts import PASSED_OVER, Sale, Tied, Verdict, refusal
from services.kernel.money import split

__all__ = [
    "NOTHING",
    "WHOLE",
    "Around",
    "Attribution",
    "Considered",
    "Credit",
    "People",
    "Tier",
    "Verdict",
    "attribute",
    "consider",
    "judge",
    "nothing",
]


class Considered(NamedTuple):
    """A touch and what became of it; no tier when only an identifier that names nobody ties it to the order."""

    touch: Touch
    verdict: Verdict
    matched_by: Tier | None


class Attribution(NamedTuple):
    """What one model says of one order. `credits` and `considered` stand in the touches' total order.

    Credits of one touch stand in the sequence of the order's lines. `excluded`: why the order doesn't count under this
    model. `open`: other people could change it.
    """

    model: str
    model_version: int
    matched_by: Tier | None
    credits: tuple[Credit, ...]
    considered: tuple[Considered, ...]
    excluded: Exclusion | None = None
    open: bool = False


class Around(NamedTuple):
    """What happened around an order, each event once: touches, steps of conversations, products seen.

    Of a conversation that any of the events belongs to, all are there.
    """

    touches: Sequence[Touch] = ()
    steps: Sequence[Step] = ()
    seen: Sequence[Seen] = ()


NOTHING = Around()
"""Nothing happened around an order."""


class Considering(NamedTuple):
    """An order, and what is tied to it, in total order: what all models share.

    `conversations` are whole conversations, `seen` what the buyer saw in the shop.
    """

    order: Snapshot
    count_crawlers: bool
    touches: Sequence[Tied]
    conversations: Sequence[Tied]
    seen: Sequence[Seen]

    @property
    def is_empty(self) -> bool:
        """True when nothing may earn anything."""
        return not self.touches and not self.conversations


def attribute(order: Snapshot, touches: Sequence[Touch], model: Model, people: People) -> Attribution:
    """Which of the touches earn which part of the order under the model, and why the others don't.

    `touches` may hold any touches of anybody, each once: those that nothing ties to the order are left out of what is
    considered. The first step of the cascade that has an eligible touch decides. `matched_by` names the strongest
    identifier by which an eligible touch of that step is tied; within known contact that is e-mail before phone
    before customer number, also where the touch credited is tied by a weaker one, since the step was open to all.
    """
    return judge(consider(order, Around(touches), people, [model]), model)


def consider(
    order: Snapshot,
    around: Around,
    people: People,
    models: Sequence[Model],
    *,
    count_crawlers: bool = False,
    verdicts: bool = True,
) -> Considering:
    """What is tied to the order and by what: found once, for all of the models.

    Without `verdicts`, conversations that none of the models credits are left out.
    """
    if not around.touches and not around.steps:
        return Considering(order, count_crawlers, (), (), ())
    who = buyer(order, people)
    by_agents = frozenset[str]()
    whole: list[Tied] = []
    if any(model.conversational for model in models):
        by_agents = handled(around.touches, around.steps)
        among = by_agents if not verdicts and _handled_only(models) else None
        whole = _tied(who, conversations(around.touches, around.steps, people.nobody, among), people, by_agents)
    seen: list[Seen] = []
    if any(model.through_cart for model in models):
        seen = [one for one in around.seen if _is_theirs(who, one, people) and (count_crawlers or not one.crawler)]
    return Considering(order, count_crawlers, _tied(who, around.touches, people, by_agents), whole, seen)


def _handled_only(models: Sequence[Model]) -> bool:
    """True when no model credits a conversation in which no human agent took part."""
    return all(model.filter.handled_only for model in models if model.anchor is Anchor.CONVERSATION)


def _tied(who: Buyer, touches: Sequence[Touch], people: People, by_agents: frozenset[str]) -> list[Tied]:
    found = []
    for touch in sorted(touches, key=touch_order) if len(touches) > 1 else touches:
        tier = tie(who, touch.identifiers, people)
        if tier is not None or not who.nobody.isdisjoint(touch.identifiers):
            conflict = tier is Tier.PERSON and contradicts(who, touch.identifiers, people)
            found.append(Tied(touch, tier, conflict, bool(touch.agent_id) or touch.conversation_id in by_agents))
    return found


def _is_theirs(who: Buyer, seen: Seen, people: People) -> bool:
    tier = tie(who, seen.identifiers, people)
    return tier is not None and not (tier is Tier.PERSON and contradicts(who, seen.identifiers, people))


@lru_cache(maxsize=1024)
def nothing(model: str, model_version: int, excluded: Exclusion | None) -> Attribution:
    """What a model says of an order of which it credits nothing, verdicts apart: the same of very many."""
    return Attribution(model, model_version, None, (), (), excluded=excluded, open=excluded is None)


def judge(considering: Considering, model: Model, *, verdicts: bool = True) -> Attribution:
    """What the model says. Without `verdicts`, what was considered is left out: credits alone are wanted."""
    order = considering.order
    excluded = _excluded(order, model)
    sale = Sale(order.order_time, excluded is None, considering.count_crawlers)
    candidates = considering.conversations if model.anchor is Anchor.CONVERSATION else considering.touches
    if not verdicts:
        if excluded is not None:
            return nothing(model.name, model.version, excluded)
        # The channel is what most touches fail by, and asking for it alone costs the least.
        heard = [one for one in candidates if model.looks_at(one.touch.channel)] if model.channels else candidates
        eligible = [one for one in heard if refusal(one, sale, model) is None]
        if not eligible:
            return nothing(model.name, model.version, excluded)
        matched_by, credits_, _ = _earned(considering, eligible, model)
        return _attribution(model, excluded, matched_by, credits_, ())
    refused = [refusal(one, sale, model) for one in candidates]
    eligible = [one for one, why in zip(candidates, refused, strict=True) if why is None]
    matched_by, credits_, told = _earned(considering, eligible, model)
    reasons = iter(told)
    considered = [
        Considered(one.touch, next(reasons) if why is None else why, one.tier)
        for one, why in zip(candidates, refused, strict=True)
    ]
    return _attribution(model, excluded, matched_by, credits_, tuple(considered))


def _attribution(
    model: Model,
    excluded: Exclusion | None,
    matched_by: Tier | None,
    credits_: tuple[Credit, ...],
    considered: tuple[Considered, ...],
) -> Attribution:
    return Attribution(
        model=model.name,
        model_version=model.version,
        matched_by=matched_by,
        credits=credits_,
        considered=considered,
        excluded=excluded,
        open=excluded is None and (model.by_line or matched_by in (None, Tier.PERSON)),
    )


def _excluded(order: Snapshot, model: Model) -> Exclusion | None:
    counted = model.counted.get(order.standing.platform)
    return order.excluded if counted is None else exclusion(order.standing, order.status, counted)


def _earned(
    considering: Considering, eligible: Sequence[Tied], model: Model
) -> tuple[Tier | None, tuple[Credit, ...], Sequence[Verdict]]:
    """The tier that decides, the credits, and what becomes of each eligible touch."""
    if not eligible:
        return None, (), ()
    order = considering.order
    if model.by_line:
        return attribute_lines(order, eligible, considering.seen, model)
    won = winners([(place, one.tier) for place, one in enumerate(eligible) if one.tier is not None])
    touches = [eligible[place].touch for place in won.places]
    shares = weights(model, touches)
    verdicts = [Verdict.LOWER_TIER] * len(eligible)
    for place, share in zip(won.places, shares, strict=True):
        verdicts[place] = Verdict.CREDITED if share else PASSED_OVER.get(model.rule, Verdict.FILTERED)
    paid = [(touch, share) for touch, share in zip(touches, shares, strict=True) if share]
    parts = [share for _, share in paid]
    amount = order_amount(order, model.basis)
    credits_ = map(
        Credit,
        [touch for touch, _ in paid],
        millionths(parts),
        split(amount.gross_micros, parts, order.currency_code),
        split(amount.net_micros, parts, order.currency_code),
    )
    return won.matched_by, tuple(credits_), verdicts
