"""Rollup cells: the families of sums that figures are read from, and what each is keyed by.

A key's fields and a family's measures are columns of the same names. Each family is one table. Keys of two families
differ in length, or in what kind of value stands somewhere, so that they can stand in one mapping. Each edition of a
tenant's credits has cells of its own.
"""

import hashlib
import json
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

Measures = tuple[int, ...]
"""What a cell sums, in the sequence of its family's measures."""


class Outcome(StrEnum):
    """What an order, or a part of its amount, came to under a model."""

    ATTRIBUTED = "ATTRIBUTED"
    UNATTRIBUTED = "UNATTRIBUTED"
    EXCLUDED = "EXCLUDED"


class StoreCell(NamedTuple):
    """Orders that the shop told of, whatever the models say. Measures: orders, gross_micros, net_micros."""

    tenant_id: str
    edition: int
    day: date
    currency_code: str
    counted: bool


class ProductCell(NamedTuple):
    """Units and revenue of a product in counted orders: of all with an empty model, else of those attributed by it.

    Measures: units, refunded_units, gross_micros, net_micros.
    """

    tenant_id: str
    edition: int
    model: str
    day: date
    currency_code: str
    sku: str


class OutcomeCell(NamedTuple):
    """Orders by what they came to. Measures: orders, gross_micros, net_micros.

    An order that the tenant excludes is so under every model: its cell names none. A model that counts it all the same
    has a cell with the opposite. `excluded_reason` and `tier` are empty where they
    don't apply.
    """

    tenant_id: str
    edition: int
    model: str
    day: date
    currency_code: str
    outcome: str
    excluded_reason: str
    tier: str


class CreditCell(NamedTuple):
    """What contacts of one kind earned. Measures: orders, gross_micros, net_micros.

    An order whose credits went to contacts of several kinds is in a cell for each of them. `contact_set` names all
    kinds of the order together, `place` is this one's among them, and `contacts` is how many there are. The cells of
    one set count the same orders, so whatever the kinds are grouped or filtered by, an order is counted once where one
    cell of each set is. What stands behind `place` follows from it.
    """

    tenant_id: str
    edition: int
    model: str
    day: date
    currency_code: str
    tier: str
    contact_set: str
    place: int
    contacts: int
    channel: str
    touchpoint: str
    bot: str
    agent: str
    campaign: str
    experience: str


class SpanCell(NamedTuple):
    """How long orders took, of contacts of one kind: from the visitor's first message to the order. Measures: orders, seconds.

    `contact_name` names what stands behind it in short.
    """

    tenant_id: str
    edition: int
    model: str
    day: date
    contact_name: str
    channel: str
    touchpoint: str
    bot: str
    agent: str
    campaign: str
    experience: str


class Cut(NamedTuple):
    """What activity can be told apart by; a field that doesn't apply is empty."""

    channel: str = ""
    touchpoint: str = ""
    bot: str = ""
    agent: str = ""
    campaign: str = ""
    origin_type: str = ""
    tag: str = ""
    classification: str = ""
    classification_type: str = ""
    step: str = ""
    experience: str = ""
    journey: str = ""
    notification_channel: str = ""
    variant: str = ""
    currency_code: str = ""
    label: str = ""


class ActivityCell(NamedTuple):
    """What is not an order: how much of a figure there was on a day, by what it is cut by. Measure: amount.

    `figure` is the figure's own name; `cut_name` names all that follows it in short: see `cut_name`.
    """

    tenant_id: str
    figure: str
    day: date
    cut_name: str
    channel: str
    touchpoint: str
    bot: str
    agent: str
    campaign: str
    origin_type: str
    tag: str
    classification: str
    classification_type: str
    step: str
    experience: str
    journey: str
    notification_channel: str
    variant: str
    currency_code: str
    label: str

    @classmethod
    def of(cls, tenant_id: str, figure: str, day: date, cut: Cut) -> "ActivityCell":
        """The cell of a figure on a day with a cut."""
        return cls(tenant_id, figure, day, cut_name(cut), *cut)


@lru_cache(maxsize=65_536)
def cut_name(cut: Cut) -> str:
    """A short name for a cut: the same for the same one, in every process."""
    return hashlib.sha256(json.dumps(cut, ensure_ascii=False).encode()).hexdigest()[:32]


