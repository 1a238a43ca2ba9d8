"""The ledger: what a change of an order does to the figures of its day, when the day was over."""

from collections.abc import Mapping
from datetime import date
from enum import IntEnum
from typing import Final, NamedTuple

from services.reporting.domain.cells import Outcome
from services.reporting.domain.conversion import NO_RATE, Rate, converted
from services.reporting.domain.facts import Attribution, Contact, Credit, OrderFact

QUARTER: Final = 15 * 60
"""Seconds. In every zone a day begins with a quarter of an hour: what happens in the order's own is of its own day."""

ORDER: Final = "*"
"""Stands among the models for the order itself."""


class Cause(IntEnum):
    """Why an entry is in the credit log; numbered as in `touchstone.attribution.v1.Cause.Kind`."""

    UNKNOWN = 0
    ORDER = 1
    TOUCH = 2
    PEOPLE = 3
    SETTINGS = 4


class Kind(IntEnum):
    """Why a figure changed; numbered as in `LedgerEntry.Kind`."""

    LATE_ORDER = 1
    ORDER_CHANGED = 2
    REFUND = 3
    CANCELLATION = 4
    REINSTATEMENT = 5
    LATE_TOUCH = 6
    MERGE = 7
    SPLIT = 8
    PEOPLE = 9
    MODEL = 10
    SETTINGS = 11
    RATE = 12


class UnderModel(NamedTuple):
    """What an order comes to under a model; what it earned is in millionths.

    `parts` are the gross and net amounts of its credits where there are several.
    """

    outcome: str
    excluded_reason: str
    tier: str
    channels: tuple[str, ...]
    gross_micros: int
    net_micros: int
    parts: tuple[tuple[int, int], ...] = ()


class Standing(NamedTuple):
    """What an order is to the figures of its day, by model too; amounts are in millionths of its currency."""

    currency_code: str
    gross_micros: int
    net_micros: int
    models: Mapping[str, UnderModel]


class Change(NamedTuple):
    """What an order was and is to the figures of the day of a moment, and which models' figures that concerns."""

    order_seconds: int
    before: Standing | None
    after: Standing | None
    changed: tuple[str, ...]


class RulesChange(NamedTuple):
    """Settings or models that were told, where and when, and the zone and currency before and since."""

    tenant_id: str
    position: int
    receive_micros: int
    is_models: bool
    zone_before: str
    zone_after: str
    currency_before: str
    currency_after: str


class Entry(NamedTuple):
    """A change that is shown: how an order stood before and after, and by which rate it was counted, should it need one.

    The first five fields are what entries are sorted by. `cause` is None for another rate, which is no cause in the
    credit log.
    """

    cause_micros: int
    credit_position: int
    order_id: str
    source: str
    order_seconds: int
    day: date
    cause: Cause | None
    cause_position: int
    is_models: bool
    before: Standing | None
    after: Standing | None
    rate_before: Rate
    rate_after: Rate


def is_late(order_seconds: int, cause_micros: int) -> bool:
    """True unless the cause came in the order's own quarter of an hour, and so on its day, whatever the zone."""
    return cause_micros // 1_000_000 // QUARTER > order_seconds // QUARTER


def standing(fact: OrderFact) -> Standing:
    """What an order is to the figures of its day."""
    models: dict[str, UnderModel] = {}
    for said in fact.attributions:
        if said.excluded_reason:
            models[said.model] = UnderModel(Outcome.EXCLUDED, said.excluded_reason, "", (), 0, 0)
            continue
        models[said.model] = UnderModel(
            Outcome.ATTRIBUTED if said.credits else Outcome.UNATTRIBUTED,
            "",
            said.tier if said.credits else "",
            tuple(sorted({credit.contact.channel for credit in said.credits})),
            sum(credit.gross_micros for credit in said.credits),
            sum(credit.net_micros for credit in said.credits),
            tuple([(one.gross_micros, one.net_micros) for one in said.credits]) if len(said.credits) > 1 else (),
        )
    return Standing(fact.currency_code, fact.gross_micros, fact.net_micros, models)


