"""The statement: every order of a period in exactly one place, and what is left over, which is nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from services.reporting.domain.tenants import Tenant


class Part(StrEnum):
    """What a sum belongs to; those but STORE and CHANNEL are outcomes."""

    STORE = "STORE"
    ATTRIBUTED = "ATTRIBUTED"
    UNATTRIBUTED = "UNATTRIBUTED"
    EXCLUDED = "EXCLUDED"
    CHANNEL = "CHANNEL"


class Amounts(NamedTuple):
    """A number of orders and their sums in millionths."""

    orders: int
    gross_micros: int
    net_micros: int


NOTHING = Amounts(0, 0, 0)


class PartSum(NamedTuple):
    """What the rollups hold of a part in one currency; `name` is the reason, the tier or the channel."""

    part: str
    currency_code: str
    name: str
    amounts: Amounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One currency's statement; what is listed is by name."""

    currency_code: str
    store: Amounts
    attributed: Amounts
    by_channel: tuple[tuple[str, Amounts], ...]
    by_tier: tuple[tuple[str, Amounts], ...]
    unattributed: Amounts
    excluded: tuple[tuple[str, Amounts], ...]
    difference: Amounts


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeStatement:
    """The statement in a tenant's reporting currency, and one for each other currency, by currency."""

    tenant: Tenant
    ours: Statement
    others: tuple[Statement, ...]


def compose(sums: Sequence[PartSum], tenant: Tenant) -> WholeStatement:
    """Puts the parts of all currencies together."""
    others = sorted({part_sum.currency_code for part_sum in sums} - {tenant.currency_code})
    return WholeStatement(
        tenant=tenant,
        ours=_of_currency(sums, tenant.currency_code),
        others=tuple(_of_currency(sums, currency) for currency in others),
    )


def _of_currency(sums: Sequence[PartSum], currency_code: str) -> Statement:
    def named(part: Part) -> tuple[tuple[str, Amounts], ...]:
        return tuple(
            sorted(
                (part_sum.name, part_sum.amounts)
                for part_sum in sums
                if part_sum.part == part and part_sum.currency_code == currency_code and part_sum.amounts != NOTHING
            )
        )

    store, by_tier, unattributed, excluded = (
        named(part) for part in (Part.STORE, Part.ATTRIBUTED, Part.UNATTRIBUTED, Part.EXCLUDED)
    )
    placed = _total((*by_tier, *unattributed, *excluded))
    whole = _total(store)
    return Statement(
        currency_code=currency_code,
        store=whole,
        attributed=_total(by_tier),
        by_channel=named(Part.CHANNEL),
        by_tier=by_tier,
        unattributed=_total(unattributed),
        excluded=excluded,
        difference=Amounts(*(there - here for there, here in zip(whole, placed, strict=True))),
    )


def _total(named: Iterable[tuple[str, Amounts]]) -> Amounts:
    return Amounts(*map(sum, zip(NOTHING, *(amounts for _, amounts in named), strict=True)))