class TallyCell(NamedTuple):
    """What is counted of orders and visits together: how many of a figure there were on a day. Measure: amount."""

    tenant_id: str
    edition: int
    figure: str
    day: date


class VisitCell(NamedTuple):
    """What a visit has to do with orders, the visit's own events apart. Measures: placed, personalized, recommended.

    These are how many counted orders were placed in it, were credited to personalised content that was shown in it, and
    had a product that was recommended in it. No figure is read from it: visits that have any are counted in tallies.
    """

    tenant_id: str
    edition: int
    session_id: str


class MemberCell(NamedTuple):
    """Somebody who counts in a unique figure on a day. Measure: times, for how many orders.

    No figure is read from it: how many different ones there are stands in `UniqueCell`.
    """

    tenant_id: str
    edition: int
    figure: str
    member: str
    day: date


class UniqueCell(NamedTuple):
    """How many count in a unique figure on a day who had last counted on an earlier one. Measure: people.

    `previous_day` is the first day there is where they had never counted before.
    """

    tenant_id: str
    edition: int
    figure: str
    day: date
    previous_day: date


class UniqueSummary(NamedTuple):
    """Unique cells together, so that a report reads fewer, those left out who had never counted before. Measure: people.

    `cut` says of which of its two days the week's first one stands there, a Monday: of both, or of one of them.
    """

    tenant_id: str
    edition: int
    figure: str
    cut: str
    previous_day: date
    day: date


class ProductSummary(NamedTuple):
    """Product cells together, so that a report reads fewer. Measures: those of `ProductCell`.

    With the cut "day" those of all products of a day, `sku` being empty; with "week" those of a product of the week
    that begins on a day, a Monday.
    """

    tenant_id: str
    edition: int
    model: str
    cut: str
    day: date
    currency_code: str
    sku: str


class CreditSummary(NamedTuple):
    """Credit cells together that have the value of a field, which `cut` names, in common; all, where it is empty.

    Measures: those of `CreditCell`, each order counted once. `name` tells in short what follows it.
    """

    tenant_id: str
    edition: int
    model: str
    cut: str
    day: date
    name: str
    currency_code: str
    value: str


class ActivitySummary(NamedTuple):
    """Activity cells of a figure together that have the values of some fields, which `cut` names, in common.

    Measure: amount. `value` and `detail` are those of the first and the second field. `name` tells in short what
    follows it. Of what stands at a moment there are also those with the cut "month", of the month that begins on a day.
    """

    tenant_id: str
    figure: str
    day: date
    cut: str
    name: str
    currency_code: str
    value: str
    detail: str


Cell = (
    StoreCell
    | ProductCell
    | OutcomeCell
    | CreditCell
    | SpanCell
    | ActivityCell
    | TallyCell
    | VisitCell
    | MemberCell
    | UniqueCell
    | UniqueSummary
    | ProductSummary
    | CreditSummary
    | ActivitySummary
)

ORDER_FAMILIES: tuple[type[Cell], ...] = (
    StoreCell,
    ProductCell,
    OutcomeCell,
    CreditCell,
    SpanCell,
    TallyCell,
    VisitCell,
    MemberCell,
    UniqueCell,
    UniqueSummary,
    ProductSummary,
    CreditSummary,
)
"""What orders are summed in, in each edition of a tenant's credits."""

MEASURES: dict[type[Cell], tuple[str, ...]] = {
    StoreCell: ("orders", "gross_micros", "net_micros"),
    ProductCell: ("units", "refunded_units", "gross_micros", "net_micros"),
    OutcomeCell: ("orders", "gross_micros", "net_micros"),
    CreditCell: ("orders", "gross_micros", "net_micros"),
    SpanCell: ("orders", "seconds"),
    ActivityCell: ("amount",),
    TallyCell: ("amount",),
    VisitCell: ("placed", "personalized", "recommended"),
    MemberCell: ("times",),
    UniqueCell: ("people",),
    UniqueSummary: ("people",),
    ProductSummary: ("units", "refunded_units", "gross_micros", "net_micros"),
    CreditSummary: ("orders", "gross_micros", "net_micros"),
    ActivitySummary: ("amount",),
}
"""The names of each family's measures; every family is here."""

UNREAD: frozenset[type[Cell]] = frozenset({VisitCell, MemberCell})
"""Families that no figure is read from, but others are counted from: they may have as many cells as there are orders."""