def changes(before: OrderFact | None, after: OrderFact) -> list[Change]:
    """What a change of an order does, by the moments whose days it concerns; none where no figure changed."""
    was = None if before is None or before.order_seconds is None else before
    now = None if after.order_seconds is None else after
    changed = _changed(was, now)
    if not changed:
        return []
    if was is not None and now is not None and was.order_seconds == now.order_seconds:
        return [Change(_seconds(now), standing(was), standing(now), changed)]
    found = [Change(_seconds(was), standing(was), None, changed)] if was is not None else []
    return [*found, Change(_seconds(now), None, standing(now), changed)] if now is not None else found


def _seconds(fact: OrderFact) -> int:
    return fact.order_seconds or 0


def _changed(was: OrderFact | None, now: OrderFact | None) -> tuple[str, ...]:
    """`ORDER` where all figures of the order changed, and the models under which something else is credited."""
    if was is None or now is None:
        return () if was is now else (ORDER,)
    before = {said.model: said for said in was.attributions}
    after = {said.model: said for said in now.attributions}
    models = tuple(sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)))
    return models if _itself(was) == _itself(now) else (ORDER, *models)


def _itself(fact: OrderFact) -> tuple[object, ...]:
    lines = sorted(fact.lines)
    return (fact.order_seconds, fact.currency_code, fact.gross_micros, fact.net_micros, fact.excluded_reason, lines)


def kind_of(cause: Cause, before: Standing | None, after: Standing | None, model: str) -> Kind:
    """Why the figures under a model changed, in one word."""
    if cause is Cause.TOUCH:
        return Kind.LATE_TOUCH
    was, now = under(before, model), under(after, model)
    if cause is Cause.PEOPLE:
        gained = now.gross_micros - was.gross_micros
        return Kind.MERGE if gained > 0 else Kind.SPLIT if gained < 0 else Kind.PEOPLE
    if cause is Cause.SETTINGS:
        return Kind.SETTINGS
    if before is None or after is None:
        return Kind.LATE_ORDER if before is None else Kind.ORDER_CHANGED
    if (was.outcome == Outcome.EXCLUDED) != (now.outcome == Outcome.EXCLUDED):
        return Kind.CANCELLATION if now.outcome == Outcome.EXCLUDED else Kind.REINSTATEMENT
    return Kind.REFUND if after.net_micros < before.net_micros else Kind.ORDER_CHANGED


class Counted(NamedTuple):
    """What an order, and what a model credits of it, came to in figures, and by which rate; amounts are in millionths.

    `currency_code` is the reporting currency.
    """

    currency_code: str
    gross_micros: int
    net_micros: int
    attributed_gross_micros: int
    attributed_net_micros: int
    rate: Rate


def counted(one: Standing, model: str, rate: Rate, currency_code: str) -> Counted | None:
    """What an order came to in a reporting currency; None where it had no rate, and so stood apart."""
    if one.currency_code != currency_code and rate == NO_RATE:
        return None
    said = under(one, model)
    amounts = said.parts or (((said.gross_micros, said.net_micros),) if said.outcome == Outcome.ATTRIBUTED else ())
    credits_ = tuple([Credit(_ANY, gross, net) for gross, net in amounts])
    fact = OrderFact(
        "",
        0,
        "",
        "",
        0,
        one.currency_code,
        one.gross_micros,
        one.net_micros,
        "",
        (),
        (Attribution(model, "", credits_),),
    )
    if one.currency_code == currency_code:
        rate = NO_RATE
    else:
        fact = converted(fact, rate.rate, currency_code)
    [attribution] = fact.attributions
    if fact.currency_code != currency_code:
        return None
    return Counted(
        currency_code,
        fact.gross_micros,
        fact.net_micros,
        sum(credit.gross_micros for credit in attribution.credits),
        sum(credit.net_micros for credit in attribution.credits),
        rate,
    )


_ANY = Contact("", "", "", "", "")
_NOTHING = UnderModel("", "", "", (), 0, 0)


def under(one: Standing | None, model: str) -> UnderModel:
    """What an order comes to under a model, nothing where it says nothing."""
    return _NOTHING if one is None else one.models.get(model, _NOTHING)
