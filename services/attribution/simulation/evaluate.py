"""What a model says of many orders at once: the same credits that `domain.attribute` gives them one by one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.attribution.domain.models import Basis, Model
from services.attribution.domain.shares import WHOLE
from services.attribution.simulation import deciding, splits
from services.attribution.simulation.by_line import by_line
from services.attribution.simulation.cases import Cases, Flags, Numbers
from services.attribution.simulation.deciding import Rows, units
from services.attribution.simulation.eligible import eligible_pairs
from services.attribution.store import facts

_AMOUNTS: Final = {
    Basis.TOTAL: ("gross_micros", "net_micros"),
    Basis.WITHOUT_TAX: ("gross_without_tax", "net_without_tax"),
    Basis.WITHOUT_SHIPPING: ("gross_without_shipping", "net_without_shipping"),
    Basis.WITHOUT_TAX_AND_SHIPPING: ("gross_without_both", "net_without_both"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a model says of a period: `tier` of each order (0 where nothing decided), and credits, one a row.

    Credits stand by order and in the touches' total order. `order` counts rows of the cases, `touch` is the row that the
    touches have there, by which a conversation is its first message.
    """

    tier: NDArray[np.int8]
    order: Numbers
    touch: Numbers
    channel: Numbers
    millionths: Numbers
    gross_micros: Numbers
    net_micros: Numbers

    @classmethod
    def joined(cls, outcomes: Sequence["Outcome"]) -> "Outcome":
        """Outcomes of some of the orders each, in their sequence."""
        names = ("order", "touch", "channel", "millionths", "gross_micros", "net_micros")
        return cls(
            tier=np.maximum.reduce([outcome.tier for outcome in outcomes]),
            **{name: np.concatenate([getattr(outcome, name) for outcome in outcomes]) for name in names},
        )


def amount_columns(model: Model) -> tuple[str, str]:
    """The columns of what the model credits of orders, gross and net."""
    return _AMOUNTS[model.basis]


def evaluate(cases: Cases, model: Model, counted: Flags, *, count_crawlers: bool = False) -> Outcome:
    """What the model says of the period's orders. The cases' touches are what it looks at."""
    chosen = eligible_pairs(cases, model, counted, count_crawlers=count_crawlers)
    if model.by_line:
        earned = by_line(cases, model, chosen)
        return _outcome(cases, *earned)
    decided = deciding.decide(cases, Rows(chosen, cases.pairs.order[chosen].astype(np.int64)))
    tier = np.zeros(len(cases.orders), np.int8)
    tier[decided.sale] = decided.tier
    rows = deciding.earners(cases, model, decided.rows)
    sold = rows.sale[splits.groups(rows.sale).start]
    gross, net = (cases.orders.amounts[column][sold] for column in amount_columns(model))
    unit = units(cases.orders.currency[sold])
    totals = {
        "millionths": (np.full(len(sold), WHOLE), np.ones(len(sold), np.int64)),
        "gross_micros": (gross, unit),
        "net_micros": (net, unit),
    }
    return _outcome(cases, tier, rows.pair, deciding.parts(cases, model, rows, totals))


def _outcome(cases: Cases, tier: NDArray[np.int8], pair: Numbers, parts: dict[str, Numbers]) -> Outcome:
    """Credits of pairs, in their sequence."""
    touch = cases.pairs.touch[pair]
    return Outcome(
        tier=tier,
        order=cases.pairs.order[pair].astype(np.int64),
        touch=cases.touches.row[touch],
        channel=cases.touches.marks[touch] & facts.CHANNEL_BITS,
        **parts,
    )
